import { readFileSync } from 'node:fs'
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { ConfigError } from '../errors.ts'
import { printError } from './print.ts'
import type { ExitCode, Surroundings } from './surroundings.ts'

/** Runs one command line; gives the exit code. */
export async function main(args: readonly string[]): Promise<ExitCode> {
  const stop = new AbortController()
  const onSignal = () => stop.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  const surroundings: Surroundings = { env: process.env, signal: stop.signal }
  let exitCode: ExitCode = 0
  const program = buildProgram(async command => {
    exitCode = await command(surroundings)
  })
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    printError(error)
    return error instanceof ConfigError ? 2 : 1
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal)
  }
}

type Run = (command: (surroundings: Surroundings) => Promise<ExitCode>) => Promise<void>

/** The commands. Each is loaded when it is asked for. */
function buildProgram(run: Run): Command {
  const program = new Command('smt-ingest')
    .description('Smart Meter Texas interval files: fetch, open, check, store.')
    .version(version())
    .exitOverride()
    .showHelpAfterError()

  program
    .command('demo')
    .description('make encrypted SMT files, serve them over SFTP, take them into demo/smt.duckdb, and compare')
    .option('--meters <n>', 'meters to make', wholeNumber, 200)
    .option('--days <n>', 'days to make around each clock change', wholeNumber, 31)
    .option('--directory <dir>', 'where everything is written', 'demo')
    .action(options => run(async around => (await import('./demo.ts')).demo(options, around)))

  const keys = (command: Command) =>
    command
      .option('--key <file>', 'OpenPGP private key; repeat it while keys are rotated [SMT_PGP_KEY]', collect)
      .option('--passphrase-file <file>', 'holds the passphrase of that key [SMT_PGP_PASSPHRASE_FILE]')
      .option('--signer <file>', 'OpenPGP public key of who may sign; repeatable [SMT_PGP_SIGNERS]', collect)
      .option('--signature <what>', 'ignore, optional (with --signer) or required [SMT_PGP_SIGNATURE]')
      .addOption(
        new Option('--reports <what>', 'daily reads and monthly bills, whose layouts are unverified: read or leave')
          .choices(['read', 'leave'])
          .default('read')
      )
      .option('--json', 'one JSON object a line, for programs')

  const take = (command: Command) =>
    keys(toStore(command))
      .option(
        '--from <source>',
        'folder, or sftp://user@host:port/dir; repeatable [SMT_HOST, SMT_REMOTE_DIR, …]',
        collect
      )
      .option('--identity <file>', 'SSH private key [SMT_KEY]')
      .option('--password-file <file>', 'holds the SFTP password, instead of a key')
      .option('--host-key <fingerprint>', 'pin of the server’s key, SHA256:…; repeatable [SMT_HOST_KEY]', collect)
      .option('--known-hosts <file>', 'OpenSSH known_hosts file, instead of a pin [SMT_KNOWN_HOSTS]')
      .option('--concurrency <n>', 'files on their way at a time', wholeNumber, 1)
  const taking = (command: Command) =>
    take(command).option('--after <what>', 'with a file that is wholly in: keep, delete or move:DIR', 'keep')

  taking(program.command('pull'))
    .description('take every new file from the sources into a store')
    .option('--retry-quarantined', 'take files again that an earlier run set aside')
    .option('--retry-now', 'take files whose next attempt is not due yet')
    .action(options => run(async around => (await import('./pull.ts')).pull(options, around)))

  taking(program.command('watch'))
    .description('the same again and again, until SIGTERM or SIGINT; what is under way is finished')
    .option('--every <seconds>', 'from one look at a source to the next', wholeNumber, 60)
    .action(options => run(async around => (await import('./watch.ts')).watch(options, around)))

  addLedger(program.command('ledger'), { run, take })

  keys(program.command('inspect'))
    .description('show what is inside files; stores nothing')
    .argument('<files...>', 'files as SMT delivers them, encrypted or not')
    .option('--intervals', 'print the intervals as NDJSON, after a first pass has verified the file')
    .action((files, options) => run(async around => (await import('./inspect.ts')).inspect(files, options, around)))

  program
    .command('export')
    .description('write the intervals of a database into Parquet files, one for each month')
    .option('--from <store>', 'duckdb:FILE or postgres://user@host/db?schema=smt&layout=days [SMT_STORE]')
    .requiredOption('--to <dir>', 'where the months and manifest.json go')
    .option('--since <month>', 'the first month, as 2025-07')
    .option('--until <month>', 'the last month, as 2025-07')
    .option('--json', 'one JSON object a line, for programs')
    .action(options => run(async around => (await import('./export.ts')).exportStore(options, around)))

  program
    .command('token')
    .description('log in to SMT’s REST side once, and show what came of it')
    .option('--base-url <url>', 'where SMT is [SMT_API_BASE_URL] (default: https://services.smartmetertexas.net)')
    .option('--user <name>', 'user name of the API service account [SMT_USERNAME]')
    .option('--password-file <file>', 'holds its password, instead of SMT_PASSWORD or a question')
    .option('--timeout <seconds>', 'for the whole login', wholeNumber, 30)
    .option('--show-token', 'print the token itself, which opens what the account may see')
    .option('--json', 'one JSON object, for programs')
    .action(options => run(async around => (await import('./token.ts')).token(options, around)))
    .addHelpText('after', '\nExit code 3: wrong user name or password. 4: no answer, or this machine is not admitted.')

  for (const command of commandsOf(program)) command.exitOverride().showHelpAfterError()
  return program
}

/** What became of each file, and what to do about it. */
function addLedger(ledger: Command, { run, take }: { run: Run; take: (command: Command) => Command }): void {
  ledger.description('what became of each file, and what to do about it')
  const asked = (name: string) => toStore(ledger.command(name)).option('--json', 'one JSON object a line, for programs')
  const load = () => import('./ledger.ts')
  const between = (command: Command) =>
    command
      .option('--since <date>', 'modified at the source on this day or later (UTC)', day)
      .option('--until <date>', 'modified before this day', day)

  between(asked('list'))
    .description('files and their states, the one changed last first')
    .option('--state <state>', `only these; repeatable: ${states.join(', ')}`, stateNames)
    .option('--limit <n>', 'how many', wholeNumber, 100)
    .action(options => run(async around => (await load()).list(options, around)))
  asked('show <file>')
    .description('everything that is known of a file, by path or name')
    .action((file, options) => run(async around => (await load()).show(file, options, around)))
  asked('explain <file>')
    .description('why a file was taken, or not, in a sentence')
    .action((file, options) => run(async around => (await load()).explainFile(file, options, around)))
  asked('retry [files...]')
    .description('have the next run take files that are set aside, wait, or are duplicates')
    .option('--all', 'everything that is set aside or waits')
    .action((files, options) => run(async around => (await load()).retry(files, options, around)))
  between(take(ledger.command('replay [files...]')))
    .description('read files anew that are in, and replace what the store has of them')
    .option('--unhandled', 'those of which something was left that is read by now')
    .action((files, options) => run(async around => (await load()).replay(files, options, around)))
  asked('forget <files...>')
    .description('forget files that are not in: the next run takes them as new')
    .action((files, options) => run(async around => (await load()).forget(files, options, around)))
  asked('import')
    .description('take over what another system has brought in already')
    .requiredOption('--posted-sha256 <file>', 'SHA-256 of each file as it was fetched, one a line')
    .action(options => run(async around => (await load()).importPosted(options.postedSha256, options, around)))
  toStore(ledger.command('schema'))
    .description('print the tables of a store as SQL; nothing is opened')
    .action(options => run(async around => (await load()).schema(options, around)))
}

function toStore(command: Command): Command {
  const places = 'duckdb:FILE, ndjson:DIR or postgres://user@host/db?schema=smt&layout=days [SMT_STORE]'
  return command.option('--to <store>', places)
}

function commandsOf(command: Command): Command[] {
  return [command, ...command.commands.flatMap(commandsOf)]
}

const states = ['seen', 'claimed', 'staged', 'committed', 'duplicate', 'quarantined', 'ignored']

function stateNames(value: string, before: readonly string[] = []): readonly string[] {
  if (!states.includes(value)) throw new InvalidArgumentError(`It is one of ${states.join(', ')}.`)
  return [...before, value]
}

/** 2025-07-14 as the UTC epoch milliseconds of its midnight. */
function day(value: string): number {
  const instant = /^\d{4}-\d\d-\d\d$/.test(value) ? Date.parse(`${value}T00:00:00Z`) : Number.NaN
  if (Number.isNaN(instant)) throw new InvalidArgumentError('It is a day such as 2025-07-14.')
  return instant
}

function collect(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value]
}

function wholeNumber(value: string): number {
  const number = Number(value)
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('It is a whole number above zero.')
  return number
}

function version(): string {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')).version
}
