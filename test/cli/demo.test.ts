import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { describe, test } from 'vitest'
import { requireSshd } from '../support/sshd.ts'
import { ask, fill, folderMaker, smtIngest } from './support.ts'

const newFolder = folderMaker()
const small = ['demo', '--meters', '4', '--days', '3']

/** Places that the demonstration has no business in: where it is called, the home folder, the temporary folder. */
function elsewhere() {
  const folder = newFolder()
  const places = ['called', 'home', 'tmp'].map(name => join(folder, name))
  for (const place of places) mkdirSync(place)
  const [cwd, home, tmp] = places as [string, string, string]
  return { cwd, env: { HOME: home, TMPDIR: tmp }, left: () => places.flatMap(place => readdirSync(place)) }
}

/** A machine whose sshd is not willing. */
function withoutSshd(): string {
  const folder = fill(newFolder(), { sshd: '#!/bin/sh\nexit 1\n' })
  chmodSync(join(folder, 'sshd'), 0o755)
  return [folder, process.env.PATH].join(delimiter)
}

/** A machine may have one and yet no folder that it insists on. */
const sshdIsWilling = requireSshd() && existsSync('/run/sshd')

describe.concurrent('demo', { timeout: 120_000 }, () => {
  test('shows the promise kept, touches nothing outside its folder, and works again without an sshd', async ({
    expect
  }) => {
    const { cwd, env, left } = elsewhere()
    const directory = join(newFolder(), 'demo')
    const args = [...small, '--directory', directory]
    const first = await smtIngest(args, { cwd, env })
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toContain('Making the files of 4 meters for 3 days')
    const server = sshdIsWilling ? 'OpenSSH sshd' : 'the embedded SFTP server (sshd'
    expect(first.stdout).toContain(`12 files are served by ${server}`)
    expect(first.stdout).toMatch(/^Files: 1 ignored, \d+ committed, 2 duplicate, 1 quarantined$/m)
    expect(first.stdout).toContain('DECRYPT_CORRUPT')
    expect(first.stdout).toContain('ROW_BAD_KWH')
    expect(first.stdout).toContain('SELECT state, count(*) FROM files')
    const [, found, planted] = /^(\d+) of (\d+) counts are what was planted\.$/m.exec(first.stdout) ?? []
    expect(Number(found)).toBeGreaterThan(50)
    expect(found).toBe(planted)
    expect(left()).toEqual([])
    expect(readdirSync(directory).sort()).toEqual(['remote', 'smt.duckdb'])

    const counts = 'SELECT count(*)::INTEGER AS intervals, sum(kwh)::VARCHAR AS kwh FROM intervals'
    const before = await ask(join(directory, 'smt.duckdb'), counts)
    const second = await smtIngest(args, { cwd, env: { ...env, PATH: withoutSshd() } })
    expect(second).toMatchObject({ code: 0, stderr: '' })
    expect(second.stdout).toMatch(/^12 files are served by the embedded SFTP server \(sshd .+\) on 127\.0\.0\.1:/m)
    expect(second.stdout).toContain(`${planted} of ${planted} counts are what was planted.`)
    expect(await ask(join(directory, 'smt.duckdb'), counts)).toEqual(before)
    expect(left()).toEqual([])
  })

  test('takes away nothing but what an earlier demonstration left', async ({ expect }) => {
    const { cwd, env } = elsewhere()
    fill(cwd, { 'server/index.js': 'mine', 'package.json': '{}' })
    const { code, stdout, stderr } = await smtIngest([...small, '--directory', '.'], { cwd, env })
    expect([code, stdout]).toEqual([2, ''])
    expect(stderr).toContain('--directory')
    expect(readdirSync(join(cwd, 'server'))).toEqual(['index.js'])
  })

  test('I9: SIGTERM ends both of its processes', async ({ expect }) => {
    const { cwd, env } = elsewhere()
    let listening = (_: 'SIGTERM') => {}
    const stop = new Promise<'SIGTERM'>(resolve => (listening = resolve))
    const startedAt = performance.now()
    let sentAt = 0
    const running = smtIngest([...small, '--directory', 'here'], {
      cwd,
      env,
      stop,
      hears(text) {
        if (!text.includes('host key pinned')) return
        sentAt ||= performance.now()
        listening('SIGTERM')
      }
    })
    const { code, stderr } = await running
    expect(sentAt).toBeGreaterThan(startedAt)
    expect(performance.now() - sentAt).toBeLessThan(5_000)
    expect(code).toBe(1)
    expect(stderr).toContain('ABORTED')
  })
})
