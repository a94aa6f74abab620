import { createHmac } from 'node:crypto'
import { globToRegExp } from '../glob.ts'

/** One line of a known_hosts file that speaks about the server. */
export interface KnownHostsLine {
  readonly marker: 'revoked' | undefined
  readonly type: string
  /** The public key as SSH sends it, base64. */
  readonly key: string
}

/**
 * The lines of an OpenSSH known_hosts file that name the server. Lines nobody can read are passed over, as OpenSSH
 * does; so are certificate authorities, because certificates are never asked for.
 */
export function readKnownHosts(text: string, host: string, port: number): KnownHostsLine[] {
  const name = knownHostsName(host, port)
  return text.split(/\r?\n/).flatMap(line => {
    const words = line.trim().split(/\s+/)
    const marker = words[0]?.startsWith('@') ? words.shift() : undefined
    const [patterns, type, key] = words
    if (patterns === undefined || patterns.startsWith('#') || type === undefined || key === undefined) return []
    if (marker !== undefined && marker !== '@revoked') return []
    if (!namesHost(patterns, name)) return []
    return [{ marker: marker === undefined ? undefined : 'revoked', type, key } as const]
  })
}

/** How known_hosts writes a server: the port only where it is not 22. */
function knownHostsName(host: string, port: number): string {
  const name = host.toLowerCase()
  return port === 22 ? name : `[${name}]:${port}`
}

/** Whether the first field of a line names the server: a hash, or patterns of which none with `!` may match. */
function namesHost(field: string, name: string): boolean {
  if (field.startsWith('|')) return isHashOf(field, name)
  const patterns = field.split(',')
  const matches = (pattern: string) => globToRegExp(pattern).test(name)
  if (patterns.some(pattern => pattern.startsWith('!') && matches(pattern.slice(1)))) return false
  return patterns.some(pattern => !pattern.startsWith('!') && matches(pattern))
}

/** `|1|salt|hash`, where hash is the HMAC-SHA1 of the name under the salt, both base64. */
function isHashOf(field: string, name: string): boolean {
  const [, version, salt, hash] = field.split('|')
  if (version !== '1' || salt === undefined || hash === undefined) return false
  return createHmac('sha1', Buffer.from(salt, 'base64')).update(name).digest('base64') === hash
}
