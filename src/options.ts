import * as z from 'zod'
import { ConfigError } from './errors.ts'

/** A secret, or a function that fetches it: asked for late, once per connection or key. */
export type Credential<T> = T | (() => T | Promise<T>)

/** The value of a credential. */
export async function resolveCredential<T extends string | Uint8Array>(credential: Credential<T>): Promise<T> {
  return typeof credential === 'function' ? await credential() : credential
}

/** Schema of a credential: a string, bytes, or a function, which stays the one that was given. */
export const credential = z.custom<Credential<string | Uint8Array>>(
  value => typeof value === 'string' || value instanceof Uint8Array || typeof value === 'function',
  'must be a string, bytes, or a function that gives them'
)

/** A whole number of milliseconds above zero. */
export const milliseconds = z.number().int().positive()

/** Settles a stage's options: defaults filled in, unknown names and bad values refused with the option's name. */
export function settle<Schema extends z.ZodType>(stage: string, schema: Schema, options: unknown): z.output<Schema> {
  const result = schema.safeParse(options ?? {})
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const name = issue?.code === 'unrecognized_keys' ? issue.keys.join(', ') : issue?.path.join('.')
  const what = issue?.code === 'unrecognized_keys' ? 'is not an option' : (issue?.message ?? 'is not valid')
  throw new ConfigError('CONFIG_INVALID', `${stage} option \`${name === '' ? 'options' : name}\` ${what}`)
}
