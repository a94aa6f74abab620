import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type {
  CommitPart,
  FileRecord,
  IntervalRow,
  ReceivingStore,
  RowsPart,
  StoredFile
} from '../../src/sink/http/receive.ts'

/**
 * A store in a folder, as plain as can be: a folder for each file, parts and rows as NDJSON, a record beside them. What the
 * record names is visible; it is renamed into its place last, so that a transaction counts wholly or not at all.
 */
export class FolderStore implements ReceivingStore {
  readonly #folder: string
  #turn: Promise<unknown> = Promise.resolve()
  /** How often rows became visible. */
  commits = 0

  constructor(folder: string) {
    this.#folder = folder
  }

  transaction<T>(file: string, work: (stored: StoredFile) => Promise<T>): Promise<T> {
    const turn = this.#turn.then(async () => {
      const transaction = new FolderTransaction(this.#folder, file)
      const result = await work(transaction)
      if (transaction.apply()) this.commits++
      return result
    })
    this.#turn = turn.catch(() => {})
    return turn
  }

  /** Every visible row. */
  rows(): IntervalRow[] {
    return recordsIn(this.#folder).flatMap(([folder, record]) => (record.committed ? linesOf(folder, record) : []))
  }

  /** Files of parts that are staged. */
  staged(): string[] {
    return recordsIn(this.#folder).flatMap(([folder]) => readdirSync(folder).filter(name => name.startsWith('part-')))
  }

  /** Loses what is staged of a file, as a clean-up would. */
  forget(file: string): void {
    rmSync(join(this.#folder, file), { recursive: true })
  }

  records(): FileRecord[] {
    return recordsIn(this.#folder).map(([, record]) => record)
  }
}

class FolderTransaction implements StoredFile {
  readonly record: FileRecord | undefined
  readonly #root: string
  readonly #folder: string
  readonly #changes: (() => void)[] = []
  #record: FileRecord | undefined
  #commits = false

  constructor(root: string, file: string) {
    this.#root = root
    this.#folder = join(root, file)
    this.record = readRecord(this.#folder)
  }

  async remember(record: FileRecord): Promise<void> {
    this.#record = record
  }

  async findPayload(sha256: string): Promise<FileRecord | undefined> {
    return recordsIn(this.#root)
      .map(([, record]) => record)
      .find(({ committed }) => committed?.payload === sha256)
  }

  async stage({ index, rows }: RowsPart): Promise<void> {
    this.#changes.push(() => writeFileSync(this.#part(index), rows.map(row => `${JSON.stringify(row)}\n`).join('')))
  }

  async commit({ epoch, parts, payload }: CommitPart) {
    const before = this.record?.committed && rowsName(this.record.committed)
    const texts = parts.map((_, index) => readFileSync(this.#part(index), 'utf8'))
    this.#changes.push(() =>
      writeFileSync(join(this.#folder, rowsName({ epoch, payload: payload.sha256 })), texts.join(''))
    )
    if (before) this.#changes.push(() => rmSync(join(this.#folder, before)))
    await this.rollback()
    this.#commits = true
    const inserted = parts.reduce((sum, { rows }) => sum + rows, 0)
    return { inserted, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
  }

  async rollback(): Promise<void> {
    this.#changes.push(() => {
      for (const name of readdirSync(this.#folder)) if (name.startsWith('part-')) rmSync(join(this.#folder, name))
    })
  }

  /** Tells whether rows became visible. */
  apply(): boolean {
    if (this.#changes.length === 0 && !this.#record) return false
    mkdirSync(this.#folder, { recursive: true })
    for (const change of this.#changes) change()
    const next = join(this.#folder, 'record.next')
    writeFileSync(next, JSON.stringify(this.#record ?? this.record))
    renameSync(next, join(this.#folder, 'record.json'))
    return this.#commits
  }

  #part(index: number): string {
    return join(this.#folder, `part-${index}.ndjson`)
  }
}

function rowsName({ epoch, payload }: { readonly epoch: number; readonly payload: string }): string {
  return `rows-${createHash('sha256').update(`${payload} ${epoch}`).digest('hex')}.ndjson`
}

function recordsIn(root: string): [folder: string, FileRecord][] {
  if (!existsSync(root)) return []
  return readdirSync(root).flatMap(name => {
    const record = readRecord(join(root, name))
    return record ? [[join(root, name), record] as [string, FileRecord]] : []
  })
}

function readRecord(folder: string): FileRecord | undefined {
  const path = join(folder, 'record.json')
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined
}

function linesOf(folder: string, { committed }: FileRecord): IntervalRow[] {
  const lines = readFileSync(join(folder, rowsName(committed!)), 'utf8')
    .split('\n')
    .slice(0, -1)
  return lines.map(line => JSON.parse(line))
}
