import { createHash } from 'node:crypto'
import { makeZip } from './archive.ts'
import type { DeliveredFile } from './manifest.ts'
import { encryptMessage } from './messages.ts'
import type { MeterDay } from './meter-days.ts'
import { makeDailyReport, makeIntervalReport, totalsOf } from './reports.ts'

/** Puts one file where it is to be found; `modifiedAt` is UTC epoch milliseconds. */
export type WriteFile = (path: string, bytes: Buffer, modifiedAt: number) => void | Promise<void>

/** An invented number of the company that the files are for; real names end in one too. */
const duns = '123456789'

/** Packs, encrypts and hands over files one by one, and keeps the list of them. */
export class Post {
  readonly files: DeliveredFile[] = []
  readonly #publicKey: string
  readonly #write: WriteFile
  readonly #registers = new Map<string, number>()

  constructor(publicKey: string, write: WriteFile) {
    this.#publicKey = publicKey
    this.#write = write
  }

  /** Delivers a report that will be taken; gives its archive and the bytes of the file. */
  async report(
    meterDays: readonly MeterDay[],
    delivered: number,
    note?: string
  ): Promise<{ zip: Buffer; bytes: Buffer }> {
    const { rows } = totalsOf(meterDays)
    const zip = this.pack(meterDays, delivered)
    const bytes = await this.encrypt(zip)
    await this.file(usagePath(delivered), bytes, delivered, {
      expect: 'committed',
      rows,
      ...(note !== undefined && { note })
    })
    return { zip, bytes }
  }

  /** The archive of a report: its intervals, and the daily reads that SMT often sends with them. */
  pack(meterDays: readonly MeterDay[], delivered: number): Buffer {
    const name = reportName(delivered)
    return makeZip([
      { name, bytes: makeIntervalReport(meterDays).bytes },
      { name: name.replace('Interval', 'Daily'), bytes: makeDailyReport(meterDays, this.#registers) }
    ])
  }

  encrypt(zip: Buffer): Promise<Buffer> {
    return encryptMessage(zip, { publicKeys: [this.#publicKey] })
  }

  /** Delivers bytes as they are. */
  async file(
    path: string,
    bytes: Buffer,
    modifiedAt: number,
    fate: Pick<DeliveredFile, 'expect' | 'note' | 'rows'>
  ): Promise<void> {
    await this.#write(path, bytes, modifiedAt)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    this.files.push({ path, bytes: bytes.length, sha256, modifiedAt, ...fate })
  }
}

/** `adhocusage/IntervalMeterUsage20250715141200000.CSV.123456789.asc`, after the moment of its delivery. */
export function usagePath(delivered: number, directory = 'adhocusage'): string {
  return `${directory}/${reportName(delivered)}.${duns}.asc`
}

function reportName(delivered: number): string {
  return `IntervalMeterUsage${new Date(delivered).toISOString().replace(/\D/g, '')}.CSV`
}
