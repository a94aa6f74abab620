import { ConfigError } from '../errors.ts'

/** The part of a program's settings that says where SMT is. */
export class BaseUrl {
  readonly href: string
  readonly origin: string

  constructor(url: string) {
    const { origin, pathname } = new URL(url)
    this.origin = origin
    this.href = `${origin}${pathname.replace(/\/+$/, '')}`
  }

  /** The address of a call. Throws when a path leads elsewhere, or to another way to log in. */
  address(path: string): string {
    const url = `${this.href}${path}`
    const isPlain = /^\/(?!\/)[\w/.-]+$/.test(path) && URL.canParse(url) && new URL(url).href === url
    if (!isPlain) {
      throw new ConfigError('CONFIG_INVALID', 'the path of a call is plain, such as /v2/15minintervalreads/')
    }
    if (/\/(oauth2?|token)(\/|$)/i.test(path)) {
      throw new ConfigError('CONFIG_INVALID', 'SmtAuth alone logs in, and at /v2/token/ alone: ask its token()')
    }
    return url
  }

  /** The one address that user name and password are sent to. */
  get login(): string {
    return `${this.href}/v2/token/`
  }
}

/** What is wrong with a base URL; nothing when it will do. */
export function faultOfBaseUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be a URL'
  const { protocol, hostname, username, password, search, hash } = new URL(text)
  if (username !== '' || password !== '') return 'must not hold a user name or password'
  if (search !== '' || hash !== '') return 'must not have a query or fragment'
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) return undefined
  return 'must begin with https:// (http:// is for this machine alone, as 127.0.0.1)'
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}
