import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import {
  AscDecryptor,
  type BackfillOptions,
  type BackfillReport,
  type BackfillRequest,
  backfill,
  IntervalParser,
  SftpSource,
  type Sink,
  SmtAuth,
  SmtClient
} from '../../src/index.ts'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { NdjsonSink } from '../../src/sink/ndjson.ts'
import { PostgresSink } from '../../src/sink/postgres.ts'
import {
  addDays,
  type DaysOf,
  FakeSftpServer,
  FakeSmt,
  makeEsiid,
  makeMeterDay,
  makePgpKey,
  missingReading,
  type PgpKey,
  reissueMeterDay,
  type SmtRecordsOptions,
  serveSmtRecords,
  totalsOf
} from '../../src/testing/index.ts'
import { failureOf } from '../support/failure.ts'
import { queryPostgres, schemaFor, usePostgres } from '../support/postgres.ts'
import { scratchFolder } from '../support/scratch.ts'

const [home, solarHome, longHome] = [makeEsiid(1), makeEsiid(2), makeEsiid(3, 22)]
const meters = [{ esiid: home }, { esiid: solarHome, solar: true }, { esiid: longHome }]
const esiids = meters.map(({ esiid }) => esiid)
const pgp: Promise<PgpKey> = makePgpKey()
const span = { from: '2025-11-01', to: '2025-11-03' }

/** SMT and everything between it and a sink, all on this machine. */
async function stand(records: Partial<SmtRecordsOptions> = {}, sink: Sink = memory()) {
  const { publicKey, privateKey } = await pgp
  const sftp = await FakeSftpServer.start()
  const smt = await FakeSmt.start()
  const auth = new SmtAuth({ baseUrl: smt.baseUrl, ...smt.login, retries: 0 })
  const desk = serveSmtRecords(smt, { meters, sftp, publicKey, ...records })
  // SMT's folder is never empty for long: a server without the folder is a wrong setting.
  sftp.files.set('/adhocusage/ReadMe.txt', { content: Buffer.from('nothing\n'), modifiedAt: 0 })
  const { host, port, login, fingerprint: hostKey } = sftp
  const options: BackfillOptions = {
    client: new SmtClient({ auth, requesterAuthenticationId: smt.duns }),
    esiids,
    ...span,
    source: new SftpSource({ host, port, ...login, hostKey, directories: ['/adhocusage'], settleMs: 0 }),
    decryptor: new AscDecryptor({ privateKey }),
    parser: new IntervalParser(),
    sink,
    pollMs: 20,
    deadlineMs: 20_000
  }
  return {
    smt,
    sftp,
    desk,
    options,
    run: (more: Partial<BackfillOptions> = {}) => backfill({ ...options, ...more }),
    async [Symbol.asyncDispose]() {
      await sink.close()
      await auth.close()
      await smt.close()
      await sftp.close()
    }
  }
}

const memory = () => new DuckDbSink({ path: join(scratchFolder(), 'smt.duckdb') })
const reportsAsked = ({ requests }: FakeSmt) => requests.filter(({ path }) => path === '/v2/15minintervalreads/')
/** What became of the files, but for the one that was there before. */
const filesOf = ({ receipts }: BackfillReport) => receipts.filter(({ name }) => name !== 'ReadMe.txt')
const shown = ({ missing }: BackfillReport) =>
  missing.map(({ esiid, direction, date, expected, stored }) => [esiid, direction, date, expected, stored])

describe('from the login to the rows', () => {
  const postgres = usePostgres()

  test.each(['days', 'rows'] as const)(
    'token, request, file on the SFTP server, rows in PostgreSQL (%s): every value as SMT made it',
    async layout => {
      const schema = schemaFor(scratchFolder() + layout)
      const sink = new PostgresSink({ connectionString: postgres.connectionString, schema, layout })
      // Two versions of one day: the later one has the winning readings.
      const days: DaysOf = ({ esiid, solar }, date) => {
        const day = makeMeterDay({ esiid, date, solar, estimated: true })
        return date === '2025-11-01' ? [day, reissueMeterDay(day, '2025-11-05 06:41:12')] : [day]
      }
      await using stood = await stand({ days }, sink)
      const report = await stood.run()
      expect(report).toMatchObject({ outcome: 'complete', missing: [], basis: 'store', refused: [] })
      expect(stood.smt.count('/v2/token/')).toBe(1)
      expect(filesOf(report).map(({ state }) => state)).toEqual(['committed', 'committed', 'committed'])

      // What must be there, from what the reports were made of: the last version of every day.
      const made = stood.desk.reports.flatMap(({ meterDays }) => meterDays)
      const last = new Map(made.map(day => [`${day.esiid} ${day.date}`, day]))
      const { intervals, milliKwh, estimated, zeros } = totalsOf(last.values())
      const [row] = await queryPostgres(
        postgres.connectionString,
        `SELECT count(*) FILTER (WHERE direction = 'consumption')::int AS consumption,
           count(*) FILTER (WHERE direction = 'surplus-generation')::int AS surplus,
           sum(kwh) FILTER (WHERE direction = 'consumption') * 1000 AS consumed,
           sum(kwh) FILTER (WHERE direction = 'surplus-generation') * 1000 AS given,
           count(*) FILTER (WHERE estimated)::int AS estimated,
           count(*) FILTER (WHERE kwh = 0)::int AS zeros, count(DISTINCT esiid)::int AS meters
         FROM "${schema}".intervals`
      )
      expect({ ...row, consumed: Number(row!.consumed), given: Number(row!.given) }).toEqual({
        consumption: intervals.consumption,
        surplus: intervals['surplus-generation'],
        consumed: milliKwh.consumption,
        given: milliKwh['surplus-generation'],
        estimated,
        zeros,
        meters: 3
      })
      // And one by one.
      const stored = await queryPostgres(
        postgres.connectionString,
        `SELECT esiid, (extract(epoch FROM start) * 1000)::float8 AS start, (kwh * 1000)::float8 AS milli, estimated
         FROM "${schema}".intervals WHERE direction = 'consumption' ORDER BY esiid, start`
      )
      const expected = [...last.values()]
        .flatMap(day => [...quartersOf(day)])
        .sort((a, b) => (a.esiid < b.esiid ? -1 : a.esiid > b.esiid ? 1 : a.start - b.start))
      expect(stored).toEqual(expected)
      expect(stored.filter(({ esiid }) => esiid === home)).toHaveLength(96 + 100 + 96)

      const again = await stood.run()
      expect(again).toMatchObject({ outcome: 'complete', requests: [], receipts: [] })
      expect(reportsAsked(stood.smt)).toHaveLength(3)
    }
  )
})

/** The consumption of a meter-day, by the clock of Intl alone. */
function* quartersOf({ esiid, date, series }: ReturnType<typeof makeMeterDay>) {
  const { milliKwh, estimated } = series.find(({ direction }) => direction === 'consumption')!
  const first = [5, 6].map(hours => Date.parse(`${date}T0${hours}:00Z`)).find(at => clock(at) === '00:00')!
  for (const [i, milli] of milliKwh.entries()) {
    yield { esiid, start: first + i * 900_000, milli, estimated: estimated[i] === 1 }
  }
}
const clock = (at: number) =>
  new Date(at).toLocaleTimeString('en-GB', { timeZone: 'America/Chicago', hour: '2-digit', minute: '2-digit' })

describe('what is asked for', () => {
  test('is both series in all versions, meter by meter, as CSV over SFTP', async () => {
    await using stood = await stand()
    await stood.run()
    const bodies = reportsAsked(stood.smt).map(({ text }) => JSON.parse(text))
    expect(bodies).toMatchObject(
      esiids.map(esiid => ({
        esiid: [esiid],
        startDate: '11/01/2025',
        endDate: '11/03/2025',
        deliveryMode: 'FTP',
        reportFormat: 'CSV',
        version: 'A',
        readingType: 'A'
      }))
    )
  })

  test('is split into spans and groups of meters', async () => {
    await using stood = await stand()
    const report = await stood.run({ from: '2025-06-01', to: '2025-06-10', daysPerRequest: 4, metersPerRequest: 2 })
    expect(report.outcome).toBe('complete')
    expect(report.requests.map(({ esiids, from, to }) => [esiids.length, from, to])).toEqual([
      [2, '2025-06-01', '2025-06-04'],
      [1, '2025-06-01', '2025-06-04'],
      [2, '2025-06-05', '2025-06-08'],
      [1, '2025-06-05', '2025-06-08'],
      [2, '2025-06-09', '2025-06-10'],
      [1, '2025-06-09', '2025-06-10']
    ])
  })

  test('is no more than what is missing, once the store has the rest', async () => {
    let isBack = false
    const days: DaysOf = ({ esiid }, date) => (date === '2025-11-02' && !isBack ? [] : [makeMeterDay({ esiid, date })])
    await using stood = await stand({ days })
    const first = await stood.run({ esiids: [home], quietPolls: 1 })
    expect(first.outcome).toBe('incomplete')
    expect(shown(first)).toEqual([[home, 'consumption', '2025-11-02', 100, 0]])
    isBack = true
    const second = await stood.run({ esiids: [home] })
    expect(second).toMatchObject({ outcome: 'complete', requests: [{ from: '2025-11-02', to: '2025-11-02' }] })
  })

  test('is nothing that lies at the source already', async () => {
    await using stood = await stand()
    await stood.options.client.requestIntervalReport({ esiids, ...span })
    await stood.desk.deliver()
    expect(await stood.run()).toMatchObject({ outcome: 'complete', requests: [] })
    expect(reportsAsked(stood.smt)).toHaveLength(1)
  })
})

describe('what is missing', () => {
  test('is said by meter, direction and local day: 96 of 100 quarter hours are not all', async () => {
    const days: DaysOf = ({ esiid, solar }, date) => {
      const day = makeMeterDay({ esiid, date, solar })
      if (date === '2025-11-02') day.series.at(-1)!.milliKwh.fill(missingReading, 8, 12)
      return [day]
    }
    await using stood = await stand({ days })
    const report = await stood.run({ quietPolls: 1 })
    expect(report.outcome).toBe('incomplete')
    expect(shown(report)).toEqual([
      [home, 'consumption', '2025-11-02', 100, 96],
      [solarHome, 'surplus-generation', '2025-11-02', 100, 96],
      [longHome, 'consumption', '2025-11-02', 100, 96]
    ])
  })

  test('is not surplus generation of a home that has none, nor of days before it had some', async () => {
    const days: DaysOf = ({ esiid, solar }, date) => [
      makeMeterDay({ esiid, date, solar: solar && date > '2025-11-01' })
    ]
    await using stood = await stand({ days })
    expect(await stood.run()).toMatchObject({ outcome: 'complete', missing: [] })
  })

  test('is the whole span of a meter without an agreement, and the others come in', async () => {
    await using stood = await stand({ meters: [{ esiid: home }, { esiid: solarHome, agreed: false }] })
    const report = await stood.run({ esiids: [home, solarHome], quietPolls: 0 })
    expect(report.outcome).toBe('incomplete')
    expect(shown(report).map(([esiid, , date]) => [esiid, date])).toEqual(
      [0, 1, 2].map(i => [solarHome, addDays(span.from, i)])
    )
    expect(report.refused).toMatchObject([{ esiids: [solarHome], ...span, reason: { code: 'API_UNAUTHORIZED' } }])
    expect(JSON.stringify(report.refused[0]!.reason)).not.toContain(solarHome)
  })

  test('of a report that never comes, the deadline says it', async () => {
    await using stood = await stand({ deliverAfterMs: undefined })
    const report = await stood.run({ esiids: [home], deadlineMs: 300 })
    expect(report).toMatchObject({ outcome: 'deadline', requests: [{ status: 'pending' }] })
    expect(report.missing).toHaveLength(3)
  })

  test('of a report that failed, it says so at once', async () => {
    await using stood = await stand({ deliverAfterMs: undefined })
    const report = await stood.run({
      esiids: [home],
      onRequest: () => {
        stood.desk.reports[0]!.status = 'Failed'
      }
    })
    expect(report).toMatchObject({ outcome: 'incomplete', requests: [{ status: 'failed' }] })
  })
})

describe('on the way', () => {
  test('a run that was stopped goes on with its requests, and sends none again', async () => {
    await using stood = await stand({ deliverAfterMs: undefined })
    const stop = new AbortController()
    const requests: BackfillRequest[] = []
    const failure = await failureOf(
      stood.run({
        signal: stop.signal,
        onRequest: request => {
          requests.push(request)
          if (requests.length === 3) setTimeout(() => stop.abort(), 50)
        }
      })
    )
    expect(failure).toMatchObject({ name: 'AbortError', code: 'ABORTED' })
    expect(requests).toHaveLength(3)
    const kept = JSON.parse(JSON.stringify(requests)) as BackfillRequest[]
    setTimeout(() => void stood.desk.deliver(), 50)
    expect(await stood.run({ requests: kept })).toMatchObject({ outcome: 'complete', missing: [] })
    expect(reportsAsked(stood.smt)).toHaveLength(3)
  })

  test('a server that is gone for a while, and a status that nobody can give, are waited for', async () => {
    await using stood = await stand({ deliverAfterMs: undefined })
    let asked = 0
    stood.smt.endpoints.set('/v2/reportrequeststatus/', {
      answer: () => {
        asked++
        if (asked === 1) stood.sftp.cut()
        if (asked === 3) void stood.desk.deliver()
        return { status: 500, body: { error: 'Something went wrong. Please try again later.' } }
      }
    })
    expect(await stood.run({ esiids: [home] })).toMatchObject({ outcome: 'complete' })
    expect(asked).toBeGreaterThanOrEqual(3)
  })

  test('words of SMT’s that nobody knows end nothing: the file shows', async () => {
    await using stood = await stand({ deliverAfterMs: undefined })
    const report = await stood.run({
      esiids: [home],
      onRequest: () => {
        stood.desk.reports[0]!.status = 'Not yet completed'
        setTimeout(() => void stood.desk.deliver(), 100)
      }
    })
    expect(report.outcome).toBe('complete')
  })

  test('a file that cannot be read is a receipt of the report, and its days are missing', async () => {
    await using stood = await stand({ deliverAfterMs: undefined })
    const report = await stood.run({
      esiids: [home],
      deadlineMs: 400,
      onRequest: () => {
        stood.sftp.files.set('/adhocusage/IntervalMeterUsage.CSV', { content: Buffer.from('<html>'), modifiedAt: 1000 })
      }
    })
    expect(filesOf(report)).toMatchObject([{ state: 'quarantined', reason: { code: 'PARSE_HTML' } }])
    expect(report).toMatchObject({ outcome: 'deadline' })
    expect(report.missing).toHaveLength(3)
  })

  test('an identity that SMT does not take ends the work at the first meter', async () => {
    await using stood = await stand()
    await using auth = new SmtAuth({ baseUrl: stood.smt.baseUrl, ...stood.smt.login })
    const client = new SmtClient({ auth, requesterAuthenticationId: stood.smt.duns, requestorId: 'SOMEBODY' })
    expect(await failureOf(stood.run({ client }))).toMatchObject({ code: 'API_UNAUTHORIZED' })
    expect(reportsAsked(stood.smt)).toHaveLength(1)
  })

  test('wrong credentials end the work: nobody would come any further', async () => {
    await using stood = await stand()
    await using auth = new SmtAuth({ baseUrl: stood.smt.baseUrl, username: 'INTELLIPATH', password: 'wrong' })
    const client = new SmtClient({ auth, requesterAuthenticationId: stood.smt.duns })
    expect(await failureOf(stood.run({ client }))).toMatchObject({ code: 'API_CREDENTIALS' })
  })
})

describe('any sink will do', () => {
  test('one that cannot say what it has counts what the run brings', async () => {
    await using stood = await stand({}, new NdjsonSink({ directory: join(scratchFolder(), 'out') }))
    expect(await stood.run()).toMatchObject({ outcome: 'complete', missing: [], basis: 'run' })
    // What an earlier run brought it does not see: it asks again, and SMT's same readings change nothing.
    const again = await stood.run({ quietPolls: 0 })
    expect(again.requests).toHaveLength(3)
    expect(again.outcome).toBe('complete')
  })

  const postgres = usePostgres()
  const stores: [string, () => Sink][] = [
    ['DuckDB', memory],
    ...(['days', 'rows'] as const).map((layout): [string, () => Sink] => [
      `PostgreSQL (${layout})`,
      () => {
        const { connectionString } = postgres
        return new PostgresSink({ connectionString, schema: schemaFor(scratchFolder() + layout), layout })
      }
    ])
  ]

  test.each(stores)('%s says what it has of every kind of day', async (_, open) => {
    const dates = ['2025-03-08', '2025-03-09', '2025-03-10', '2025-11-02', '2025-11-03']
    const days: DaysOf = ({ esiid, solar }, date) =>
      dates.includes(date) ? [makeMeterDay({ esiid, date, solar })] : []
    await using stood = await stand({ days }, open())
    await stood.run({ from: '2025-03-07', to: '2025-11-04', quietPolls: 0 })
    const stored = await stood.options.sink.storedDays({ esiids, from: '2025-03-09', to: '2025-11-02' })
    expect(stored!.filter(({ esiid }) => esiid === solarHome)).toEqual(
      (['consumption', 'surplus-generation'] as const).flatMap(direction =>
        [
          ['2025-03-09', 92],
          ['2025-03-10', 96],
          ['2025-11-02', 100]
        ].map(([date, intervals]) => ({ esiid: solarHome, direction, date, intervals }))
      )
    )
    expect(await stood.options.sink.storedDays({ esiids: [makeEsiid(9)], ...span })).toEqual([])
  })
})

describe('by answers instead of files', () => {
  test('the same rows come at once, without an SFTP server', async () => {
    await using stood = await stand({ sftp: undefined })
    const report = await stood.run({ via: 'answers', source: undefined, decryptor: undefined, daysPerRequest: 2 })
    expect(report).toMatchObject({ outcome: 'complete', missing: [], requests: [] })
    expect(report.receipts).toHaveLength(6)
    expect(report.receipts.reduce((sum, { rows }) => sum + rows!.inserted, 0)).toBe((96 + 100 + 96) * 4)
    expect((await stood.run({ via: 'answers', source: undefined })).receipts).toEqual([])
  })

  test('a meter that SMT has nothing of, or refuses, is named and does not stop the others', async () => {
    const days: DaysOf = ({ esiid }, date) => (esiid === longHome ? [] : [makeMeterDay({ esiid, date })])
    await using stood = await stand({
      days,
      meters: [{ esiid: home }, { esiid: longHome }, { esiid: solarHome, agreed: false }]
    })
    const report = await stood.run({ via: 'answers', source: undefined })
    expect(report.outcome).toBe('incomplete')
    expect(new Set(report.missing.map(({ esiid }) => esiid))).toEqual(new Set([longHome, solarHome]))
    expect(report.refused.map(({ esiids, reason }) => [...esiids, reason.code]).sort()).toEqual(
      [
        [longHome, 'API_NO_DATA'],
        [solarHome, 'API_FAULT']
      ].sort()
    )
  })
})

describe('options', () => {
  test.each([
    [{ esiids: ['1044372000999900'] }, /esiids/],
    [{ esiids: [home, home] }, /twice/],
    [{ from: '11/01/2025' }, /from/],
    [{ from: '2025-02-29' }, /from/],
    [{ to: '2025-10-01' }, /`to` is before `from`/],
    [{ source: undefined }, /source/],
    [{ sink: {} as Sink }, /sink/],
    [{ pollMs: 0 }, /pollMs/]
  ] as [Partial<BackfillOptions>, RegExp][])('%j is refused before anything is sent', async (more, message) => {
    await using stood = await stand()
    const failure = (await failureOf(stood.run(more))) as Error
    expect(failure).toMatchObject({ name: 'ConfigError', code: 'CONFIG_INVALID' })
    expect(failure.message).toMatch(message)
    expect(inspect(failure)).not.toContain(home)
    expect(stood.smt.requests).toEqual([])
  })
})
