import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import type { LineFault } from '../../../src/testing/fault-proxy.ts'
import { readAll } from '../../conformance/source.ts'
import { someFile, stand } from './support.ts'

const path = '/in/a.asc'
const large = someFile(3_000_000)

describe('after a cut', () => {
  test('I1: the rest is read over a new session, wherever the cut falls, each byte once', async () => {
    // Around the login, the listing, the first answers, the channel's window, and the end.
    const places = [
      0, 900, 2_000, 2_600, 3_000, 5_000, 35_000, 40_000, 100_000, 1_048_576, 2_097_152, 2_900_000, 2_999_999
    ]
    const cut = async (afterBytes: number) => {
      await using at = await stand({ files: [[path, large]] }, { fault: { kind: 'cut', afterBytes, times: 1 } })
      let files = 0
      for await (const file of at.source().files()) {
        files++
        expect((await readAll(file)).equals(large.content)).toBe(true)
        const { bytes, resumed = 0 } = await file.verify()
        expect(bytes).toBe(large.content.length)
        if (afterBytes > 10_000) expect(resumed).toBe(1)
      }
      expect(files).toBe(1)
      expect(at.proxy.connections).toBe(2)
    }
    await Promise.all(places.map(cut))
  }, 30_000)

  test.each<LineFault['kind']>(['cut', 'reset', 'half-close', 'black-hole', 'drip'])(
    'reads on after a line that meets "%s"',
    async kind => {
      await using at = await stand({ files: [[path, large]] }, { fault: { kind, afterBytes: 1_000_000, times: 1 } })
      const source = at.source({ operationTimeoutMs: 400 })
      for await (const file of source.files()) {
        expect((await readAll(file)).equals(large.content)).toBe(true)
        await expect(file.verify()).resolves.toMatchObject({ resumed: 1 })
      }
    },
    20_000
  )

  test('reads on as often as it takes, as long as something is gained each time', async () => {
    await using at = await stand({ files: [[path, large]] }, { fault: { kind: 'cut', afterBytes: 400_000 } })
    for await (const file of at.source({ reconnects: 1 }).files()) {
      expect((await readAll(file)).equals(large.content)).toBe(true)
      expect((await file.verify()).resumed).toBeGreaterThan(5)
    }
  }, 30_000)

  test('I9: ends when nothing is gained, by the error of the line', async () => {
    await using at = await stand({ files: [[path, large]] })
    for await (const file of at.source({ reconnects: 2 }).files()) {
      at.server.faults.onRequest = ({ name }) => {
        if (name === 'READ') at.server.cut()
      }
      await expect(readAll(file)).rejects.toMatchObject({ code: 'SFTP_DISCONNECTED', retryable: true, file: path })
      await expect(file.verify()).rejects.toMatchObject({ code: 'SFTP_DISCONNECTED' })
      at.server.faults.onRequest = undefined
    }
    expect(at.proxy.connections).toBe(3)
  })

  test('a connection that drops while the consumer pauses is made anew', async () => {
    await using at = await stand({ files: [[path, large]] })
    for await (const file of at.source().files()) {
      const stream = file.stream()
      const chunks: Buffer[] = []
      await new Promise<void>(resolve => stream.once('data', chunk => resolve(void chunks.push(chunk))))
      stream.pause()
      // Every request in flight is answered before the cut: none is left to fail.
      await pause(200)
      at.server.cut()
      await vi.waitFor(() => expect(at.server.open).toBe(0))
      await pause(50)
      for await (const chunk of stream) chunks.push(chunk)
      expect(Buffer.concat(chunks).equals(large.content)).toBe(true)
      await expect(file.verify()).resolves.toMatchObject({ resumed: 1 })
    }
  })

  test('I4: a file that was replaced meanwhile by one of the same size and time is noticed', async () => {
    await using at = await stand(
      { files: [[path, large]] },
      { fault: { kind: 'cut', afterBytes: 1_000_000, times: 1 } }
    )
    for await (const file of at.source().files()) {
      at.server.faults.onRequest = ({ name, position = 0 }) => {
        if (name === 'READ' && position > 500_000) at.server.files.set(path, { ...someFile(3_000_000) })
      }
      await expect(readAll(file)).rejects.toMatchObject({ code: 'TRANSFER_CHANGED', file: path })
    }
  })

  test.each([
    ['grew', someFile(3_000_001)],
    ['shrank', someFile(2_000_000)],
    ['was written to', { ...large, modifiedAt: large.modifiedAt + 1_000 }]
  ])('I4: a file that %s meanwhile is noticed', async (_, now) => {
    await using at = await stand(
      { files: [[path, large]] },
      { fault: { kind: 'cut', afterBytes: 1_000_000, times: 1 } }
    )
    for await (const file of at.source().files()) {
      at.server.faults.onRequest = ({ name, position = 0 }) => {
        if (name === 'READ' && position > 500_000) at.server.files.set(path, now)
      }
      await expect(readAll(file)).rejects.toMatchObject({ code: 'TRANSFER_CHANGED', file: path })
    }
  })

  test('a file that is gone by then is said so', async () => {
    await using at = await stand(
      { files: [[path, large]] },
      { fault: { kind: 'cut', afterBytes: 1_000_000, times: 1 } }
    )
    for await (const file of at.source().files()) {
      at.server.faults.onRequest = ({ name, position = 0 }) => {
        if (name === 'READ' && position > 500_000) at.server.files.delete(path)
      }
      await expect(readAll(file)).rejects.toMatchObject({ code: 'SFTP_NO_SUCH_FILE', file: path })
    }
  })

  test('a login that is refused then is not tried again', async () => {
    await using at = await stand({ files: [[path, large]] })
    const privateKey = vi.fn(() => at.server.login.privateKey)
    for await (const file of at.source({ privateKey }).files()) {
      privateKey.mockImplementation(() => otherKey)
      at.proxy.fault = { kind: 'cut', afterBytes: 1_000_000, times: 1 }
      await expect(readAll(file)).rejects.toMatchObject({ code: 'SFTP_AUTH' })
    }
    expect(privateKey).toHaveBeenCalledTimes(2)
  })

  test('I9: a signal ends the rest before the connection is made anew', async () => {
    await using at = await stand({ files: [[path, large]] }, { fault: { kind: 'cut', afterBytes: 1_000_000 } })
    const stop = new AbortController()
    const run = async () => {
      for await (const file of at.source({ reconnects: 100 }).files({ signal: stop.signal })) {
        at.proxy.fault = { kind: 'cut' }
        setTimeout(() => stop.abort(), 300)
        await readAll(file)
      }
    }
    await expect(run()).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

const otherKey = (await import('../../../src/testing/keys.ts')).makeSshKey().privateKey
