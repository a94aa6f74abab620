// What the contenders that are ours have in common: one file of a directory, through the public streams.
import { basename, dirname } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { DirectorySource, IntervalParser } from '@intelliwatt/smt-ingest'
import { openStore } from '../shared/open-store.js'

export { ownVersion as version } from '../shared/package-version.js'

/** Opens the store, makes its tables and finds the file. */
export async function openOurs(sink, path) {
  const source = new DirectorySource({ directories: [dirname(path)], include: [basename(path)], settleMs: 0 })
  const files = source.files()
  const { value: file } = await files.next()
  await openStore(sink)
  const parser = new IntervalParser()
  return {
    async load() {
      const target = sink.stream(file)
      await pipeline(file.stream(), parser.stream(file), target)
      return { state: target.receipt.state }
    },
    async close() {
      await files.return()
      await sink.close()
    }
  }
}
