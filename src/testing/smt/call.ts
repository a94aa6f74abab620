import type { IncomingHttpHeaders } from 'node:http'

/** A call as it arrived, whether it was taken or not. What is secret in it is here and nowhere else. */
export interface SmtCall {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** A call that was let in: its token holds, and the body names the same identity. */
export interface AdmittedCall {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  /** The user whose token it came with. */
  readonly username: string
  readonly body: Readonly<Record<string, unknown>>
}

/** What an endpoint says. */
export interface SmtAnswer {
  /** @default 200 */
  readonly status?: number | undefined
  /** Bytes, or what gives them, are sent as they are; anything else as JSON. */
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** What stands behind a path. */
export interface SmtEndpoint {
  /** Whether the headers `username` and `serviceId` must name the identity, too. @default false */
  readonly needsIdentityHeaders?: boolean | undefined
  answer(call: AdmittedCall): SmtAnswer | Promise<SmtAnswer>
}
