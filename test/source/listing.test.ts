import { expect, test } from 'vitest'
import { compareLooks, type Listed, type Look } from '../../src/source/listing.ts'
import { defaultIgnore, nameFilter } from '../../src/source/name-filter.ts'

const entry = (path: string, size = 1, modifiedAt = 0): Listed => ({
  source: 'test',
  path,
  name: path,
  size,
  modifiedAt,
  kind: 'file'
})
const look = (...entries: Listed[]): Look => ({
  files: new Map(entries.map(entry => [entry.path, entry])),
  ignored: [],
  failures: new Map()
})

test('a file stands still when two looks see the same size and time', () => {
  const seen = [entry('b', 1, 5), entry('a', 9, 5), entry('c', 1, 4)]
  expect(compareLooks(look(...seen), look(...seen)).standing.map(({ path }) => path)).toEqual(['c', 'a', 'b'])
})

test.each([
  ['appeared', [], [entry('x')], 'it appeared between the two looks'],
  ['went away', [entry('x')], [], 'it was not there at the second look'],
  ['grew', [entry('x', 1)], [entry('x', 2)], 'its size went from 1 to 2 bytes'],
  ['was written to', [entry('x', 1, 1)], [entry('x', 1, 2)], 'it was written to between the two looks']
])('I3: a file that %s between the looks is passed over, and why is told', (_, before, now, reason) => {
  const { standing, passedOver } = compareLooks(look(...before), look(...now))
  expect(standing).toEqual([])
  expect(passedOver).toMatchObject([{ path: 'x', state: 'changing', reason }])
})

test('the default filter takes reports whatever their case', () => {
  const filter = nameFilter(defaultIgnore)
  for (const name of ['IntervalMeterUsage20250714.CSV.123456789.asc', 'a.csv', 'A.ZIP', 'no-ending', 'departed.csv']) {
    expect(filter({ name, kind: 'file' })).toBeUndefined()
  }
})

test('a pattern with signs of regular expressions means the signs', () => {
  const filter = nameFilter(['a(1)+.[x]'])
  expect(filter({ name: 'A(1)+.[X]', kind: 'file' })).toBe('ignored by a(1)+.[x]')
  expect(filter({ name: 'a1.x', kind: 'file' })).toBeUndefined()
})

test('what is neither file nor directory is passed over', () => {
  expect(nameFilter([])({ name: 'pipe', kind: 'other' })).toBe('it is neither a file nor a directory')
})
