import { getEventListeners, once } from 'node:events'
import { PassThrough, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { AbortError, SourceError } from '../src/errors.ts'
import { type StageBody, StageStream } from '../src/stage-stream.ts'

const objects = { readableObjectMode: true, readableHighWaterMark: 1 }

/** A stage that gives the length of each chunk. */
const lengths: StageBody<Uint8Array, number> = async function* (chunks) {
  for await (const chunk of chunks) yield chunk.length
}

async function drain(values: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of values);
}

/** All that comes out of a stage when these chunks go in. */
async function through<Out>(chunks: Iterable<string>, body: StageBody<Uint8Array, Out>): Promise<Out[]> {
  const out: Out[] = []
  await pipeline(
    Readable.from([...chunks].map(chunk => Buffer.from(chunk))),
    new StageStream(body, objects),
    async (values: AsyncIterable<Out>) => {
      for await (const value of values) out.push(value)
    }
  )
  return out
}

describe('values', () => {
  test('come out in the order the chunks went in', async () => {
    expect(await through(['a', 'bb', 'ccc'], lengths)).toEqual([1, 2, 3])
  })

  test('may be more than the chunks, or fewer, or none', async () => {
    const twice = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) yield* [chunk.length, chunk.length]
    }
    const sum = async function* (chunks: AsyncIterable<Uint8Array>) {
      let sum = 0
      for await (const chunk of chunks) sum += chunk.length
      yield sum
    }
    // biome-ignore lint/correctness/useYield: it gives nothing on purpose
    const none = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<number, void> {
      for await (const _ of chunks);
    }
    expect(await through(['a', 'bb'], twice)).toEqual([1, 1, 2, 2])
    expect(await through(['a', 'bb'], sum)).toEqual([3])
    expect(await through(['a', 'bb'], none)).toEqual([])
    expect(await through([], sum)).toEqual([0])
  })

  test('may be bytes', async () => {
    const stage = new StageStream<Uint8Array, Uint8Array>(async function* (chunks) {
      for await (const chunk of chunks) yield Buffer.from(chunk).reverse()
    })
    stage.write('ab')
    stage.end('cd')
    expect(Buffer.concat(await stage.toArray()).toString()).toBe('badc')
  })
})

describe('back-pressure', () => {
  test('takes no more than it can give', async () => {
    const stage = new StageStream(lengths, { ...objects })
    let written = 0
    const chunk = Buffer.alloc(10_000)
    stage.read(0)
    while (stage.write(chunk, () => written++));
    await sleep(10)
    // One was given and waits to be read, one is given next, one waits to be taken.
    expect(written).toBeLessThanOrEqual(3)
    expect(stage.writableNeedDrain).toBe(true)
    expect(stage.readableLength).toBe(1)
  })

  test('goes on when it is read', async () => {
    const source = Readable.from(Array.from({ length: 200 }, () => Buffer.alloc(20_000)))
    const seen: number[] = []
    const slow = new Writable({
      objectMode: true,
      highWaterMark: 1,
      write(value, _, done) {
        seen.push(value)
        setImmediate(done)
      }
    })
    await pipeline(source, new StageStream(lengths, objects), slow)
    expect(seen).toEqual(new Array(200).fill(20_000))
  })

  test('asks a source that never ends for no more than is read', async () => {
    let asked = 0
    const source = Readable.from(
      (function* () {
        for (;;) {
          asked++
          yield Buffer.alloc(10_000)
        }
      })()
    )
    const stage = source.pipe(new StageStream(lengths, objects))
    await once(stage, 'readable')
    await sleep(10)
    expect(asked).toBeLessThan(50)
    source.destroy()
    stage.destroy()
  })
})

describe('errors', () => {
  test('of the body end the pipeline as they are', async () => {
    const broken = new RangeError('no')
    const work = through(['a'], async function* (chunks) {
      for await (const _ of chunks) throw broken
      yield 1
    })
    await expect(work).rejects.toBe(broken)
  })

  test('of the body destroy what writes to it', async () => {
    const endless = new PassThrough()
    endless.write('a')
    const stage = new StageStream(async function* (): AsyncGenerator<number, void> {
      yield 1
      throw new RangeError('no')
    }, objects)
    await expect(pipeline(endless, stage, drain)).rejects.toThrow('no')
    expect(endless.destroyed).toBe(true)
  })

  test('of what writes to it come out as they are, and reach the body', async () => {
    const broken = new SourceError('SFTP_DISCONNECTED', 'the connection broke')
    let seen: unknown
    let signal: AbortSignal | undefined
    async function* source() {
      yield Buffer.from('a')
      await sleep(5)
      throw broken
    }
    const stage = new StageStream<Uint8Array, number>(async function* (chunks, given) {
      signal = given
      try {
        yield* lengths(chunks, given)
      } catch (error) {
        seen = error
        throw error
      }
    }, objects)
    await expect(pipeline(source, stage, drain)).rejects.toBe(broken)
    await sleep(1)
    expect(seen).toBe(broken)
    expect(signal!.reason).toBe(broken)
  })

  test('of what reads from it end the body', async () => {
    let ended = false
    const stage = new StageStream<Uint8Array, number>(async function* (chunks, signal) {
      try {
        yield* lengths(chunks, signal)
      } finally {
        ended = true
      }
    }, objects)
    const reader = new Writable({ objectMode: true, write: (_value, _encoding, done) => done(new RangeError('full')) })
    await expect(pipeline(Readable.from([Buffer.from('a'), Buffer.from('b')]), stage, reader)).rejects.toThrow('full')
    await sleep(1)
    expect(ended).toBe(true)
  })
})

describe('destroying it', () => {
  test('wakes a body that waits for a chunk, and runs what it must do at last', async () => {
    let seen: unknown
    const stage = new StageStream<Uint8Array, number>(async function* (chunks, signal) {
      try {
        yield* lengths(chunks, signal)
      } catch (error) {
        seen = error
      }
    }, objects)
    stage.resume()
    await sleep(1)
    stage.destroy()
    await once(stage, 'close')
    await sleep(1)
    expect(seen).toBeInstanceOf(AbortError)
  })

  test('wakes a body that waits for something else, by its signal', async () => {
    let stopped = false
    const stage = new StageStream<Uint8Array, number>(async function* (_chunks, signal) {
      await once(signal, 'abort')
      stopped = true
      yield 1
    }, objects)
    stage.resume()
    await sleep(1)
    stage.destroy()
    await once(stage, 'close')
    await sleep(1)
    expect(stopped).toBe(true)
  })

  test('never runs a body that was never asked', async () => {
    let ran = false
    const stage = new StageStream<Uint8Array, number>(async function* (chunks, signal) {
      ran = true
      yield* lengths(chunks, signal)
    }, objects)
    stage.destroy()
    await once(stage, 'close')
    expect(ran).toBe(false)
  })

  test('lets nothing more come out', async () => {
    const seen: number[] = []
    const stage = new StageStream(lengths, objects)
    stage.on('data', value => {
      seen.push(value)
      stage.destroy()
    })
    for (let i = 0; i < 5; i++) stage.write('a')
    await once(stage, 'close')
    await sleep(1)
    expect(seen).toEqual([1])
  })
})

describe('the end', () => {
  test('of a body that ends early drains what still comes', async () => {
    const first = async function* (chunks: AsyncIterable<Uint8Array>) {
      for await (const chunk of chunks) {
        yield chunk.length
        return
      }
    }
    const chunks = new Array<string>(100).fill('x'.repeat(30_000))
    expect(await through(chunks, first)).toEqual([30_000])
  })

  test('of a body that never reads drains too', async () => {
    const chunks = new Array<string>(100).fill('x'.repeat(30_000))
    const given = await through(chunks, async function* () {
      yield 'done'
    })
    expect(given).toEqual(['done'])
  })

  test('comes to a writer alone, when nobody reads', async () => {
    let bytes = 0
    // biome-ignore lint/correctness/useYield: it gives nothing on purpose
    const stage = new StageStream<Uint8Array, number>(async function* (chunks): AsyncGenerator<number, void> {
      for await (const chunk of chunks) bytes += chunk.length
    }, objects)
    stage.write('ab')
    stage.end('c')
    await once(stage, 'finish')
    expect(bytes).toBe(3)
  })

  test('of the writing comes only when the body has ended', async () => {
    const order: string[] = []
    const stage = new StageStream<Uint8Array, number>(async function* (chunks, signal) {
      yield* lengths(chunks, signal)
      await sleep(5)
      order.push('body')
    }, objects)
    stage.on('finish', () => order.push('finish')).resume()
    stage.end('a')
    await once(stage, 'close')
    expect(order).toEqual(['body', 'finish'])
  })
})

describe('a signal', () => {
  test('ends it with an error of ours, which names the file', async () => {
    const abort = new AbortController()
    const stage = new StageStream(lengths, objects).obey(abort.signal, { file: 'a.csv' })
    const failed = once(stage, 'error')
    abort.abort('enough')
    const [error] = await failed
    expect(error).toBeInstanceOf(AbortError)
    expect(error).toMatchObject({ code: 'ABORTED', file: 'a.csv', cause: 'enough' })
  })

  test('that was raised before ends it at once', async () => {
    const stage = new StageStream(lengths, objects).obey(AbortSignal.abort())
    expect(stage.destroyed).toBe(true)
    const [error] = await once(stage, 'error')
    expect(error).toBeInstanceOf(AbortError)
  })

  test('is let go of in the end', async () => {
    const { signal } = new AbortController()
    const stage = new StageStream(lengths, objects).obey(signal)
    stage.resume().end('a')
    await once(stage, 'close')
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('may be missing', async () => {
    const stage = new StageStream(lengths, objects).obey(undefined)
    stage.end('abc')
    expect(await stage.toArray()).toEqual([3])
  })
})
