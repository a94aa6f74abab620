import { describe, expect, test } from 'vitest'
import { UnpackError } from '../../src/errors.ts'
import { makeZip } from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { type Ending, endRecord, type Handmade, handmadeArchive, handmadeZip } from './handmade.ts'
import { contents, directoryAt, unpack } from './support.ts'

const file = '/inbox/x.zip'
const members = ['a.csv', 'b.csv', 'c.csv'].map(name => ({ name, bytes: Buffer.from(`hello ${name}`) }))

async function refusal(zip: Uint8Array, code: string, entry?: string) {
  const error = await failureOf(unpack(zip, { file }))
  expect(error).toBeInstanceOf(UnpackError)
  expect(error).toMatchObject({ code, file, entry, retryable: false, stopsRun: false })
  return error
}

describe('I4: the directory', () => {
  test('refuses a member that the directory does not list', async () => {
    const [both, one] = [makeZip(members.slice(0, 2)), makeZip(members.slice(0, 1))]
    const hidden = Buffer.concat([both.subarray(0, directoryAt(both)), one.subarray(directoryAt(one))])
    expect((await refusal(hidden, 'ZIP_DIRECTORY')).message).toContain('lists 1 of 2 members')
  })

  test('refuses a directory that lists a member that is not there', async () => {
    const [both, one] = [makeZip(members.slice(0, 2)), makeZip(members.slice(0, 1))]
    const missing = Buffer.concat([one.subarray(0, directoryAt(one)), both.subarray(directoryAt(both))])
    expect((await refusal(missing, 'ZIP_DIRECTORY', 'b.csv')).message).toContain('lists a member that is not there')
  })

  test('refuses another order, also of members that are alike', async () => {
    const zip = makeZip(members)
    const turned = makeZip(members.toReversed())
    const parts = [zip.subarray(0, directoryAt(zip)), turned.subarray(directoryAt(turned))]
    await refusal(Buffer.concat(parts), 'ZIP_DIRECTORY', 'c.csv')
    const twins: Handmade[] = [{}, { listed: { offset: 0 } }]
    const { message } = await refusal(handmadeZip(...twins), 'ZIP_DIRECTORY', 'a.csv')
    expect(message).toContain('lists a member in another place')
  })

  test.each([
    ['name', { name: 'b.csv' }, 'another name'],
    ['name of the same letters', { name: 'A.csv' }, 'another name'],
    ['method', { method: 0 }, 'another packing method'],
    ['password', { flags: 1 }, 'other flags'],
    ['alphabet of the name', { flags: 0x800 }, 'other flags'],
    ['checksum', { crc: 1 }, 'another checksum'],
    ['packed size', { packedSize: 8 }, 'another packed size'],
    ['size', { size: 6 }, 'another size'],
    ['place', { offset: 1 }, 'in another place']
  ] as [string, Handmade['listed'], string][])('refuses another %s than the member has', async (_, listed, what) => {
    for (const zip64 of [false, true]) {
      const error = await refusal(handmadeZip({ zip64, listed }), 'ZIP_DIRECTORY', listed?.name ?? 'a.csv')
      expect(error.message).toContain(what)
    }
  })

  test('takes a member whose descriptor only its local header tells of', async () => {
    // What fflate writes.
    const zip = handmadeZip({ descriptor: { signed: true, wide: false }, listed: { flags: 0 } })
    expect(contents(await unpack(zip))).toEqual([['a.csv', 'hello']])
  })

  test('refuses an archive without it, or without its end', async () => {
    const zip = makeZip(members)
    await refusal(zip.subarray(0, directoryAt(zip)), 'ZIP_TRUNCATED')
    await refusal(Buffer.concat([zip.subarray(0, directoryAt(zip)), zip.subarray(-22)]), 'ZIP_DIRECTORY')
    await refusal(zip.subarray(0, -22), 'ZIP_TRUNCATED')
  })
})

describe('I4: the end', () => {
  test.each([
    ['members on this disk', { said: { here: 2 } }],
    ['members', { said: { members: 4 } }],
    ['size of the directory', { said: { size: 1 } }],
    ['place of the directory', { said: { at: 1 } }],
    ['all ones where no 64-bit record says more', { said: { members: 0xffff, here: 0xffff } }],
    ['members on this disk, in 64 bits', { wide: true, wideSaid: { here: 2 } }],
    ['members, in 64 bits', { wide: true, wideSaid: { members: 2 ** 40 } }],
    ['size of the directory, in 64 bits', { wide: true, wideSaid: { size: 1 } }],
    ['place of the directory, in 64 bits', { wide: true, wideSaid: { at: 1 } }],
    ['members, where the 64-bit record says the truth', { wide: true, said: { members: 3 } }],
    ['place of the 64-bit record', { wide: true, locator: { at: 1 } }]
  ] as [string, Ending][])('refuses other %s', async (_, ending) => {
    await refusal(handmadeArchive([{}], ending), 'ZIP_DIRECTORY')
  })

  test.each([
    { said: { disk: 1 } },
    { said: { startDisk: 1 } },
    { wide: true, wideSaid: { disk: 1 } },
    { wide: true, wideSaid: { startDisk: 1 } },
    { wide: true, locator: { disk: 1 } },
    { wide: true, locator: { disks: 2 } }
  ] as Ending[])('refuses an archive of several files: %j', async ending => {
    const { message } = await refusal(handmadeArchive([{}], ending), 'ZIP_UNSUPPORTED')
    expect(message).toContain('split over several files')
  })

  test('refuses parts of an archive of several files', async () => {
    await refusal(handmadeZip({ listed: { disk: 1 } }), 'ZIP_UNSUPPORTED', 'a.csv')
    const first = Buffer.concat([Buffer.from('PK\u0007\u0008'), handmadeZip({})])
    expect((await refusal(first, 'ZIP_UNSUPPORTED')).message).toContain('the first part of several')
  })

  test('takes 64-bit records where they are not needed, and numbers that are said twice', async () => {
    for (const ending of [
      { wide: true },
      { wide: true, locator: { disks: 0 } },
      { wide: true, said: { members: 1, here: 1 } },
      { wide: true, said: { disk: 0xffff, startDisk: 0xffff } }
    ]) {
      expect(contents(await unpack(handmadeArchive([{}], ending)))).toEqual([['a.csv', 'hello']])
    }
  })

  test('refuses a 64-bit record of a length that none has, and one without its locator', async () => {
    const zip = handmadeArchive([{}], { wide: true })
    const at = zip.indexOf(Buffer.from([80, 75, 6, 6]))
    for (const length of [0n, 43n, 65_537n, 2n ** 63n]) {
      const changed = Buffer.from(zip)
      changed.writeBigUInt64LE(length, at + 4)
      await refusal(changed, 'ZIP_CORRUPT')
    }
    await refusal(Buffer.concat([zip.subarray(0, -42), zip.subarray(-22)]), 'ZIP_CORRUPT')
  })

  test('refuses bytes behind the end, and between members and directory', async () => {
    const zip = makeZip(members)
    await refusal(Buffer.concat([zip, Buffer.from('\n')]), 'ZIP_CORRUPT')
    await refusal(Buffer.concat([zip, zip]), 'ZIP_CORRUPT')
    const between = [zip.subarray(0, directoryAt(zip)), Buffer.from('junk'), zip.subarray(directoryAt(zip))]
    await refusal(Buffer.concat(between), 'ZIP_DIRECTORY')
    const behind = [zip.subarray(0, -22), Buffer.from('junk'), zip.subarray(-22)]
    await refusal(Buffer.concat(behind), 'ZIP_CORRUPT')
  })

  test('refuses a comment that is shorter or longer than it says', async () => {
    const zip = handmadeArchive([{}], { comment: Buffer.from('hi') })
    await refusal(zip.subarray(0, -1), 'ZIP_TRUNCATED')
    await refusal(Buffer.concat([zip, Buffer.from('!')]), 'ZIP_CORRUPT')
  })

  test('refuses a comment in which unpackers would find another archive', async () => {
    const nowhere = { disk: 0, startDisk: 0, here: 0, members: 0, size: 0, at: 0 }
    for (const behind of ['', 'hi']) {
      const comment = Buffer.concat([Buffer.from('made by '), endRecord(nowhere, Buffer.from(behind))])
      await refusal(handmadeArchive([{}], { comment }), 'ZIP_DIRECTORY')
      // One that does not end where the file ends is found by nobody.
      const harmless = Buffer.concat([comment, Buffer.from('.')])
      expect(await unpack(handmadeArchive([{}], { comment: harmless }))).toHaveLength(1)
    }
  })
})
