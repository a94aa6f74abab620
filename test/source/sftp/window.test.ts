import { describe, expect, test } from 'vitest'
import { SftpSource } from '../../../src/source/sftp-source.ts'
import { readAll } from '../../conformance/source.ts'
import { type Stand, someFile, stand } from './support.ts'

const path = '/in/a.asc'
const large = someFile(9_000_000)

/** Reads of the file, by what each asked for. */
function watchReads({ server }: Stand) {
  const reads: number[] = []
  server.faults.onRequest = ({ name, position }) => {
    if (name === 'READ') reads.push(position!)
  }
  return reads
}

async function readOnce(at: Stand, options: Parameters<Stand['source']>[0] = {}): Promise<Buffer> {
  for await (const file of at.source(options).files()) {
    const bytes = await readAll(file)
    await file.verify()
    return bytes
  }
  throw new Error('no file was offered')
}

describe('the window', () => {
  test('asks a server of unknown kind for 31 KiB at a time, each byte once', async () => {
    await using at = await stand({ files: [[path, large]] })
    const reads = watchReads(at)
    expect((await readOnce(at)).equals(large.content)).toBe(true)
    const expected = Array.from({ length: Math.ceil(9_000_000 / 31_744) }, (_, i) => i * 31_744)
    expect(reads.sort((a, b) => a - b)).toEqual([...expected, 9_000_000])
  })

  test('asks an OpenSSH for more at a time', async () => {
    await using at = await stand({ files: [[path, large]], ident: 'OpenSSH_9.6' })
    const reads = watchReads(at)
    expect((await readOnce(at)).equals(large.content)).toBe(true)
    expect(reads.length).toBeLessThan(60)
  })

  test('asks for less where answers are short', async () => {
    await using at = await stand({ files: [[path, large]], ident: 'OpenSSH_9.6', faults: { maxAnswerBytes: 8_192 } })
    const reads = watchReads(at)
    expect((await readOnce(at)).equals(large.content)).toBe(true)
    // After the first requests each is answered whole.
    expect(reads.length).toBeLessThan(9_000_000 / 8_192 + 50)
  })

  test('asks one by one where a server fails what comes together', async () => {
    await using at = await stand({ files: [[path, someFile(500_000)]], faults: { mostReads: 1 } })
    expect(await readOnce(at)).toHaveLength(500_000)
  })

  test('reads over several channels where the server is far away', async () => {
    await using at = await stand({ files: [[path, large]], ident: 'OpenSSH_9.6' }, { roundTripMs: 40 })
    let opened = 0
    at.server.faults.onRequest = ({ name }) => {
      if (name === 'OPEN') opened++
    }
    expect((await readOnce(at)).equals(large.content)).toBe(true)
    expect(opened).toBe(4)
    expect(at.server.connections).toBe(1)
  })

  test('reads over one channel where the server gives no second one', async () => {
    const faults = { mostChannels: 1 }
    await using at = await stand({ files: [[path, large]], faults }, { roundTripMs: 40 })
    expect((await readOnce(at)).equals(large.content)).toBe(true)
  })

  test('a channel on which another file shows is not read over', async () => {
    await using at = await stand({ files: [[path, large]], ident: 'OpenSSH_9.6' }, { roundTripMs: 40 })
    let opened = 0
    at.server.faults.onRequest = ({ name }) => {
      if (name === 'OPEN' && ++opened === 2) at.server.files.set(path, someFile(9_000_000 + opened))
    }
    for await (const file of at.source().files()) {
      await expect(readAll(file)).rejects.toMatchObject({ code: expect.stringMatching(/^TRANSFER_/) })
    }
  })
})

describe('a slow server', () => {
  test('I9: that drips is given up, and said so', async () => {
    await using at = await stand({ files: [[path, large]], faults: { maxAnswerBytes: 1 } }, { roundTripMs: 40 })
    for await (const file of at.source({ operationTimeoutMs: 400, reconnects: 0 }).files()) {
      await expect(readAll(file)).rejects.toMatchObject({
        code: 'SFTP_TOO_SLOW',
        message: expect.stringMatching(/gave \d+ bytes a second, less than 1000/)
      })
    }
  })

  test('may drip where nothing is asked of it', async () => {
    await using at = await stand({ files: [[path, someFile(40)]], faults: { maxAnswerBytes: 1 } }, { roundTripMs: 20 })
    const options = { operationTimeoutMs: 200, minBytesPerSecond: 0, reconnects: 0 }
    expect(await readOnce(at, options)).toHaveLength(40)
  })

  test('is not slow because its reader is', async () => {
    await using at = await stand({ files: [[path, large]] })
    for await (const file of at.source({ operationTimeoutMs: 200, reconnects: 0 }).files()) {
      let bytes = 0
      let pauses = 0
      for await (const chunk of file.stream()) {
        bytes += chunk.length
        if (bytes > pauses * 2_000_000 && pauses++ < 4) await new Promise(resolve => setTimeout(resolve, 250))
      }
      expect(bytes).toBe(9_000_000)
    }
  })

  test('on a narrow line is read as long as answers come, although each waits for those before it', async () => {
    // Sixteen requests of 31 KiB at 400 KB/s: the last one waits for more than a second.
    const fault = { kind: 'drip', bytesPerSecond: 400_000, afterBytes: 4_000 } as const
    await using at = await stand({ files: [[path, someFile(1_500_000)]] }, { fault })
    expect(await readOnce(at, { operationTimeoutMs: 600, reconnects: 0 })).toHaveLength(1_500_000)
  }, 15_000)
})

describe('sessions with one server', () => {
  test('are as many as they may be, over all sources', async () => {
    await using at = await stand({ files: [[path, someFile(10)]] })
    const options = { maxSessions: 2, connectTimeoutMs: 300 }
    const loops = [at.source(options), at.source(options)].map(source => source.files())
    for (const loop of loops) expect((await loop.next()).done).toBe(false)
    await expect(at.source(options).files().next()).rejects.toMatchObject({ code: 'SFTP_BUSY', retryable: true })
    const waiting = at.source({ ...options, connectTimeoutMs: 5_000 }).files()
    const next = waiting.next()
    await loops[0]!.return()
    expect((await next).done).toBe(false)
    await waiting.return()
    await loops[1]!.return()
    expect(at.server.connections).toBe(3)
  })

  test('I9: waiting for one ends with the signal', async () => {
    await using at = await stand({ files: [[path, someFile(10)]] })
    const first = at.source({ maxSessions: 1 }).files()
    await first.next()
    const stop = new AbortController()
    const second = at.source({ maxSessions: 1 }).files({ signal: stop.signal })
    setTimeout(() => stop.abort(), 50)
    await expect(second.next()).rejects.toMatchObject({ code: 'ABORTED' })
    await first.return()
  })
})

test('reads on while the server changes the session keys', async () => {
  await using at = await stand({ files: [[path, large]] })
  let reads = 0
  at.server.faults.onRequest = ({ name }) => {
    if (name === 'READ' && ++reads % 50 === 20) at.server.rekey()
  }
  expect((await readOnce(at)).equals(large.content)).toBe(true)
  expect(reads).toBeGreaterThan(200)
})

test('I8: what waits to be read is no more than the window', async () => {
  await using at = await stand({ files: [[path, someFile(30_000_000)]], ident: 'OpenSSH_9.6' })
  const reads = watchReads(at)
  for await (const file of at.source().files()) {
    const stream = file.stream()
    await new Promise<void>(resolve => stream.once('data', () => resolve()))
    stream.pause()
    await new Promise(resolve => setTimeout(resolve, 300))
    expect(Math.max(...reads)).toBeLessThan(2 * 2 ** 20 + 1_000_000)
    stream.destroy()
  }
})

test('refuses settings that mean nothing', () => {
  const good = { host: 'h', username: 'u', password: 'p', directories: ['/in'] }
  for (const wrong of [{ channels: 0 }, { reconnects: -1 }, { maxSessions: 0 }, { minBytesPerSecond: -1 }]) {
    const [name] = Object.keys(wrong)
    expect(() => new SftpSource({ ...good, ...wrong })).toThrow(`\`${name}\``)
  }
})
