import * as z from 'zod'

/** Bytes that a secret must have: what Standard Webhooks asks for. */
const SHORTEST = 24

/** A secret of Standard Webhooks. The message of an issue never holds the value. */
export const webhookSecret = z
  .string('must be a whsec_ secret')
  .transform(withoutLineEnd)
  .pipe(
    z
      .string()
      .regex(/^whsec_[A-Za-z0-9+/]+={0,2}$/, 'must be whsec_ and base64')
      .refine(text => Buffer.from(text.slice(6), 'base64').length >= SHORTEST, `must have at least ${SHORTEST} bytes`)
  )

/** A token as it goes into a header. */
export const headerToken = z
  .string('must be a token')
  .transform(withoutLineEnd)
  .pipe(z.string().regex(/^[\x21-\x7e]+$/, 'must be visible characters, without blanks'))

/** A secret that was read from a file has a line end. */
function withoutLineEnd(text: string): string {
  return text.replace(/\r?\n$/, '')
}
