import { ConfigError } from '@intelliwatt/smt-ingest'
import { isLoopback } from './settings.ts'

/** What the app is told about a meter: the keys that its route reads. */
export interface MeterReport {
  readonly esiid: string
  readonly houseId: string | null
  readonly status: 'complete' | 'pending' | 'error'
  readonly meterNumber?: string | null
  readonly meterData?: object
  readonly rawPayload?: object
  readonly errorMessage?: string
}

export interface AppLinkOptions {
  /** Where the app is. */
  readonly baseUrl: string
  readonly secret: string
  readonly adminToken: string | undefined
}

const TIMEOUT_MS = 15_000

/** The two routes of the app that the daemon calls: one to hand over what SMT says of a meter, one to ask for it. */
export class AppLink {
  readonly #options: AppLinkOptions

  constructor(options: AppLinkOptions) {
    const { protocol, hostname } = new URL(options.baseUrl)
    if (protocol !== 'https:' && !(protocol === 'http:' && isLoopback(hostname))) {
      throw new ConfigError('CONFIG_INVALID', 'APP_BASE_URL is wrong: must begin with https://, since secrets go there')
    }
    this.#options = options
  }

  /** Hands over what SMT says of a meter. Tells whether the app took it. */
  async reportMeter(report: MeterReport): Promise<boolean> {
    const headers = { 'content-type': 'application/json', 'x-intelliwatt-secret': this.#options.secret }
    const body = JSON.stringify(report)
    const answer = await this.#ask('/api/admin/smt/meter-info', { method: 'POST', headers, body })
    await answer?.body?.cancel()
    return answer?.ok === true
  }

  /** The number of a meter, if the app knows it. */
  async meterNumber(esiid: string): Promise<string | undefined> {
    const { secret, adminToken } = this.#options
    const headers = { 'x-intelliwatt-secret': secret, ...(adminToken && { 'x-admin-token': adminToken }) }
    const path = `/api/admin/smt/meter-info/latest?esiid=${encodeURIComponent(esiid)}`
    const answer = await this.#ask(path, { headers })
    const said: unknown = answer?.ok ? await answer.json().catch(() => undefined) : await answer?.body?.cancel()
    const number = (said as { meterInfo?: { meterNumber?: unknown } } | undefined)?.meterInfo?.meterNumber
    return typeof number === 'string' && number.trim() !== '' ? number.trim() : undefined
  }

  /** The answer, or nothing when none came. Nobody waits for the app longer than he must. */
  #ask(path: string, request: RequestInit): Promise<Response | undefined> {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    const url = new URL(path, this.#options.baseUrl)
    return fetch(url, { ...request, signal, redirect: 'error' }).catch(() => undefined)
  }
}

/** The app that the environment names, if it does. */
export function appFromEnv(env: NodeJS.ProcessEnv): AppLink | undefined {
  const named = [env.APP_BASE_URL, env.INTELLIWATT_APP_BASE_URL, env.INTELLIWATT_BASE_URL, env.VERCEL_URL]
  const address = named.map(name => name?.trim()).find(Boolean)
  const secret = [env.DROPLET_WEBHOOK_SECRET, env.INTELLIWATT_WEBHOOK_SECRET].map(it => it?.trim()).find(Boolean)
  if (address === undefined || secret === undefined) return undefined
  const baseUrl = /^https?:\/\//.test(address) ? address : `https://${address}`
  if (!URL.canParse(baseUrl)) throw new ConfigError('CONFIG_INVALID', 'APP_BASE_URL is wrong: no URL')
  return new AppLink({ baseUrl, secret, adminToken: env.ADMIN_TOKEN?.trim() || undefined })
}
