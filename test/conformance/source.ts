import { createHash } from 'node:crypto'
import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { IngestError } from '../../src/errors.ts'
import type { DisposeOption } from '../../src/source/disposal.ts'
import type { IngestFile, PassedOver, Source } from '../../src/source/source.ts'

/** Options that every source has. */
interface CommonOptions {
  readonly dispose?: DisposeOption
  readonly directories: readonly string[]
  readonly settleMs?: number
  readonly ignore?: readonly (string | RegExp)[]
  readonly include?: readonly (string | RegExp)[]
}

/** A source over a local folder. */
export interface SourceStand {
  /** The folder's path as the source sees it. */
  readonly root: string
  source(options: CommonOptions): Source
  close?(): Promise<void>
}

/** What every source promises. `build` puts a source on top of a local folder. */
export function describeSource(name: string, build: (folder: string) => Promise<SourceStand>): void {
  describe(`${name} as a source`, () => {
    test('lists files oldest first, in all directories and below them', () =>
      stage(build, async ({ folder, stand }) => {
        await put(folder, 'b/new.asc', 'new', 3_000)
        await put(folder, 'a/deep/er/old.asc', 'old', 1_000)
        await put(folder, 'a/middle.asc', 'middle', 2_000)
        await put(folder, 'a/also-middle.asc', 'also', 2_000)
        const { files } = await listAll(
          stand.source({ directories: [`${stand.root}/b`, `${stand.root}/a`], settleMs: 1 })
        )
        expect(files.map(({ name }) => name)).toEqual(['old.asc', 'also-middle.asc', 'middle.asc', 'new.asc'])
        expect(files[0]).toMatchObject({
          size: 3,
          modifiedAt: 1_000_000,
          path: expect.stringContaining('/a/deep/er/old.asc')
        })
      }))

    test('offers a file once although its directory is given twice', () =>
      stage(build, async ({ folder, stand }) => {
        await put(folder, 'a/once.asc', 'x')
        const { files } = await listAll(
          stand.source({ directories: [stand.root, `${stand.root}/a`, stand.root], settleMs: 1 })
        )
        expect(files).toHaveLength(1)
      }))

    test('offers names with blanks, quotes, signs and any script', () =>
      stage(build, async ({ folder, stand }) => {
        const names = ['a b  c.asc', 'it\'s "so".asc', '50%#?&.asc', '-rf.asc', 'Zähler-電気.asc', 'sub dir ü/x.asc']
        for (const name of names) await put(folder, name, name)
        const { files } = await listAll(stand.source({ directories: [stand.root], settleMs: 1 }))
        expect(files.map(({ path }) => path.slice(stand.root.length).replace(/^\//, '')).sort()).toEqual(
          [...names].sort()
        )
        expect(await Promise.all(files.map(({ name }) => name))).toContain('Zähler-電気.asc')
      }))

    test('passes over names of half-written files, dotfiles and links, each with its reason', () =>
      stage(build, async ({ folder, stand }) => {
        for (const name of ['x.PART', 'x.part1', 'x.Tmp', 'x.filepart', '.hidden', 'pgp_tmp.123', '.dir/inside.asc']) {
          await put(folder, name, 'x')
        }
        await put(folder, 'good.asc', 'x')
        await symlink(join(folder, 'good.asc'), join(folder, 'link.asc'))
        const { files, passedOver } = await listAll(stand.source({ directories: [stand.root], settleMs: 1 }))
        expect(files.map(({ name }) => name)).toEqual(['good.asc'])
        expect(Object.fromEntries(passedOver.map(({ name, reason }) => [name, reason]))).toEqual({
          'x.PART': 'ignored by *.part*',
          'x.part1': 'ignored by *.part*',
          'x.Tmp': 'ignored by *.tmp',
          'x.filepart': 'ignored by *.filepart',
          '.hidden': 'ignored by .*',
          '.dir': 'ignored by .*',
          'pgp_tmp.123': 'ignored by pgp_tmp.*',
          'link.asc': 'it is a symbolic link'
        })
        expect(new Set(passedOver.map(({ state }) => state))).toEqual(new Set(['ignored']))
      }))

    test('takes and leaves what the user says instead', () =>
      stage(build, async ({ folder, stand }) => {
        for (const name of ['a.tmp', 'a.asc', 'a.csv', 'old-a.asc']) await put(folder, name, 'x')
        const options = { directories: [stand.root], settleMs: 1, ignore: [/^old-/g], include: ['*.ASC', '*.tmp'] }
        const { files, passedOver } = await listAll(stand.source(options))
        expect(files.map(({ name }) => name)).toEqual(['a.asc', 'a.tmp'])
        expect(passedOver.map(({ name, reason }) => [name, reason]).sort()).toEqual([
          ['a.csv', 'matches nothing in include: *.ASC, *.tmp'],
          ['old-a.asc', 'ignored by /^old-/g']
        ])
      }))

    test('offers only files that stand still', () =>
      stage(build, async ({ folder, stand }) => {
        await put(folder, 'still.asc', 'x')
        const growing = await put(folder, 'growing.asc', 'x')
        const timer = setInterval(() => appendFile(growing, 'x').catch(() => {}), 10)
        const { files, passedOver } = await listAll(stand.source({ directories: [stand.root], settleMs: 250 }))
        clearInterval(timer)
        expect(files.map(({ name }) => name)).toEqual(['still.asc'])
        expect(passedOver).toMatchObject([
          { name: 'growing.asc', state: 'changing', reason: expect.stringMatching(/^its size went from/) }
        ])
      }))

    test('I4: proves a reading by size and sha256, and says when the file is gone afterwards', () =>
      stage(build, async ({ folder, stand }) => {
        const content = Buffer.from(Array.from({ length: 700_001 }, (_, i) => i % 251))
        const path = await put(folder, 'a.asc', content)
        await put(folder, 'empty.asc', '', 2_000)
        const proofs: unknown[] = []
        for await (const file of stand.source({ directories: [stand.root], settleMs: 1 }).files()) {
          const bytes = await readAll(file)
          expect(bytes.equals(file.name === 'a.asc' ? content : Buffer.alloc(0))).toBe(true)
          proofs.push(await file.verify())
          if (file.name === 'empty.asc') continue
          await rm(path)
          proofs.push(await file.verify())
        }
        const sha256 = createHash('sha256').update(content).digest('hex')
        expect(proofs).toEqual([
          { bytes: content.length, sha256, vanished: false },
          { bytes: content.length, sha256, vanished: true },
          { bytes: 0, sha256: createHash('sha256').digest('hex'), vanished: false }
        ])
      }))

    test('does not vouch for a file that was not read to its end', () =>
      stage(build, async ({ folder, stand }) => {
        await put(folder, 'a.asc', Buffer.alloc(500_000))
        for await (const file of stand.source({ directories: [stand.root], settleMs: 1 }).files()) {
          await expect(file.verify()).rejects.toMatchObject({ code: 'TRANSFER_UNREAD' })
          for await (const _ of file.stream()) break
          await expect(file.verify()).rejects.toMatchObject({ code: 'TRANSFER_UNREAD' })
          await readAll(file)
          await expect(file.verify()).resolves.toMatchObject({ bytes: 500_000 })
        }
      }))

    test.each(['grows', 'shrinks', 'is written over', 'changed before'] as const)(
      'I4: detects a file that %s',
      change =>
        stage(build, async ({ folder, stand }) => {
          const path = await put(folder, 'a.asc', Buffer.alloc(4_000_000))
          for await (const file of stand.source({ directories: [stand.root], settleMs: 1 }).files()) {
            const spoil = {
              grows: () => appendFile(path, 'more'),
              shrinks: () => writeFile(path, 'less'),
              'is written over': () => writeFile(path, Buffer.alloc(4_000_000, 1)),
              'changed before': () => appendFile(path, 'more')
            }[change]
            if (change === 'changed before') await spoil()
            const read = async () => {
              let chunks = 0
              for await (const _ of file.stream()) if (chunks++ === 0 && change !== 'changed before') await spoil()
            }
            await expect(read()).rejects.toMatchObject({ code: expect.stringMatching(/^TRANSFER_/), file: file.path })
            await expect(file.verify()).rejects.toMatchObject({ code: expect.stringMatching(/^TRANSFER_/) })
          }
        })
    )

    test('I4: detects a file that is replaced after its last byte was read', () =>
      stage(build, async ({ folder, stand }) => {
        const path = await put(folder, 'a.asc', 'x')
        for await (const file of stand.source({ directories: [stand.root], settleMs: 1 }).files()) {
          await readAll(file)
          await writeFile(path, 'y')
          await expect(file.verify()).rejects.toMatchObject({ code: 'TRANSFER_CHANGED' })
        }
      }))

    test('I3: a failed listing is an error, never empty; the other directories are offered first', () =>
      stage(build, async ({ folder, stand }) => {
        await put(folder, 'here/a.asc', 'x')
        const missing = [`${stand.root}/gone`, `${stand.root}/here/a.asc/never`]
        const offered: string[] = []
        const run = async () => {
          const source = stand.source({ directories: [missing[0]!, `${stand.root}/here`, missing[1]!], settleMs: 1 })
          for await (const file of source.files()) offered.push(file.name)
        }
        const error = await run().catch(error => error)
        expect(offered).toEqual(['a.asc'])
        expect(error).toBeInstanceOf(IngestError)
        expect(error.code).toMatch(/^(SFTP_NO_SUCH_DIRECTORY|DIRECTORY_NOT_FOUND)$/)
        for (const path of missing) expect(error.message).toContain(path)
        expect(error.cause).toBeInstanceOf(AggregateError)
        expect(error.cause.errors).toHaveLength(2)
      }))

    describe('does with a file that is in the store what it was asked to:', () => {
      const disposed = async (source: Source) => {
        const done = []
        for await (const file of source.files()) done.push(await file.dispose!().catch(error => error.code))
        return done
      }

      test('keeps it', () =>
        stage(build, async ({ folder, stand }) => {
          await put(folder, 'a.asc', 'x')
          const { files } = await listAll(stand.source({ directories: [stand.root], settleMs: 1 }))
          expect(files.map(({ dispose }) => dispose)).toEqual([undefined])
        }))

      test('deletes it', () =>
        stage(build, async ({ folder, stand }) => {
          await put(folder, 'in/a.asc', 'x')
          const source = stand.source({ directories: [`${stand.root}/in`], settleMs: 1, dispose: 'delete' })
          expect(await disposed(source)).toEqual([{ action: 'deleted' }])
          expect(await readdir(join(folder, 'in'))).toEqual([])
        }))

      test('moves it, makes the directory for that, and looks there no more', () =>
        stage(build, async ({ folder, stand }) => {
          await put(folder, 'sub/a.asc', 'one')
          const dispose = { moveTo: `${stand.root}/done/2025/` }
          const source = stand.source({ directories: [stand.root], settleMs: 1, ignore: [], dispose })
          expect(await disposed(source)).toEqual([{ action: 'moved', to: `${stand.root}/done/2025/a.asc` }])
          expect(await readFile(join(folder, 'done/2025/a.asc'), 'utf8')).toBe('one')
          const { files, passedOver } = await listAll(source)
          expect(files).toEqual([])
          expect(passedOver).toMatchObject([{ name: '2025', reason: 'taken files are moved there' }])
        }))

      test('moves one of the same name beside the first', () =>
        stage(build, async ({ folder, stand }) => {
          const dispose = { moveTo: `${stand.root}/done` }
          const source = stand.source({ directories: [`${stand.root}/in`], settleMs: 1, dispose })
          for (const text of ['one', 'two']) {
            await put(folder, 'in/a.asc', text, 5_000)
            await disposed(source)
          }
          expect((await readdir(join(folder, 'done'))).sort()).toEqual(['a.asc', 'a.asc.5000000'])
          expect(await readFile(join(folder, 'done/a.asc'), 'utf8')).toBe('one')
          await put(folder, 'in/a.asc', 'three', 5_000)
          expect(await disposed(source)).toEqual([expect.stringMatching(/^(FILE|SFTP)_DISPOSE$/)])
          expect(await readFile(join(folder, 'in/a.asc'), 'utf8')).toBe('three')
        }))

      test('leaves alone what was written there since, and what is gone', () =>
        stage(build, async ({ folder, stand }) => {
          const path = await put(folder, 'a.asc', 'x')
          const source = stand.source({ directories: [stand.root], settleMs: 1, dispose: 'delete' })
          for await (const file of source.files()) {
            await writeFile(path, 'newer')
            await expect(file.dispose!()).rejects.toMatchObject({ code: 'TRANSFER_CHANGED' })
            expect(await readFile(path, 'utf8')).toBe('newer')
            await rm(path)
            expect(await file.dispose!()).toBeUndefined()
          }
        }))

      test('refuses to move to where it would find the file again', () =>
        stage(build, async ({ stand }) => {
          const dispose = { moveTo: `${stand.root}/.` }
          expect(() => stand.source({ directories: [stand.root], dispose })).toThrow(/dispose\.moveTo/)
        }))
    })

    test('keeps its session until the files are done with', () =>
      stage(build, async ({ folder, stand }) => {
        await put(folder, 'a.asc', 'x')
        let release: () => void = () => {}
        const reading: Promise<string>[] = []
        const untilDone = async () => {
          await new Promise<void>(resolve => {
            release = resolve
          })
        }
        const loop = stand.source({ directories: [stand.root], settleMs: 1 }).files({ untilDone })
        const files = loop[Symbol.asyncIterator]()
        const file = (await files.next()).value as IngestFile
        const end = files.next()
        reading.push(readAll(file).then(String))
        expect(await Promise.all(reading)).toEqual(['x'])
        expect((await file.verify()).bytes).toBe(1)
        release()
        expect(await end).toMatchObject({ done: true })
      }))

    test('lists an empty directory as empty', () =>
      stage(build, async ({ stand }) => {
        expect(await listAll(stand.source({ directories: [stand.root] }))).toEqual({ files: [], passedOver: [] })
      }))

    test('I9: a signal ends the wait between the looks', () =>
      stage(build, async ({ folder, stand }) => {
        await put(folder, 'a.asc', 'x')
        const signal = AbortSignal.timeout(300)
        const files = stand.source({ directories: [stand.root], settleMs: 60_000 }).files({ signal })
        await expect(files[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'ABORTED' })
      }))

    test('I9: a signal that was given before ends it before it begins', () =>
      stage(build, async ({ folder, stand }) => {
        await put(folder, 'a.asc', 'x')
        const files = stand.source({ directories: [stand.root], settleMs: 1 }).files({ signal: AbortSignal.abort() })
        await expect(files[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'ABORTED' })
      }))

    test('I9: a signal ends a stream, and the loop goes on', () =>
      stage(build, async ({ folder, stand }) => {
        await put(folder, 'a.asc', Buffer.alloc(4_000_000), 1_000)
        await put(folder, 'b.asc', 'x', 2_000)
        const outcomes: unknown[] = []
        for await (const file of stand.source({ directories: [stand.root], settleMs: 1 }).files()) {
          const abort = new AbortController()
          const stream = file.stream({ signal: abort.signal })
          stream.once('data', () => file.name === 'a.asc' && abort.abort())
          outcomes.push(
            await stream.toArray().then(
              chunks => Buffer.concat(chunks).toString(),
              error => error.code
            )
          )
        }
        expect(outcomes).toEqual(['ABORTED', 'x'])
      }))
  })
}

/** Runs a test over a fresh folder, and clears it away. */
export async function stage(
  build: (folder: string) => Promise<SourceStand>,
  run: (given: { folder: string; stand: SourceStand }) => Promise<void>
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'smt-source-'))
  let stand: SourceStand | undefined
  try {
    stand = await build(folder)
    await run({ folder, stand })
  } finally {
    await stand?.close?.()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Writes a file; its time is in seconds. */
export async function put(folder: string, path: string, content: string | Buffer, seconds = 1_000): Promise<string> {
  const full = join(folder, path)
  await mkdir(dirname(full), { recursive: true })
  await writeFile(full, content)
  await utimes(full, seconds, seconds)
  return full
}

export async function listAll(source: Source): Promise<{ files: IngestFile[]; passedOver: PassedOver[] }> {
  const files: IngestFile[] = []
  const passedOver: PassedOver[] = []
  for await (const file of source.files({ onPassedOver: entry => passedOver.push(entry) })) files.push(file)
  return { files, passedOver }
}

export async function readAll(file: IngestFile): Promise<Buffer> {
  return Buffer.concat(await file.stream().toArray())
}
