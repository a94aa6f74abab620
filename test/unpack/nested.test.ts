import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { UnpackError } from '../../src/errors.ts'
import { makeZip, type ZipOptions } from '../../src/testing/index.ts'
import { csv, read, row } from '../parse/support.ts'
import { failureOf } from '../support/failure.ts'
import { handmadeZip } from './handmade.ts'
import { contents, cuts, leaveInTheMiddle, unpack } from './support.ts'

const file = '/inbox/x.zip'
const july = { name: 'july.csv', bytes: Buffer.from('hello july '.repeat(9)) }
const august = { name: 'IntervalAugust.csv', bytes: Buffer.from('hello august '.repeat(9)) }
const before = { name: 'readme.txt', bytes: Buffer.from('hello') }
const text = ({ bytes }: { bytes: Buffer }) => bytes.toString('latin1')

/** A ZIP of a ZIP between two members. */
function nested(options: ZipOptions = {}, name = '2025.zip', inner = makeZip([july, august], options)): Buffer {
  return makeZip([before, { name, bytes: inner, method: options.dataDescriptors ? 'deflate' : 'store' }, july], options)
}

describe('a ZIP in a ZIP', () => {
  test.each([{}, { dataDescriptors: true }])('gives its members in place of itself (%j)', async options => {
    const whole = await unpack(nested(options))
    expect(contents(whole)).toEqual([
      ['readme.txt', 'hello'],
      ['2025.zip/july.csv', text(july)],
      ['2025.zip/IntervalAugust.csv', text(august)],
      ['july.csv', text(july)]
    ])
    expect(whole.map(({ index, packed }) => [index, packed])).toEqual([0, 1, 2, 3].map(i => [i, true]))
    for (const chunks of cuts(nested(options))) expect(await unpack(chunks)).toEqual(whole)
  })

  test('is told by its first bytes, whatever its name', async () => {
    expect((await unpack(nested({}, 'IntervalData.csv')))[1]!.name).toBe('IntervalData.csv/july.csv')
  })

  test('nothing is lost: intervals in it are read, with the label of their entry', async () => {
    const report = { name: 'IntervalData.csv', bytes: Buffer.from(csv(row())) }
    const { intervals, account } = await read(nested({}, 'inner.zip', makeZip([report])), { path: file })
    expect(intervals).toHaveLength(1)
    expect(account.entries.map(({ index, name, outcome }) => [index, name, outcome])).toEqual([
      [0, 'readme.txt', 'unhandled'],
      [1, 'inner.zip/IntervalData.csv', 'used'],
      [2, 'july.csv', 'unhandled']
    ])
  })

  test.each(['book.xlsx', 'letter.DOCX', 'tool.jar'])('is left closed when it is a document (%s)', async name => {
    const inner = makeZip([{ name: '[Content_Types].xml', bytes: Buffer.from('<Types/>') }])
    const entries = await unpack(nested({}, name, inner))
    expect(entries.map(entry => entry.name)).toEqual(['readme.txt', name, 'july.csv'])
    expect(entries[1]!.text).toBe(inner.toString('latin1'))
    const report = { name: 'IntervalData.csv', bytes: Buffer.from(csv(row())) }
    const { account } = await read(makeZip([{ name, bytes: inner }, report]), { path: file })
    expect(account.entries.map(({ outcome }) => outcome)).toEqual(['unhandled', 'used'])
  })

  test('is no archive because of a signature alone', async () => {
    for (const content of ['PK\u0003\u0004', `PK\u0003\u0004${'\0'.repeat(60)}`, 'PK\u0005\u0006'.padEnd(30, '\0')]) {
      expect(contents(await unpack(handmadeZip({ content })))).toEqual([['a.csv', content]])
    }
  })

  test.each([
    ['a damaged checksum', makeZip([july], { breakCrcOf: 'july.csv' }), 'ZIP_CRC', '2025.zip/july.csv'],
    ['a password', handmadeZip({ name: 'b.csv', flags: 1 }), 'ZIP_ENCRYPTED', '2025.zip/b.csv'],
    ['another directory', handmadeZip({ listed: { size: 1 } }), 'ZIP_DIRECTORY', '2025.zip/a.csv'],
    ['bytes behind it', Buffer.concat([makeZip([july]), Buffer.from('!')]), 'ZIP_CORRUPT', '2025.zip'],
    ['no end', makeZip([july]).subarray(0, -1), 'ZIP_TRUNCATED', '2025.zip']
  ])('with %s refuses the file, and is named', async (_, inner, code, entry) => {
    const error = await failureOf(unpack(nested({}, '2025.zip', inner), { file }))
    expect(error).toBeInstanceOf(UnpackError)
    expect(error).toMatchObject({ code, file, entry })
  })

  test('is compared with the checksum that the outer one has of it', async () => {
    const zip = makeZip([{ name: '2025.zip', bytes: makeZip([july]) }], { breakCrcOf: '2025.zip' })
    const error = await failureOf(unpack(zip, { file }))
    expect(error).toMatchObject({ code: 'ZIP_CRC', entry: '2025.zip' })
  })

  test('a loop that is left in it does not wait for a file that has stalled', async () => {
    const noise = { name: 'noise', bytes: Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251)) }
    const inner = makeZip([noise], { level: 1 })
    const zip = makeZip([{ name: 'in.zip', bytes: Buffer.concat([inner]) }], { level: 1 })
    const stalled = new PassThrough()
    stalled.write(zip.subarray(0, zip.length >> 1))
    expect(await leaveInTheMiddle(stalled)).toBeGreaterThan(0)
    stalled.destroy()
  })
})
