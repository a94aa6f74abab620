import { randomBytes } from 'node:crypto'
import type * as z from 'zod'
import { ApiError } from '../errors.ts'
import type { ApiAnswer } from './answer-body.ts'
import { faultError, faultOf } from './business-errors.ts'
import { type Endpoint, type EndpointName, endpoints } from './endpoints.ts'
import { wasNeverSent } from './failures.ts'
import type { SmtAuth } from './smt-auth.ts'

/** Who asks. */
interface Identity {
  readonly requestorId: string
  readonly requesterType: string
  readonly requesterAuthenticationId: string
}

/** What is needed to make a call. */
interface CallerSettings extends Identity {
  readonly auth: SmtAuth
  readonly paths: Partial<Readonly<Record<EndpointName, string>>>
  readonly now: () => number
}

/** Makes SMT's calls: who asks is filled in, what may not be repeated is not, and what the answer says is judged. */
export class Caller {
  readonly #settings: CallerSettings

  constructor(settings: CallerSettings) {
    this.#settings = settings
  }

  get baseUrl(): string {
    return this.#settings.auth.baseUrl
  }

  /** Where a call goes. */
  path(name: EndpointName): string {
    return this.#settings.paths[name] ?? endpoints[name].path
  }

  /** Makes a call and reads its answer. What SMT says went wrong is thrown, also with HTTP 200. */
  async ask<Schema extends z.ZodType>(
    name: EndpointName,
    fields: object,
    schema: Schema,
    signal?: AbortSignal | undefined
  ): Promise<z.output<Schema>> {
    const { status, body } = await this.answer(name, fields, signal)
    this.judge(name, body, status)
    return this.read(name, body, schema)
  }

  /** Makes a call and gives its answer as it is. */
  async answer(name: EndpointName, fields: object, signal?: AbortSignal | undefined): Promise<ApiAnswer> {
    const { retry, hasIdentityHeaders }: Endpoint = endpoints[name]
    const { serviceId } = this.#settings.auth
    const headers = hasIdentityHeaders ? { username: serviceId, serviceId } : {}
    try {
      return await this.#settings.auth.request(this.path(name), this.body(name, fields), { signal, retry, headers })
    } catch (error) {
      throw retry === 'never' ? this.#doubted(name, error) : error
    }
  }

  /** Throws what an answer says was wrong. */
  judge(name: EndpointName, body: unknown, status = 200): void {
    const fault = faultOf(body)
    if (fault) throw faultError(fault, this.address(name), status, body)
  }

  /** An answer as it should be; throws an error that names the field which is not, and quotes nothing. */
  read<Schema extends z.ZodType>(name: EndpointName, body: unknown, schema: Schema): z.output<Schema> {
    const { success, data, error } = schema.safeParse(body)
    if (success) return data
    const field = error.issues[0]?.path.join('.') || 'the answer'
    const what = `the answer is not as it should be (${field})`
    throw new ApiError('API_ANSWER', what, { file: this.address(name), body })
  }

  /** The body of a call. */
  body(name: EndpointName, fields: object): object {
    const { requestorId, requesterType, requesterAuthenticationId } = this.#settings
    const { prefix, identity }: Endpoint = endpoints[name]
    return {
      trans_id: `${prefix}${this.#settings.now()}${randomBytes(4).toString('hex')}`,
      requestorID: requestorId,
      ...(identity === 'whole' && { requesterType }),
      ...(identity !== 'requestor' && { requesterAuthenticationID: requesterAuthenticationId }),
      ...fields,
      SMTTermsandConditions: 'Y'
    }
  }

  address(name: EndpointName): string {
    return `${this.baseUrl}${this.path(name)}`
  }

  /** A call that makes something, and of which nobody knows whether it arrived, must not look as if it could be repeated. */
  #doubted(name: EndpointName, error: unknown): unknown {
    if (!(error instanceof ApiError) || !error.retryable || error.code === 'API_RATE_LIMIT') return error
    // Nothing was sent without a token.
    if (wasNeverSent(error) || error.file?.endsWith('/v2/token/')) return error
    // Their own cause, not this error: it would say of itself that the call may be made again.
    const { message, status, body, cause } = error
    const what = `whether SMT did it is not known (${message.replace(/: http\S+$/, '')})`
    return new ApiError('API_UNCERTAIN', what, { file: this.address(name), status, body, cause })
  }
}
