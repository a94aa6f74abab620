import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { ConfigError } from '../errors.ts'
import { printError } from './print.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'

/** Runs one command line; gives the exit code. */
export async function main(args: readonly string[]): Promise<ExitCode> {
  const stop = new AbortController()
  const onSignal = () => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  const surroundings: Surroundings = { env: process.env, signal: stop.signal }
  let exitCode: ExitCode = 0
  const program = buildProgram(async command => {
    exitCode = await command(surroundings)
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    printError(error)
    return error instanceof ConfigError ? 2 : 1
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

type Run = (command: (surroundings: Surroundings) => Promise<ExitCode>) => Promise<void>

/** The commands. Each is loaded when it is asked for. */
function buildProgram(run: Run): Command {
  const program = new Command('smt-ingest')
    .description('Smart Meter Texas interval files: fetch, open, check, store.')
    .version(version())
    .exitOverride()
    .showHelpAfterError()

  program
    .command('demo')
    .description('make encrypted SMT files, serve them over SFTP, take them into demo/smt.duckdb, and compare')
    .option('--meters <n>', 'meters to make', wholeNumber, 200)
    .option('--days <n>', 'days to make around each clock change', wholeNumber, 31)
    .option('--directory <dir>', 'where everything is written', 'demo')
    .action(options => run(async around => (await import('./demo.ts')).demo(options, around)))

  const keys = (command: Command) =>
    command
      .option('--key <file>', 'OpenPGP private key; repeat it while keys are rotated [SMT_PGP_KEY]', collect)
      .option('--passphrase-file <file>', 'holds the passphrase of that key [SMT_PGP_PASSPHRASE_FILE]')
      .option('--json', 'one JSON object a line, for programs')

  keys(program.command('pull'))
    .description('take every new file from the sources into a store')
    .option(
      '--from <source>',
      'folder, or sftp://user@host:port/dir; repeatable [SMT_HOST, SMT_REMOTE_DIR, …]',
      collect
    )
    .option('--to <store>', 'duckdb:FILE, ndjson:DIR or postgres://user@host/db?schema=smt&layout=days [SMT_STORE]')
    .option('--identity <file>', 'SSH private key [SMT_KEY]')
    .option('--password-file <file>', 'holds the SFTP password, instead of a key')
    .option('--host-key <fingerprint>', 'pin of the server’s key, SHA256:…; repeatable [SMT_HOST_KEY]', collect)
    .option('--known-hosts <file>', 'OpenSSH known_hosts file, instead of a pin [SMT_KNOWN_HOSTS]')
    .option('--retry-quarantined', 'take files again that an earlier run set aside')
    .action(options => run(async around => (await import('./pull.ts')).pull(options, around)))

  keys(program.command('inspect'))
    .description('show what is inside files; stores nothing')
    .argument('<files...>', 'files as SMT delivers them, encrypted or not')
    .option('--intervals', 'print the intervals as NDJSON, after a first pass has verified the file')
    .action((files, options) => run(async around => (await import('./inspect.ts')).inspect(files, options, around)))

  program
    .command('export')
    .description('write the intervals of a database into Parquet files, one for each month')
    .option('--from <store>', 'duckdb:FILE or postgres://user@host/db?schema=smt&layout=days [SMT_STORE]')
    .requiredOption('--to <dir>', 'where the months and manifest.json go')
    .option('--since <month>', 'the first month, as 2025-07')
    .option('--until <month>', 'the last month, as 2025-07')
    .option('--json', 'one JSON object a line, for programs')
    .action(options => run(async around => (await import('./export.ts')).exportStore(options, around)))

  for (const command of program.commands) command.exitOverride().showHelpAfterError()
  return program
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

function wholeNumber(value: string): number {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('It is a whole number above zero.')
  return number
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
