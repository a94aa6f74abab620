import * as z from 'zod'
import type { Interval } from '../../batch.ts'
import type { LedgerFile, Receipt } from '../../ledger/receipt.ts'
import type { FileAccount } from '../../parse/file-account.ts'

/** The version of the protocol that docs/sinks/http.md describes. */
export const PROTOCOL = 1

/** An interval as a part brings it, with its place in the report. */
export interface IntervalRow extends Interval {
  /** Position of the entry in the opened file, from 0. */
  readonly entry: number
  /** Line in that entry, from 1. */
  readonly line: number
}

/** What every message says of its file. */
export interface PartHead {
  /** The `webhook-id`: the same for the same content in every attempt and every run. */
  readonly id: string
  /** 64 hex digits that tell the file from others: same path, size and time, same digits. */
  readonly file: string
  /** Grows with each claim of the file. A message with an older one than the last is refused. */
  readonly epoch: number
  /** The file is in, and is read anew: its commit replaces what it gave before. */
  readonly isReplay: boolean
}

/** A worker has claimed a file, and asks what is known of it. */
export interface BeginPart extends PartHead {
  readonly kind: 'begin'
}

/** Some rows of a file, in its order. Not to be seen before the commit. */
export interface RowsPart extends PartHead {
  readonly kind: 'rows'
  /** Its position among the parts of the file, from 0. */
  readonly index: number
  /** SHA-256 of its rows as text, lower-case hex. */
  readonly sha256: string
  readonly rows: readonly IntervalRow[]
}

/** One part as a commit lists it. */
export interface ListedPart {
  readonly rows: number
  readonly sha256: string
}

/** The file is whole and proven: its parts, exactly those listed, are to be seen now, all together. */
export interface CommitPart extends PartHead {
  readonly kind: 'commit'
  /** The parts in order: the one at position 0 first. */
  readonly parts: readonly ListedPart[]
  /** Rows of all parts. */
  readonly rows: number
  /** Where the file came from. */
  readonly label: LedgerFile
  /** The bytes as fetched. */
  readonly fetched: { readonly bytes: number; readonly sha256: string }
  /** The bytes as opened, before unzipping: the same report, encrypted anew, has the same hash. */
  readonly payload: NonNullable<Receipt['payload']>
  /** Every entry, and every row by outcome. */
  readonly account: Pick<FileAccount, 'entries' | 'rows' | 'quality'>
}

/** The worker gave up: what is staged of the file goes. */
export interface RollbackPart extends PartHead {
  readonly kind: 'rollback'
}

/** One signed message. */
export type Part = BeginPart | RowsPart | CommitPart | RollbackPart

const count = z.number().int().min(0)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits')
/** UTC, as text; becomes epoch milliseconds. */
const instant = z
  .string()
  .regex(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/, 'must be an instant in UTC')
  .transform(text => Date.parse(text))
  .pipe(z.number())

export const rowSchema = z.object({
  esiid: z.string().regex(/^10(\d{15}|\d{20})$/, 'must be 17 or 22 digits that begin with 10'),
  start: instant,
  kwh: z
    .number()
    .min(0)
    .refine(kwh => kwh < 1e7 && Number(kwh.toFixed(5)) === kwh, 'must have at most seven digits and five places'),
  estimated: z.boolean(),
  direction: z.enum(['consumption', 'surplus-generation']),
  revision: instant.nullable(),
  minutes: z.number().int().positive().optional(),
  entry: count,
  line: z.number().int().positive()
})

const head = {
  smt: z.literal(PROTOCOL, `must be ${PROTOCOL}`),
  file: sha256,
  epoch: z.number().int().positive(),
  isReplay: z.boolean()
}

const stored = { inserted: count, replaced: count, unchanged: count, superseded: count, conflicts: count }

const label = z.object({
  source: z.string(),
  path: z.string(),
  name: z.string(),
  size: z.number(),
  modifiedAt: z.number()
})

const rowCounts = z.object({
  read: count,
  accepted: count,
  rejected: count,
  placeholder: count,
  missing: count,
  repeatedHeader: count
})

export const headSchema = z.discriminatedUnion('kind', [
  z.object({ ...head, kind: z.literal('begin') }),
  z.object({ ...head, kind: z.literal('rows'), index: count, rows: count, sha256 }),
  z.object({
    ...head,
    kind: z.literal('commit'),
    parts: z.array(z.object({ rows: count, sha256 })),
    rows: count,
    label,
    fetched: z.object({ bytes: count, sha256 }),
    payload: z.object({ bytes: count, sha256, encrypted: z.boolean() }),
    // What a later version knows more of an entry passes through.
    account: z.looseObject({
      rows: rowCounts,
      entries: z.array(z.looseObject({ index: count, name: z.string(), outcome: z.string(), rows: rowCounts })),
      quality: z.looseObject({})
    })
  }),
  z.object({ ...head, kind: z.literal('rollback') })
])

/** What the receiver answers to a begin. */
export const beginAnswer = z.union([
  z.object({ ok: z.literal(true), state: z.literal('committed') }),
  z.object({ ok: z.literal(true), state: z.literal('open'), parts: z.array(z.object({ index: count, sha256 })) })
])

/** What the receiver answers to a commit. */
export const commitAnswer = z.union([
  z.object({ ok: z.literal(true), stored: z.object(stored) }),
  z.object({ ok: z.literal(true), duplicateOf: label })
])
