import { randomUUID } from 'node:crypto'
import type { ZipEntry } from '../archive.ts'
import { wrapAsSmt } from '../messages.ts'
import type { MeterDay } from '../meter-days.ts'
import { makeIntervalReport } from '../reports.ts'
import type { FakeSftpServer } from '../sftp/server.ts'
import type { SmtAnswer } from './call.ts'

/** A report that was asked for. */
export interface FakeReport {
  readonly correlationId: string
  /** What its intervals are made of; empty for other reports. */
  readonly meterDays: readonly MeterDay[]
  /** How far it is; SMT's words are not all known, so any may stand here. */
  status: string
  /** Where it lies on the SFTP server, once it was delivered. */
  path: string | undefined
}

export interface ReportDeskOptions {
  /** Where reports are put. Without it they are never delivered. */
  readonly sftp?: FakeSftpServer | undefined
  /** Armored OpenPGP public key that reports are encrypted to. Without it they are plain. */
  readonly publicKey?: string | undefined
  /** @default '/adhocusage' */
  readonly directory?: string | undefined
  /** Milliseconds from a request to its file; `undefined` waits for `deliver`. @default 0 */
  readonly deliverAfterMs?: number | undefined
}

/** Takes requests for reports, writes them, and puts them where they are fetched. */
export class ReportDesk {
  /** In the order in which they were asked for. */
  readonly reports: FakeReport[] = []
  readonly #options: ReportDeskOptions
  readonly #duns: string
  readonly #entries = new Map<FakeReport, ZipEntry>()
  #delivered = 0
  #delivering: Promise<void> = Promise.resolve()

  constructor(options: ReportDeskOptions, duns: string) {
    this.#options = { deliverAfterMs: 0, ...options }
    this.#duns = duns
  }

  /** The acknowledgement of a request for a report of intervals. One without any is never written. */
  takeIntervals(transId: unknown, meterDays: readonly MeterDay[]): SmtAnswer {
    const bytes = meterDays.length === 0 ? undefined : makeIntervalReport(meterDays).bytes
    return this.#take(transId, { meterDays, bytes, name: 'IntervalMeterUsage' })
  }

  /** The acknowledgement of a request for any other report. */
  takeOther(transId: unknown, name: string, bytes: Buffer): SmtAnswer {
    return this.#take(transId, { meterDays: [], bytes, name })
  }

  statusOf(transId: unknown, correlationId: unknown): SmtAnswer {
    const report = this.reports.find(report => report.correlationId === correlationId)
    if (!report) return { status: 400, body: { errorCode: '1', errorMessage: 'The correlationId is not known.' } }
    return { body: { trans_id: transId, correlationId, statusCode: '0', statusReason: report.status } }
  }

  /** Delivers what waits, or one report. */
  async deliver(only?: FakeReport): Promise<void> {
    this.#delivering = this.#delivering.then(() => this.#deliver(only))
    return this.#delivering
  }

  async #deliver(only: FakeReport | undefined): Promise<void> {
    for (const [report, entry] of this.#entries) {
      if (only !== undefined && only !== report) continue
      this.#entries.delete(report)
      const { sftp, publicKey, directory = '/adhocusage' } = this.#options
      if (!sftp) continue
      const bytes = publicKey === undefined ? Buffer.from(entry.bytes) : await wrapAsSmt([entry], publicKey)
      const path = `${directory}/${entry.name}${publicKey === undefined ? '' : `.${this.#duns}.asc`}`
      sftp.files.set(path, { content: bytes, modifiedAt: Math.floor(Date.now() / 1000) * 1000 })
      report.path = path
      report.status = 'Completed'
    }
  }

  #take(
    transId: unknown,
    { meterDays, bytes, name }: { meterDays: readonly MeterDay[]; bytes: Buffer | undefined; name: string }
  ): SmtAnswer {
    const report: FakeReport = { correlationId: randomUUID(), meterDays, status: 'PEN', path: undefined }
    this.reports.push(report)
    if (bytes) {
      // Seventeen digits: the moment, to the millisecond; two reports never have the same.
      const moment = new Date(Date.now() + this.#delivered++).toISOString().replace(/\D/g, '')
      this.#entries.set(report, { name: `${name}${moment}.CSV`, bytes })
      const { deliverAfterMs } = this.#options
      // A report that cannot be written is one that never comes.
      if (deliverAfterMs !== undefined) setTimeout(() => this.deliver(report).catch(() => {}), deliverAfterMs).unref()
    }
    const { correlationId } = report
    return { body: { trans_id: transId, correlationId, statusCode: '0', statusReason: 'Request has been accepted' } }
  }
}
