import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decrypt, readMessage, readPrivateKey } from 'openpgp'
import { beforeAll, describe, expect, test } from 'vitest'
import { type DeliveredFile, type DeliveryManifest, makeDelivery, makePgpKey } from '../../src/testing/index.ts'
import { requireReal } from '../support/real.ts'
import { scratchFolder } from '../support/scratch.ts'

const written = new Map<string, Buffer>()
const times: number[] = []
let manifest: DeliveryManifest
let privateKey: string

beforeAll(async () => {
  const key = await makePgpKey()
  privateKey = key.privateKey
  manifest = await makeDelivery({
    publicKey: key.publicKey,
    meters: 6,
    days: 5,
    write(path, bytes, modifiedAt) {
      written.set(path, bytes)
      times.push(modifiedAt)
    }
  })
})

const expecting = (expect: DeliveredFile['expect']) => manifest.files.filter(file => file.expect === expect)

async function open({ path }: DeliveredFile): Promise<Buffer> {
  const { data } = await decrypt({
    message: await readMessage({ armoredMessage: written.get(path)!.toString('latin1') }),
    decryptionKeys: await readPrivateKey({ armoredKey: privateKey }),
    format: 'binary'
  })
  return Buffer.from(data)
}

test('lists every file as it was written, oldest first', () => {
  expect(manifest.files.map(({ path }) => path)).toEqual([...written.keys()])
  expect(manifest.files.map(({ modifiedAt }) => modifiedAt)).toEqual(times)
  expect(times.every((time, i) => time % 1000 === 0 && (i === 0 || time > times[i - 1]!))).toBe(true)
  for (const { path, bytes, sha256 } of manifest.files) {
    expect(written.get(path)).toHaveLength(bytes)
    expect(createHash('sha256').update(written.get(path)!).digest('hex')).toBe(sha256)
  }
})

test('names files as SMT does', () => {
  const names = expecting('committed').map(({ path }) => path)
  expect(names.every(name => /^adhocusage\/IntervalMeterUsage\d{17}\.CSV\.\d{9}\.asc$/.test(name))).toBe(true)
})

test('is plain JSON', () => {
  expect(JSON.parse(JSON.stringify(manifest))).toEqual(manifest)
})

test('can be asked for one day and two meters, and for nothing less', async () => {
  const write = () => {}
  const { publicKey } = await makePgpKey()
  const small = await makeDelivery({ publicKey, write, meters: 2, days: 1 })
  expect(small.store.watched.days).toEqual([
    { date: '2025-03-09', instants: 92 },
    { date: '2025-11-02', instants: 100 }
  ])
  await expect(makeDelivery({ publicKey, write, meters: 1 })).rejects.toThrow(RangeError)
  await expect(makeDelivery({ publicKey, write, days: 0 })).rejects.toThrow(RangeError)
})

describe('the planted trouble', () => {
  test('has two duplicates: the same bytes, and the same report in other bytes', async () => {
    const [same, anew] = expecting('duplicate')
    const committed = expecting('committed')
    expect(same!.path).toMatch(/^EnrollmentReports\//)
    expect(committed.filter(({ sha256 }) => sha256 === same!.sha256)).toHaveLength(1)
    expect(committed.filter(({ sha256 }) => sha256 === anew!.sha256)).toHaveLength(0)
    const opened = await Promise.all(committed.map(open))
    const again = await open(anew!)
    expect(opened.filter(bytes => bytes.equals(again))).toHaveLength(1)
  })

  test('has a message that cannot be opened', async () => {
    const [damaged, ...others] = expecting('quarantined')
    expect(others).toEqual([])
    await expect(open(damaged!)).rejects.toThrow(/Modification detected/)
  })

  test('has an unfinished upload', () => {
    expect(expecting('ignored').map(({ path }) => path)).toEqual([
      expect.stringMatching(/^adhocusage\/\.IntervalMeterUsage\d{17}\.CSV\.\d{9}\.asc\.tmp$/)
    ])
  })

  test('has one row that is lost, and blanks', () => {
    const sum = (name: 'rejected' | 'placeholder' | 'missing') =>
      expecting('committed').reduce((sum, { rows }) => sum + rows![name], 0)
    expect(sum('rejected')).toBe(1)
    expect(sum('placeholder')).toBeGreaterThanOrEqual(7 * 4)
    expect(sum('missing')).toBeGreaterThanOrEqual(2)
  })
})

test.skipIf(!requireReal('unzip'))(
  'the store’s truth is what somebody finds who opens and reads every file',
  async () => {
    const store = new Map<string, Reading>()
    const found = { revised: 0, changed: 0 }
    for (const file of expecting('committed')) {
      const path = join(scratchFolder(), 'report.zip')
      writeFileSync(path, await open(file))
      const list = spawnSync('unzip', ['-Z1', path], { encoding: 'utf8' }).stdout.trim().split('\n')
      expect(list.map(name => name.replace(/\d+/, ''))).toEqual(['IntervalMeterUsage.CSV', 'DailyMeterUsage.CSV'])
      const { stdout } = spawnSync('unzip', ['-p', path, list[0]!], { encoding: 'utf8', maxBuffer: 1 << 26 })
      const rows = { read: 0, accepted: 0, rejected: 0, placeholder: 0, missing: 0 }
      for (const { key, reading, fate } of readPlainly(stdout)) {
        rows.read += 1
        rows[fate] += 1
        if (fate !== 'accepted') continue
        const old = store.get(key)
        if (old !== undefined) {
          expect(reading.revision > old.revision).toBe(true)
          found.revised += 1
          if (old.milliKwh !== reading.milliKwh || old.flag !== reading.flag) found.changed += 1
        }
        store.set(key, reading)
      }
      expect(rows).toEqual(file.rows)
    }

    const { intervals, milliKwh, estimated, zeros, meters, revised, changed, watched } = manifest.store
    const all = [...store].map(([key, reading]) => {
      const [esiid, date, slot, direction] = key.split(' ')
      return { esiid, date, slot, direction, ...reading }
    })
    const surplus = all.filter(({ direction }) => direction === 'Surplus')
    const consumption = all.filter(({ direction }) => direction === 'Consumption')
    const kwh = (readings: Reading[]) => readings.reduce((sum, reading) => sum + reading.milliKwh, 0)
    expect({ consumption: consumption.length, 'surplus-generation': surplus.length }).toEqual(intervals)
    expect({ consumption: kwh(consumption), 'surplus-generation': kwh(surplus) }).toEqual(milliKwh)
    expect(all.filter(({ flag }) => flag === 'E')).toHaveLength(estimated)
    expect(all.filter(({ milliKwh }) => milliKwh === 0)).toHaveLength(zeros)
    expect(new Set(all.map(({ esiid }) => esiid)).size).toBe(meters)
    expect(found).toEqual({ revised, changed })
    expect(surplus.length).toBeGreaterThan(0)
    expect(changed).toBeGreaterThan(0)
    for (const { date, instants } of watched.days) {
      const [year, month, day] = date.split('-')
      const one = consumption.filter(row => row.esiid === watched.esiid && row.date === `${month}/${day}/${year}`)
      expect(one).toHaveLength(instants)
    }
  }
)

interface Reading {
  readonly milliKwh: number
  readonly flag: string
  readonly revision: string
}

/** The plainest reader: one meter-day's rows counted off, the place in the day instead of an instant. */
function* readPlainly(csv: string) {
  const slots = new Map<string, number>()
  for (const line of csv.trim().split('\n').slice(1)) {
    const [esiid, date, revision, start, , kwh, flag, direction] = line.split(',') as [string, ...string[]]
    const series = `${esiid.slice(1)} ${date} # ${direction}`
    const slot = slots.get(series) ?? 0
    slots.set(series, slot + 1)
    const skipped = date === '03/09/2025' && start!.trim().startsWith('02:')
    const reading = {
      milliKwh: Number(kwh!.replace('.', '')),
      flag: flag!,
      revision: revision!.replace(/(.{5}).(.{4})/, '$2 $1')
    }
    const fate =
      kwh === '' ? (skipped ? 'placeholder' : 'missing') : /^\d+\.\d{3}$/.test(kwh!) ? 'accepted' : 'rejected'
    yield { key: series.replace('#', String(slot)), reading, fate } as const
  }
}
