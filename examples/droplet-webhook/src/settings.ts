import { ConfigError } from '@intelliwatt/smt-ingest'
import * as z from 'zod'

/** What the daemon itself reads from the environment; the library reads the rest (`stagesFromEnv`). */
export interface Settings {
  /** @default '127.0.0.1' */
  readonly host: string
  /** @default 8787 */
  readonly port: number
  /** Who sends one of these may trigger. Never empty. */
  readonly secrets: readonly string[]
  /** Who sends this may use the proxy paths; without it nobody may. */
  readonly proxyToken: string | undefined
  /** The retailer’s PUCT number where a call of the app names none. @default 10052 */
  readonly puctNumber: number
  /** From one look at the source to the next, where the daemon watches too; 0 for never. @default 60000 */
  readonly watchEveryMs: number
  /** How long what is under way may take once the daemon is asked to stop. @default 60000 */
  readonly graceMs: number
  /** @default 'info' */
  readonly logLevel: string
}

const wholeNumber = (least: number, most: number) =>
  z.string().regex(/^\d+$/, 'must be a whole number').transform(Number).pipe(z.number().min(least).max(most))

const schema = z.object({
  HOST: z.string().default('127.0.0.1'),
  PORT: wholeNumber(0, 65_535).default(8787),
  INTELLIWATT_WEBHOOK_SECRET: z.string().optional(),
  DROPLET_WEBHOOK_SECRET: z.string().optional(),
  SMT_PROXY_TOKEN: z.string().optional(),
  SMT_REP_PUCT_OVERRIDE: wholeNumber(1, 999_999).default(10_052),
  SMT_WATCH_SECONDS: wholeNumber(0, 86_400).default(60),
  SMT_GRACE_SECONDS: wholeNumber(0, 600).default(60),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info')
})

/** The settings, or a {@link ConfigError} that names the variable. A variable that is empty counts as not set. */
export function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const given = Object.entries(environment).map(([name, value]) => [name, value?.trim()] as const)
  const { data, error } = schema.safeParse(Object.fromEntries(given.filter(([, value]) => value)))
  if (error) {
    const { path, message } = error.issues[0]!
    throw new ConfigError('CONFIG_INVALID', `${path.join('.')} is wrong: ${message}`)
  }
  const secrets = [data.INTELLIWATT_WEBHOOK_SECRET, data.DROPLET_WEBHOOK_SECRET].filter(secret => secret !== undefined)
  if (secrets.length === 0) {
    const what = 'no secret: set INTELLIWATT_WEBHOOK_SECRET or DROPLET_WEBHOOK_SECRET, or nobody could trigger anything'
    throw new ConfigError('CONFIG_INVALID', what)
  }
  return {
    host: data.HOST,
    port: data.PORT,
    secrets,
    proxyToken: data.SMT_PROXY_TOKEN,
    puctNumber: data.SMT_REP_PUCT_OVERRIDE,
    watchEveryMs: data.SMT_WATCH_SECONDS * 1000,
    graceMs: data.SMT_GRACE_SECONDS * 1000,
    logLevel: data.LOG_LEVEL
  }
}

/** Whether only this machine can reach an address. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}
