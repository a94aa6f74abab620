import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import ts from 'typescript'
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
  makeMeterInfo,
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

/** The blocks of code of a page, the README's unless another is named, in some languages, without their fences. */
const blocks = (language: string, page = readme) =>
  [...page.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => language.split(' ').includes(name!))
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
  const page = text('docs/time.md')
  /** The cells of every line of a table, its header line included. */
  const cellsOf = (section: string) =>
    [...section.matchAll(/^\|(.*)\|$/gm)]
      .map(([, line]) => line!.split('|').map(cell => cell.trim()))
      .filter(([cell]) => !cell!.startsWith('---'))
  const section = (heading: string) => page.split(`\n## ${heading}\n`)[1]!.split('\n## ')[0]!

  /** A table of rows and of what each becomes, as the page has it. */
  interface WorkedTable {
    readonly heading: string
    /** As it stands in the rows' `USAGE_DATE`. */
    readonly date: string
    readonly rows: readonly WorkedRow[]
    /** The sentence below it, as `96 rows: 92 intervals, 4 placeholders`. */
    readonly sum: string | undefined
  }
  type WorkedRow = readonly [start: string, end: string, kwh: string, becomes: string]

  const worked: WorkedTable[] = page.split(/^(?=## )/m).flatMap(chapter => {
    const dateIn = (part: string) => /`USAGE_DATE` (\d+\/\d+\/\d{4})/.exec(part)?.[1]
    const [intro, ...sections] = chapter.split(/^### /m)
    return sections.map(section => ({
      heading: section.slice(0, section.indexOf('\n')),
      date: dateIn(section) ?? dateIn(intro!)!,
      rows: cellsOf(section).slice(1) as unknown as WorkedRow[],
      sum: /^(\d+ rows: .*)\.$/m.exec(section)?.[1]
    }))
  })

  const quarterMs = 15 * 60_000
  const minutes = (label: string) => Number(label.split(':')[0]) * 60 + Number(label.split(':')[1])
  const shown = (at: number) => `${new Date(at).toISOString().slice(0, 16)}Z`

  /** Writes out `…`: the quarter hours between its neighbours, each a quarter of an hour after the one before. */
  function writeOut(rows: readonly WorkedRow[]): WorkedRow[] {
    return rows.flatMap((row, i) => {
      if (row[0] !== '…') return [row]
      const [before, after] = [rows[i - 1], rows[i + 1]]
      const from = before ? (minutes(before[1]) % 1440) / 15 : 0
      const to = after ? minutes(after[0]) / 15 : 96
      const first = before ? Date.parse(before[3]) + quarterMs : Date.parse(after![3]) - (to - from) * quarterMs
      if (after) expect(shown(first + (to - from) * quarterMs)).toBe(after[3])
      return Array.from({ length: to - from }, (_, n): WorkedRow => {
        const { start, end } = quarter(from + n)
        return [start, end, '0.231', shown(first + n * quarterMs)]
      })
    })
  }

  test('has a table for each way to write a day, and lists them all', () => {
    const anchor = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\w ]/g, '')
        .replaceAll(' ', '-')
    const list = cellsOf(section('Look it up')).slice(1)
    expect(list.map(([link, sum]) => [/\(#(.*)\)/.exec(link!)![1], sum])).toEqual(
      worked.map(({ heading, sum }) => [anchor(heading), sum])
    )
    expect(page.match(/^\| start \| end \| kWh \| becomes \|$/gm)).toHaveLength(worked.length)
    const anchors = [...page.matchAll(/^##+ (.*)$/gm)].map(([, heading]) => anchor(heading!))
    expect([...page.matchAll(/\]\(#(.*?)\)/g)].filter(([, link]) => !anchors.includes(link!))).toEqual([])
    expect(new Set(anchors).size).toBe(anchors.length)
  })

  test.each(worked.map(table => [table.heading, table] as const))('is right about: %s', async (_, table) => {
    const rows = writeOut(table.rows).filter(([, , kwh]) => kwh !== 'lost')
    const lines = rows.map(([start, end, kwh]) =>
      row({ date: table.date, start, end, ...(kwh === 'blank' ? { kwh: '', flag: '' } : { kwh }) })
    )
    const reading = await read(csv(...lines))

    const found = new Map<number, string>()
    for (const [i, { start }] of reading.intervals.entries()) found.set(reading.lines[i]!, shown(start))
    for (const [code, line] of rejectsOf(reading)) found.set(line, `\`${code}\``)
    const noInterval = ['placeholder', 'missing']
    const expected = rows.map(([, , , becomes]) => (noInterval.includes(becomes) ? undefined : becomes))
    expect(rows.map((_, i) => found.get(i + 2))).toEqual(expected)

    const { rows: counts, quality } = reading.account
    for (const outcome of ['placeholder', 'missing'] as const) {
      expect(counts[outcome]).toBe(rows.filter(([, , , becomes]) => becomes === outcome).length)
    }
    const more = [
      [counts.placeholder, 'placeholders'],
      [counts.missing, 'missing'],
      [counts.rejected, 'rejected'],
      [quality.ambiguousHourAssumed, 'hour assumed']
    ]
    const parts = [[counts.accepted, 'intervals'], ...more.filter(([count]) => count !== 0)]
    expect(table.sum).toBe(`${rows.length} rows: ${parts.map(part => part.join(' ')).join(', ')}`)
  })

  test('is right about the revisions that it lists', async () => {
    const [, ...stamps] = cellsOf(section('Revisions'))
    expect(stamps.length).toBeGreaterThan(3)
    const rows = stamps.map(([stamp]) => row({ revision: stamp === 'blank' ? '' : stamp! }))
    const { intervals } = await read(csv(...rows))
    expect(
      intervals.map(({ revision }) => iso(revision)?.replace('.000Z', 'Z') ?? 'none, older than any other')
    ).toEqual(stamps.map(([, instant]) => instant))
  })

  describe('the nineteen ways to bend a reading', () => {
    const [, ...ways] = cellsOf(section('Nineteen ways to bend a reading'))
    const later = /^\*\*later\*\*: \w/
    /** Tests as the table names them: a link to the file, then the title. */
    const named = ways.flatMap(([number, , , tests]) =>
      tests!
        .split('<br>')
        .filter(part => !later.test(part))
        .map(part => [number, ...(/^\[(test\/\S+)\]\(\.\.\/\1\): (.+)$/.exec(part) ?? [part]).slice(-2)] as const)
    )

    test('are all there, each once, with a test or a mark that says what it waits for', () => {
      expect(ways.map(([number]) => Number(number))).toEqual(Array.from({ length: 19 }, (_, i) => i + 1))
      expect(ways.filter(cells => cells.length !== 4 || cells.includes(''))).toEqual([])
      const untested = ways.filter(([number]) => !named.some(([n]) => n === number))
      expect(untested.every(([, , , tests]) => later.test(tests!))).toBe(true)
    })

    test.each(named)('%s names a test that is in %s: %s', (_, path, title) => {
      const quoted = `'${title}'`
      expect(text(path!).includes(quoted), `no test ${quoted} in ${path}`).toBe(true)
    })

    test('have all the tests that were written for them', () => {
      const titles = [...text('test/parse/bent-rows.test.ts').matchAll(/^ {2}test\('(.+?)',/gm)].map(
        ([, title]) => title
      )
      expect(titles.length).toBeGreaterThan(15)
      const cited = named.filter(([, path]) => path === 'test/parse/bent-rows.test.ts').map(([, , title]) => title)
      expect(cited.toSorted()).toEqual(titles.toSorted())
    })
  })
})

describe('the code of the pages', () => {
  const sources = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.md') && !path.startsWith('reference'))
    .flatMap(path =>
      blocks('js ts', text(join('docs', path))).map((code, i) => {
        // One that reaches for the suites stands among the tests.
        const folder = code.includes('../conformance/') ? 'test/sink' : 'examples'
        return [join(root, folder, `${path.replace(/\W/g, '-')}-${i}.ts`), code] as const
      })
    )

  test('has no fault that the compiler finds', () => {
    const config = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile).config
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
    const host = ts.createCompilerHost(options)
    const written = new Map(sources)
    const { fileExists, readFile } = host
    host.fileExists = path => written.has(path) || fileExists(path)
    host.readFile = path => written.get(path) ?? readFile(path)
    const program = ts.createProgram([...written.keys()], options, host)
    expect(written.size).toBeGreaterThan(8)
    const faults = ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => {
      return `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    })
    expect(faults).toEqual([])
  }, 60_000)

  test('of docs/write-a-sink.md is the example and its test', () => {
    const [sink, , , , suites] = blocks('ts', text('docs/write-a-sink.md'))
    expect(sink).toBe(text('examples/csv-sink.ts'))
    expect(suites).toBe(text('test/sink/csv-sink.test.ts'))
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

/**
 * Runs a program of Node's in a folder, with nothing in its environment but what is given. One that goes on until it is
 * asked to stop is asked when it has said enough.
 */
function runNode(
  cwd: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  isEnough: (stdout: string) => boolean = () => false
): Promise<Ending> {
  const options = { cwd, env: { HOME: cwd, ...env }, timeout: 20_000, killSignal: 'SIGKILL', maxBuffer: 1e8 } as const
  return new Promise(resolve => {
    const child = execFile(process.execPath, args, options, (_, stdout, stderr) => {
      resolve({ exitCode: child.exitCode, stdout, stderr })
    })
    let said = ''
    child.stdout?.on('data', function hear(text) {
      said += text
      // Once: a second signal would not be waited for.
      if (isEnough(said) && child.stdout?.off('data', hear)) child.kill('SIGTERM')
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

/** The lines of intervals; those of other reports say so. */
function readNdjson(folder: string): Line[] {
  const names = readdirSync(folder).filter(name => !name.startsWith('.'))
  const lines = names.flatMap(name => parseLines(readFileSync(join(folder, name), 'utf8')))
  const daily = lines.filter(line => 'type' in line)
  expect(daily.map(line => 'type' in line && line.type)).toEqual(['daily-read', 'daily-read', 'daily-read'])
  return lines.filter(line => !('type' in line))
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
  const info = { name: 'MeterInfo20250715141200000.CSV', bytes: makeMeterInfo([esiid]) }

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
    const packed = await wrapAsSmt([member, daily, info], pgp.publicKey)
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
    writeFileSync(join(folder, 'inbox/IntervalMeterUsage.zip'), makeZip([member, daily, info]))
  }

  describe('the code of the README', () => {
    const [overSftp, watching, pipelines, ...others] = blocks('js')

    test('is the three blocks that run here', () => {
      expect(overSftp).toContain('ingest({ source, decryptor, parser, sink })')
      expect(watching).toContain('watch({ source, parser, sink, concurrency: 2, stopSignal: stop.signal })')
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

    test('watches a folder until it is asked to stop, and moves what is wholly in', async () => {
      const folder = project()
      fillInbox(folder)
      writeFileSync(join(folder, 'watch.mjs'), watching!)
      const isEnough = (said: string) => said.match(/^committed .*\n/gm)?.length === 2
      expect(await runNode(folder, ['watch.mjs'], {}, isEnough)).toMatchObject({ exitCode: 0, stderr: '' })
      expect(sorted(await readDuckDb(join(folder, 'smt.duckdb')))).toEqual(truthOf(plain, solar))
      // The other one holds meter information, too.
      expect([readdirSync(join(folder, 'done')), readdirSync(join(folder, 'inbox'))]).toEqual([
        ['IntervalData.csv'],
        ['IntervalMeterUsage.zip']
      ])
    })

    test('and of docs/write-a-sink.md brings the files of a folder into CSV, and ends by itself', async () => {
      const folder = project()
      fillInbox(folder)
      const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 }
      const [sink, use] = blocks('ts', text('docs/write-a-sink.md')).map(code => {
        return ts.transpileModule(code.replace("'./csv-sink.ts'", "'./csv-sink.mjs'"), { compilerOptions }).outputText
      })
      writeFileSync(join(folder, 'csv-sink.mjs'), sink!)
      writeFileSync(join(folder, 'use.mjs'), use!)
      const { exitCode, stdout, stderr } = await runNode(folder, ['use.mjs'])
      expect([exitCode, stderr, stdout.match(/^committed /gm)?.length]).toEqual([0, '', 2])
      const written = readdirSync(join(folder, 'out')).filter(name => name.endsWith('.csv'))
      const rows = written.flatMap(name =>
        readFileSync(join(folder, 'out', name), 'utf8')
          .trim()
          .split('\n')
          .slice(1)
      )
      expect(rows).toHaveLength(plain.totals.rows.accepted + solar.totals.rows.accepted)
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
      [/^smt-ingest watch /, folder => readDuckDb(join(folder, 'smt.duckdb')), truthOf(plain, solar)],
      [/ ledger /, folder => readDuckDb(join(folder, 'smt.duckdb')), truthOf(plain, solar)],
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
      const program = join(root, manifest.bin['smt-ingest'])
      if (args[0] === 'ledger') {
        await runNode(folder, [program, 'pull', '--from', 'inbox', '--to', 'duckdb:smt.duckdb'])
      }
      const isEnough = (said: string) => args[0] === 'watch' && said.match(/^✓ .*\n/gm)?.length === 2
      const { exitCode, stdout, stderr } = await runNode(folder, [program, ...args], {}, isEnough)
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

  test('tells whoever exports from PostgreSQL there that DuckDB writes the files', async () => {
    const folder = bareProject()
    const { exitCode, stdout, stderr } = await load(
      folder,
      `import { PostgresSink } from '${manifest.name}/postgres'
       const sink = new PostgresSink()
       await sink.exportParquet({ directory: 'export' }).catch(({ code, message }) => console.log(code, message))
       await sink.close()`
    )
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toBe('CONFIG_MISSING_PEER exportParquet needs the package @duckdb/node-api\n')
    expect(readdirSync(join(folder, 'export'))).toEqual([])
  })
})
