import rateLimit from '@fastify/rate-limit'
import type { EnvStages, SmtAuth } from '@intelliwatt/smt-ingest'
import Fastify, { type FastifyError, type FastifyInstance, type FastifyServerOptions } from 'fastify'
import { meterInfo } from './meter-info.ts'
import { type ProxyOptions, proxy } from './proxy.ts'
import { ReadinessCheck } from './readiness.ts'
import { Runs, watching } from './runs.ts'
import { Secrets } from './secrets.ts'
import { type TriggerBody, trigger } from './trigger.ts'

export interface ServerOptions extends Omit<ProxyOptions, 'tokens'> {
  /** From where to where. The server closes them. */
  readonly stages: EnvStages
  /** Without one of them nobody may trigger anything. */
  readonly secrets: readonly string[]
  /** Who logs in for `smt`. The server closes it. */
  readonly auth: SmtAuth | undefined
  /** Without one nobody may call SMT. */
  readonly proxyToken: string | undefined
  /** From one look at the source to the next, where no other process may have the store; 0 for never. */
  readonly watchEveryMs: number
  /** How long what is under way may take once the server is closed. */
  readonly graceMs: number
  readonly logger?: FastifyServerOptions['logger']
  /** Milliseconds in which a whole request must have come. @default 10000 */
  readonly requestTimeoutMs?: number
  /** Requests of one client in a minute. @default 120 */
  readonly requestsPerMinute?: number
}

/** Bytes of a request’s body. The largest that the app sends has about 2 KB. */
const MOST_BYTES = 64 * 1024

/** How many requests somebody has left is told to nobody; only to who has none left, when to come again. */
const quiet = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false }

/** The server with every path and limit, not yet listening. Closing it ends the runs and closes the stages. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const { stages, secrets, proxyToken = '', graceMs, watchEveryMs, requestsPerMinute = 120, ...calls } = options
  const app = makeServer(options)
  const runs = new Runs({ ...stages, graceMs, log: app.log })
  const readiness = new ReadinessCheck({ ...stages, listedAt: () => runs.listedAt })
  if (stages.store !== 'postgres' && watchEveryMs > 0) watch(app, runs, watchEveryMs)
  closeInOrder(app, runs, options)

  await app.register(rateLimit, {
    max: requestsPerMinute,
    timeWindow: 60_000,
    addHeaders: quiet,
    addHeadersOnExceeding: quiet,
    errorResponseBuilder: () => ({ statusCode: 429, code: 'RATE_LIMITED' })
  })
  for (const path of ['/', '/health', '/healthz']) app.get(path, (_, reply) => reply.type('text/plain').send('ok'))
  app.get('/readyz', async (_, reply) => {
    const readable = await readiness.check()
    return reply.code(readable.ok ? 200 : 503).send(readable)
  })
  const askMeter = (body: TriggerBody) => meterInfo(body, { ...calls, log: app.log })
  await app.register(trigger, { runs, secrets: new Secrets(secrets), meterInfo: askMeter })
  await app.register(proxy, { ...calls, tokens: new Secrets([proxyToken]) })
  return app
}

function makeServer({ logger = false, requestTimeoutMs = 10_000 }: ServerOptions): FastifyInstance {
  const app = Fastify({
    logger,
    bodyLimit: MOST_BYTES,
    requestTimeout: requestTimeoutMs,
    keepAliveTimeout: 5_000,
    // Who sends byte after byte is found out soon after the time is up.
    http: { headersTimeout: requestTimeoutMs, connectionsCheckingInterval: Math.min(1_000, requestTimeoutMs / 4) },
    // A proxy on this machine says whose request it passes on; nobody else is believed.
    trustProxy: 'loopback',
    forceCloseConnections: 'idle'
  })
  app.server.maxConnections = 256
  readJson(app)
  app.setErrorHandler<FastifyError>((error, request, reply) => {
    const [status, name] = outcomeOf(error)
    if (status >= 500) request.log.error({ err: error }, 'request failed')
    return reply.code(status).send({ ok: false, error: name })
  })
  app.setNotFoundHandler((_, reply) => reply.code(404).send({ ok: false, error: 'not_found' }))
  return app
}

/** Bodies are JSON, whatever they are called: `curl -d` names a form. No body is none; the routes say if that will do. */
function readJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error')
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined)
    else parse(request, body as string, done)
  })
}

/** What an error is answered with. Only names that are known leave the house. */
function outcomeOf({ code, statusCode = 500 }: FastifyError): readonly [status: number, name: string] {
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return [413, 'body_too_large']
  if (code === 'RATE_LIMITED') return [429, 'rate_limited']
  if (statusCode === 400) return [400, 'invalid_json']
  if (statusCode < 500) return [statusCode, 'bad_request']
  return [500, `webhook error: ${code ?? 'UNEXPECTED'}`]
}

/** Runs and calls of SMT that are under way get their time to end; then everything is closed. */
function closeInOrder(app: FastifyInstance, runs: Runs, { stages, auth, graceMs }: ServerOptions): void {
  let stopped: Promise<void> | undefined
  let cut: NodeJS.Timeout | undefined
  app.addHook('preClose', async () => {
    stopped = runs.stop()
    cut = setTimeout(() => void auth?.close(), graceMs)
  })
  // Called once every request that was under way has its answer.
  app.addHook('onClose', async () => {
    await stopped
    clearTimeout(cut)
    await Promise.all([stages.source, stages.decryptor, stages.sink, auth].map(opened => opened?.close()))
  })
}

/** Asks for a run again and again, from when the server listens until it is closed. */
function watch(app: FastifyInstance, runs: Runs, everyMs: number): void {
  let timer: NodeJS.Timeout | undefined
  const look = () => runs.trigger({ reason: watching })
  app.addHook('onListen', async () => {
    look()
    timer = setInterval(look, everyMs)
  })
  app.addHook('preClose', async () => clearInterval(timer))
}
