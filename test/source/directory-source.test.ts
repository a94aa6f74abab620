import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'
import { ConfigError } from '../../src/errors.ts'
import { DirectorySource } from '../../src/source/directory-source.ts'
import { describeSource, listAll, put, readAll, stage } from '../conformance/source.ts'
import { scratchFolder } from '../support/scratch.ts'

const build = async (folder: string) => ({
  root: folder,
  source: (options: ConstructorParameters<typeof DirectorySource>[0]) => new DirectorySource(options)
})

describeSource('DirectorySource', build)

test('names the source by the address of the directory that was given', () =>
  stage(build, async ({ folder, stand }) => {
    const path = await put(folder, 'sub/a.asc', 'x')
    const { files } = await listAll(stand.source({ directories: [folder], settleMs: 0 }))
    expect(files).toMatchObject([{ source: pathToFileURL(folder).href, path, name: 'a.asc' }])
  }))

test('says which file went away', () =>
  stage(build, async ({ folder, stand }) => {
    await put(folder, 'a.asc', 'x')
    const { files } = await listAll(stand.source({ directories: [folder], settleMs: 0 }))
    await rm(join(folder, 'a.asc'))
    await expect(readAll(files[0]!)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
      retryable: true,
      message: `the file cannot be opened, there is none: ${join(folder, 'a.asc')}`
    })
  }))

test('a file in the place of a directory is an error of the listing', () =>
  stage(build, async ({ folder, stand }) => {
    const path = await put(folder, 'a.asc', 'x')
    await mkdir(join(folder, 'empty'))
    const source = stand.source({ directories: [path], settleMs: 0 })
    await expect(listAll(source)).rejects.toMatchObject({ code: 'DIRECTORY_LIST', file: path })
  }))

test.each([
  [{}, '`directories`'],
  [{ directories: [] }, '`directories`'],
  [{ directories: ['/x'], settle: 1 }, '`settle` is not an option'],
  [{ directories: ['/x'], settleMs: -1 }, '`settleMs`'],
  [{ directories: ['/x'], ignore: [7] }, '`ignore.0`']
])('refuses the options %j and names the wrong one', (options, message) => {
  const build = () => new DirectorySource(options as never)
  expect(build).toThrow(ConfigError)
  expect(build).toThrow(message)
})

// Linux has a file system in memory here: a move to it is a copy, and takes a while.
const elsewhere = '/dev/shm'
test.runIf(existsSync(elsewhere))('moving to another file system deletes nothing that came meanwhile', async () => {
  const [inbox, archive] = [scratchFolder(), await mkdtemp(join(elsewhere, 'smt-ingest-'))]
  try {
    const path = join(inbox, 'a.asc')
    await writeFile(path, '')
    await truncate(path, 200_000_000)
    const source = new DirectorySource({ directories: [inbox], settleMs: 0, dispose: { moveTo: archive } })
    const { files } = await listAll(source)
    const disposing = files[0]!.dispose!().catch(error => error)
    while (!(await readdir(archive)).length) await new Promise(resolve => setImmediate(resolve))
    await writeFile(join(inbox, 'newer'), 'newer')
    await rename(join(inbox, 'newer'), path)
    const end = await disposing
    expect(await readFile(path, 'utf8')).toBe('newer')
    // Should the copy have been faster, the newer file came after it.
    if (end.action === 'moved') return
    expect(end).toMatchObject({ code: 'TRANSFER_CHANGED', file: path })
    expect(await readdir(archive)).toEqual([])
  } finally {
    await rm(archive, { recursive: true })
  }
})
