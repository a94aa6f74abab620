import * as z from 'zod'
import { settle } from '../options.ts'
import type { Source } from '../source/source.ts'
import * as agreements from './agreements.ts'
import { Caller } from './caller.ts'
import { type EndpointName, endpoints } from './endpoints.ts'
import { IntervalAnswers, type IntervalAnswersQuery } from './interval-answers.ts'
import * as info from './meter-info.ts'
import * as onDemand from './on-demand.ts'
import * as reads from './reads.ts'
import * as reports from './reports.ts'
import { SmtAuth } from './smt-auth.ts'
import * as subscriptions from './subscriptions.ts'

export interface SmtClientOptions {
  /** Who logs in. It stays yours to close. */
  readonly auth: SmtAuth
  /** DUNS of the company, 9 or 13 digits. */
  readonly requesterAuthenticationId: string
  /**
   * Who asks. SMT refuses whoever is not the user of the token.
   * @default the user name of `auth`
   */
  readonly requestorId?: string | undefined
  /**
   * As what the company asks: `CSP` a third party, `REP` a retailer.
   * @default 'CSP'
   */
  readonly requesterType?: string | undefined
  /**
   * Paths other than the known ones, by the name of the call, should SMT spell one otherwise.
   * @default {}
   */
  readonly paths?: Partial<Readonly<Record<EndpointName, string>>> | undefined
  /** The clock, in epoch milliseconds. @default Date.now */
  readonly now?: (() => number) | undefined
}

const names = Object.keys(endpoints) as [EndpointName, ...EndpointName[]]

const schema = z.strictObject({
  auth: z.instanceof(SmtAuth, { message: 'must be an SmtAuth' }),
  requesterAuthenticationId: z.string().regex(/^\d{9}(\d{4})?$/, 'must be a DUNS number, 9 or 13 digits'),
  requestorId: z.string().min(1).optional(),
  requesterType: z.string().min(1).default('CSP'),
  paths: z
    .partialRecord(z.enum(names), z.string().regex(/^(\/[A-Za-z0-9]+)+\/$/, 'must be a path such as /v2/dailyreads/'))
    .default({}),
  now: z.custom<() => number>(value => typeof value === 'function', 'must be a function').default(() => Date.now)
})

/** Who may stop a call. */
export interface WithSignal {
  readonly signal?: AbortSignal | undefined
}

/**
 * SMT's calls, one method each: what is asked is checked before it is sent, what is answered before it is given. What SMT says
 * went wrong is thrown as an {@link ApiError}, also when it says so with HTTP 200.
 *
 * Each method says how sure it is that the call is as written here. Calls that make something or send a customer an e-mail
 * are never repeated: one that may have been done all the same fails with `API_UNCERTAIN`.
 */
export class SmtClient {
  readonly #auth: SmtAuth
  readonly #caller: Caller
  readonly #now: () => number

  constructor(options: SmtClientOptions) {
    const { auth, requestorId = auth.username, ...settings } = settle('SmtClient', schema, options)
    this.#auth = auth
    this.#now = settings.now
    this.#caller = new Caller({ ...settings, auth, requestorId })
  }

  /**
   * Has SMT write a report of 15-minute reads and put it on its SFTP server (or e-mail it). The file comes later.
   *
   * Certainty: high.
   */
  requestIntervalReport(options: reports.IntervalReportRequest): Promise<reports.Acknowledgement> {
    return reports.requestIntervalReport(this.#caller, options)
  }

  /**
   * The 15-minute reads as JSON, without the way over the SFTP server: a source whose files are SMT's answers, one for each
   * meter and span of days. Give it to `ingest` with an {@link IntervalParser}.
   *
   * Certainty: high for the call, medium for the answer's days of a clock change.
   */
  intervalAnswers(options: IntervalAnswersQuery): Source {
    return new IntervalAnswers(this.#caller, this.#auth, options, this.#now)
  }

  /**
   * What the register of a meter showed, day by day.
   *
   * Certainty: medium. The answer's form is certain, that the path begins with `/v2` is not.
   */
  dailyReads(options: reads.ReadsQuery): Promise<reads.DailyRead[]> {
    return reads.dailyReads(this.#caller, options)
  }

  /**
   * What was billed, month by month, in all its versions.
   *
   * Certainty: medium. The answer's form is certain; public programs differ in the path's capitals, see `paths`.
   */
  monthlyBilling(options: reads.ReadsQuery): Promise<reads.MonthlyBill[]> {
    return reads.monthlyBilling(this.#caller, options)
  }

  /**
   * What SMT knows of one meter: its number, its channels.
   *
   * Certainty: high.
   */
  meterInfo(options: { readonly esiid: string } & WithSignal): Promise<info.MeterInfo> {
    return info.meterInfo(this.#caller, options)
  }

  /**
   * The same of several meters: a CSV on the SFTP server, later.
   *
   * Certainty: high. The header of that file is not known.
   */
  requestMeterInfoReport(
    options: { readonly esiids: readonly string[] } & WithSignal
  ): Promise<reports.Acknowledgement> {
    return reports.requestMeterInfoReport(this.#caller, options)
  }

  /**
   * How far a report is.
   *
   * Certainty: high for the call. SMT's words are not all known: see {@link ReportStatus}.
   */
  reportStatus(
    options: { readonly correlationId: string; readonly serviceType?: string | undefined } & WithSignal
  ): Promise<reports.ReportStatus> {
    return reports.reportStatus(this.#caller, options)
  }

  /**
   * Has a meter read now. SMT takes one such request per meter in 30 minutes, and 3,000 per utility and day from all companies
   * together, so it is never repeated by itself.
   *
   * Certainty: medium. It is not certain that the path begins with `/v2`, see `paths`.
   */
  requestOnDemandRead(options: { readonly esiid: string } & WithSignal): Promise<reports.Acknowledgement> {
    return onDemand.requestOnDemandRead(this.#caller, options)
  }

  /**
   * What that reading gave, or that it is still awaited. Ask every 15 minutes at most.
   *
   * Certainty: medium, as for {@link SmtClient.requestOnDemandRead}.
   */
  onDemandReadStatus(options: { readonly correlationId: string } & WithSignal): Promise<onDemand.OnDemandRead> {
    return onDemand.onDemandReadStatus(this.#caller, options)
  }

  /**
   * Asks a customer for an agreement: SMT sends an e-mail, and there are no reads before it is accepted. Never repeated by
   * itself.
   *
   * Certainty: high. What SMT answers besides its status is not known.
   */
  newAgreement(options: agreements.NewAgreement): Promise<agreements.AgreementRequested> {
    return agreements.newAgreement(this.#caller, options)
  }

  /**
   * The company's agreements, or one of them. `statusReason` is SMT's code, such as `ACT`.
   *
   * Certainty: high for the call and `status`; the other fields are given as they come.
   */
  agreements(
    options: {
      readonly agreementNumber?: number | undefined
      readonly statusReason?: string | undefined
    } & WithSignal = {}
  ): Promise<agreements.Agreement[]> {
    return agreements.agreements(this.#caller, options)
  }

  /**
   * The meters of an agreement.
   *
   * Certainty: high for the call; some of SMT's records name no meter.
   */
  agreementEsiids(options: { readonly agreementNumber: number } & WithSignal): Promise<agreements.AgreementEsiids> {
    return agreements.agreementEsiids(this.#caller, options)
  }

  /**
   * Ends agreements. Never repeated by itself.
   *
   * Certainty: high.
   */
  terminateAgreements(
    options: {
      readonly agreements: readonly { readonly agreementNumber: number; readonly customerEmail: string }[]
    } & WithSignal
  ): Promise<void> {
    return agreements.terminateAgreements(this.#caller, options)
  }

  /**
   * Has SMT send reports from now on, of all meters of the company. That there is one already is an outcome, not an error. Never
   * repeated by itself.
   *
   * Certainty: high. What SMT answers besides its status is not known.
   */
  newSubscription(options: subscriptions.NewSubscription): Promise<subscriptions.SubscriptionRequested> {
    return subscriptions.newSubscription(this.#caller, options)
  }

  /**
   * The company's subscriptions.
   *
   * Certainty: high for the call; the records are given as they come.
   */
  subscriptions(options: WithSignal = {}): Promise<subscriptions.Subscription[]> {
    return subscriptions.subscriptions(this.#caller, options)
  }

  /**
   * Ends a subscription. Never repeated by itself.
   *
   * Certainty: high.
   */
  cancelSubscription(options: { readonly subscriptionNumber: string | number } & WithSignal): Promise<void> {
    return subscriptions.cancelSubscription(this.#caller, options)
  }
}
