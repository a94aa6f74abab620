import { expect, test } from 'vitest'
import { queryPostgres, schemaFor, usePostgres } from '../support/postgres.ts'
import { csvOf, fill, folderMaker, smtIngest } from './support.ts'

const newFolder = folderMaker()
const postgres = usePostgres()

/** The address of the test's server without its password, and that password. */
function address(parameters = '') {
  const url = new URL(postgres.connectionString)
  const password = decodeURIComponent(url.password)
  url.password = ''
  url.search = parameters
  return { url: url.href, password }
}

const meters = async (schema: string) => {
  const query = `SELECT count(*)::int AS intervals, count(DISTINCT esiid)::int AS meters FROM "${schema}".intervals`
  return (await queryPostgres(postgres.connectionString, query))[0]
}
const hasTable = async (schema: string, table: string) => {
  const [row] = await queryPostgres(postgres.connectionString, 'SELECT to_regclass($1) AS name', [
    `"${schema}"."${table}"`
  ])
  return row!.name !== null
}

test.each(['days', 'rows'] as const)(
  'takes a folder into PostgreSQL, layout %s; the second run takes nothing',
  async layout => {
    const folder = newFolder()
    const schema = schemaFor(folder)
    fill(folder, { 'in/a.csv': csvOf(1), 'in/b.csv': csvOf(2), 'in/c.csv': csvOf(2) })
    const { url, password } = address(`schema=${schema}&layout=${layout}&application_name=smt%20pull`)
    const args = ['pull', '--from', 'in', '--to', url]
    const first = await smtIngest(args, { cwd: folder, env: { PGPASSWORD: password } })
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toMatch(/2 committed, 1 duplicate; 192 intervals taken\n$/)
    expect(await meters(schema)).toEqual({ intervals: 192, meters: 2 })
    expect(await hasTable(schema, layout === 'days' ? 'meter_days' : 'interval_rows')).toBe(true)

    const again = await smtIngest(args, { cwd: folder, env: { PGPASSWORD: password } })
    expect(again).toMatchObject({ code: 0, stdout: '3 known already; 0 intervals taken\n', stderr: '' })
  }
)

test('takes the store from SMT_STORE, where a password may stand that no other user sees', async () => {
  const folder = newFolder()
  const schema = schemaFor(folder)
  fill(folder, { 'in/a.csv': csvOf(1) })
  const url = postgres.connectionString.replace('postgres:', 'postgresql:')
  const env = { SMT_STORE: `${url}?schema=${schema}` }
  const outcome = await smtIngest(['pull', '--from', 'in'], { cwd: folder, env })
  expect(outcome).toMatchObject({ code: 0, stderr: '' })
  expect(await meters(schema)).toEqual({ intervals: 96, meters: 1 })
})

test.each([
  ['another worker has it', "state = 'claimed', lease_until = now() + interval '1 min'", 'another worker has the file'],
  ['it failed a moment ago', "state = 'seen', attempts = 1, next_attempt_at = now() + interval '1 min'", 'failed once']
])('a file that is not taken this time is no failure of the run: %s', async (_, standing, says) => {
  const folder = newFolder()
  const schema = schemaFor(folder)
  fill(folder, { 'in/a.csv': csvOf(1) })
  const pull = () =>
    smtIngest(['pull', '--from', 'in'], {
      cwd: folder,
      env: { SMT_STORE: `${postgres.connectionString}?schema=${schema}` }
    })
  expect((await pull()).code).toBe(0)
  await queryPostgres(postgres.connectionString, `UPDATE "${schema}".files SET ${standing}`)
  const outcome = await pull()
  expect(outcome).toMatchObject({ code: 0, stderr: '' })
  expect(outcome.stdout).toMatch(new RegExp(`^- .*a\\.csv {2}${says}`, 'm'))
  expect(outcome.stdout).toMatch(/1 seen; 0 intervals taken\n$/)
})

test.each<[what: string, address: (url: URL) => void, code: string, says: string]>([
  ['a wrong password', url => (url.password = 'open-sesame'), 'STORE_OPEN', 'password authentication failed'],
  ['a database that is not there', url => (url.pathname = '/nowhere'), 'STORE_OPEN', '"nowhere" does not exist'],
  ['a server that is not there', url => (url.port = '9'), 'STORE_UNREACHABLE', 'cannot be reached']
])('says of %s what is wrong, never the password', async (_, change, code, says) => {
  const folder = fill(newFolder(), { 'in/a.csv': csvOf(1) })
  const url = new URL(postgres.connectionString)
  change(url)
  const outcome = await smtIngest(['pull', '--from', 'in'], { cwd: folder, env: { SMT_STORE: url.href } })
  expect(outcome.code).toBe(1)
  expect(outcome.stderr).toContain(code)
  expect(outcome.stderr).toContain(says)
  for (const secret of [url.password, 'sesame']) expect(outcome.said).not.toContain(secret)
})
