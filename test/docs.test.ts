import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { adviceFor, errorCodes, IngestError } from '../src/errors.ts'
import {
  type ExpectedInterval,
  encryptMessage,
  FakeSftpServer,
  type IntervalReport,
  makeDailyReport,
  makeEsiid,
  makeIntervalReport,
  makeMeterDay,
  makePgpKey,
  makeSshKey,
  makeZip,
  type PgpKey,
  wrapAsSmt
} from '../src/testing/index.ts'
import { csv, esiid, iso, quarter, read, rejectsOf, row } from './parse/support.ts'
import { scratchFolder } from './support/scratch.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const text = (path: string) => readFileSync(join(root, path), 'utf8')
const readme = text('README.md')
const manifest = JSON.parse(text('package.json'))

/** The blocks of code of the README in one language, without their fences. */
const blocks = (language: string) =>
  [...readme.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code!)

describe('docs/errors.md', () => {
  const sections = text('docs/errors.md')
    .split(/^## /m)
    .slice(1)
    .map(section => section.trim().split('\n\n'))

  test('has a heading for every code, in the order of the list', () => {
    expect(sections.map(([heading]) => heading)).toEqual(errorCodes)
  })

  test.each(errorCodes)('says of %s what it stops, whether it passes by itself, and what to do', code => {
    const [, effect, what, ...advice] = sections.find(([heading]) => heading === code)!
    const { stopsRun, retryable } = new IngestError(code, 'x')
    const stops = code.startsWith('ROW_') ? 'row' : stopsRun ? 'run' : 'file'
    const later = retryable ? 'A later run may succeed by itself.' : 'No later run succeeds by itself.'
    expect(effect).toBe(`Stops the ${stops}. ${later}`)
    expect(what).toMatch(/^[A-Z`].*\.$/s)
    expect(advice).toEqual([`**Do:** ${adviceFor(code)}`])
  })

  test('names only what can happen: some line of the sources gives each code', () => {
    const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter(path => path.endsWith('.ts'))
      .map(path => text(join('src', path)))
      .join('\n')
      // Neither the list itself, nor a comment, nor a comparison gives one.
      .replace(/^const catalogue = .*?^} as const/ms, '')
      .replace(/^\s*(\/?\*|\/\/).*$/gm, '')
      .replace(/[!=]== '\w+'/g, '')
    expect(errorCodes.filter(code => !sources.includes(`'${code}'`))).toEqual([])
  })
})

describe('docs/time.md', () => {
  const at = (name: string) => text('docs/time.md').split(`\n## ${name}\n`)[1]!.split('\n## ')[0]!
  /** Below a heading: what stands in the first two columns of its table. */
  const table = (name: string) =>
    [...at(name).matchAll(/^\| (.+) \| (.+) \|$/gm)].map(([, form, says]) => [form, says]).slice(2)

  /** Rows of one day from their labels, as `01:45,02:00`. */
  const rowsOn = (date: string, labels: readonly string[], more = {}) =>
    labels.map(label => row({ date, start: label.slice(0, 5), end: label.slice(6), ...more }))
  /** The labels of the day's quarter hours from one hour to another, as an ordinary day has them. */
  const hours = (from: number, to: number) =>
    Array.from({ length: (to - from) * 4 }, (_, i) => quarter(from * 4 + i)).map(({ start, end }) =>
      `${start},${end}`.replaceAll(' ', '')
    )

  /** What reading some rows gives, as docs/time.md speaks of it. */
  async function outcome(rows: readonly string[]) {
    const reading = await read(csv(...rows))
    const { rows: counts, quality } = reading.account
    const instants = reading.intervals.map(({ start }) => iso(start)!.slice(11, 16))
    return {
      instants,
      distinct: new Set(reading.intervals.map(({ start }) => start)).size,
      rejects: rejectsOf(reading).map(([code]) => code),
      placeholder: counts.placeholder,
      missing: counts.missing,
      ambiguousHourAssumed: quality.ambiguousHourAssumed
    }
  }

  const blank = { kwh: '', flag: '' }
  const spring = '03/09/2025'
  const springCases: [form: string, says: string, rows: string[], outcome: object][] = [
    [
      '`01:45,02:00`',
      'the last quarter hour of standard time',
      rowsOn(spring, ['01:45,02:00']),
      { instants: ['07:45'], rejects: [] }
    ],
    [
      '`02:00,02:15` to `02:45,03:00`, kWh blank',
      'placeholder: counted, no interval',
      [...rowsOn(spring, ['01:45,02:00']), ...rowsOn(spring, hours(2, 3), blank)],
      { instants: ['07:45'], placeholder: 4, missing: 0, rejects: [] }
    ],
    [
      'the same with a reading',
      'rejected, `ROW_NONEXISTENT_HOUR`',
      [...rowsOn(spring, ['01:45,02:00']), ...rowsOn(spring, hours(2, 3))],
      { instants: ['07:45'], placeholder: 0, rejects: new Array(4).fill('ROW_NONEXISTENT_HOUR') }
    ],
    [
      '`01:45,03:00`',
      'the same quarter hour as `01:45,02:00`, seen from the new clock',
      rowsOn(spring, ['01:45,03:00']),
      { instants: ['07:45'], rejects: [] }
    ],
    [
      '`03:00,03:15`',
      'the first quarter hour of daylight time',
      rowsOn(spring, ['03:00,03:15']),
      { instants: ['08:00'], rejects: [] }
    ]
  ]

  const autumn = '11/02/2025'
  const marked = ['02:00,01:15', '01:15,01:30', '01:30,01:45', '01:45,02:00']
  const [early, late] = [hours(0, 2), hours(2, 24)]
  const wholeDay = [...early, ...marked, ...late]
  const autumnCases: typeof springCases = [
    [
      '… `01:45,02:00`, `02:00,01:15`, `01:15,01:30`, `01:30,01:45`, `01:45,02:00`, `02:00,02:15`',
      'as SMT writes it: 100 instants',
      rowsOn(autumn, wholeDay),
      { distinct: 100, rejects: [], ambiguousHourAssumed: 0 }
    ],
    [
      '… `01:45,02:00`, `01:00,01:15`, …',
      'a proper repeat: the same 100 instants',
      rowsOn(autumn, [...early, ...hours(1, 24)]),
      { distinct: 100, rejects: [], ambiguousHourAssumed: 0 }
    ],
    [
      '… `01:45,02:00`, `02:00,02:15`',
      'listed once: taken as the first pass, four intervals missing, counted in `ambiguousHourAssumed`',
      rowsOn(autumn, ['01:45,02:00', '02:00,02:15']),
      { instants: ['06:45', '08:00'], rejects: [], ambiguousHourAssumed: 1 }
    ],
    [
      'first pass lost, `00:45,01:00`, `02:00,01:15`, …',
      'the marker tells: second pass',
      rowsOn(autumn, ['00:45,01:00', ...marked]),
      { instants: ['05:45', '07:00', '07:15', '07:30', '07:45'], rejects: [], ambiguousHourAssumed: 0 }
    ],
    [
      'a label of the hour after a later row, or for the third time',
      'rejected, `ROW_AMBIGUOUS_HOUR`: nobody can tell its pass',
      rowsOn(autumn, [...hours(1, 2), ...marked, '01:15,01:30', '02:00,02:15', '01:30,01:45']),
      {
        instants: ['06:00', '06:15', '06:30', '06:45', '07:00', '07:15', '07:30', '07:45', '08:00'],
        rejects: ['ROW_AMBIGUOUS_HOUR', 'ROW_AMBIGUOUS_HOUR']
      }
    ],
    [
      '`01:15,01:30`, `01:15,01:30`, …',
      'the same: rows sorted by their labels look so, and a guess would move a reading by an hour',
      rowsOn(autumn, ['01:00,01:15', '01:15,01:30', '01:15,01:30', '01:30,01:45']),
      { instants: ['06:00', '06:15'], rejects: ['ROW_AMBIGUOUS_HOUR', 'ROW_AMBIGUOUS_HOUR'] }
    ],
    [
      'the whole day once more after its end',
      'read again from its start',
      rowsOn(autumn, [...wholeDay, ...wholeDay]),
      { distinct: 100, rejects: [], ambiguousHourAssumed: 0 }
    ]
  ]

  test('has these rows in its tables, and no others', () => {
    expect(table('Spring')).toEqual(springCases.map(([form, says]) => [form, says]))
    expect(table('Autumn')).toEqual(autumnCases.map(([form, says]) => [form, says]))
  })

  test.each([...springCases, ...autumnCases])('is right about %s: %s', async (_form, _says, rows, expected) => {
    expect(await outcome(rows)).toMatchObject(expected)
  })

  test('is right that a blank reading anywhere else is missing', async () => {
    const rows = rowsOn(spring, ['01:45,02:00', '03:00,03:15'], blank)
    expect(await outcome([row(), ...rows])).toMatchObject({ instants: ['05:00'], missing: 2, placeholder: 0 })
  })

  test.each([
    ['the repeated hour', '11/02/2025 01:30:00', '2025-11-02T06:30:00.000Z'],
    ['the skipped hour', '03/09/2025 02:30:00', '2025-03-09T08:30:00.000Z'],
    ['no hour at all', '', null]
  ])('is right about a revision of %s', async (_, revision, expected) => {
    const { intervals } = await read(csv(row({ revision })))
    expect(intervals.map(({ revision }) => iso(revision))).toEqual([expected])
  })
})

describe('links', () => {
  const pages = ['README.md', ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })]
    .filter(path => path.endsWith('.md') && !path.startsWith('reference'))
    .map(path => (path === 'README.md' ? path : join('docs', path)))

  test.each(pages)('of %s lead somewhere', page => {
    const links = [...text(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!.replace(/#.*$/, ''))
    const local = links
      .filter(link => link !== '' && !/^[a-z]+:/.test(link))
      .map(link => join(root, dirname(page), link))
    // An empty folder is not in anybody's clone.
    const isThere = (path: string) => existsSync(path) && (statSync(path).isFile() || readdirSync(path).length > 0)
    expect(local.filter(path => !isThere(path))).toEqual([])
  })
})

/** What became of a program. */
interface Ending {
  /** Null when it did not end by itself. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program of Node's in a folder, with nothing in its environment but what is given. */
function runNode(cwd: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ending> {
  const options = { cwd, env: { HOME: cwd, ...env }, timeout: 20_000, killSignal: 'SIGKILL', maxBuffer: 1e8 } as const
  return new Promise(resolve => {
    const child = execFile(process.execPath, args, options, (_, stdout, stderr) => {
      resolve({ exitCode: child.exitCode, stdout, stderr })
    })
  })
}

/** An interval as `inspect --intervals` and NdjsonSink write it. */
type Line = ReturnType<typeof lineOf>

function lineOf({ esiid, start, milliKwh, estimated, direction, revision }: ExpectedInterval) {
  return { esiid, start: iso(start)!, kwh: milliKwh / 1000, estimated, direction, revision: iso(revision) }
}

const sorted = (lines: readonly Line[]) => lines.map(line => JSON.stringify(line)).sort()
const truthOf = (...reports: IntervalReport[]) => sorted(reports.flatMap(({ expected }) => [...expected()].map(lineOf)))
const parseLines = (text: string): Line[] =>
  text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line))

function readNdjson(folder: string): Line[] {
  const names = readdirSync(folder).filter(name => !name.startsWith('.'))
  return names.flatMap(name => parseLines(readFileSync(join(folder, name), 'utf8')))
}

async function readDuckDb(path: string): Promise<Line[]> {
  const instance = await DuckDBInstance.create(path, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  try {
    const result = await connection.runAndReadAll(
      `SELECT esiid, epoch_ms("start")::DOUBLE AS "start", (kwh * 1000)::DOUBLE AS "milliKwh", estimated,
         direction::VARCHAR AS direction, epoch_ms(revision)::DOUBLE AS revision FROM intervals`
    )
    return result.getRowObjects().map(row => lineOf(row as unknown as ExpectedInterval))
  } finally {
    connection.closeSync()
    instance.closeSync()
  }
}

describe('what a user does', () => {
  const days = ['2025-03-09', '2025-07-14', '2025-11-02']
  const first = days.map(date => makeMeterDay({ esiid, date }))
  const second = days.map(date => makeMeterDay({ esiid: makeEsiid(2, 22), date, solar: true, estimated: true }))
  const [plain, solar] = [makeIntervalReport(first), makeIntervalReport(second)]
  const member = { name: 'IntervalMeterUsage20250715141200000.CSV', bytes: solar.bytes }
  const daily = { name: 'DailyMeterUsage20250715141200000.CSV', bytes: makeDailyReport(second) }

  const login = makeSshKey()
  let pgp: PgpKey
  beforeAll(async () => {
    pgp = await makePgpKey()
  })

  /** An empty project in which the built package is installed. */
  function project(): string {
    const folder = scratchFolder()
    mkdirSync(join(folder, 'node_modules/@intelliwatt'), { recursive: true })
    symlinkSync(root, join(folder, 'node_modules/@intelliwatt/smt-ingest'), 'junction')
    return folder
  }

  /** Both reports, encrypted, on a server that admits `user`; the keys for both are in the folder. */
  async function smt(folder: string): Promise<FakeSftpServer> {
    writeFileSync(join(folder, 'id_ed25519'), login.privateKey, { mode: 0o600 })
    writeFileSync(join(folder, 'pgp-private.asc'), pgp.privateKey)
    const packed = await wrapAsSmt([member, daily], pgp.publicKey)
    const bare = await encryptMessage(plain.bytes, { publicKeys: [pgp.publicKey] })
    const server = await FakeSftpServer.start({
      users: [{ username: 'user', publicKey: login.publicKey }],
      files: [
        ['/adhocusage/IntervalMeterUsage.CSV.asc', { content: packed, modifiedAt: Date.UTC(2025, 6, 15) }],
        ['/EnrollmentReports/IntervalData.CSV.asc', { content: bare, modifiedAt: Date.UTC(2025, 6, 16) }]
      ]
    })
    onTestFinished(() => server.close())
    return server
  }

  /** Both reports in the folder `inbox`, one as it is and one in an archive. */
  function fillInbox(folder: string): void {
    mkdirSync(join(folder, 'inbox'))
    writeFileSync(join(folder, 'inbox/IntervalData.csv'), plain.bytes)
    writeFileSync(join(folder, 'inbox/IntervalMeterUsage.zip'), makeZip([member, daily]))
  }

  describe('the code of the README', () => {
    const [overSftp, pipelines, ...others] = blocks('js')

    test('is the two blocks that run here', () => {
      expect(overSftp).toContain('ingest({ source, decryptor, parser, sink })')
      expect(pipelines).toContain('await pipeline(')
      expect(others).toEqual([])
    })

    test('brings the files of a server into DuckDB, and ends by itself', async () => {
      const folder = project()
      const { host, port, fingerprint } = await smt(folder)
      writeFileSync(join(folder, 'take.mjs'), overSftp!)
      const { exitCode, stdout, stderr } = await runNode(folder, ['take.mjs'], {
        SMT_HOST: host,
        SMT_SFTP_PORT: String(port),
        SMT_USER: 'user',
        SMT_KEY: 'id_ed25519',
        SMT_HOST_KEY: fingerprint,
        SMT_PGP_KEY: 'pgp-private.asc'
      })
      expect([exitCode, stderr]).toEqual([0, ''])
      expect(stdout.trim().split('\n')).toEqual([
        `committed /adhocusage/IntervalMeterUsage.CSV.asc ${solar.totals.rows.accepted}`,
        `committed /EnrollmentReports/IntervalData.CSV.asc ${plain.totals.rows.accepted}`
      ])
      expect(sorted(await readDuckDb(join(folder, 'smt.duckdb')))).toEqual(truthOf(plain, solar))
    })

    test('brings the files of a folder into NDJSON by pipelines, and ends by itself', async () => {
      const folder = project()
      fillInbox(folder)
      writeFileSync(join(folder, 'take.mjs'), pipelines!)
      expect(await runNode(folder, ['take.mjs'])).toEqual({ exitCode: 0, stdout: '', stderr: '' })
      expect(sorted(readNdjson(join(folder, 'intervals')))).toEqual(truthOf(plain, solar))
    })
  })

  describe('the commands of the README', () => {
    const commands = blocks('sh')
      .flatMap(block => block.trim().split('\n'))
      .flatMap(line => line.split(' && '))
    const ours = commands.filter(command => command.startsWith('smt-ingest '))
    const npms = commands.filter(command => !ours.includes(command))

    /** What each command must leave or print, by what is in its line. */
    const outcomes: [
      sign: RegExp,
      lines: (folder: string, stdout: string) => Line[] | Promise<Line[]>,
      truth: string[]
    ][] = [
      [/--intervals/, (_, stdout) => parseLines(stdout), truthOf(solar)],
      [/--to ndjson:intervals/, folder => readNdjson(join(folder, 'intervals')), truthOf(plain, solar)],
      [/--to duckdb:smt\.duckdb/, folder => readDuckDb(join(folder, 'smt.duckdb')), truthOf(solar)]
    ]

    test('are ours, or npm’s with what package.json names', () => {
      expect(ours.length).toBeGreaterThan(0)
      const unknown = npms.filter(command => {
        const [npm, verb, ...names] = command.split(' ')
        if (npm !== 'npm') return true
        if (verb === 'ci') return !existsSync(join(root, 'package-lock.json'))
        if (verb === 'test') return !manifest.scripts.test
        if (verb === 'run') return !manifest.scripts[names[0]!]
        const installable = [manifest.name, ...Object.keys(manifest.peerDependencies)]
        return verb !== 'install' || !names.every(name => installable.includes(name))
      })
      expect(unknown).toEqual([])
    })

    test.each(ours)('%s', async command => {
      const folder = scratchFolder()
      const { host, port, fingerprint, files } = await smt(folder)
      fillInbox(folder)
      const packed = files.get('/adhocusage/IntervalMeterUsage.CSV.asc')!.content
      writeFileSync(join(folder, 'IntervalMeterUsage.CSV.asc'), packed)
      const args = command
        .replace('@host:22/', `@${host}:${port}/`)
        .replace('SHA256:…', fingerprint)
        .split(' ')
        .slice(1)
      const { exitCode, stdout, stderr } = await runNode(folder, [join(root, manifest.bin['smt-ingest']), ...args])
      expect([exitCode, stderr]).toEqual([0, ''])
      const outcome = outcomes.find(([sign]) => sign.test(command))
      if (outcome) expect(sorted(await outcome[1](folder, stdout))).toEqual(outcome[2])
      else expect(stdout).toContain(`${solar.totals.rows.accepted} intervals of 1 meter on 3 days`)
    })
  })
})

describe('the built package', () => {
  const names = Object.keys(manifest.exports)
    .filter(path => !path.endsWith('.json'))
    .map(path => path.replace('.', manifest.name))

  /** A project with the package and its dependencies alone: no optional peer, and nothing for development. */
  function bareProject(): string {
    const folder = scratchFolder()
    const installed = (name: string) => join(folder, 'node_modules', name)
    mkdirSync(installed(manifest.name), { recursive: true })
    cpSync(join(root, 'package.json'), join(installed(manifest.name), 'package.json'))
    cpSync(join(root, 'dist'), join(installed(manifest.name), 'dist'), { recursive: true })
    for (const name of Object.keys(manifest.dependencies)) {
      mkdirSync(dirname(installed(name)), { recursive: true })
      symlinkSync(join(root, 'node_modules', name), installed(name), 'junction')
    }
    return folder
  }

  const load = (folder: string, code: string) => runNode(folder, ['--input-type=module', '--eval', code])

  test.each(names)('gives %s where DuckDB is not installed', async name => {
    const { exitCode, stdout, stderr } = await load(
      bareProject(),
      `const found = await import('${name}')
       const duckdb = await import('@duckdb/node-api').catch(error => error.code)
       console.log(duckdb, Object.keys(found).length > 0)`
    )
    expect([exitCode, stdout.trim(), stderr]).toEqual([0, 'ERR_MODULE_NOT_FOUND true', ''])
  })

  test('tells whoever uses DuckDbSink there which package is missing', async () => {
    const { exitCode, stdout, stderr } = await load(
      bareProject(),
      `import { DuckDbSink } from '${manifest.name}/duckdb'
       const sink = new DuckDbSink({ path: 'smt.duckdb' })
       const file = { source: 'x', path: '/x.csv', name: 'x.csv', size: 0, modifiedAt: 0 }
       await sink.stream(file).wanted().catch(({ code, message }) => console.log(code, message))
       await sink.close()`
    )
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toBe('CONFIG_MISSING_PEER DuckDbSink needs the package @duckdb/node-api\n')
  })
})
