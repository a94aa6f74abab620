// What must be true of a store at every moment, and what when a run has come to its end.
import { merged } from './delivery.js'

const NDJSON_HASH = 16

/**
 * The first thing that is wrong, by name; undefined when all is well.
 * @param {any} seen
 * @param {any[]} files
 * @param {boolean} isEnd
 */
export function wrong(seen, files, isEnd) {
  return (
    (seen.contents ? wrongContents(seen, files, isEnd) : wrongRows(seen, files)) ??
    wrongCommits(seen, files) ??
    (isEnd ? wrongEnd(seen, files) : undefined)
  )
}

const committedOf = ({ files: states }, files) => files.filter(({ name }) => states.get(name) === 'committed')

/** A merging store shows the rows of the files that its ledger calls committed, merged: all of each, none of others. */
function wrongRows(seen, files) {
  const committed = committedOf(seen, files)
  const expected = merged(committed.filter(({ rows }) => rows))
  const keys = new Set()
  for (const [key, text] of seen.rows) {
    if (keys.has(key)) return `doubled: ${key}`
    keys.add(key)
    const wanted = expected.get(key)
    if (wanted === undefined) return `half: ${key} is of no file that is committed`
    if (wanted !== text) return `half: ${key} is ${text}, not ${wanted}`
  }
  for (const key of expected.keys()) if (!keys.has(key)) return `lost: ${key}`
  for (const { name, entries, rejected } of committed) {
    const [count = 0, rejects = 0] = seen.entries.get(name) ?? []
    if (count !== entries || rejects !== rejected) return `half: ${name} has ${count} entries and ${rejects} rejects`
  }
  if (seen.entries.size > committed.length) return 'half: entries of a file that is not committed'
}

/** States of a file that is on its way; `seen` is one whose claim a new run has put back. */
const underWay = ['claimed', 'staged', 'seen']

/**
 * A folder shows whole files only. One may be renamed already whose entry in the ledger is still to come: `staged`, or
 * anything before that when the run that takes it again was killed too.
 */
function wrongContents(seen, files, isEnd) {
  const ahead = []
  for (const { hash, rows } of seen.contents) {
    const same = files.filter(({ sha256 }) => sha256?.startsWith(hash))
    if (same.length === 0 || hash.length !== NDJSON_HASH) return `doubled: ${hash} is of no file`
    const expected = same[0].rows.map(({ key, value }) => `${key} ${value}`)
    // Rows of the repeated hour may stand elsewhere than in the file.
    if (rows.sort().join() !== expected.sort().join()) return `half: ${same[0].name}`
    if (!same.some(({ name }) => seen.files.get(name) === 'committed')) ahead.push(same)
  }
  if (new Set(seen.contents.map(({ hash }) => hash)).size !== seen.contents.length) return 'doubled: a content'
  const [one, other] = ahead
  const mayCome = one?.some(({ name }) => underWay.includes(seen.files.get(name)))
  if (one && (isEnd || other || !mayCome)) return `half: ${(other ?? one)[0].name} is not in the ledger`
  for (const { name, sha256 } of committedOf(seen, files)) {
    if (!seen.contents.some(({ hash }) => sha256?.startsWith(hash))) return `lost: ${name}`
  }
}

/** Nothing is committed that is bad, and no content twice. */
function wrongCommits(seen, files) {
  const contents = new Set()
  for (const { name, sha256 } of committedOf(seen, files)) {
    if (sha256 === undefined) return `${name} is committed`
    if (contents.has(sha256)) return `doubled: the content of ${name}`
    contents.add(sha256)
  }
}

/** Every file has its end, every content is in once, nothing is left of staging. */
function wrongEnd(seen, files) {
  for (const { name, sha256, state } of files) {
    const is = seen.files.get(name)
    const ends = sha256 === undefined ? [state] : ['committed', 'duplicate']
    if (!ends.includes(is)) return `lost: ${name} is ${is}`
  }
  const committed = new Set(committedOf(seen, files).map(({ sha256 }) => sha256))
  for (const { name, sha256 } of files) if (sha256 && !committed.has(sha256)) return `lost: ${name}`
  if (seen.files.size !== files.length) return `the ledger has ${seen.files.size} files, not ${files.length}`
  if (seen.left.length > 0) return `left behind: ${seen.left.join(', ')}`
}
