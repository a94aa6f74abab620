import { dirname } from 'node:path'
import type { Dispatcher } from 'undici'
import * as z from 'zod'
import { FileLedger } from '../ledger/file-ledger.ts'
import type { Claim, Ledger } from '../ledger/ledger.ts'
import { type Credential, milliseconds, settle } from '../options.ts'
import type { IngestFile } from '../source/source.ts'
import { Poster } from './http/post.ts'
import { RawUploadTransaction } from './http/raw-upload.ts'
import { headerToken, webhookSecret } from './http/secret.ts'
import { SignedTransaction } from './http/signed.ts'
import { OpenedOnce } from './opened-once.ts'
import { Sink, type SinkTransaction } from './sink.ts'

/** What both ways of sending have in common. */
export interface HttpOptions {
  /** The receiver’s address: https, or http on this machine. Redirects are errors. */
  readonly url: string
  /** Path of the ledger, a journal in one file. Made when missing. */
  readonly ledger: string
  /**
   * Bytes of a body as sent, at most. Vercel takes none above 4.5 MB.
   * @default 4000000
   */
  readonly maxBytes?: number
  /**
   * Rows of a message, at most.
   * @default 10000, and 5000 for the profile `intelliwatt-raw-upload`
   */
  readonly maxRows?: number
  /**
   * Milliseconds for connecting.
   * @default 10000
   */
  readonly connectTimeoutMs?: number
  /**
   * Milliseconds of silence: until the answer begins, and between its pieces.
   * @default 120000
   */
  readonly answerTimeoutMs?: number
  /**
   * Milliseconds for one attempt as a whole.
   * @default 180000
   */
  readonly attemptTimeoutMs?: number
  /**
   * Milliseconds for one message with all its attempts, and the pauses that the receiver asks for.
   * @default 600000
   */
  readonly giveUpAfterMs?: number
  /**
   * How often a message is sent again that found nobody, or a receiver that failed or asked for patience.
   * @default 4
   */
  readonly retries?: number
  /**
   * Milliseconds before the first repetition; about twice as long each time.
   * @default 500
   */
  readonly retryPauseMs?: number
  /** A dispatcher of undici, for a proxy or certificates of your own. It stays yours; `connectTimeoutMs` is then its matter. */
  readonly dispatcher?: Dispatcher
}

/** For a receiver that is built on `/http/receive`, or speaks its protocol. */
export interface SignedHttpOptions extends HttpOptions {
  readonly profile?: undefined
  /** `whsec_…`, of 24 bytes or more: what the receiver has, too. A function is asked at each file. */
  readonly secret: Credential<string | undefined>
  /**
   * What parts are written in: NDJSON, or JSON.
   * @default 'ndjson'
   */
  readonly format?: 'ndjson' | 'json'
  /** @default 'gzip' */
  readonly compression?: 'gzip' | 'none'
  /** The clock that signs, in UTC epoch milliseconds. */
  readonly now?: () => number
}

/** For the route `/api/admin/smt/raw-upload` of IntelliWatt’s app. Read first what it does not keep: docs/sinks/http.md. */
export interface RawUploadOptions extends HttpOptions {
  readonly profile: 'intelliwatt-raw-upload'
  /** What stands in the header `x-admin-token`. A function is asked at each file. */
  readonly adminToken: Credential<string | undefined>
  /** @default 'adhocusage' */
  readonly source?: string
  /**
   * What the app calls every meter: SMT’s files do not name any.
   * @default 'M1'
   */
  readonly meter?: string
}

/** Where files are sent, and how. */
export type HttpSinkOptions = SignedHttpOptions | RawUploadOptions

const common = {
  url: z.string().transform((text, context) => {
    const url = URL.canParse(text) ? new URL(text) : undefined
    if (url && isSafe(url)) return url
    context.addIssue('must be an https address, or http on this machine, without a user in it')
    return z.NEVER
  }),
  ledger: z.string().min(1),
  connectTimeoutMs: milliseconds.default(10_000),
  answerTimeoutMs: milliseconds.default(120_000),
  attemptTimeoutMs: milliseconds.default(180_000),
  giveUpAfterMs: milliseconds.default(600_000),
  retries: z.number().int().min(0).default(4),
  retryPauseMs: milliseconds.default(500),
  dispatcher: z
    .custom<Dispatcher>(
      value => typeof (value as Dispatcher)?.dispatch === 'function',
      'must be a dispatcher of undici'
    )
    .optional()
}

const given = z.custom<() => string | undefined | Promise<string | undefined>>(value => typeof value === 'function')

const signedSchema = z.strictObject({
  ...common,
  profile: z.undefined().optional(),
  // What a row and what stands around it take is far below.
  maxBytes: z.number().int().min(4096).default(4_000_000),
  maxRows: z.number().int().positive().default(10_000),
  secret: z.union([webhookSecret, given], 'must be whsec_ and base64, 24 bytes or more, or a function that gives it'),
  format: z.enum(['ndjson', 'json']).default('ndjson'),
  compression: z.enum(['gzip', 'none']).default('gzip'),
  now: z.custom<() => number>(value => typeof value === 'function', 'must be a function').default(() => Date.now)
})

const rawUploadSchema = z.strictObject({
  ...common,
  profile: z.literal('intelliwatt-raw-upload'),
  // A day must fit: 100 rows, and a third more for base64.
  maxBytes: z.number().int().min(32_768).default(4_000_000),
  maxRows: z.number().int().min(100).default(5000),
  adminToken: z.union([headerToken, given], 'must be visible characters without blanks, or a function that gives them'),
  source: z.string().min(1).default('adhocusage'),
  meter: z.string().min(1).default('M1')
})

type Settled = z.output<typeof signedSchema> | z.output<typeof rawUploadSchema>

/**
 * Intervals over HTTPS, to a service of yours that stores them: docs/sinks/http.md has the protocol.
 *
 * A file is sent in parts while it is read, each signed as Standard Webhooks are, with an id that stays the same in every
 * attempt and every run. Nothing of it is to be seen before the commit, which comes once the file is proven and lists all
 * parts; so a repeated part or commit changes nothing, and a file half sent goes on where it was.
 *
 * In: the batches of one file. Out: signed parts, one commit, and a ledger beside them.
 * Memory: the text of two parts, and a hash for each part sent.
 */
export class HttpSink extends Sink {
  protected override readonly takesAnyLength: boolean
  readonly #options: Settled
  #stop = new AbortController()
  readonly #poster = new OpenedOnce(async () => {
    const { url, dispatcher, ...limits } = this.#options
    return new Poster(url, limits, dispatcher, () => this.#stop.signal)
  })

  constructor(options: HttpSinkOptions) {
    super()
    const schema = options?.profile === undefined ? signedSchema : rawUploadSchema
    this.#options = settle('HttpSink', schema, options)
    this.takesAnyLength = this.#options.profile === undefined
  }

  protected override openLedger(): Promise<Ledger> {
    return FileLedger.open(this.#options.ledger)
  }

  protected override async begin(file: IngestFile, claim: Claim): Promise<SinkTransaction> {
    const [options, poster] = [this.#options, await this.#poster.get()]
    if (options.profile === undefined) {
      const secret = await asked('secret', options.secret, webhookSecret)
      return SignedTransaction.begin(file, claim, poster, { ...options, secret })
    }
    const token = await asked('adminToken', options.adminToken, headerToken)
    const renew = async () => (await this.ledger()).renew(claim, 'staged')
    return new RawUploadTransaction(file, poster, { ...options, token, renew, folder: dirname(options.ledger) })
  }

  /** Ends what is under way, but for a commit that was sent: that one has an answer. */
  override async close(): Promise<void> {
    this.#stop.abort()
    this.#stop = new AbortController()
    await super.close()
    await this.#poster.close()
  }
}

/** A secret as it is used. What a function gives is looked at when it has given it. */
async function asked(
  name: string,
  credential: Credential<string | undefined>,
  schema: z.ZodType<string>
): Promise<string> {
  const value = typeof credential === 'function' ? await credential() : credential
  return settle('HttpSink', z.object({ [name]: schema }), { [name]: value })[name]!
}

/** Whether what is sent stays between the two: encrypted, or on this machine. */
function isSafe({ protocol, hostname, username, password }: URL): boolean {
  // Whoever is in an address is in logs; the secret has its own place.
  if (username !== '' || password !== '') return false
  return protocol === 'https:' || (protocol === 'http:' && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname))
}
