// Who asks Smart Meter Texas?
export type { ApiAnswer } from './auth/answer-body.ts'
export { type CallOptions, SmtAuth, type SmtAuthOptions } from './auth/smt-auth.ts'
export type { AccessToken } from './auth/token.ts'

// What can be asked?
export type { Agreement, AgreementEsiids, AgreementRequested, NewAgreement } from './auth/agreements.ts'
export { backfill } from './auth/backfill.ts'
export type { MissingDay, Wanted } from './auth/backfill-days.ts'
export type { BackfillOptions, BackfillReport, BackfillRequest } from './auth/backfill-options.ts'
export type { DaySpan } from './auth/day-spans.ts'
export type { EndpointName } from './auth/endpoints.ts'
export type { IntervalAnswersQuery } from './auth/interval-answers.ts'
export type { MeterInfo } from './auth/meter-info.ts'
export type { OnDemandRead } from './auth/on-demand.ts'
export type { DailyRead, MonthlyBill, ReadsQuery } from './auth/reads.ts'
export type { SmtRecord } from './auth/records.ts'
export type { Acknowledgement, IntervalReportRequest, ReportStatus } from './auth/reports.ts'
export { SmtClient, type SmtClientOptions, type WithSignal } from './auth/smt-client.ts'
export type { NewSubscription, Subscription, SubscriptionRequested } from './auth/subscriptions.ts'

// Where do files come from?
export { DirectorySource, type DirectorySourceOptions } from './source/directory-source.ts'
export type { DisposeOption } from './source/disposal.ts'
export type { NamePattern } from './source/name-filter.ts'
export type { KeyboardInteractive, LoginPrompt } from './source/sftp/login.ts'
export { SftpSource, type SftpSourceOptions } from './source/sftp-source.ts'
export type { Disposal, FileLabel, FilesOptions, IngestFile, PassedOver, Source, Transfer } from './source/source.ts'

// How are they opened?
export { AscDecryptor, type AscDecryptorOptions } from './decrypt/asc-decryptor.ts'
export {
  inspectMessage,
  type MessageInfo,
  type MessageRecipient,
  type PacketInfo
} from './decrypt/inspect-message.ts'
export type { MessageSignature, Opened } from './decrypt/opened.ts'
export type { Credential } from './options.ts'
export type { ArchiveLimits } from './unpack/archive-limits.ts'
export { type Entry, type ReadEntriesOptions, readEntries } from './unpack/read-entries.ts'

// How are they read?
export {
  type Direction,
  directions,
  type EntryLabel,
  type Interval,
  IntervalBatch,
  type IntervalColumns
} from './batch.ts'
export {
  type DateSpan,
  type EntryAccount,
  FileAccount,
  type Quality,
  type Repeats,
  type ReportCounts,
  type RowCounts,
  type RowReject
} from './parse/file-account.ts'
export type { EntryHandler, EntryHandlers, OtherEntry } from './parse/handlers.ts'
export { IntervalParser, type IntervalParserOptions } from './parse/interval-parser.ts'
export type { IntervalLayout } from './parse/layouts.ts'
export type { OtherKind } from './parse/reports/recognise.ts'
export {
  type DailyReadRow,
  type MonthlyBillRow,
  type ReportBatch,
  ReportBatchOf,
  type ReportKind,
  type ReportRows,
  reportKinds
} from './report-batch.ts'

// Where do they go, and what became of each?
export { explain } from './ledger/explain.ts'
export { FileLedger } from './ledger/file-ledger.ts'
export type { Claim, ClaimAnswer, ClaimOptions, Ledger, LedgerRecord, RecordQuery } from './ledger/ledger.ts'
export { replayUnhandled } from './ledger/replay-unhandled.ts'
export type {
  Evidence,
  LedgerFile,
  Reason,
  Receipt,
  ReportReceipt,
  ReportsStored,
  RowsStored,
  Stored
} from './ledger/receipt.ts'
export { type Closing, type Committed, Sink, type SinkTransaction } from './sink/sink.ts'
export { SinkStream } from './sink/sink-stream.ts'
export type { StoredDay, StoredDaysQuery } from './sink/stored-days.ts'

// Who joins the stages?
export { type FileStage, type IngestOptions, ingest } from './ingest.ts'
export { type WatchOptions, watch } from './watch.ts'

// What can go wrong?
export {
  AbortError,
  ApiError,
  type ApiErrorPlace,
  adviceFor,
  ConfigError,
  DecryptError,
  type ErrorCode,
  type ErrorPlace,
  errorCodes,
  findIngestError,
  IngestError,
  ParseError,
  type RowCode,
  SinkError,
  SourceError,
  UnpackError
} from './errors.ts'
