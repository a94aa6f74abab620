import type { HttpAnswer } from './answers.ts'
import { objectIn } from './answers.ts'

/** What an answer of the raw-upload route says of the rows that were sent. */
export interface RawOutcome {
  /** It says that it stored them. */
  readonly inserted: number
  /** It has had this very chunk before. */
  readonly unchanged: number
  /** It says nothing of them. */
  readonly unconfirmed: number
}

/**
 * What an answer means, for `sent` rows. `ok` alone says that the request was read; that readings are stored is said by
 * the counts of `normalizedInline`, or by `duplicate` where those are missing. Undefined where it is no success.
 */
export function judgeRawAnswer(answer: HttpAnswer, sent: number): RawOutcome | undefined {
  const said = objectIn(answer)
  if (said?.ok !== true) return undefined
  const inline = said.normalizedInline
  if (typeof inline === 'object' && inline !== null) {
    const { intervalsInserted } = inline as { intervalsInserted?: unknown }
    const counted = typeof intervalsInserted === 'number' && intervalsInserted > 0 ? Math.floor(intervalsInserted) : 0
    const inserted = Math.min(counted, sent)
    return { inserted, unchanged: 0, unconfirmed: sent - inserted }
  }
  if (said.duplicate === true) return { inserted: 0, unchanged: sent, unconfirmed: 0 }
  return { inserted: 0, unchanged: 0, unconfirmed: sent }
}
