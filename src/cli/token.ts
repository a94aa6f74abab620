import type { Readable, Writable } from 'node:stream'
import { password as askHidden, isCancel } from '@clack/prompts'
import { SmtAuth } from '../auth/smt-auth.ts'
import type { AccessToken } from '../auth/token.ts'
import { AbortError, ApiError, ConfigError, type ErrorCode } from '../errors.ts'
import { demand, readSecret } from '../settings.ts'
import { errorJson, printError, say, sayJson } from './print.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'

/** Flags of `token`. */
export interface TokenFlags {
  readonly baseUrl?: string
  readonly user?: string
  readonly passwordFile?: string
  /** Seconds for the whole login. */
  readonly timeout: number
  readonly showToken?: boolean
  readonly json?: boolean
}

/** Codes by which a script can tell what to look at: the account, or the allow list. */
const exitCodes: Partial<Record<ErrorCode, ExitCode>> = { API_CREDENTIALS: 3, API_TIMEOUT: 4, API_NOT_ADMITTED: 4 }

/** Logs in to SMT once, and shows what came of it. */
export async function token(flags: TokenFlags, { env, signal }: Surroundings): Promise<ExitCode> {
  const username = flags.user || env.SMT_USERNAME
  if (!username) throw new ConfigError('CONFIG_INVALID', 'no user name: give --user, or set SMT_USERNAME')
  const baseUrl = flags.baseUrl || env.SMT_API_BASE_URL || undefined
  const timeoutMs = flags.timeout * 1000
  await using auth = new SmtAuth({
    baseUrl,
    username,
    password: await passwordOf(flags, username, { env, signal }),
    headersTimeoutMs: timeoutMs,
    bodyTimeoutMs: timeoutMs,
    deadlineMs: timeoutMs,
    retries: 1
  })
  try {
    const given = await auth.token({ signal })
    if (flags.json) sayJson(tokenJson(given, auth, flags))
    else for (const line of tokenLines(given, auth)) say(line)
    // As it is: nothing in a token is an ESIID.
    if (!flags.json) process.stdout.write(`  token     ${shown(given, flags)}\n`)
    return 0
  } catch (error) {
    if (flags.json) sayJson(errorJson(error))
    else printError(error)
    return (error instanceof ApiError && exitCodes[error.code]) || 1
  }
}

/** Asks at a terminal, without showing what is typed. */
export async function promptPassword(
  username: string,
  { input, output, signal }: { readonly input: Readable; readonly output: Writable; readonly signal: AbortSignal }
): Promise<string> {
  const answer = await askHidden({ message: `Password of ${username}`, input, output, signal })
  if (isCancel(answer)) throw new AbortError()
  return answer
}

/** A file before the environment before a question. A flag would be seen by every user of the machine. */
async function passwordOf(
  { passwordFile }: TokenFlags,
  username: string,
  { env, signal }: Surroundings
): Promise<string> {
  if (passwordFile) {
    demand(passwordFile, 'the password (--password-file)')
    return readSecret(passwordFile)
  }
  if (env.SMT_PASSWORD) return env.SMT_PASSWORD
  // What is asked is no part of the result, which may go into a pipe.
  const { stdin: input, stderr: output } = process
  if (input.isTTY && output.isTTY) return promptPassword(username, { input, output, signal })
  throw new ConfigError(
    'CONFIG_INVALID',
    'no password: set SMT_PASSWORD, give --password-file, or run it at a terminal'
  )
}

function tokenLines({ status, type, receivedAt, expiresAt }: AccessToken, { baseUrl, username }: SmtAuth): string[] {
  return [
    `✓ SMT gave ${username} a token: ${baseUrl}/v2/token/`,
    `  status    ${status}`,
    `  type      ${type}`,
    `  lifetime  ${(expiresAt - receivedAt) / 1000} s`,
    `  received  ${new Date(receivedAt).toISOString()}`,
    `  ends      ${new Date(expiresAt).toISOString()}`
  ]
}

function tokenJson(given: AccessToken, { baseUrl, username }: SmtAuth, flags: TokenFlags): object {
  const { status, type: tokenType, receivedAt, expiresAt } = given
  return {
    type: 'token',
    baseUrl,
    username,
    status,
    tokenType,
    lifetimeSeconds: (expiresAt - receivedAt) / 1000,
    receivedAt: new Date(receivedAt).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
    token: shown(given, flags)
  }
}

/** The beginning of a token is the same for all; it tells that there is one, and no more. */
function shown({ value }: AccessToken, { showToken }: TokenFlags): string {
  if (showToken) return value
  return `${value.slice(0, Math.min(6, value.length / 4))}… (${value.length} characters; --show-token shows it)`
}
