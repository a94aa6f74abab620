import { expect } from 'vitest'
import { IngestError } from '../../src/errors.ts'

/** The error that a piece of work must end with. */
export async function failureOf(work: Promise<unknown>): Promise<IngestError> {
  const outcome = await work.then(
    () => 'no error',
    error => error
  )
  expect(outcome).toBeInstanceOf(IngestError)
  return outcome
}
