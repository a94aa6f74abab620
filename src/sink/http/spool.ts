import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SinkError } from '../../errors.ts'

/** Rows of one meter are in one bucket, so that a bucket at a time can be put in order. */
const BUCKETS = 256

/** Bytes of a bucket that are kept before they are written. */
const BLOCK = 16 * 1024

/** Bytes of one row: see {@link SpooledRow}. */
const ROW = 37

const TAG = 16

/** One row, without the text of its meter. */
export interface SpooledRow {
  /** Position of the meter among all of the file. */
  readonly meter: number
  readonly start: number
  readonly kwh: number
  /** NaN where blank. */
  readonly revision: number
  readonly entry: number
  readonly line: number
  readonly estimated: boolean
}

/**
 * Rows that wait for the proof of their file, by meter. What does not fit into memory stands in a file without a name,
 * encrypted with a key that only this object has: no reading is on the disk in clear, and what a dead process left says
 * nothing.
 *
 * Memory: 4 MB, and where each block stands.
 */
export class Spool {
  readonly #folder: string
  readonly #key = randomBytes(32)
  readonly #open = new Map<number, { readonly bytes: Buffer; length: number }>()
  readonly #written = new Map<number, { readonly at: number; readonly length: number; readonly nonce: number }[]>()
  #blocks = 0
  #size = 0
  #path: string | undefined
  #file: FileHandle | undefined

  constructor(folder: string) {
    this.#folder = folder
  }

  /** Takes a row; gives a promise where a block has to be written first. */
  push(row: SpooledRow): Promise<void> | undefined {
    const number = row.meter % BUCKETS
    let block = this.#open.get(number)
    if (!block) {
      block = { bytes: Buffer.allocUnsafe(BLOCK), length: 0 }
      this.#open.set(number, block)
    }
    writeRow(block.bytes, block.length, row)
    block.length += ROW
    if (block.length + ROW <= BLOCK) return undefined
    const full = block.bytes.subarray(0, block.length)
    this.#open.delete(number)
    return this.#write(number, full)
  }

  /** The rows, bucket by bucket: all rows of a meter together. */
  async *buckets(): AsyncGenerator<SpooledRow[], void> {
    for (let number = 0; number < BUCKETS; number++) {
      const rows: SpooledRow[] = []
      for (const block of this.#written.get(number) ?? []) readRows(await this.#read(block), rows)
      const last = this.#open.get(number)
      if (last) readRows(last.bytes.subarray(0, last.length), rows)
      if (rows.length > 0) yield rows
    }
  }

  async close(): Promise<void> {
    this.#key.fill(0)
    this.#open.clear()
    await this.#file?.close().catch(() => {})
    this.#file = undefined
    if (this.#path) await rm(this.#path, { force: true })
  }

  async #write(number: number, plain: Buffer): Promise<void> {
    const nonce = this.#blocks++
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonceOf(nonce))
    const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    const at = this.#size
    this.#size += sealed.length
    if (!this.#written.has(number)) this.#written.set(number, [])
    this.#written.get(number)!.push({ at, length: sealed.length, nonce })
    await this.#guarded(async () => {
      this.#file ??= await this.#create()
      await this.#file.write(sealed, 0, sealed.length, at)
    })
  }

  async #read({ at, length, nonce }: { at: number; length: number; nonce: number }): Promise<Buffer> {
    return this.#guarded(async () => {
      const sealed = Buffer.allocUnsafe(length)
      await this.#file!.read(sealed, 0, length, at)
      const decipher = createDecipheriv('aes-256-gcm', this.#key, nonceOf(nonce))
      decipher.setAuthTag(sealed.subarray(length - TAG))
      return Buffer.concat([decipher.update(sealed.subarray(0, length - TAG)), decipher.final()])
    })
  }

  async #create(): Promise<FileHandle> {
    const path = join(this.#folder, `.spool-${randomBytes(8).toString('hex')}`)
    const file = await open(path, 'wx+', 0o600)
    this.#path = path
    // Where a file may lose its name while it is open, nothing is left of it when the process dies.
    if (process.platform !== 'win32') await rm(path)
    return file
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (cause) {
      throw new SinkError('STORE_WRITE', 'the rows that wait cannot be kept', { file: this.#folder, cause })
    }
  }
}

function nonceOf(number: number): Buffer {
  const nonce = Buffer.alloc(12)
  nonce.writeUInt32BE(number, 8)
  return nonce
}

function writeRow(bytes: Buffer, at: number, row: SpooledRow): void {
  bytes.writeUInt32LE(row.meter, at)
  bytes.writeDoubleLE(row.start, at + 4)
  bytes.writeDoubleLE(row.kwh, at + 12)
  bytes.writeDoubleLE(row.revision, at + 20)
  bytes.writeUInt32LE(row.entry, at + 28)
  bytes.writeUInt32LE(row.line, at + 32)
  bytes[at + 36] = row.estimated ? 1 : 0
}

function readRows(bytes: Buffer, rows: SpooledRow[]): void {
  for (let at = 0; at < bytes.length; at += ROW) {
    rows.push({
      meter: bytes.readUInt32LE(at),
      start: bytes.readDoubleLE(at + 4),
      kwh: bytes.readDoubleLE(at + 12),
      revision: bytes.readDoubleLE(at + 20),
      entry: bytes.readUInt32LE(at + 28),
      line: bytes.readUInt32LE(at + 32),
      estimated: bytes[at + 36] === 1
    })
  }
}
