import { expect, test } from 'vitest'
import { makeEsiid, makeMeterDay, missingReading, randomFrom, reissueMeterDay } from '../../src/testing/index.ts'

const esiid = makeEsiid(1)

test('invented ESIIDs have 17 or 22 digits and are distinct', () => {
  expect(makeEsiid(1)).toBe('10443720009999001')
  expect(makeEsiid(1, 22)).toMatch(/^1008901\d{15}$/)
  const many = Array.from({ length: 2000 }, (_, i) => [makeEsiid(i), makeEsiid(i, 22)]).flat()
  expect(new Set(many).size).toBe(4000)
  expect(many.every(one => /^10(\d{15}|\d{20})$/.test(one))).toBe(true)
})

test('the same seed gives the same day, another seed another one', () => {
  const day = makeMeterDay({ esiid, date: '2025-07-14', seed: 7, solar: true })
  expect(makeMeterDay({ esiid, date: '2025-07-14', seed: 7, solar: true })).toEqual(day)
  expect(makeMeterDay({ esiid, date: '2025-07-14', seed: 8, solar: true })).not.toEqual(day)
  expect(makeMeterDay({ esiid, date: '2025-07-15', seed: 7, solar: true }).series).not.toEqual(day.series)
})

test('a day has as many readings as it has quarter hours', () => {
  const length = (date: string) => makeMeterDay({ esiid, date }).series[0]!.milliKwh.length
  expect(['2025-03-09', '2025-07-14', '2025-11-02'].map(length)).toEqual([92, 96, 100])
})

test('the night is quiet, the evening is busy, and panels give at noon', () => {
  const sums = { night: 0, evening: 0, noon: 0, dark: 0 }
  for (let number = 0; number < 20; number++) {
    const day = makeMeterDay({ esiid: makeEsiid(number), date: '2025-07-14', solar: true })
    const [used, given] = day.series.map(
      ({ milliKwh }) =>
        (from: number) =>
          milliKwh[from]! + milliKwh[from + 1]!
    )
    sums.night += used!(12)
    sums.evening += used!(72)
    sums.noon += given!(50)
    sums.dark += given!(90)
    expect(Math.min(...day.series[0]!.milliKwh, ...day.series[1]!.milliKwh)).toBeGreaterThanOrEqual(0)
  }
  expect(sums.evening).toBeGreaterThan(2 * sums.night)
  expect(sums.noon).toBeGreaterThan(0)
  expect(sums.dark).toBe(0)
})

test('estimates come in a block of 16, missing readings in a row', () => {
  const day = makeMeterDay({ esiid, date: '2025-07-14', estimated: true, missing: 3 })
  const [{ estimated, milliKwh }] = day.series as [(typeof day.series)[number]]
  expect(estimated.join('')).toMatch(/^0+1{16}0+$/)
  expect(milliKwh.filter(milli => milli === missingReading)).toHaveLength(3)
})

test('the revision falls on the next morning unless another is given', () => {
  expect(makeMeterDay({ esiid, date: '2025-12-31' }).revision).toMatch(/^2026-01-01 0[678]:\d\d:\d\d$/)
  expect(makeMeterDay({ esiid, date: '2025-12-31', revision: null }).revision).toBeNull()
})

test('a day issued again has actual readings where it had estimates, and the same elsewhere', () => {
  const day = makeMeterDay({ esiid, date: '2025-07-14', estimated: true })
  const again = reissueMeterDay(day, '2025-07-24 06:41:12')
  const [before, after] = [day.series[0]!, again.series[0]!]
  expect(again.revision).toBe('2025-07-24 06:41:12')
  expect(after.estimated.includes(1)).toBe(false)
  const same = [...before.milliKwh.keys()].map(i => before.milliKwh[i] === after.milliKwh[i])
  expect(same).toEqual([...before.estimated].map(flag => flag === 0))
  expect(before.estimated.includes(1)).toBe(true)
})

test('pseudo-random numbers depend on every seed and fill the interval from 0 to 1 evenly', () => {
  expect(randomFrom(1, 'a')()).toBe(randomFrom(1, 'a')())
  expect(randomFrom(1, 'a')()).not.toBe(randomFrom(1, 'b')())
  const random = randomFrom(1)
  const tenths = new Array(10).fill(0)
  for (let i = 0; i < 10_000; i++) tenths[Math.floor(random() * 10)] += 1
  expect(Math.min(...tenths)).toBeGreaterThan(900)
  expect(Math.max(...tenths)).toBeLessThan(1100)
})
