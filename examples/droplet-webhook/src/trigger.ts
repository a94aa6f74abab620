import type { FastifyPluginCallback } from 'fastify'
import * as z from 'zod'
import type { Runs } from './runs.ts'
import type { Secrets } from './secrets.ts'

/** Headers that carry the secret, the first one that is there counts. The last two are older names. */
const secretHeaders = ['x-intelliwatt-secret', 'x-proxy-secret', 'x-droplet-webhook-secret']

/** Reasons that bring in what the server has: one run takes every new file, whichever meter is named. */
const ingestReasons = [
  'smt_authorized',
  'admin_triggered',
  'admin_refresh',
  'user_refresh',
  'user_orchestrate',
  'auto_after_active_agreement'
] as const

/** Reasons that recompute what stands in the app’s own database: the app’s scripts do that, not this daemon. */
const appReasons = ['gapfill_compare', 'past_sim_recalc'] as const

const text = z.string().max(256).nullish()
const flag = z.boolean().nullish()

/** What the app sends. More may come along and is not looked at. */
const triggerBody = z.looseObject({
  reason: z.enum([...ingestReasons, 'smt_meter_info', ...appReasons]),
  // The app makes 17 digits of every ESIID. Runs do not need it: rows name their meter themselves.
  esiid: z
    .string()
    .trim()
    .regex(/^\d{1,22}$/, 'must be digits')
    .nullish(),
  forceRepost: flag,
  smtAuthorizationId: text,
  userId: text,
  houseId: text,
  houseAddressId: text,
  tdspCode: text,
  tdspName: text,
  monthsBack: z.union([z.number(), text]),
  includeInterval: flag,
  includeBilling: flag,
  authorizationStartDate: text,
  authorizationEndDate: text,
  ts: z.union([z.number(), text])
})

export type TriggerBody = z.output<typeof triggerBody>

/** What an answer is: its status, and its JSON. */
export interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

export interface TriggerOptions {
  readonly runs: Runs
  readonly secrets: Secrets
  /** Asks SMT about a meter. */
  readonly meterInfo: (body: TriggerBody) => Promise<Answer>
}

/** `POST /trigger/smt-now`, and `GET /runs/:id` to see what came of it. */
export const trigger: FastifyPluginCallback<TriggerOptions> = (app, { runs, secrets, meterInfo }, done) => {
  // After the count of requests and before the body is read: who has no secret is not listened to.
  app.addHook('preParsing', async (request, reply) => {
    const given = secretHeaders.map(name => request.headers[name]).find(value => value !== undefined && value !== '')
    if (!secrets.open(typeof given === 'string' ? given.trim() : undefined)) {
      return reply.code(401).send({ ok: false, error: 'unauthorized' })
    }
  })

  app.post('/trigger/smt-now', async (request, reply) => {
    const { status, body } = await answer(request.body)
    return reply.code(status).send(body)
  })

  app.get<{ Params: { id: string } }>('/runs/:id', async (request, reply) => {
    const run = runs.find(request.params.id)
    if (!run) return reply.code(404).send({ ok: false, error: 'not_found' })
    return reply.send({ ok: true, run })
  })

  async function answer(received: unknown): Promise<Answer> {
    if (!isObject(received)) return { status: 400, body: { ok: false, error: 'invalid_json' } }
    const { data, error } = triggerBody.safeParse(received)
    if (error) {
      const { path, message } = error.issues[0]!
      const name = path[0] === 'reason' ? 'unknown_reason' : 'invalid_request'
      return { status: 422, body: { ok: false, error: name, detail: `${path.join('.')}: ${message}` } }
    }
    switch (data.reason) {
      case 'smt_meter_info':
        return meterInfo(data)
      case 'gapfill_compare':
      case 'past_sim_recalc':
        return { status: 501, body: { ok: false, error: 'not_done_here', reason: data.reason } }
      default: {
        const { id, state } = runs.trigger({ reason: data.reason, retry: data.forceRepost === true })
        return { status: 202, body: { ok: true, reason: data.reason, runId: id, state, run: `/runs/${id}` } }
      }
    }
  }

  done()
}

/** Whether a body is a JSON object at all. */
export function isObject(body: unknown): body is Readonly<Record<string, unknown>> {
  return typeof body === 'object' && body !== null && !Array.isArray(body)
}
