import type { AnyAuthMethod, AuthHandlerMiddleware, ParsedKey } from 'ssh2'
import { ConfigError, SourceError } from '../../errors.ts'
import { type Credential, resolveCredential } from '../../options.ts'
import { loadSsh2 } from './ssh2.ts'

/** One question of a keyboard-interactive login. */
export interface LoginPrompt {
  readonly prompt: string
  /** Whether the answer may be shown while it is typed; a password's may not. */
  readonly echo?: boolean | undefined
}

/** Answers the questions of a keyboard-interactive login, in their order. */
export type KeyboardInteractive = (prompts: readonly LoginPrompt[]) => readonly string[] | Promise<readonly string[]>

/** The ways to log in; each is tried once, those the server does not take are left out. */
export interface Login {
  readonly username: string
  readonly privateKey?: Credential<string | Uint8Array> | undefined
  readonly passphrase?: Credential<string | Uint8Array> | undefined
  readonly password?: Credential<string | Uint8Array> | undefined
  readonly agent?: string | undefined
  readonly keyboardInteractive?: KeyboardInteractive | undefined
}

/** What became of a login that did not succeed. */
export interface LoginReport {
  /** The methods that were tried, in their order. */
  readonly tried: readonly string[]
}

interface Way {
  /** The method's name, as SSH says it. */
  readonly method: 'publickey' | 'password' | 'keyboard-interactive'
  /** What to call it in messages. */
  readonly label: string
  readonly prepare: () => Promise<AnyAuthMethod>
}

/**
 * The handler that ssh2 asks for the next way to log in, after the host key was accepted. Credentials are fetched
 * only then. `fail` hears of a credential that could not be fetched or read.
 */
export function loginHandler(
  login: Login,
  fail: (error: Error) => void
): { handler: AuthHandlerMiddleware; report: LoginReport } {
  const ways = waysOf(login)
  const tried: string[] = []
  let askedWhatIsTaken = false
  const handler: AuthHandlerMiddleware = (taken, _partial, next) => {
    if (!askedWhatIsTaken) {
      // The method `none` opens no door, but its refusal lists those the server takes.
      askedWhatIsTaken = true
      return next('none')
    }
    const index = ways.findIndex(({ method }) => taken?.includes(method) ?? true)
    const [way] = index === -1 ? [] : ways.splice(index, 1)
    // ssh2 takes `false` for "no way left"; its types do not say so.
    if (way === undefined) return next(false as never)
    tried.push(way.label)
    way.prepare().then(next, fail)
  }
  return { handler, report: { tried } }
}

/** Reads a private key, or says which option is wrong. The key's text stays out of the message. */
export function readPrivateKey(key: string | Uint8Array, passphrase?: string | Uint8Array): ParsedKey {
  const asBuffer = (value: string | Uint8Array) => (typeof value === 'string' ? value : Buffer.from(value))
  const parsed = loadSsh2().utils.parseKey(asBuffer(key), passphrase === undefined ? undefined : asBuffer(passphrase))
  const first = Array.isArray(parsed) ? (parsed[0] as ParsedKey) : parsed
  if (!(first instanceof Error) && first.isPrivateKey()) return first
  if (first instanceof Error && /passphrase|decrypt|integrity/i.test(first.message)) {
    throw new ConfigError('CONFIG_INVALID', 'SftpSource option `passphrase` does not open the private key')
  }
  throw new ConfigError('CONFIG_INVALID', 'SftpSource option `privateKey` is not a private key that can be read')
}

function waysOf(login: Login): Way[] {
  const { username, privateKey, passphrase, password, agent, keyboardInteractive } = login
  const ways: Way[] = []
  if (privateKey !== undefined) {
    const prepare = async () => {
      const secret = passphrase === undefined ? undefined : await fetch('passphrase', passphrase)
      return {
        type: 'publickey',
        username,
        key: readPrivateKey(await fetch('privateKey', privateKey), secret)
      } as const
    }
    ways.push({ method: 'publickey', label: 'private key', prepare })
  }
  if (agent !== undefined) {
    ways.push({ method: 'publickey', label: 'agent', prepare: async () => ({ type: 'agent', username, agent }) })
  }
  if (password !== undefined) {
    const prepare = async () => ({ type: 'password', username, password: await passwordOf(password) }) as const
    ways.push({ method: 'password', label: 'password', prepare })
  }
  const answer = keyboardInteractive ?? (password === undefined ? undefined : answerWith(password))
  if (answer !== undefined) {
    const prompt = (_name: string, _text: string, _language: string, prompts: LoginPrompt[], finish: Finish) => {
      // A failed answer is no answer: the server refuses, and the way counts as tried.
      Promise.resolve(prompts)
        .then(answer)
        .then(
          answers => finish([...answers]),
          () => finish([])
        )
    }
    const prepare = async () => ({ type: 'keyboard-interactive', username, prompt }) as const
    ways.push({ method: 'keyboard-interactive', label: 'keyboard-interactive', prepare })
  }
  return ways
}

type Finish = (answers: string[]) => void

/** Gives the password to questions whose answer is hidden, and nothing to any other. */
function answerWith(password: Credential<string | Uint8Array>): KeyboardInteractive {
  return async prompts => {
    const secret = await passwordOf(password)
    return prompts.map(({ echo }) => (echo ? '' : secret))
  }
}

async function passwordOf(password: Credential<string | Uint8Array>): Promise<string> {
  return Buffer.from(await fetch('password', password)).toString('utf8')
}

async function fetch(option: string, credential: Credential<string | Uint8Array>): Promise<string | Uint8Array> {
  try {
    return await resolveCredential(credential)
  } catch (cause) {
    throw new SourceError('SFTP_AUTH', `the function given as \`${option}\` failed`, { cause })
  }
}
