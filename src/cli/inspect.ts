import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { IntervalBatch } from '../batch.ts'
import type { AscDecryptor } from '../decrypt/asc-decryptor.ts'
import { inspectMessage, type MessageInfo } from '../decrypt/inspect-message.ts'
import { type MessageSignature, openedOf } from '../decrypt/opened.ts'
import { AbortError, ConfigError, DecryptError, type ErrorCode, findIngestError, SourceError } from '../errors.ts'
import { intervalJson } from '../interval-json.ts'
import { type EntryAccount, FileAccount, type ReportCounts } from '../parse/file-account.ts'
import type { IntervalParser } from '../parse/interval-parser.ts'
import { leftWords, type ReportBatch, type ReportKind, reportWords } from '../report-batch.ts'
import { LocalDays } from './local-days.ts'
import { errorJson, many, number, printError, say, sayJson, signatureText } from './print.ts'
import { buildDecryptor, buildParser, type KeyFlags, type ParserFlags } from './settings.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'

/** Flags of `inspect`. */
export interface InspectFlags extends KeyFlags, ParserFlags {
  readonly json?: boolean
  readonly intervals?: boolean
}

/** Shows what is inside files; stores nothing. A file that fails leaves the others alone. */
export async function inspect(files: readonly string[], flags: InspectFlags, around: Surroundings): Promise<ExitCode> {
  const decryptor = buildDecryptor(flags, around.env)
  const parser = buildParser(flags)
  // Showing is all there is to do; without a reader nothing is left of it.
  process.stdout.once('error', () => process.exit(0))
  let exitCode: ExitCode = 0
  try {
    for (const path of files) {
      try {
        const how = { decryptor, parser, signal: around.signal }
        const found = await read(path, how)
        if (flags.intervals) await printIntervals(path, how, found)
        else if (flags.json) sayJson({ file: path, ok: true, ...summary(found) })
        else print(path, found)
        if (found.account.entries.some(({ rows }) => rows.rejected > 0)) exitCode = 1
      } catch (error) {
        const cause = around.signal.aborted ? new AbortError({ file: path }) : (findIngestError(error) ?? error)
        if (cause instanceof ConfigError) throw cause
        exitCode = 1
        // Standard output is for intervals alone where those are asked for.
        const message = flags.intervals ? undefined : await describe(path, cause)
        if (flags.json) sayJson({ file: path, ok: false, error: errorJson(cause), ...(message && { message }) })
        else {
          printError(cause)
          if (message) printMessage(path, message)
        }
        if (around.signal.aborted) break
      }
    }
  } finally {
    await decryptor.close()
  }
  return exitCode
}

/** What one pass over a file found. */
interface Found {
  readonly account: FileAccount
  readonly signature: MessageSignature | undefined
  readonly meters: ReadonlySet<string>
  readonly days: ReadonlySet<string>
}

/** What files are opened and read with. */
interface How {
  readonly decryptor: AscDecryptor
  readonly parser: IntervalParser
  readonly signal: AbortSignal
}

/**
 * One pass: opened, unpacked, parsed and checked. `take` hears of every batch.
 * Memory: one batch, and the names of the meters.
 */
async function read(
  path: string,
  { decryptor, parser, signal }: How,
  take: (batch: IntervalBatch) => void | Promise<void> = () => {}
): Promise<Found> {
  const meters = new Set<string>()
  const days = new LocalDays()
  let account: FileAccount | undefined
  // Opened before anything else: a directory or a missing file is told by name.
  await stat(path).then(
    found => {
      if (!found.isFile()) throw new SourceError('FILE_READ', 'not a regular file', { file: path })
    },
    cause => {
      throw new SourceError('FILE_NOT_FOUND', 'no such file', { file: path, cause })
    }
  )
  const file = { path, name: basename(path) }
  await pipeline(
    bytesOf(path),
    decryptor.stream(file),
    parser.stream(file),
    async chunks => {
      for await (const chunk of chunks as AsyncIterable<IntervalBatch | ReportBatch | FileAccount>) {
        if (chunk instanceof FileAccount) account = chunk
        else if (chunk instanceof IntervalBatch) {
          for (const esiid of chunk.esiids) meters.add(esiid)
          days.addAll(chunk.start)
          await take(chunk)
        }
      }
    },
    { signal }
  )
  const opened = openedOf(file)
  return { account: account!, signature: opened?.encrypted ? opened.signature : undefined, meters, days: days.names }
}

async function* bytesOf(path: string): AsyncGenerator<Uint8Array, void> {
  try {
    yield* createReadStream(path)
  } catch (cause) {
    const denied = (cause as NodeJS.ErrnoException).code === 'EACCES'
    throw denied
      ? new SourceError('FILE_PERMISSION', 'the file cannot be opened, permission denied', { file: path, cause })
      : new SourceError('FILE_READ', 'the file cannot be read', { file: path, cause })
  }
}

/** Errors that the message itself explains. */
const telling: ReadonlySet<ErrorCode> = new Set([
  'DECRYPT_NO_KEY',
  'DECRYPT_NO_INTEGRITY',
  'DECRYPT_NOT_ENCRYPTED',
  'DECRYPT_UNSUPPORTED'
])

/** What a message that is not opened says of itself. */
async function describe(path: string, cause: unknown): Promise<MessageInfo | undefined> {
  if (!(cause instanceof DecryptError) || !telling.has(cause.code)) return undefined
  return inspectMessage(createReadStream(path)).catch(() => undefined)
}

function printMessage(path: string, { kind, isArmored, packets, recipients, ...data }: MessageInfo): void {
  say(path)
  say(`  ${kind.replace('-', ' ')}${isArmored ? ', armored' : ''}`)
  for (const to of recipients) {
    say(`  made for ${to.kind === 'password' ? `a password (${to.cipher})` : `key ${to.keyId} (${to.algorithm})`}`)
  }
  for (const { tag, name, version, length, bytes } of packets) {
    const size = bytes === null ? `${length} length` : `${number(bytes)} bytes`
    say(`  packet ${tag}, ${name}${version === null ? '' : `, version ${version}`}, ${size}`)
  }
  if (data.integrity) {
    say(`  integrity ${data.integrity}${data.cipher ? `, ${data.cipher} in ${data.aead}` : ''}`)
  }
}

/** The second pass prints what the first one verified; a file that changed in between prints nothing more. */
async function printIntervals(path: string, how: How, first: Found): Promise<void> {
  const second = await read(path, how, async batch => {
    let text = ''
    for (const interval of batch) text += `${intervalJson(interval)}\n`
    if (!process.stdout.write(text)) await once(process.stdout, 'drain', { signal: how.signal })
  })
  if (JSON.stringify(second.account) !== JSON.stringify(first.account)) {
    throw new SourceError('TRANSFER_CHANGED', 'the file changed between the two passes', { file: path })
  }
}

function summary({ account, signature, meters, days }: Found) {
  const { entries, rows, quality } = account
  return {
    ...(signature && { signature }),
    entries,
    meters: meters.size,
    days: days.size,
    intervals: rows.accepted,
    rows,
    ...(Object.keys(account.reports).length > 0 && { reports: account.reports }),
    estimatedShare: rows.accepted === 0 ? null : quality.estimated / rows.accepted,
    quality
  }
}

function print(path: string, found: Found): void {
  const { meters, days, account, signature } = found
  say(path)
  if (signature) say(`  signed ${signatureText(signature)}`)
  for (const entry of account.entries) for (const line of entryLines(entry)) say(`  ${line}`)
  for (const [kind, counts] of Object.entries(account.reports) as [ReportKind, ReportCounts][]) {
    const { accepted, missing, rejected, dates } = counts
    const span = dates ? ` from ${dates.first} to ${dates.last}` : ''
    say(`  ${many(accepted, ...reportWords[kind])}${span}, missing ${number(missing)}, rejected ${number(rejected)}`)
  }
  const { accepted, missing, placeholder, rejected } = account.rows
  if (accepted + missing + placeholder + rejected === 0) {
    say('  no intervals')
    return
  }
  const { quality } = account
  const share = accepted === 0 ? 0 : (100 * quality.estimated) / accepted
  const order = [...days].sort()
  say(`  ${many(accepted, 'interval')} of ${many(meters.size, 'meter')} on ${many(days.size, 'day')}`)
  if (order.length > 0) say(`  from ${order[0]} to ${order.at(-1)}, ${share.toFixed(1)} % estimated`)
  say(`  consumption ${number(quality.kwh.consumption)} kWh`)
  say(`  surplus generation ${number(quality.kwh.surplusGeneration)} kWh`)
  say(`  placeholders ${number(placeholder)}, missing ${number(missing)}, rejected ${number(rejected)}`)
  if (quality.ambiguousHourAssumed > 0) {
    say(
      `  ${number(quality.ambiguousHourAssumed)} meter-days list the repeated autumn hour once: read as its first pass`
    )
  }
}

function entryLines(entry: EntryAccount): string[] {
  const head = `entry ${entry.name}: ${number(entry.bytes)} bytes`
  if (entry.outcome === 'unhandled') {
    const { kind, header } = entry
    const what = kind in leftWords ? `${leftWords[kind as keyof typeof leftWords]}, not read` : 'not intervals'
    return [`${head}, ${what}${header ? `, header ${header}` : ''}`]
  }
  const rejects = entry.rejects.slice(0, 20).map(({ line, code }) => `  line ${line}: ${code}`)
  return [`${head}, layout ${entry.layout}, ${number(entry.rows.read)} rows`, ...rejects]
}
