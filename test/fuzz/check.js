// What must be true of every file, whatever its bytes are.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  errorCodes,
  FileAccount,
  IngestError,
  IntervalBatch,
  IntervalParser,
  ReportBatchOf,
  reportKinds
} from '@intelliwatt/smt-ingest'

const esiidInText = /(?<!\d)10(?:\d{20}|\d{15})(?!\d)/

/** Reads a file in one piece and in many; gives its outcome, or throws what is wrong with it. */
export async function check(file) {
  const whole = await outcomeOf([file.bytes], file)
  const cut = await outcomeOf(file.pieces(), file)
  assert.deepEqual(told(cut, file), told(whole, file), 'in pieces the same bytes have another outcome')
  const { outcome, intervals = 0, rows } = whole
  return { outcome, intervals, rejected: rows?.rejected ?? 0 }
}

/**
 * What of an outcome must not depend on the cuts: everything. But where an archive or XML is damaged in several places,
 * the pieces decide what is met first, damage of the container or rows that cannot be read: there it is enough to fail.
 */
function told(outcome, { kind }) {
  return outcome.failed && (kind === 'csv in a zip' || kind === 'green button') ? 'failed' : outcome
}

async function outcomeOf(pieces, { label, options }) {
  const seen = { intervals: 0, reports: {}, hash: createHash('sha256'), account: undefined }
  try {
    await pipeline(Readable.from(pieces), new IntervalParser(options).stream(label), async values => {
      for await (const value of values) take(value, seen, options)
    })
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error
    checkError(error)
    return { outcome: error.code, line: error.line, failed: true }
  }
  checkAccount(seen)
  const { entries, rows, quality } = seen.account
  const [rejects, outcomes] = [entries.map(entry => entry.rejects), entries.map(entry => entry.outcome)]
  const [read, rejected] = ['read', 'rejected'].map(name => entries.reduce((sum, { rows }) => sum + rows[name], 0))
  const outcome = read === 0 ? 'read, nothing in it' : rejected === 0 ? 'read' : 'read, with rejects'
  return { outcome, intervals: seen.intervals, rows, quality, rejects, outcomes, hash: seen.hash.digest('hex') }
}

function take(value, seen, { batchRows, intervalMinutes }) {
  assert.equal(seen.account, undefined, 'something came after the account')
  if (value instanceof FileAccount) {
    seen.account = value
    return
  }
  if (value instanceof ReportBatchOf) {
    takeReports(value, seen, batchRows)
    return
  }
  assert.ok(value instanceof IntervalBatch, 'neither a batch nor an account')
  assert.ok(value.length > 0 && value.length <= batchRows, `a batch of ${value.length} rows`)
  for (let i = 0; i < value.length; i++) {
    const { esiid, start, kwh, estimated, direction, revision, minutes = 15 } = value.at(i)
    const good =
      /^10(?:\d{15}|\d{20})$/.test(esiid) &&
      start % 900_000 === 0 &&
      Number.isFinite(kwh) &&
      kwh >= 0 &&
      kwh < 10_000_000 &&
      typeof estimated === 'boolean' &&
      (direction === 'consumption' || direction === 'surplus-generation') &&
      (revision === null || revision % 1000 === 0) &&
      intervalMinutes.includes(minutes) &&
      value.line[i] > 0
    assert.ok(good, `not an interval: ${JSON.stringify({ ...value.at(i), line: value.line[i] })}`)
    seen.hash.update(`${esiid} ${start} ${kwh} ${estimated} ${direction} ${revision} ${minutes} ${value.line[i]}\n`)
  }
  seen.intervals += value.length
}

/** A number of up to nine and five digits, without a zero that says nothing. */
const decimal = /^(0|[1-9]\d{0,8})(\.\d{0,4}[1-9])?$/
const localDay = /^\d{4}-\d\d-\d\d$/

function takeReports({ kind, rows, lines, length }, seen, batchRows) {
  assert.ok(reportKinds.includes(kind), `a batch of ${kind}`)
  assert.ok(length > 0 && length <= batchRows, `a batch of ${length} rows`)
  for (const [i, { esiid, revision, ...cells }] of rows.entries()) {
    const good =
      /^10(?:\d{15}|\d{20})$/.test(esiid) &&
      (revision === null || revision % 1000 === 0) &&
      lines[i] > 0 &&
      Object.entries(cells).every(([name, cell]) => (/date$/i.test(name) ? localDay.test(cell) : isNumber(cell)))
    assert.ok(good, `no row of ${kind}: ${JSON.stringify(rows[i])}`)
    seen.hash.update(`${JSON.stringify(rows[i])} ${lines[i]}\n`)
  }
  seen.reports[kind] = (seen.reports[kind] ?? 0) + length
}

function isNumber(cell) {
  return cell === null || decimal.test(cell)
}

function checkAccount({ account, intervals, reports }) {
  assert.ok(account, 'the stream ended without an account')
  for (const { rows, rejects } of [...account.entries, { rows: account.rows }]) {
    const { read, accepted, rejected, placeholder, missing, repeatedHeader } = rows
    assert.equal(read, accepted + rejected + placeholder + missing + repeatedHeader, 'I7: rows do not add up')
    assert.ok(Object.values(rows).every(count => Number.isSafeInteger(count) && count >= 0))
    if (rejects) assert.equal(rejects.length, rejected, 'I7: rejects are not all named')
  }
  assert.equal(account.rows.accepted, intervals, 'I7: other rows were given than counted')
  for (const kind of reportKinds) {
    assert.equal(account.reports[kind]?.accepted ?? 0, reports[kind] ?? 0, `I7: other ${kind} were given than counted`)
  }
  const { duplicates, conflicts, overlaps, unchecked } = account.quality.repeats
  assert.ok(duplicates + conflicts + overlaps + unchecked <= intervals, 'more repeats than intervals')
}

function checkError(error) {
  assert.ok(error instanceof IngestError, `not an error of ours: ${error?.stack ?? error}`)
  assert.ok(errorCodes.includes(error.code), `an unknown code: ${error.code}`)
  assert.notEqual(error.code, 'UNEXPECTED', error.stack)
  const said = [error.message, error.file, error.entry].join('\n')
  assert.doesNotMatch(said, esiidInText, 'I11: an ESIID in an error')
}
