import { createHmac, randomBytes } from 'node:crypto'

export function makeSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

/** Signs bodies as https://www.standardwebhooks.com says, by hand; gives the headers. */
export function signer(secret: string) {
  const key = Buffer.from(secret.slice('whsec_'.length), 'base64')
  return (body: string, { id = 'smt_1', secondsAgo = 0 } = {}): Record<string, string> => {
    const timestamp = String(Math.floor(Date.now() / 1000) - secondsAgo)
    const signature = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
    return {
      'content-type': 'application/json',
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': `v1,${signature}`
    }
  }
}
