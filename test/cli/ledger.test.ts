import { existsSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { makeDailyReport, makeEsiid, makeMeterDay, makeMeterInfo, makeZip } from '../../src/testing/index.ts'
import { csv, sha256Of } from '../conformance/sink.ts'
import { ask, csvOf, fill, folderMaker, jsonLines, smtIngest, storedMeters } from './support.ts'

const newFolder = folderMaker()

/** A folder of files, and the command over it and one of the stores. */
function stand(files: Readonly<Record<string, string | Uint8Array>>, to = 'duckdb:smt.duckdb') {
  const cwd = newFolder()
  fill(cwd, files)
  const ledger = (...args: string[]) => smtIngest(['ledger', ...args, '--to', to], { cwd })
  const pull = (...args: string[]) => smtIngest(['pull', '--from', 'in', '--to', to, ...args], { cwd })
  return { cwd, ledger, pull, store: join(cwd, 'smt.duckdb') }
}

const one = { 'in/a.csv': csvOf(1), 'in/copy.csv': csvOf(1), 'in/bad.csv': '', 'in/x.tmp': 'x' }

describe.concurrent.each(['duckdb:smt.duckdb', 'ndjson:out'])('ledger --to %s', { timeout: 60_000 }, to => {
  test('lists files by state, the one changed last first', async ({ expect }) => {
    const { ledger, pull } = stand(one, to)
    await pull()
    const { code, stdout } = await ledger('list')
    expect(code).toBe(0)
    expect(stdout.split('\n').map(line => line.replace(/ \d{4}-.* {2}.*\/in\//, ' ').trim())).toEqual([
      'quarantined bad.csv',
      'duplicate   copy.csv',
      'committed   a.csv',
      'ignored     x.tmp',
      ''
    ])
    expect((await ledger('list', '--state', 'ignored', '--state', 'seen')).stdout).toMatch(/^ignored .*x\.tmp\n$/)
    expect((await ledger('list', '--limit', '1')).stdout).toContain('the first 1; --limit shows more')
    expect((await ledger('list', '--since', '2100-01-01')).stdout).toBe('')
    const [first] = jsonLines((await ledger('list', '--json')).stdout)
    expect(first).toMatchObject({ type: 'file', name: 'bad.csv', state: 'quarantined', epoch: 1 })
  })

  test('says in a sentence why a file was not taken', async ({ expect }) => {
    const { ledger, pull } = stand({ ...one, 'in/rows.csv': csv([{ quarter: 1 }, { quarter: 2, kwh: 'n/a' }]) }, to)
    await pull()
    const said = async (name: string) => (await ledger('explain', name)).stdout.replace(/^.*?\/in\//, '')
    expect(await said('a.csv')).toMatch(/^a\.csv: Taken, last on \d{4}-.* UTC: 96 intervals\.\n$/)
    expect(await said('copy.csv')).toMatch(/^copy\.csv: Not stored again: it has the same content as .*a\.csv\.\n$/)
    expect(await said('bad.csv')).toMatch(
      /^bad\.csv: Set aside: .* \(PARSE_EMPTY\)\. .* left alone until it is retried\.\n$/
    )
    expect(await said('x.tmp')).toMatch(
      /^x\.tmp: Not taken: left out: ignored by \*\.tmp \(FILTERED\)\. Change the filter/
    )
    expect(await said('rows.csv')).toMatch(/1 interval, 1 row rejected \(ROW_BAD_KWH 1\)\.\n$/)
    const never = await ledger('explain', 'never.csv')
    expect(never.code).toBe(1)
    expect(never.stdout).toContain('the ledger has never heard of it')
  })

  test('reads anew what was left, and tells of what still is', async ({ expect }) => {
    const daily = makeDailyReport([makeMeterDay({ esiid: makeEsiid(1), date: '2025-07-14' })])
    const info = { name: 'MeterInfo.csv', bytes: makeMeterInfo([makeEsiid(1)]) }
    const zip = makeZip([{ name: 'i.csv', bytes: Buffer.from(csv([{}])) }, { name: 'd.csv', bytes: daily }, info])
    const { ledger, pull } = stand({ 'in/a.zip': zip, 'in/b.csv': csvOf(2), 'in/d.csv': `Daily\n${daily}` }, to)
    const pulled = await pull('--reports', 'leave')
    expect(pulled).toMatchObject({ code: 0, stderr: '' })
    expect(pulled.stdout).toMatch(/a\.zip {2}1 interval\n {4}d\.csv: daily reads, not read, header ESIID,READ_DATE,/)
    expect(pulled.stdout).toMatch(
      /\n {4}MeterInfo\.csv: meter information, not read, header ESIID,METER_SERIAL_NUMBER,/
    )
    const said = async () => (await ledger('explain', 'a.zip')).stdout
    expect(await said()).toMatch(
      /: 1 interval, d\.csv \(daily reads\) is not read, MeterInfo\.csv \(meter information\) is not read\.\n$/
    )

    const replayed = await ledger('replay', '--unhandled', '--from', 'in')
    expect(replayed).toMatchObject({ code: 0, stderr: '' })
    expect(replayed.stdout).toMatch(/^✓ .*a\.zip {2}1 interval, 1 daily read$/m)
    expect(replayed.stdout).toMatch(/^✓ .*d\.csv {2}0 intervals, 1 daily read$/m)
    expect(replayed.stdout).toMatch(/^2 committed; 1 interval taken$/m)
    expect(await said()).toMatch(/: 1 interval, 1 daily read, MeterInfo\.csv \(meter information\) is not read\.\n$/)
    expect((await ledger('show', 'a.zip')).stdout).toMatch(
      /entry {5}d\.csv: daily-reads used, 1 row, 1 accepted\n {2}entry {5}MeterInfo\.csv: meter-info unhandled, 0 rows/
    )
    expect((await ledger('replay', '--unhandled', '--from', 'in')).stdout).toBe('no files; 0 intervals taken\n')
  })

  test('shows all of a file, without an ESIID', async ({ expect }) => {
    const { ledger, pull } = stand({ [`in/${makeEsiid(1)}.csv`]: csv([{}, { quarter: 2, kwh: 'n/a' }]) }, to)
    await pull()
    const { code, stdout } = await ledger('show', `${makeEsiid(1)}.csv`)
    expect(code).toBe(0)
    expect(stdout).toContain('state     committed')
    expect(stdout).toContain(`sha256 ${sha256Of(csv([{}, { quarter: 2, kwh: 'n/a' }]))}`)
    expect(stdout).toMatch(/entry .*: used, 2 rows, 1 accepted\n +line 3: ROW_BAD_KWH, /)
    expect(stdout).not.toContain(makeEsiid(1))
    const [record] = jsonLines((await ledger('show', `${makeEsiid(1)}.csv`, '--json')).stdout)
    expect(record.receipt.rows).toMatchObject({ accepted: 1, rejected: 1 })
  })

  test('retries what was set aside, and forgets what is not in', async ({ expect }) => {
    const { ledger, pull, cwd } = stand({ 'in/bad.csv': '', 'in/a.csv': csvOf(1) }, to)
    await pull()
    const path = join(cwd, 'in/bad.csv')
    expect(await ledger('retry', 'bad.csv')).toMatchObject({
      code: 0,
      stdout: '1 file to be retried by the next run\n'
    })
    expect((await ledger('explain', path)).stdout).toContain('The next attempt is made by the next run.')
    expect((await pull()).stdout).toContain('1 quarantined, 1 known already')
    expect((await ledger('retry', '--all')).stdout).toBe('1 file to be retried by the next run\n')
    expect(await ledger('forget', path)).toMatchObject({ code: 0, stdout: '1 file forgotten\n' })
    expect((await ledger('explain', path)).code).toBe(1)
    const kept = await ledger('forget', 'a.csv')
    expect(kept).toMatchObject({ code: 1 })
    expect(kept.stdout).toMatch(/a\.csv {2}left as it is: Taken/)
    expect(await ledger('retry', 'never.csv')).toMatchObject({ code: 2 })
    expect(await ledger('retry')).toMatchObject({ code: 2 })
  })

  test('takes over what another system has posted', async ({ expect }) => {
    const { ledger, pull, cwd } = stand({ 'in/a.csv': csvOf(1), 'in/b.csv': csvOf(2) }, to)
    writeFileSync(join(cwd, 'posted'), `${sha256Of(csvOf(1)).toUpperCase()}  /home/smt/a.csv\n\n${'0'.repeat(64)}\n`)
    expect(await ledger('import', '--posted-sha256', 'posted')).toMatchObject({
      code: 0,
      stdout: '2 hashes read, 2 new to the ledger\n'
    })
    expect((await ledger('import', '--posted-sha256', 'posted')).stdout).toBe('2 hashes read, 0 new to the ledger\n')
    const { stdout } = await pull()
    expect(stdout).toMatch(/= .*a\.csv {2}same content as posted:[0-9a-f]{64}\n/)
    expect(stdout).toContain('1 duplicate, 1 committed')
    expect((await ledger('explain', sha256Of(csvOf(1)))).stdout).toContain('another system had taken it before')
    writeFileSync(join(cwd, 'wrong'), 'not a hash\n')
    expect(await ledger('import', '--posted-sha256', 'wrong')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('line 1 begins with no SHA-256: wrong')
    })
  })

  test('reads files anew, and changes nothing when nothing changed', async ({ expect }) => {
    const { ledger, pull, cwd } = stand({ 'in/a.csv': csvOf(1), 'in/b.csv': csvOf(2), 'in/new.csv.tmp': '' }, to)
    await pull()
    fill(cwd, { 'in/later.csv': csvOf(3) })
    const replayed = await ledger('replay', 'a.csv', 'b.csv', '--from', 'in')
    expect(replayed).toMatchObject({ code: 0, stderr: '' })
    // Neither a new file, nor one that is left out: only what was asked for.
    expect(replayed.stdout).toMatch(
      /^✓ .*a\.csv {2}96 intervals\n✓ .*b\.csv {2}96 intervals\n2 committed; 192 intervals taken\n$/
    )
    rmSync(join(cwd, 'in/b.csv'))
    const gone = await ledger('replay', '--since', '2000-01-01', '--from', 'in')
    expect(gone.code).toBe(1)
    expect(gone.stdout).toMatch(/✗ .*b\.csv {2}was to be read anew and was not: .* did not offer it/)
    expect((await ledger('explain', 'b.csv')).stdout).toContain('It is read anew by the next run.')
    expect(await ledger('replay', '--from', 'in')).toMatchObject({ code: 2 })
  })
})

describe.concurrent('ledger schema', () => {
  test.for([
    ['duckdb:any', 'CREATE TABLE files'],
    ['postgres://host/db?schema=my&layout=rows', 'CREATE TABLE "my".interval_rows']
  ] as const)('prints the tables of %s without opening it', async ([to, text], { expect }) => {
    const { code, stdout } = await smtIngest(['ledger', 'schema', '--to', to])
    expect(code).toBe(0)
    expect(stdout).toContain(text)
  })

  test('has none for a folder', async ({ expect }) => {
    expect(await smtIngest(['ledger', 'schema', '--to', 'ndjson:x'])).toMatchObject({ code: 2 })
  })
})

describe.concurrent('watch', { timeout: 60_000 }, () => {
  test('takes what is there and what comes, from several sources, and ends well on SIGTERM', async ({ expect }) => {
    const { cwd, store } = stand({ 'in/a.csv': csvOf(1), 'other/b.csv': csvOf(2) })
    let stop: (signal: NodeJS.Signals) => void = () => {}
    const stopped = new Promise<NodeJS.Signals>(resolve => {
      stop = resolve
    })
    let added = false
    const args = [
      'watch',
      '--from',
      'in',
      '--from',
      'other',
      '--to',
      'duckdb:smt.duckdb',
      '--every',
      '1',
      '--after',
      'delete'
    ]
    const { code, stdout, stderr } = await smtIngest(args, {
      cwd,
      stop: stopped,
      hears: said => {
        if (!added && said.includes('a.csv') && said.includes('b.csv')) {
          added = true
          fill(cwd, { 'in/late.csv': csvOf(3) })
        }
        if (said.includes('late.csv') && said.trimEnd().endsWith('deleted')) stop('SIGTERM')
      }
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/3 committed; 288 intervals taken\n$/)
    expect(await storedMeters(store)).toEqual({ 1: 96, 2: 96, 3: 96 })
    expect(readdirSync(join(cwd, 'in'))).toEqual([])
  })

  test('ends with an error when it cannot go on', async ({ expect }) => {
    const { cwd } = stand({ 'in/a.csv': csvOf(1) })
    writeFileSync(join(cwd, 'smt.duckdb'), 'not a database, and long enough to be looked at as one')
    const { code, stderr } = await smtIngest(['watch', '--from', 'in', '--to', 'duckdb:smt.duckdb'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain('STORE_OPEN')
  })
})

describe.concurrent('pull --after', { timeout: 60_000 }, () => {
  test('moves what is wholly in, and says so', async ({ expect }) => {
    const { cwd, pull, store } = stand({ 'in/a.csv': csvOf(5), 'in/b.csv': csv([{ quarter: 1, kwh: 'n/a' }, {}]) })
    const { code, stdout } = await pull('--after', 'move:done', '--concurrency', '2')
    expect(code).toBe(1)
    expect(stdout).toMatch(/a\.csv {2}96 intervals\n {4}moved to .*done\/a\.csv\n/)
    expect(stdout).toMatch(
      /b\.csv {2}1 interval, 1 rejected\n(.*\n)? {4}kept: something in the file was not taken\n {4}PARTLY/
    )
    expect(existsSync(join(cwd, 'done/a.csv'))).toBe(true)
    expect(existsSync(join(cwd, 'in/b.csv'))).toBe(true)
    expect(await ask(store, 'SELECT count(*)::INTEGER AS n FROM intervals')).toEqual([{ n: 97 }])
  })

  test('knows no other way', async ({ expect }) => {
    const { pull } = stand({ 'in/a.csv': csvOf(1) })
    expect(await pull('--after', 'burn')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--after is keep, delete or move:DIR, got burn')
    })
  })

  test('retries now what waits', async ({ expect }) => {
    const { cwd, pull } = stand({ 'in/a.csv': csvOf(1) })
    await pull()
    const path = join(cwd, 'in/a.csv')
    utimesSync(path, 5, 5)
    expect((await pull('--retry-now')).code).toBe(0)
  })
})
