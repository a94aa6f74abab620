import { execFileSync, spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { findReal, requireReal } from './support/real.ts'

const folder = fileURLToPath(new URL('../examples/droplet-webhook', import.meta.url))
const names = readdirSync(join(folder, 'systemd'))
const units = names.map(name => [name, readFileSync(join(folder, 'systemd', name), 'utf8')] as const)

/** The values that a unit gives an option, in their order. */
function valuesOf(unit: string, option: string): string[] {
  return [...unit.matchAll(new RegExp(`^${option}=(.*)$`, 'gm'))].map(([, value]) => value!)
}

const can = requireReal('systemd-analyze')
if (!can) console.info('skipped: systemd-analyze is not on this machine, so nothing verifies the units')
const analyze = (...args: string[]) => spawnSync(findReal('systemd-analyze')!, args, { encoding: 'utf8' })

describe.skipIf(!can)('systemd-analyze', () => {
  test.each(names)('verifies %s without a word', name => {
    const { status, stdout, stderr } = analyze('verify', '--man=no', join(folder, 'systemd', name))
    // A machine without systemd running lacks the targets that every unit waits for.
    const said = `${stdout}${stderr}`.replace(/^.*: Failed to create .*Unit sysinit\.target not found\.\n/gm, '')
    expect([said, status]).toEqual(['', 0])
  })

  test.each(names)('finds little that %s is exposed to', name => {
    // In tenths: 0 is nothing, 100 is everything. A unit without sandboxing has 92.
    const { status, stdout } = analyze(
      ...['security', '--offline=true', '--no-pager', '--threshold=20', join(folder, 'systemd', name)]
    )
    expect(stdout).toContain('Overall exposure level')
    expect(status).toBe(0)
  })
})

describe('the units', () => {
  test('keep their names, the user and the settings file', () => {
    expect(names).toEqual(['smt-ingest.service', 'smt-webhook.service'])
    for (const [, unit] of units) {
      expect(valuesOf(unit, 'Type')).toEqual(['exec'])
      expect(valuesOf(unit, 'User')).toEqual(['deploy'])
      expect(valuesOf(unit, 'EnvironmentFile')[0]).toBe('/etc/default/intelliwatt-smt')
    }
  })

  test.each(units)('%s: may write its own folder alone, gains nothing, and ends in its time', (_, unit) => {
    const expected: Record<string, string[]> = {
      ProtectSystem: ['strict'],
      ProtectHome: ['read-only'],
      PrivateTmp: ['yes'],
      NoNewPrivileges: ['yes'],
      CapabilityBoundingSet: [''],
      StateDirectory: ['intelliwatt-smt'],
      ReadWritePaths: [],
      // Without AF_NETLINK, Node.js cannot tell its own addresses, and ends when it listens on all of them.
      RestrictAddressFamilies: ['AF_INET AF_INET6 AF_UNIX AF_NETLINK'],
      SystemCallFilter: ['@system-service @pkey', '~@privileged'],
      // A wrong setting: the daemon and the command end with 2.
      RestartPreventExitStatus: ['2'],
      TimeoutStopSec: ['90'],
      // The compiler of Node.js writes memory and runs it.
      MemoryDenyWriteExecute: []
    }
    const found = Object.fromEntries(Object.keys(expected).map(option => [option, valuesOf(unit, option)]))
    expect(found).toEqual(expected)
  })

  test.each([
    ['postgres://smt@127.0.0.1/smt', true],
    ['postgresql://smt@127.0.0.1/smt', true],
    ['duckdb:/var/lib/intelliwatt-smt/smt.duckdb', false],
    ['', false]
  ])('smt-ingest.service runs beside the daemon on %s: %s', (SMT_STORE, runs) => {
    const unit = units.find(([name]) => name === 'smt-ingest.service')![1]
    const [, script] = /^\/bin\/sh -c '(.*)'$/.exec(valuesOf(unit, 'ExecCondition')[0]!)!
    const exits = () => execFileSync('/bin/sh', ['-c', script!], { env: { SMT_STORE } })
    if (runs) expect(exits).not.toThrow()
    else expect(exits).toThrow()
  })
})
