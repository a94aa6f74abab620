/** What a command needs of the outside, so that it can be run from a test. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  /** Stops the command: SIGINT or SIGTERM. A second one ends the process. */
  readonly signal: AbortSignal
}

/**
 * 0: done. 1: the run failed, rejected or quarantined something. 2: it was asked for wrongly. Of `token` alone, 3: wrong user
 * name or password, 4: no answer in time, or the address of this machine is not admitted.
 */
export type ExitCode = 0 | 1 | 2 | 3 | 4
