import { mkdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, expect, test, vi } from 'vitest'
import {
  ConfigError,
  DirectorySource,
  type FilesOptions,
  type IngestFile,
  IntervalParser,
  type Receipt,
  type Source,
  SourceError,
  type WatchOptions,
  watch
} from '../src/index.ts'
import { DuckDbSink } from '../src/sink/duckdb.ts'
import { csv } from './conformance/sink.ts'
import { query } from './support/duckdb.ts'
import { scratchFolder } from './support/scratch.ts'

/** A watch over a folder, as fast as tests want it. */
class Stand {
  readonly folder = scratchFolder()
  readonly inbox = join(this.folder, 'inbox')
  readonly store = join(this.folder, 'smt.duckdb')
  readonly stop = new AbortController()
  readonly sink = new CountingSink({ path: this.store })
  readonly receipts: Receipt[] = []
  readonly errors: string[] = []
  #ended: Promise<unknown> | undefined

  constructor() {
    mkdirSync(this.inbox)
  }

  get directory(): Source {
    return new DirectorySource({ directories: [this.inbox], settleMs: 1 })
  }

  put(name: string, content: string, seconds = 1_752_500_000): void {
    writeFileSync(join(this.inbox, name), content)
    utimesSync(join(this.inbox, name), seconds, seconds)
  }

  begin(options: Partial<WatchOptions> = {}): this {
    const watching = async () => {
      for await (const receipt of watch({
        source: this.directory,
        parser: new IntervalParser(),
        sink: this.sink,
        everyMs: 5,
        retryMs: 5,
        stopSignal: this.stop.signal,
        onError: ({ code }) => this.errors.push(code),
        ...options
      })) {
        this.receipts.push(receipt)
      }
    }
    this.#ended = watching().then(
      () => 'ended',
      error => error
    )
    return this
  }

  /** What was told so far. */
  get fates(): string[] {
    return this.receipts.map(({ name, state }) => `${name} ${state}`)
  }

  /** Waits until so much was told. */
  async told(...fates: string[]): Promise<void> {
    await vi.waitFor(() => expect(this.fates).toEqual(fates), 5_000)
  }

  async end(): Promise<unknown> {
    this.stop.abort()
    const outcome = await this.#ended
    await this.sink.close()
    return outcome
  }

  /** What it threw by itself. */
  get ended(): Promise<unknown> {
    return this.#ended!
  }
}

class CountingSink extends DuckDbSink {
  readonly asked: string[] = []

  override stream(...given: Parameters<DuckDbSink['stream']>) {
    this.asked.push(given[0].name)
    return super.stream(...given)
  }
}

let stand: Stand
const fresh = () => (stand = new Stand())
afterEach(async () => {
  await stand.end()
})

test('takes what is there, then what comes, and ends when it is asked to', async () => {
  const stand = fresh()
  stand.put('a.csv', csv([{}]))
  stand.put('x.tmp', 'x')
  stand.begin()
  await stand.told('x.tmp ignored', 'a.csv committed')
  stand.put('b.csv', csv([{ quarter: 1 }]))
  stand.put('bad.csv', '')
  await vi.waitFor(() => expect(stand.fates.slice(2).sort()).toEqual(['b.csv committed', 'bad.csv quarantined']), 5_000)
  stand.put('a.csv', csv([{ quarter: 2 }]), 1_752_600_000)
  await vi.waitFor(() => expect(stand.fates.slice(4)).toEqual(['a.csv committed']), 5_000)
  expect(await stand.end()).toBe('ended')
  const [row] = await query(stand.store, 'SELECT count(*)::INTEGER AS n FROM intervals')
  expect(row).toEqual({ n: 3 })
})

test('tells nothing of what is known, and asks the ledger once about it', async () => {
  const stand = fresh()
  stand.put('a.csv', csv([{}]))
  stand.put('bad.csv', '')
  stand.begin()
  await stand.told('a.csv committed', 'bad.csv quarantined')
  const { asked } = stand.sink
  // A quarantined one is asked about at each look: somebody may have asked for a retry.
  await vi.waitFor(() => expect(asked.filter(name => name === 'bad.csv').length).toBeGreaterThan(3), 5_000)
  expect(asked.filter(name => name === 'a.csv')).toEqual(['a.csv'])
  expect(stand.fates).toHaveLength(2)
})

test('finds files while a long transfer goes on', async () => {
  const stand = fresh()
  stand.put('long.csv', csv([{}]))
  let release: () => void = () => {}
  const released = new Promise<void>(resolve => {
    release = resolve
  })
  const source = changed(stand.directory, file =>
    file.name === 'long.csv' ? { ...file, stream: () => Readable.from(after(released, file)) } : file
  )
  stand.begin({ source, concurrency: 2 })
  await vi.waitFor(() => expect(stand.sink.asked).toEqual(['long.csv']), 5_000)
  for (const name of ['b.csv', 'c.csv']) {
    stand.put(name, csv([{ quarter: name.charCodeAt(0) - 90 }]))
    await vi.waitFor(() => expect(stand.fates.at(-1)).toBe(`${name} committed`), 5_000)
  }
  expect(stand.sink.asked.filter(name => name === 'long.csv')).toHaveLength(1)
  release()
  await stand.told('b.csv committed', 'c.csv committed', 'long.csv committed')
})

test('tries a source again that cannot be reached', async () => {
  const stand = fresh()
  stand.put('a.csv', csv([{}]))
  let failing = 2
  const source = failingFirst(stand.directory, () =>
    failing-- > 0 ? new SourceError('SFTP_CONNECT', 'no answer') : undefined
  )
  stand.begin({ source })
  await stand.told('a.csv committed')
  expect(stand.errors).toEqual(['SFTP_CONNECT', 'SFTP_CONNECT'])
})

test('tries again when the source is gone in the middle of a file, and the file goes in', async () => {
  const stand = fresh()
  stand.put('a.csv', csv([{}]))
  stand.put('b.csv', csv([{ quarter: 1 }]), 1_752_500_001)
  let broken = false
  const source = changed(stand.directory, file => {
    if (file.name !== 'b.csv' || broken) return file
    broken = true
    return { ...file, stream: () => Readable.from(breaking(new SourceError('SFTP_DISCONNECTED', 'it broke'))) }
  })
  stand.begin({ source })
  await stand.told('a.csv committed', 'b.csv seen', 'b.csv committed')
  expect(stand.errors).toEqual(['SFTP_DISCONNECTED'])
})

test('tries a store again that another one holds', async () => {
  const stand = fresh()
  stand.put('a.csv', csv([{}]))
  const other = new DuckDbSink({ path: stand.store })
  await other.passOver({ source: 's', path: 'p', name: 'p', size: 1, modifiedAt: 1, state: 'ignored', reason: 'x' })
  stand.begin()
  await vi.waitFor(() => expect(stand.errors.length).toBeGreaterThan(1), 5_000)
  expect(new Set(stand.errors)).toEqual(new Set(['STORE_BUSY']))
  await other.close()
  await vi.waitFor(() => expect(stand.fates.at(-1)).toBe('a.csv committed'), 5_000)
})

test('goes on with the other directories when one cannot be listed, and says so at each look', async () => {
  const stand = fresh()
  const second = join(stand.folder, 'second')
  const source = new DirectorySource({ directories: [stand.inbox, second], settleMs: 1 })
  stand.put('a.csv', csv([{}]))
  stand.begin({ source })
  await stand.told('a.csv committed')
  await vi.waitFor(() => expect(stand.errors.length).toBeGreaterThan(2), 5_000)
  expect(new Set(stand.errors)).toEqual(new Set(['DIRECTORY_NOT_FOUND']))
  mkdirSync(second)
  writeFileSync(join(second, 'b.csv'), csv([{ quarter: 1 }]))
  await stand.told('a.csv committed', 'b.csv committed')
})

test('throws what no waiting mends', async () => {
  const stand = fresh()
  const wrong = new ConfigError('CONFIG_INVALID', 'the password is wrong')
  stand.begin({ source: failingFirst(stand.directory, () => wrong) })
  expect(await stand.ended).toBe(wrong)
  expect(stand.errors).toEqual([])
})

test('I9: a signal ends it at once, in the middle of a file', async () => {
  const stand = fresh()
  stand.put('a.csv', csv([{}]))
  const abort = new AbortController()
  const source = changed(stand.directory, file => ({
    ...file,
    stream: () => Readable.from(after(new Promise(() => {}), file))
  }))
  stand.begin({ source, signal: abort.signal })
  await vi.waitFor(() => expect(stand.sink.asked).toEqual(['a.csv']), 5_000)
  abort.abort()
  expect(await stand.ended).toMatchObject({ code: 'ABORTED' })
  expect(stand.fates).toEqual(['a.csv seen'])
})

test('I9: a stop ends the wait between two looks', async () => {
  const stand = fresh()
  stand.put('a.csv', csv([{}]))
  stand.begin({ everyMs: 600_000 })
  await stand.told('a.csv committed')
  expect(await stand.end()).toBe('ended')
})

test('warns of what failed when nobody listens', async () => {
  const stand = fresh()
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  let failing = 1
  const error = () => (failing-- > 0 ? new SourceError('SFTP_CONNECT', 'no answer') : undefined)
  stand.put('a.csv', csv([{}]))
  stand.begin({ source: failingFirst(stand.directory, error), onError: undefined })
  await stand.told('a.csv committed')
  expect(warned).toHaveBeenCalledWith(expect.stringContaining('no answer'), { code: 'SFTP_CONNECT' })
  warned.mockRestore()
  rmSync(stand.inbox, { recursive: true })
})

/** A source whose files are changed on their way. */
function changed(inner: Source, change: (file: IngestFile) => IngestFile): Source {
  return {
    async *files(options?: FilesOptions) {
      for await (const file of inner.files(options)) {
        const { source, path, name, size, modifiedAt } = file
        const plain = { source, path, name, size, modifiedAt }
        yield change({ ...plain, stream: given => file.stream(given), verify: () => file.verify() })
      }
    },
    close: () => inner.close(),
    [Symbol.asyncDispose]: () => inner.close()
  }
}

/** A source whose looks fail as long as there is an error for them. */
function failingFirst(inner: Source, next: () => Error | undefined): Source {
  return {
    async *files(options?: FilesOptions) {
      const error = next()
      if (error) throw error
      yield* inner.files(options)
    },
    close: () => inner.close(),
    [Symbol.asyncDispose]: () => inner.close()
  }
}

async function* after(event: Promise<unknown>, file: IngestFile) {
  await event
  yield* file.stream()
}

async function* breaking(error: Error) {
  yield Buffer.from('half')
  throw error
}
