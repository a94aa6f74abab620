import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { DuckDbSink } from '../../src/sink/duckdb.ts'
import { PostgresSink } from '../../src/sink/postgres.ts'
import { fill, folderMaker, smtIngest } from '../cli/support.ts'
import { csv, deliver, failing, fileOf } from '../conformance/sink.ts'
import { query } from '../support/duckdb.ts'
import { queryPostgres, schemaFor, usePostgres } from '../support/postgres.ts'

const page = readFileSync(fileURLToPath(new URL('../../docs/ledger.md', import.meta.url)), 'utf8')
const newFolder = folderMaker()
const postgres = usePostgres()

const blocks = (language: string) =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].flatMap(([, name, code]) => (name === language ? code! : []))

const day = (date: string, bad?: number) =>
  csv(
    [...Array(96).keys()].map(quarter => ({
      esiid: '10443720009999001',
      date,
      quarter,
      kwh: quarter === bad ? 'n/a' : '0.25'
    }))
  )
const files = {
  'monday.csv': day('07/14/2025', 3),
  'tuesday.csv': day('07/15/2025'),
  'tuesday-again.csv': day('07/15/2025'),
  'broken.csv': '<html>Service unavailable</html>\n',
  'late.csv.part': ''
}

describe('docs/ledger.md', () => {
  test('shows what the commands print, one after the other', async () => {
    const cwd = newFolder()
    fill(cwd, Object.fromEntries(Object.entries(files).map(([name, content]) => [`in/${name}`, content])))
    writeFileSync(`${cwd}/.posted_sha256`, `${'5f'.repeat(32)}  a.asc\n${'a0'.repeat(32)}\n`)
    const shown = blocks('console').flatMap(block => block.split(/^\$ /m).slice(1))
    expect(shown.length).toBeGreaterThan(10)
    // When a thing happened differs from run to run.
    const timeless = (text: string) => text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?/g, 'then')
    for (const [command, ...output] of shown.map(text => text.split('\n'))) {
      const said = await smtIngest(command!.split(' ').slice(1), { cwd, env: { SMT_STORE: 'duckdb:smt.duckdb' } })
      const lines = timeless(said.said.replaceAll(cwd, '/srv/smt')).split('\n')
      const expected = timeless(output.join('\n')).split('\n')
      const more = expected.indexOf('…')
      if (more < 0) expect([command, ...lines]).toEqual([command, ...expected])
      else expect([command, ...lines.slice(0, more)]).toEqual([command, ...expected.slice(0, more)])
    }
  })

  test('shows every command of the ledger', async () => {
    const { stdout } = await smtIngest(['ledger', '--help'])
    const commands = [...stdout.slice(stdout.indexOf('Commands:')).matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name!)
    expect(commands).toContain('replay')
    const shown = blocks('console').join('')
    expect(commands.filter(name => name !== 'help' && !shown.includes(`$ smt-ingest ledger ${name}`))).toEqual([])
  })

  describe('has questions that are answered', () => {
    const questions = blocks('sql').join('').split(';').slice(0, -1)

    async function answers(sink: DuckDbSink | PostgresSink, ask: (sql: string) => Promise<Record<string, unknown>[]>) {
      for (const name of ['monday.csv', 'tuesday.csv', 'tuesday-again.csv'] as const) {
        await deliver(sink, fileOf(`/in/${name}`, files[name]))
      }
      await failing(sink, fileOf('/in/broken.csv', ''), [])
      const { claim } = await (await sink.ledger()).claim(fileOf('/in/now.csv', 'x'))
      expect(claim?.epoch).toBe(1)
      await sink.close()
      const found = []
      for (const question of questions) found.push(await ask(question))
      const [open, states, rejects, origin, others, reading, old] = found
      expect(open!.map(({ path, state, code }) => [path, state, code])).toEqual([
        ['/in/now.csv', 'claimed', null],
        ['/in/broken.csv', 'quarantined', 'SINK_NO_ACCOUNT']
      ])
      expect(states!.map(({ state, files }) => [state, Number(files)])).toEqual([
        ['claimed', 1],
        ['committed', 2],
        ['duplicate', 1],
        ['quarantined', 1]
      ])
      expect(rejects!.map(row => [row.path, row.name, Number(row.line), row.code])).toEqual([
        ['/in/monday.csv', 'monday.csv', 5, 'ROW_BAD_KWH']
      ])
      expect(origin!.map(row => [row.path, Number(row.line), String(row.kwh)])).toEqual([
        ['/in/monday.csv', 3, '0.25000']
      ])
      expect([others, old]).toEqual([[], []])
      return reading!
    }

    test('by DuckDB', async () => {
      const path = `${newFolder()}/smt.duckdb`
      // The next opening gives free what this one had.
      expect(await answers(new DuckDbSink({ path }), sql => query(path, sql))).toHaveLength(1)
    })

    test('by PostgreSQL', async () => {
      const { connectionString } = postgres
      const schema = schemaFor(newFolder())
      const there = new URL(connectionString)
      there.searchParams.set('options', `-c search_path=${schema}`)
      const ask = (sql: string) => queryPostgres(there.href, sql)
      expect(await answers(new PostgresSink({ connectionString, schema }), ask)).toMatchObject([
        { path: '/in/now.csv', epoch: 1 }
      ])
    })
  })
})
