import { type ErrorCode, IngestError } from '../../errors.ts'

/** Why a message is not taken. */
export type ReceiveCode = Extract<ErrorCode, `RECEIVE_${string}`>

const statuses: Record<ReceiveCode, number> = {
  RECEIVE_SIGNATURE: 401,
  RECEIVE_TIMESTAMP: 401,
  RECEIVE_TOO_LARGE: 413,
  RECEIVE_TIMEOUT: 408,
  RECEIVE_BODY: 400,
  RECEIVE_FENCED: 409,
  RECEIVE_PARTS_MISSING: 409,
  RECEIVE_OTHER_CONTENT: 409
}

/** A message that is not taken. `status` is the one to answer with. */
export class ReceiveError extends IngestError {
  override readonly code: ReceiveCode
  readonly status: number
  /** Positions of the parts that a commit lists and that are not staged. */
  readonly missing: readonly number[] | undefined

  /** @internal */
  constructor(
    code: ReceiveCode,
    what: string,
    { cause, missing, status }: { cause?: unknown; missing?: readonly number[]; status?: number } = {}
  ) {
    super(code, what, { cause })
    this.code = code
    this.status = status ?? statuses[code]
    this.missing = missing
  }
}
