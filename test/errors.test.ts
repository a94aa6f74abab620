import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  AbortError,
  adviceFor,
  DecryptError,
  errorCodes,
  findIngestError,
  IngestError,
  ParseError,
  SourceError
} from '../src/errors.ts'

const esiid = '10443720009999001'

describe('an error', () => {
  test('says what happened, and on what', () => {
    const error = new ParseError('ROW_BAD_KWH', 'kWh is not a number', { file: 'a.zip', entry: 'b.csv', line: 1043 })
    expect(String(error)).toBe('ParseError: kWh is not a number: a.zip entry b.csv line 1043')
    expect(error).toMatchObject({ code: 'ROW_BAD_KWH', retryable: false, file: 'a.zip', entry: 'b.csv', line: 1043 })
  })

  test('names an entry that is the file itself once', () => {
    expect(new ParseError('PARSE_EMPTY', 'empty', { file: 'a.csv', entry: 'a.csv' }).message).toBe('empty: a.csv')
  })

  test('keeps the other library’s error as its cause', () => {
    const cause = new Error('socket')
    expect(new SourceError('SFTP_CONNECT', 'no answer', { cause }).cause).toBe(cause)
    expect('cause' in new SourceError('SFTP_CONNECT', 'no answer')).toBe(false)
  })

  test.each(errorCodes)('%s has a sentence that says what to do', code => {
    expect(new IngestError(code, 'x').advice).toBe(adviceFor(code))
    expect(adviceFor(code)).toMatch(/^[A-Z].{15,}\.$/s)
  })

  test('I11: an ESIID in a path, an entry or a sentence is shortened to its last four digits', () => {
    const error = new ParseError('PARSE_EMPTY', `${esiid} has nothing`, { file: `/x/${esiid}.csv`, entry: `${esiid}` })
    for (const text of [inspect(error), JSON.stringify(error), error.message, error.stack]) {
      expect(text).not.toContain(esiid)
    }
    expect(error.message).toBe('…9001 has nothing: /x/…9001.csv entry …9001')
  })

  test('does not take the long number of a file name for an ESIID', () => {
    const file = 'IntervalMeterUsage20250715064112000.CSV.123456789.asc'
    expect(new ParseError('PARSE_EMPTY', 'empty', { file }).message).toBe(`empty: ${file}`)
  })

  test('prints nothing that a terminal would obey', () => {
    expect(new ParseError('PARSE_EMPTY', 'empty', { entry: '\u001b[2Jx\r\n' }).message).toBe('empty: entry ·[2Jx··')
  })
})

describe('findIngestError', () => {
  test('finds the innermost error of ours: where it was born', () => {
    const source = new SourceError('SFTP_DISCONNECTED', 'cut')
    const wrapped = new Error('theirs', { cause: source })
    expect(findIngestError(new DecryptError('DECRYPT_CORRUPT', 'ours again', { cause: wrapped }))).toBe(source)
  })

  test('finds nothing in an error of somebody else, nor in what is no error', () => {
    expect(findIngestError(new Error('theirs', { cause: 'text' }))).toBeUndefined()
    expect(findIngestError('text')).toBeUndefined()
  })

  test('ends on causes that go round in a circle', () => {
    const error = new AbortError()
    const circle = new Error('circle', { cause: error })
    Object.defineProperty(error, 'cause', { value: circle })
    expect(findIngestError(circle)).toBe(error)
  })
})
