// The clock of Texas, worked out by Intl alone.

export { addDays, centralDay, centralInstant, type DayOptions, type DaySlot, quarterHours } from './central-days.ts'

// Meters, their readings, and reports of them with the truth beside the text.

export {
  type GreenButtonFeed,
  type GreenButtonFeedOptions,
  greenButtonChunks,
  makeGreenButton
} from './green-button.ts'
export {
  type Direction,
  type MeterDay,
  type MeterDayOptions,
  makeEsiid,
  makeMeterDay,
  missingReading,
  randomFrom,
  reissueMeterDay,
  type Series,
  spoiledReading
} from './meter-days.ts'
export {
  addTotals,
  dailyHeader,
  type ExpectedInterval,
  emptyTotals,
  expectedIntervals,
  type IntervalReport,
  intervalHeader,
  intervalReportChunks,
  makeDailyReport,
  makeIntervalReport,
  type ReportOptions,
  type ReportTotals,
  type RowCounts,
  totalsOf
} from './reports.ts'
export { type IntervalAnswer, type IntervalAnswerOptions, makeIntervalAnswer } from './smt/interval-answers.ts'

// Reports beside intervals, invented: nobody has shown a real one.

export {
  type Bill,
  type BillOptions,
  makeBills,
  makeMeterInfo,
  makeMonthlyReport,
  meterInfoHeader,
  monthlyHeader
} from './other-reports.ts'

// Archives, keys and messages around them.

export { makeZip, type ZipEntry, type ZipOptions } from './archive.ts'
export { makePgpKey, makeSshKey, type PgpKey, type PgpKeyOptions, type SshKey, type SshKeyOptions } from './keys.ts'
export { encryptMessage, type MessageOptions, wrapAsSmt } from './messages.ts'

// A whole delivery, planted trouble included.

export { type DeliveryOptions, makeDelivery } from './delivery.ts'
export type { DeliveredFile, DeliveryManifest, ExpectedStore } from './manifest.ts'
export type { WriteFile } from './post.ts'

// Servers that speak the real protocol, and the line to them.

export { type Certificate, type CertificateOptions, makeCertificate } from './certificate.ts'
export { FaultProxy, type FaultProxyOptions, type LineFault } from './fault-proxy.ts'
export type { SftpFaults, SftpRequest } from './sftp/answers.ts'
export {
  type OpenSshServer,
  type OpenSshServerOptions,
  type OpenSshUnavailable,
  startOpenSshServer
} from './sftp/openssh-server.ts'
export { FakeSftpServer, type FakeSftpServerOptions, type FakeUser } from './sftp/server.ts'
export type { ServedFile } from './sftp/tree.ts'
export type { FakeAgreement, FakeMail, FakeSubscription } from './smt/agreements.ts'
export type { AdmittedCall, SmtAnswer, SmtCall, SmtEndpoint } from './smt/call.ts'
export { FakeSmt, type FakeSmtOptions } from './smt/fake-smt.ts'
export { htmlPage, type SmtFault, SmtFaults, tooManyRequests, unavailable } from './smt/faults.ts'
export type { DaysOf, FakeMeter } from './smt/meters.ts'
export { type SmtRecords, type SmtRecordsOptions, serveSmtRecords } from './smt/records.ts'
export type { FakeReport, ReportDeskOptions } from './smt/reports.ts'
export type { FakeToken, SmtUser, TokenStyle } from './smt/tokens.ts'
