import { createHash } from 'node:crypto'
import type * as z from 'zod'
import { headSchema, type IntervalRow, type ListedPart, type Part, rowSchema } from './message.ts'
import { ReceiveError } from './receive-error.ts'

/** How a body says where its rows are: lines below its head, or an array inside it. */
export type BodyFormat = 'ndjson' | 'json'

/** A verified text as the part it is. Nothing of it is quoted in an error: it may identify a home. */
export function parsePart(id: string, text: string, format: BodyFormat): Part {
  const end = format === 'ndjson' ? text.indexOf('\n') : -1
  const raw = json(end < 0 ? text : text.slice(0, end), 'the head')
  const head = checked(headSchema, raw, '')
  const { smt: _, ...rest } = head
  if (rest.kind !== 'rows') {
    if (rest.kind === 'commit') checkSums(rest)
    return { ...rest, id } as Part
  }
  const lines = format === 'ndjson' ? linesOf(text.slice(end + 1)) : rowsInside(raw)
  if (lines.length !== rest.rows) throw bad(`there are ${lines.length} rows, and the head says ${rest.rows}`)
  if (hashOf(lines.map(line => (typeof line === 'string' ? line : JSON.stringify(line)))) !== rest.sha256) {
    throw bad('the rows are not those whose hash the head names')
  }
  const rows = lines.map((line, i) => {
    const value = typeof line === 'string' ? json(line, `row ${i}`) : line
    return checked(rowSchema, value, `row ${i} `) as IntervalRow
  })
  return { ...rest, id, rows }
}

/** The hash of a part’s rows: of their lines, each with its end. */
export function hashOf(lines: Iterable<string>): string {
  const hash = createHash('sha256')
  for (const line of lines) hash.update(`${line}\n`)
  return hash.digest('hex')
}

function linesOf(text: string): string[] {
  if (text !== '' && !text.endsWith('\n')) throw bad('the last line has no end')
  return text.split('\n').slice(0, -1)
}

function rowsInside(raw: unknown): unknown[] {
  const { intervals } = raw as { intervals?: unknown }
  if (!Array.isArray(intervals)) throw bad('intervals must be an array')
  return intervals
}

function checkSums(commit: {
  readonly rows: number
  readonly parts: readonly ListedPart[]
  readonly account: { readonly rows: { readonly accepted: number } }
}): void {
  const sum = commit.parts.reduce((rows, part) => rows + part.rows, 0)
  if (sum !== commit.rows || commit.account.rows.accepted !== sum) throw bad('the rows of the parts do not add up')
}

function json(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The message of JSON.parse quotes what it could not read.
    throw bad(`${what} is not JSON`)
  }
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, where: string): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw bad(`${where}${issue?.path.join('.') || 'the head'}: ${issue?.message ?? 'is not valid'}`)
}

function bad(what: string): ReceiveError {
  return new ReceiveError('RECEIVE_BODY', what)
}
