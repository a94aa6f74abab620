import { AgreementDesk, type FakeAgreement, type FakeMail, type FakeSubscription } from './agreements.ts'
import type { FakeSmt } from './fake-smt.ts'
import { type DaysOf, everyDay, type FakeMeter } from './meters.ts'
import { readCalls } from './reads.ts'
import { type FakeReport, ReportDesk, type ReportDeskOptions } from './reports.ts'

export interface SmtRecordsOptions extends ReportDeskOptions {
  /** The meters that SMT knows. */
  readonly meters: readonly FakeMeter[]
  /** What it has of them. @default one version of every day */
  readonly days?: DaysOf | undefined
}

/** What a fake SMT knows, and what it did. */
export interface SmtRecords {
  readonly meters: readonly FakeMeter[]
  readonly agreements: readonly FakeAgreement[]
  readonly subscriptions: readonly FakeSubscription[]
  /** E-mails that customers would have got. */
  readonly mails: readonly FakeMail[]
  /** Reports that were asked for. */
  readonly reports: readonly FakeReport[]
  /** Puts the reports that wait on the SFTP server, or one of them. */
  deliver(report?: FakeReport): Promise<void>
  /** A customer accepts an agreement: from now on its meters may be read. */
  accept(agreementNumber: number): void
}

/**
 * Gives a {@link FakeSmt} its meters and every call about them: reads, reports, agreements, subscriptions. A report that is
 * asked for is written, encrypted, and lies on the SFTP server a while later. It is strict: a field that is missing, is not as
 * it must be or is none of the call's is refused. Where nobody knows how SMT answers, names are made up: see the docs.
 */
export function serveSmtRecords(smt: FakeSmt, options: SmtRecordsOptions): SmtRecords {
  const { meters, days: daysOf = everyDay } = options
  const { duns } = smt
  const desk = new AgreementDesk(duns)
  const reports = new ReportDesk(options, duns)
  const isAgreed = ({ esiid, agreed = true }: FakeMeter) =>
    agreed || desk.agreements.some(({ status, esiids }) => status.startsWith('Active') && esiids.includes(esiid))
  const meterOf = (esiid: string) => meters.find(meter => meter.esiid === esiid && isAgreed(meter))
  for (const [path, endpoint] of [...readCalls({ duns, reports, daysOf, meterOf }), ...desk.calls()]) {
    smt.endpoints.set(path, endpoint)
  }
  return {
    meters,
    agreements: desk.agreements,
    subscriptions: desk.subscriptions,
    mails: desk.mails,
    reports: reports.reports,
    deliver: report => reports.deliver(report),
    accept: agreementNumber => desk.accept(agreementNumber)
  }
}
