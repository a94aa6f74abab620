import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { makeEsiid } from '@intelliwatt/smt-ingest/testing'
import { describe, expect, test } from 'vitest'
import { type Answered, type Daemon, otherSecret, runDaemon, secret, startDaemon, surroundings } from './support.ts'

const json = { 'content-type': 'application/json' }

async function daemonWith(settings: Record<string, string> = {}) {
  const around = await surroundings()
  const daemon = await startDaemon({ ...around.env, ...settings }, around.folder)
  return { ...around, daemon }
}

/** Intervals by meter, once the daemon has ended. */
async function stored({ folder }: Daemon): Promise<Record<string, number>> {
  const instance = await DuckDBInstance.create(join(folder, 'smt.duckdb'), { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  const rows = await connection.runAndReadAll('SELECT esiid, count(*)::INTEGER AS n FROM intervals GROUP BY esiid')
  connection.closeSync()
  instance.closeSync()
  return Object.fromEntries(rows.getRowObjects().map(({ esiid, n }) => [esiid, n])) as Record<string, number>
}

async function ended(daemon: Daemon, answered: Answered) {
  const { json } = await daemon.ended(answered.json.runId)
  return json.run
}

describe('POST /trigger/smt-now', () => {
  test('brings in what the server has, and the run tells what became of each file, without an ESIID in full', async () => {
    const { daemon, deliver, put } = await daemonWith()
    await deliver(1, '2025-07-14', `IntervalMeterUsage${makeEsiid(1)}`)
    await deliver(2, '2025-11-02')
    put('/adhocusage/broken.CSV.asc', '<html>')
    const answered = await daemon.trigger({ reason: 'admin_triggered', esiid: makeEsiid(1), ts: Date.now() })
    expect(answered).toMatchObject({
      status: 202,
      json: { ok: true, reason: 'admin_triggered', runId: expect.stringMatching(/^[\da-f-]{36}$/), state: 'running' }
    })
    const run = await ended(daemon, answered)
    expect(run).toMatchObject({
      state: 'done',
      reasons: ['admin_triggered'],
      files: { committed: 2, quarantined: 1 },
      intervals: 196,
      rejected: 0,
      error: null
    })
    expect(run.receipts).toContainEqual({
      path: '/adhocusage/broken.CSV.asc',
      state: 'quarantined',
      intervals: 0,
      code: 'PARSE_HTML'
    })
    expect(JSON.stringify(run)).not.toContain(makeEsiid(1))
    expect(JSON.stringify(run)).toContain(`IntervalMeterUsage…${makeEsiid(1).slice(-4)}`)
    daemon.signal('SIGTERM')
    expect(await daemon.exit).toBe(0)
    expect(await stored(daemon)).toEqual({ [makeEsiid(1)]: 96, [makeEsiid(2)]: 100 })
  })

  test('misses no file: who asks while a run is under way gets the next one, all of them the same', async () => {
    const { daemon, deliver } = await daemonWith()
    await deliver(1)
    const first = await daemon.trigger({ reason: 'user_refresh' })
    // Somebody else’s file comes when the run may have looked already.
    await deliver(2)
    const others = await Promise.all(
      ['user_refresh', 'admin_refresh', 'smt_authorized'].map(reason => daemon.trigger({ reason }))
    )
    const ids = new Set(others.map(({ json }) => json.runId))
    expect([ids.size, ids.has(first.json.runId), others[0]!.json.state]).toEqual([1, false, 'queued'])
    const run = await ended(daemon, others[0]!)
    expect(run).toMatchObject({ triggers: 3, state: 'done' })
    expect(run.reasons.toSorted()).toEqual(['admin_refresh', 'smt_authorized', 'user_refresh'])
    const before = await ended(daemon, first)
    expect((before.files.committed ?? 0) + (run.files.committed ?? 0)).toBe(2)
  })

  test('knows every reason that the app sends, and its keys, and lets others come along', async () => {
    const { daemon } = await daemonWith()
    const body = {
      esiid: '10443720009999001',
      forceRepost: false,
      smtAuthorizationId: 'a',
      userId: 'u',
      houseId: null,
      houseAddressId: 'h',
      tdspCode: 'ONCOR',
      tdspName: null,
      monthsBack: 12,
      includeInterval: true,
      includeBilling: null,
      authorizationStartDate: '2025-07-14T00:00:00.000Z',
      authorizationEndDate: null,
      ts: '2025-07-14T00:00:00.000Z',
      windowFrom: 'x'
    }
    const reasons = ['smt_authorized', 'admin_triggered', 'admin_refresh', 'user_refresh', 'user_orchestrate']
    for (const reason of [...reasons, 'auto_after_active_agreement']) {
      expect((await daemon.trigger({ ...body, reason })).status).toBe(202)
    }
    for (const reason of ['gapfill_compare', 'past_sim_recalc']) {
      const { status, json } = await daemon.trigger({ ...body, reason })
      expect([status, json]).toEqual([501, { ok: false, error: 'not_done_here', reason }])
    }
  })

  test.each([
    ['an unknown reason', { reason: 'webhook_smoke' }, 422, 'unknown_reason'],
    ['no reason', { esiid: '10443720009999001' }, 422, 'unknown_reason'],
    ['an ESIID that is a command', { reason: 'user_refresh', esiid: '$(touch pwned)' }, 422, 'invalid_request'],
    ['an ESIID that is a number', '{"reason":"user_refresh","esiid":10443720009999001}', 422, 'invalid_request'],
    ['text for a flag', { reason: 'user_refresh', forceRepost: 'yes' }, 422, 'invalid_request'],
    ['a list', ['user_refresh'], 400, 'invalid_json'],
    ['half of an object', '{"reason":"user_refresh"', 400, 'invalid_json'],
    ['a key that would change every object', '{"__proto__":{"x":1},"reason":"user_refresh"}', 400, 'invalid_json'],
    ['nothing', '', 400, 'invalid_json']
  ])('refuses %s, and starts nothing', async (_, body, status, error) => {
    const { daemon } = await daemonWith()
    const answered = await daemon.trigger(body)
    expect([answered.status, answered.json.ok, answered.json.error]).toEqual([status, false, error])
    expect(daemon.said()).not.toContain('"runId"')
  })

  test('forceRepost takes files again that were set aside', async () => {
    const { daemon, put, deliver } = await daemonWith()
    put('/adhocusage/page.CSV', '<html>')
    await deliver(1)
    expect((await ended(daemon, await daemon.trigger({ reason: 'admin_refresh' }))).files).toMatchObject({
      quarantined: 1
    })
    const quiet = await ended(daemon, await daemon.trigger({ reason: 'admin_refresh' }))
    expect(quiet.files).toEqual({ known: 2 })
    const again = await ended(daemon, await daemon.trigger({ reason: 'admin_refresh', forceRepost: true }))
    expect(again.files).toEqual({ known: 1, quarantined: 1 })
  })

  test('a server that is gone fails the run by name, and the daemon stays up', async () => {
    const { daemon, server } = await daemonWith()
    await server.close()
    const run = await ended(daemon, await daemon.trigger({ reason: 'admin_refresh' }))
    expect(run).toMatchObject({ state: 'failed', error: { code: expect.stringMatching(/^SFTP_/), retryable: true } })
    expect((await daemon.ask('/health')).text).toBe('ok')
  })
})

describe('the secret', () => {
  const trigger = (headers: Record<string, string>) => ({
    method: 'POST',
    headers: { ...json, ...headers },
    body: '{"reason":"user_refresh"}'
  })
  const unauthorized = [401, '{"ok":false,"error":"unauthorized"}']

  test('opens by any of three headers, with either of two values', async () => {
    const { daemon } = await daemonWith()
    for (const header of ['x-intelliwatt-secret', 'x-proxy-secret', 'x-droplet-webhook-secret']) {
      for (const value of [secret, otherSecret]) {
        expect((await daemon.ask('/trigger/smt-now', trigger({ [header]: value }))).status).toBe(202)
      }
    }
  })

  test('that is wrong, missing or sent twice opens nothing, and the daemon stays up', async () => {
    const { daemon } = await daemonWith()
    const wrong: Record<string, string>[] = [
      {},
      { 'x-intelliwatt-secret': '' },
      { 'x-intelliwatt-secret': `${secret}x` },
      { 'x-intelliwatt-secret': secret.slice(0, -1) },
      { authorization: `Bearer ${secret}` },
      // The first header that is there counts, as before.
      { 'x-intelliwatt-secret': 'wrong', 'x-proxy-secret': secret }
    ]
    for (const headers of wrong) {
      const { status, text } = await daemon.ask('/trigger/smt-now', trigger(headers))
      expect([status, text]).toEqual(unauthorized)
    }
    const twice = new Headers([...Object.entries(json), ['x-intelliwatt-secret', secret]])
    twice.append('x-intelliwatt-secret', secret)
    const { status, text } = await daemon.ask('/trigger/smt-now', { ...trigger({}), headers: twice })
    expect([status, text]).toEqual(unauthorized)
    expect((await daemon.ask('/runs/00000000-0000-0000-0000-000000000000')).status).toBe(401)
    expect((await daemon.ask('/health')).text).toBe('ok')
  })

  test.each([
    ['without one', { INTELLIWATT_WEBHOOK_SECRET: '', DROPLET_WEBHOOK_SECRET: ' ' }, 'INTELLIWATT_WEBHOOK_SECRET'],
    ['with a port that is none', { PORT: '87x7' }, 'PORT'],
    ['without a store', { SMT_STORE: '' }, 'SMT_STORE'],
    ['with a key that is not there', { SMT_KEY: '/nowhere' }, 'SMT_KEY']
  ])('the daemon does not start %s: code 2, and the setting is named', async (_, settings, name) => {
    const { env, folder } = await surroundings()
    const child = runDaemon({ ...env, ...settings } as Record<string, string>, folder)
    expect(await child.exit).toBe(2)
    expect(child.said()).toContain(name)
    expect(child.said()).not.toContain(secret)
  })
})

describe('SIGTERM', () => {
  test('lets the file under way finish, begins no other, and ends with code 0', async () => {
    const { daemon, deliver, server } = await daemonWith()
    const first = await deliver(1)
    await deliver(2)
    server.faults.onRequest = ({ name, path }) => {
      // Once: a second one ends the daemon at once.
      if (name === 'OPEN' && path === first) daemon.signal('SIGTERM')
    }
    await daemon.trigger({ reason: 'admin_refresh' })
    expect(await daemon.exit).toBe(0)
    expect(await stored(daemon)).toEqual({ [makeEsiid(1)]: 96 })
  })

  test('gives back what does not end within the grace time, and the next daemon takes it', async () => {
    const { daemon, deliver, server, env, folder } = await daemonWith({ SMT_GRACE_SECONDS: '1' })
    const path = await deliver(1)
    server.faults.onRequest = request => {
      if (request.name !== 'OPEN' || request.path !== path) return undefined
      daemon.signal('SIGTERM')
      return 'hang'
    }
    await daemon.trigger({ reason: 'admin_refresh' })
    expect(await daemon.exit).toBe(0)
    server.faults.onRequest = undefined
    const next = await startDaemon(env, folder)
    const run = await ended(next, await next.trigger({ reason: 'admin_refresh' }))
    next.signal('SIGTERM')
    await next.exit
    expect(run.state).toBe('done')
    expect(await stored(next)).toEqual({ [makeEsiid(1)]: 96 })
  })
})

describe('a store that one process holds', () => {
  test('is filled by the daemon without any trigger, from its start on', async () => {
    const around = await surroundings()
    await around.deliver(1)
    const daemon = await startDaemon({ ...around.env, SMT_WATCH_SECONDS: '1' }, around.folder)
    await daemon.heard(/"reasons":\["watch"\],"files":\{"committed":1\}/)
    await around.deliver(2)
    await daemon.heard(/"files":\{"known":1,"committed":1\}|"files":\{"committed":1,"known":1\}/)
    daemon.signal('SIGTERM')
    expect(await daemon.exit).toBe(0)
    expect(await stored(daemon)).toEqual({ [makeEsiid(1)]: 96, [makeEsiid(2)]: 96 })
  })
})
