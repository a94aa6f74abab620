import { adviceFor, type ErrorCode, meaningOf } from './error-codes.ts'

export { adviceFor, type ErrorCode, errorCodes, type RowCode, reasonFor } from './error-codes.ts'

/** Where a problem stands. */
export interface ErrorPlace {
  /** Path of the file as its source lists it. */
  readonly file?: string | undefined
  /** Name of the entry inside the file. */
  readonly entry?: string | undefined
  /** Line of the entry, counted from 1. */
  readonly line?: number | undefined
  /** The other library's error, untouched. */
  readonly cause?: unknown
}

/** Base class of everything this package throws on purpose. Message grammar: what happened: on what. */
export class IngestError extends Error {
  readonly code: ErrorCode
  readonly file: string | undefined
  readonly entry: string | undefined
  readonly line: number | undefined

  constructor(code: ErrorCode, what: string, place: ErrorPlace = {}) {
    super(describe(what, place), place.cause === undefined ? undefined : { cause: place.cause })
    this.name = new.target.name
    this.code = code
    this.file = place.file === undefined ? undefined : showable(place.file)
    this.entry = place.entry === undefined ? undefined : showable(place.entry)
    this.line = place.line
  }

  /** Whether the same work may succeed later without anybody changing anything. */
  get retryable(): boolean {
    return meaningOf(this.code).retryable
  }

  /** Whether it ends one file (the run goes on with the next) or the whole run. */
  get stopsRun(): boolean {
    return meaningOf(this.code).stops === 'run'
  }

  /** What to do, in one sentence. */
  get advice(): string {
    return adviceFor(this.code)
  }
}

/** An option, or a combination of options, that cannot work. */
export class ConfigError extends IngestError {}
/** What is known of a call to SMT's REST side that failed. */
export interface ApiErrorPlace extends ErrorPlace {
  /** The HTTP status, when there was an answer. */
  readonly status?: number | undefined
  /** Milliseconds that SMT asked to wait for. */
  readonly retryAfterMs?: number | undefined
  /** The answer's body: JSON as values, anything else as text. */
  readonly body?: unknown
}

/** SMT's REST side could not be asked, refused, or answered what it must not. `file` is the address that was asked. */
export class ApiError extends IngestError {
  readonly status: number | undefined
  readonly retryAfterMs: number | undefined
  readonly #body: unknown

  constructor(code: ErrorCode, what: string, { status, retryAfterMs, body, ...place }: ApiErrorPlace = {}) {
    super(code, what, place)
    this.status = status
    this.retryAfterMs = retryAfterMs
    this.#body = body
  }

  /** The answer's body. It may name a customer, so it is not printed with the error. */
  get body(): unknown {
    return this.#body
  }
}

/** Listing, connecting, reading or verifying at a source failed. */
export class SourceError extends IngestError {}
/** An OpenPGP message could not be opened, or must not be. */
export class DecryptError extends IngestError {}
/** A ZIP archive is damaged or cannot be read as a stream. */
export class UnpackError extends IngestError {}
/** The text is not what it should be. */
export class ParseError extends IngestError {}
/** A store refused, or the stream into it broke its rules. */
export class SinkError extends IngestError {}
/** The work was stopped by its AbortSignal. */
export class AbortError extends IngestError {
  constructor(place: ErrorPlace = {}) {
    super('ABORTED', 'stopped by its signal', place)
  }
}

/**
 * The innermost error of ours inside somebody else's wrapping, if there is one.
 * A dropped session that surfaces inside the decryptor is still the source's error.
 */
export function findIngestError(error: unknown): IngestError | undefined {
  let found: IngestError | undefined
  const seen = new Set<unknown>()
  for (let e = error; e instanceof Error && !seen.has(e); e = e.cause) {
    seen.add(e)
    if (e instanceof IngestError) found = e
  }
  return found
}

/** An ESIID as it may be shown: its last four digits. */
function shortEsiid(esiid: string): string {
  return `…${esiid.slice(-4)}`
}

/** Text that may be shown or logged: ESIIDs shortened to their last four digits, wherever they stand. */
export function maskEsiids(text: string): string {
  return text.replace(/(?<!\d)10(?:\d{20}|\d{15})(?!\d)/g, shortEsiid)
}

/** Text from outside as it may be printed: ESIIDs shortened, nothing in it that a terminal would obey or turn round. */
export function showable(text: string): string {
  return maskEsiids(text.replace(/[\p{Cc}\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu, '·'))
}

/** A quoted header that may be shown: every run of eight or more digits masked. */
export function maskDigits(text: string): string {
  return text.replace(/\d{8,}/g, digits => '#'.repeat(digits.length))
}

function describe(what: string, { file, entry, line }: ErrorPlace): string {
  const place = [file, entry !== undefined && entry !== file && `entry ${entry}`, line !== undefined && `line ${line}`]
  const subject = place.filter(part => typeof part === 'string' && part !== '').join(' ')
  return showable(subject === '' ? what : `${what}: ${subject}`)
}
