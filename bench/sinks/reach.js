// The figures this library wants to reach, against what was measured.
import { median, ratioIn, tableOf, times } from '../shared/figures.js'
import { atLeast, atMost } from '../shared/verdicts.js'
import { cases } from './measure.js'

const figures = [
  { own: 'postgres-days', rival: 'multi-row-insert', must: 15 },
  { own: 'postgres-rows', rival: 'multi-row-insert', must: 2.5 },
  { own: 'postgres-rows', rival: 'psql-copy', must: 1.2 },
  { own: 'duckdb-sink', rival: 'duckdb-csv', must: 1.5 }
]

/** Tables and indexes of the layout `days`, as a share of those of `rows`. */
const sizeMust = 1 / 8

/** How many times as long a month of one meter may take to read in the layout `days`. */
const readingMust = 2

export function reachTable({ races, stores }) {
  const compared = cases.filter(({ onlyOwn }) => !onlyOwn).map(({ name }) => name)
  const ratios = figures.map(({ own, rival, must }) => {
    const measured = compared.map(name =>
      races
        .filter(race => race.case === name)
        .map(race => ratioIn(race, own, rival))
        .find(ratio => ratio !== undefined)
    )
    return [`${own} as fast as ${rival}`, `${must}x`, ...measured.map(shown), atLeast({ must }, measured)]
  })
  const [daysStore, rowsStore] = ['postgres-days', 'postgres-rows'].map(own => stores.find(({ name }) => name === own))
  const sizes = compared.map(name => share(sizeIn(daysStore, name), sizeIn(rowsStore, name)))
  const reading = share(monthOf(daysStore), monthOf(rowsStore))
  return tableOf(
    ['figure', 'must', ...compared, 'verdict'],
    [
      ...ratios,
      [
        'size of the layout days, of rows',
        'at most 1/8',
        ...sizes.map(size => (size === undefined ? '' : `1/${(1 / size).toFixed(1)}`)),
        atMost({ must: sizeMust }, sizes)
      ],
      [
        'reading a month of one meter, days to rows',
        `at most ${readingMust}x`,
        ...compared.map((_, i) => (i === compared.length - 1 ? shown(reading) : '')),
        atMost({ must: readingMust }, [reading])
      ]
    ]
  )
}

function shown(ratio) {
  return ratio === undefined ? '' : times(ratio)
}

function share(part, whole) {
  return part === undefined || whole === undefined ? undefined : part / whole
}

function sizeIn(store, name) {
  const size = store?.sizes[name]
  return size && size.tables + size.indexes
}

function monthOf(store) {
  return store && median(store.monthMs)
}
