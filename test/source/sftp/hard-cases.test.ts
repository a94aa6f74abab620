import { describe, expect, test } from 'vitest'
import type { PassedOver } from '../../../src/source/source.ts'
import { listAll, readAll } from '../../conformance/source.ts'
import { someFile, stand } from './support.ts'

// What servers do that no protocol asked them to. What a line does stands in faults.test.ts and resume.test.ts.

const path = '/in/a.asc'

describe('a server', () => {
  test.each([31_952, 32_768, 4_096, 1_000])('whose answers have %i bytes at most is read whole', async most => {
    await using at = await stand({ files: [[path, someFile(400_000)]], faults: { maxAnswerBytes: most } })
    for (const requestBytes of [undefined, 262_144]) {
      for await (const file of at.source({ requestBytes }).files()) {
        expect((await readAll(file)).equals(at.server.files.get(path)!.content as Buffer)).toBe(true)
        await expect(file.verify()).resolves.toMatchObject({ bytes: 400_000 })
      }
    }
  })

  test('that knows whole seconds only is believed', async () => {
    await using at = await stand({ files: [[path, { ...someFile(10), modifiedAt: 1_700_000_000_987 }]] })
    for await (const file of at.source().files()) {
      expect(file.modifiedAt).toBe(1_700_000_000_000)
      await readAll(file)
      await file.verify()
    }
  })

  test('with ten thousand files in a directory is listed whole', async () => {
    const one = someFile(1)
    const names = Array.from({ length: 10_000 }, (_, i) => `/in/${String(i).padStart(5, '0')}.asc`)
    await using at = await stand({ files: names.map(name => [name, one] as const) })
    const { files } = await listAll(at.source())
    expect(files.map(({ path }) => path)).toEqual(names)
  }, 30_000)

  test('I3: whose listing fails half way has listed nothing', async () => {
    const one = someFile(1)
    const names = Array.from({ length: 250 }, (_, i) => `/in/${String(i).padStart(3, '0')}.asc`)
    await using at = await stand({ files: names.map(name => [name, one] as const) })
    let answers = 0
    at.server.faults.onRequest = ({ name }) => (name === 'READDIR' && ++answers > 1 ? 'fail' : undefined)
    const offered: string[] = []
    const run = async () => {
      for await (const file of at.source().files()) offered.push(file.path)
    }
    await expect(run()).rejects.toMatchObject({ code: 'SFTP_LIST', file: '/in' })
    expect(offered).toEqual([])
  })

  test('I3: that loses the connection half way through a listing is asked for all of it again', async () => {
    const one = someFile(1)
    const names = Array.from({ length: 250 }, (_, i) => `/in/${String(i).padStart(3, '0')}.asc`)
    await using at = await stand({ files: names.map(name => [name, one] as const) })
    let answers = 0
    at.server.faults.onRequest = ({ name }) => {
      if (name === 'READDIR' && ++answers === 2) at.server.cut()
    }
    const { files } = await listAll(at.source())
    expect(files.map(({ path }) => path)).toEqual(names)
  })

  test('whose directory holds names that lead elsewhere is read where it was asked to', async () => {
    const names = ['/in/a b.asc', '/in/Zähler 電気.asc', '/in/..hidden.asc', '/in/...asc', '/in/it’s.asc']
    await using at = await stand({ files: names.map(name => [name, someFile(5)] as const) })
    const passed: PassedOver[] = []
    const offered: string[] = []
    for await (const file of at.source({ ignore: [] }).files({ onPassedOver: file => passed.push(file) })) {
      await readAll(file)
      await file.verify()
      offered.push(file.path)
    }
    expect(offered.sort()).toEqual([...names].sort())
    expect(passed).toEqual([])
  })
})

test.each([
  ['grows', 300_000],
  ['shrinks', 100_000]
])('I4: a file that %s while it is read is not taken', async (_, size) => {
  await using at = await stand({ files: [[path, someFile(200_000)]] })
  at.server.faults.onRequest = ({ name, position }) => {
    if (name === 'READ' && position === 0) at.server.files.set(path, someFile(size))
  }
  for await (const file of at.source().files()) {
    const changed = { code: expect.stringMatching(/^TRANSFER_/) }
    await expect(readAll(file)).rejects.toMatchObject(changed)
    await expect(file.verify()).rejects.toMatchObject(changed)
  }
})
