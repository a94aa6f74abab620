import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { makeSshKey } from '../../src/testing/index.ts'
import { csvOf, fill, folderMaker, keep, smtIngest } from './support.ts'

const newFolder = folderMaker()

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

/** Everything that a right call of `pull` has; a wrong one changes one thing. The folders are there. */
const from = ['--from', 'in']
const to = ['--to', 'ndjson:out']
const server = ['--from', 'sftp://smt@127.0.0.1:9/in']
const identity = ['--identity', 'id']
const missing = 'no-such-file'

interface WrongUse {
  readonly what: string
  readonly args: readonly string[]
  /** What the message names: the option and, where it has one, its value. */
  readonly names: readonly string[]
  readonly hides?: string
  readonly env?: Readonly<Record<string, string>>
}

const wrongUses: readonly WrongUse[] = [
  { what: 'no command', args: [], names: ['Usage: smt-ingest', 'pull', 'inspect', 'demo'] },
  { what: 'an unknown command', args: ['puul'], names: ["unknown command 'puul'", 'Did you mean pull?'] },
  { what: 'an unknown flag', args: ['pull', ...from, ...to, '--dry'], names: ["unknown option '--dry'"] },
  { what: 'a flag without its value', args: ['pull', ...from, '--to'], names: ["'--to <store>' argument missing"] },
  { what: 'a word too many', args: ['pull', ...from, ...to, 'now'], names: ['too many arguments'] },
  { what: 'no source', args: ['pull', ...to], names: ['--from', 'SMT_HOST'] },
  { what: 'no store', args: ['pull', ...from], names: ['--to', 'SMT_STORE'] },
  {
    what: 'a store of another kind',
    args: ['pull', ...from, '--to', 'mysql://smt:open-sesame@db/smt'],
    names: ['--to', 'mysql:', 'duckdb:'],
    hides: 'sesame'
  },
  {
    what: 'a password in the URL of the store',
    args: ['pull', ...from, '--to', 'postgres://smt:open-sesame@db/smt'],
    names: ['--to', 'PGPASSWORD', '.pgpass'],
    hides: 'sesame'
  },
  {
    what: 'a password as a parameter of it',
    args: ['pull', ...from, '--to', 'postgresql://smt@db/smt?password=open-sesame'],
    names: ['--to', 'PGPASSWORD'],
    hides: 'sesame'
  },
  {
    what: 'a password that is not escaped',
    args: ['pull', ...from],
    env: { SMT_STORE: 'postgres://smt:12#sesame@db/smt' },
    names: ['--to', '%23'],
    hides: 'sesame'
  },
  {
    what: 'a password with a percent sign that begins nothing',
    args: ['pull', ...from],
    env: { SMT_STORE: 'postgres://smt:100%sesame@db/smt' },
    names: ['--to', '%25'],
    hides: 'sesame'
  },
  {
    what: 'a layout that is none',
    args: ['pull', ...from, '--to', 'postgres://smt@db/smt?layout=hours'],
    names: ['--to', 'days or rows', 'hours']
  },
  {
    what: 'a path that ends in a question',
    args: ['pull', '--from', 'sftp://smt@host/in#box', ...to, ...identity],
    names: ['--from', '%23']
  },
  { what: 'a store without a place', args: ['pull', ...from, '--to', 'duckdb:'], names: ['--to', 'duckdb:FILE'] },
  { what: 'FTP', args: ['pull', '--from', 'ftp://host/in', ...to], names: ['--from', 'sftp://', 'got ftp://'] },
  {
    what: 'a URL that nobody can read',
    args: ['pull', '--from', 'sftp://host:99999/in', ...to, ...identity],
    names: ['--from']
  },
  {
    what: 'a percent sign that begins nothing',
    args: ['pull', '--from', 'sftp://smt@host/100%', ...to, ...identity],
    names: ['--from', '%25']
  },
  {
    what: 'a password in the URL',
    args: ['pull', '--from', 'sftp://smt:open-sesame@host/in', ...to, ...identity],
    names: ['--from', '--password-file'],
    hides: 'sesame'
  },
  {
    what: 'a server without a user',
    args: ['pull', '--from', 'sftp://host/in', ...to, ...identity],
    names: ['sftp://user@host', 'SMT_USER']
  },
  { what: 'no way to log in', args: ['pull', ...server, ...to], names: ['--identity', '--password-file', 'SMT_KEY'] },
  {
    what: 'a pin that is none',
    args: ['pull', ...server, ...to, ...identity, '--host-key', makeSshKey().privateKey],
    names: ['--host-key'],
    hides: 'PRIVATE KEY'
  },
  {
    what: 'a known_hosts file that is not there',
    args: ['pull', ...server, ...to, ...identity, '--known-hosts', missing],
    names: ['--known-hosts', missing]
  },
  {
    what: 'an OpenPGP key that is not there',
    args: ['pull', ...from, ...to, '--key', missing],
    names: ['--key', missing]
  },
  {
    what: 'the same, named by the environment',
    args: ['pull', ...from, ...to],
    env: { SMT_PGP_KEY: missing },
    names: ['SMT_PGP_KEY', missing]
  },
  {
    what: 'a signer’s key that is not there',
    args: ['pull', ...from, ...to, '--signer', missing],
    names: ['--signer', missing]
  },
  {
    what: 'the same, named by the environment',
    args: ['pull', ...from, ...to],
    env: { SMT_PGP_SIGNERS: missing },
    names: ['SMT_PGP_SIGNERS', missing]
  },
  {
    what: 'signatures that nobody may make',
    args: ['pull', ...from, ...to, '--signature', 'required'],
    names: ['--signature required', '--signer', 'SMT_PGP_SIGNERS']
  },
  {
    what: 'a rule for signatures that is none',
    args: ['pull', ...from, ...to, '--signature', 'always'],
    names: ['--signature', 'always']
  },
  {
    what: 'a passphrase that is not there',
    args: ['pull', ...from, ...to, '--key', 'id', '--passphrase-file', missing],
    names: ['--passphrase-file', missing]
  },
  {
    what: 'an SSH key that is not there',
    args: ['pull', ...server, ...to, '--identity', missing],
    names: ['--identity', missing]
  },
  {
    what: 'a password that is not there',
    args: ['pull', ...server, ...to, '--password-file', missing],
    names: ['--password-file', missing]
  },
  {
    what: 'a port that is none',
    args: ['pull', ...to],
    env: { SMT_HOST: 'host', SMT_USER: 'smt', SMT_KEY: 'id', SMT_SFTP_PORT: 'ssh' },
    names: ['port']
  },
  { what: 'inspect without a file', args: ['inspect'], names: ["missing required argument 'files'"] },
  {
    what: 'inspect with a key that is not there',
    args: ['inspect', 'in/a.csv', '--key', missing],
    names: ['--key', missing]
  },
  { what: 'a number that is none', args: ['demo', '--meters', 'many'], names: ['--meters', 'many', 'whole number'] },
  { what: 'no days at all', args: ['demo', '--days', '0'], names: ['--days', 'whole number'] }
]

describe.concurrent('wrong use', { timeout: 60_000 }, () => {
  test.for(wrongUses.map(use => [use.what, use] as const))(
    '%s: exit code 2, the option is named, nothing is done',
    async ([, { args, names, hides, env = {} }], { expect }) => {
      const folder = fill(newFolder(), { 'in/a.csv': csvOf(1) })
      keep(folder, 'id', makeSshKey().privateKey)
      const { code, stdout, stderr } = await smtIngest(args, { cwd: folder, env })
      expect([code, stdout]).toEqual([2, ''])
      for (const name of names) expect(stderr).toContain(name)
      if (hides !== undefined) expect(stderr).not.toContain(hides)
      expect(stderr).not.toContain('    at ')
      expect(readdirSync(folder).sort()).toEqual(['id', 'in'])
    }
  )
})

describe.concurrent('smt-ingest', { timeout: 60_000 }, () => {
  test('tells its version', async ({ expect }) => {
    expect(await smtIngest(['--version'])).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: '' })
  })

  test.for<[args: string[], words: string[]]>([
    [['--help'], ['demo', 'pull', 'inspect']],
    [
      ['pull', '--help'],
      ['--from', '--to', '--host-key', '--known-hosts', '--retry-quarantined', 'SMT_PGP_KEY']
    ],
    [
      ['help', 'inspect'],
      ['--intervals', '--json', '--key', '--passphrase-file']
    ],
    [
      ['demo', '--help'],
      ['--meters', '--days', '--directory']
    ]
  ])('explains itself: %s', async ([args, words], { expect }) => {
    const { code, stdout, stderr } = await smtIngest(args)
    expect([code, stderr]).toEqual([0, ''])
    for (const word of words) expect(stdout).toContain(word)
  })

  test('an empty folder is no failure', async ({ expect }) => {
    const folder = newFolder()
    const args = ['pull', '--from', folder, '--to', `ndjson:${join(folder, 'out')}`]
    expect(await smtIngest(args)).toMatchObject({ code: 0, stdout: 'no files; 0 intervals taken\n', stderr: '' })
  })
})
