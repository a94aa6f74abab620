// The figures this library wants to reach, against what was measured.
import { median, megabytesText, ratioIn, rightRun, rssOf, tableOf, times } from '../shared/figures.js'
import { atLeast, atMost } from '../shared/verdicts.js'
import { cases, contenders } from './measure.js'

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
  const compared = cases.filter(({ onlyOwn }) => !onlyOwn)
  const inEach = figureOf => compared.map(({ name }) => first(races.filter(race => race.case === name).map(figureOf)))
  const withFigure = values => values.filter((_, i) => !compared[i].noFigure)
  const [daysStore, rowsStore] = ['postgres-days', 'postgres-rows'].map(own => stores.find(({ name }) => name === own))

  const speed = figures.map(({ own, rival, must }) => {
    const ratios = inEach(race => ratioIn(race, own, rival))
    return [`${own}: as fast as ${rival}`, `${must}x`, ...ratios.map(shown), atLeast({ must }, withFigure(ratios))]
  })
  const sizes = compared.map(({ name }) => share(sizeIn(daysStore, name), sizeIn(rowsStore, name)))
  const sizeTexts = sizes.map(size => (size === undefined ? '' : `1/${(1 / size).toFixed(1)}`))
  const reading = share(monthOf(daysStore), monthOf(rowsStore))
  const readingTexts = compared.map((_, i) => (i === compared.length - 1 ? shown(reading) : ''))
  const memory = contenders
    .filter(({ own }) => own)
    .map(({ name }) => [
      `${name}: peak memory`,
      '',
      ...inEach(race => peakIn(race, name)).map(peak => peak ?? ''),
      'no figure was set'
    ])

  return tableOf(
    ['figure', 'must', ...compared.map(({ name, noFigure }) => (noFigure ? `${name} (no must)` : name)), 'verdict'],
    [
      ...speed,
      ['size: days to rows', 'at most 1/8', ...sizeTexts, atMost({ must: sizeMust }, sizes)],
      [
        'a month of one meter: days to rows',
        `at most ${readingMust}x`,
        ...readingTexts,
        atMost({ must: readingMust }, [reading])
      ],
      ...memory
    ]
  )
}

function first(values) {
  return values.find(value => value !== undefined)
}

function peakIn(race, name) {
  const run = rightRun(race, name)
  return run && megabytesText(rssOf(run))
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
  return store && store.monthMs.length > 0 ? median(store.monthMs) : undefined
}
