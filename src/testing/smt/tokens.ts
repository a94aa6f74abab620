import { randomBytes } from 'node:crypto'
import type { SmtAnswer, SmtCall } from './call.ts'

/** Who may log in. */
export interface SmtUser {
  readonly username: string
  readonly password: string
}

/** How answers to a login are written: sources differ, so a client must take them all. */
export interface TokenStyle {
  /** How `statusCode` and `expiresIn` are written. @default 'numbers' */
  readonly numbers?: 'numbers' | 'strings' | undefined
  /** How `issuedAt` and `expiresAt` are written; `absurd` names years that are long past. @default 'us' */
  readonly dates?: 'us' | 'iso' | 'absurd' | 'none' | undefined
}

/** A token that was given. */
export interface FakeToken {
  readonly value: string
  readonly username: string
  /** By the server's clock, in epoch milliseconds. */
  readonly expiresAt: number
}

interface OfficeOptions {
  readonly users: readonly SmtUser[]
  readonly tokenSeconds?: number | undefined
  readonly tokenStyle?: TokenStyle | undefined
  readonly now?: (() => number) | undefined
}

/** Gives tokens to those who may have them, and knows whose they are. */
export class TokenOffice {
  readonly given: FakeToken[] = []
  readonly #options: OfficeOptions
  readonly #valid = new Map<string, FakeToken>()

  constructor(options: OfficeOptions) {
    this.#options = options
  }

  /** The answer to a login that came as JSON. */
  answer({ headers }: SmtCall, body: Readonly<Record<string, unknown>>): SmtAnswer {
    const refuse = (status: number, error: string) => ({ status, body: { error } })
    const { username, password, ...others } = body
    if (headers.authorization !== undefined) return refuse(400, 'A login carries no Authorization header.')
    if (typeof username !== 'string' || username === '') return refuse(400, 'Please provide username.')
    if (typeof password !== 'string' || password === '') return refuse(400, 'Please provide password.')
    if (Object.keys(others).length > 0) return refuse(400, 'A login has a username and a password, and nothing else.')
    const user = this.#options.users.find(known => known.username === username && known.password === password)
    if (user === undefined) return refuse(401, 'Incorrect username or password.')
    return { body: this.#give(user) }
  }

  /** Whose token an Authorization header holds, when it holds one that is taken. */
  userOf(authorization: string | undefined): string | undefined {
    const [, value = ''] = /^Bearer (\S+)$/.exec(authorization ?? '') ?? []
    const token = this.#valid.get(value)
    return token !== undefined && this.#now() < token.expiresAt ? token.username : undefined
  }

  expireAll(): void {
    this.#valid.clear()
  }

  #give({ username }: SmtUser): Readonly<Record<string, unknown>> {
    const { tokenSeconds = 3600, tokenStyle = {} } = this.#options
    const issuedAt = this.#now()
    const expiresAt = issuedAt + tokenSeconds * 1000
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const payload = part({ sub: username, exp: Math.floor(expiresAt / 1000) })
    const value = `${part({ alg: 'HS256', typ: 'JWT' })}.${payload}.${randomBytes(32).toString('base64url')}`
    const token = { value, username, expiresAt }
    this.given.push(token)
    this.#valid.set(value, token)
    const write = (number: number) => (tokenStyle.numbers === 'strings' ? String(number) : number)
    return {
      statusCode: write(200),
      accessToken: value,
      tokenType: 'Bearer',
      expiresIn: write(tokenSeconds),
      ...datesOf(issuedAt, expiresAt, tokenStyle.dates ?? 'us')
    }
  }

  #now(): number {
    return (this.#options.now ?? Date.now)()
  }
}

function datesOf(issuedAt: number, expiresAt: number, style: NonNullable<TokenStyle['dates']>): object {
  if (style === 'none') return {}
  if (style === 'absurd') return { issuedAt: '01/01/1970 00:00:00', expiresAt: '01/01/1970 01:00:00' }
  const write = (instant: number) => {
    const iso = new Date(instant).toISOString()
    if (style === 'iso') return iso
    const [year, month, day] = iso.slice(0, 10).split('-')
    return `${month}/${day}/${year} ${iso.slice(11, 19)}`
  }
  return { issuedAt: write(issuedAt), expiresAt: write(expiresAt) }
}
