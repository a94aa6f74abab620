import { type ErrorCode, UnpackError } from '../errors.ts'
import type { ByteReader } from './byte-reader.ts'
import { type CENTRAL, fixedLength, headerLength, type LOCAL } from './zip-format.ts'

/** Where an archive stands. */
export interface ArchivePlace {
  /** Path of the file. */
  readonly file: string | undefined
  /** Label of the member that the archive is, when it stands in another one. */
  readonly within: string | undefined
}

/** Takes the parts of an archive off its bytes. Where they end too early, that is the error. */
export class ZipCursor {
  readonly bytes: ByteReader
  readonly #place: ArchivePlace

  constructor(bytes: ByteReader, place: ArchivePlace) {
    this.bytes = bytes
    this.#place = place
  }

  /** The label of a member: its name, behind that of the archive that it is in. */
  label(name: string): string {
    const { within } = this.#place
    return within === undefined ? name : `${within}/${name}`
  }

  fail(code: ErrorCode, what: string, member?: string, cause?: unknown): never {
    const entry = member === undefined ? this.#place.within : this.label(member)
    throw new UnpackError(code, what, { file: this.#place.file, entry, cause })
  }

  /** The next four bytes, which tell what follows. */
  async signature(): Promise<number> {
    const start = await this.bytes.peek(4)
    return start.length < 4 ? this.fail('ZIP_TRUNCATED', 'the archive ends before its end') : start.readUInt32LE(0)
  }

  /** Takes a whole header. */
  async header(kind: typeof LOCAL | typeof CENTRAL): Promise<Buffer> {
    return this.take(headerLength(kind, await this.need(fixedLength(kind), 'a header')), 'a header')
  }

  async take(n: number, part = 'its directory'): Promise<Buffer> {
    const piece = await this.need(n, part)
    this.bytes.skip(n)
    return piece
  }

  async need(n: number, part = 'its directory'): Promise<Buffer> {
    const piece = await this.bytes.peek(n)
    return piece.length < n ? this.fail('ZIP_TRUNCATED', `the archive ends inside ${part}`) : piece
  }
}
