import { chmodSync, mkdirSync, readdirSync } from 'node:fs'
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

describe.concurrent('demo', () => {
  test('shows the promise kept, touches nothing outside its folder, and works again', async ({ expect }) => {
    const { cwd, env, left } = elsewhere()
    const directory = join(newFolder(), 'demo')
    const args = [...small, '--directory', directory]
    const first = await smtIngest(args, { cwd, env })
    expect(first).toMatchObject({ code: 0, stderr: '' })
    expect(first.stdout).toContain('Making the files of 4 meters for 3 days')
    expect(first.stdout).toMatch(/^\d+ files are served by .+ on 127\.0\.0\.1:\d+, host key pinned\.$/m)
    expect(first.stdout).toMatch(/^Files: \d+ committed, .*1 quarantined/m)
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
    const second = await smtIngest(args, { cwd, env })
    expect(second).toMatchObject({ code: 0, stderr: '' })
    expect(second.stdout).toContain(`${planted} of ${planted} counts are what was planted.`)
    expect(await ask(join(directory, 'smt.duckdb'), counts)).toEqual(before)
    expect(left()).toEqual([])
  })

  test('serves by itself where no sshd is willing, and says so', async ({ expect }) => {
    const { cwd, env, left } = elsewhere()
    const args = [...small, '--directory', 'here']
    const { code, stdout, stderr } = await smtIngest(args, { cwd, env: { ...env, PATH: withoutSshd() } })
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(
      /files are served by the embedded SFTP server \(sshd .+\) on 127\.0\.0\.1:\d+, host key pinned/
    )
    expect(left()).toEqual(['here'])
  })

  test.skipIf(!requireSshd())('uses the machine’s own sshd where there is one', async ({ expect }) => {
    const { cwd, env } = elsewhere()
    const { code, stdout } = await smtIngest([...small, '--directory', 'here'], { cwd, env })
    expect(code).toBe(0)
    expect(stdout).toContain('files are served by OpenSSH sshd on 127.0.0.1:')
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
