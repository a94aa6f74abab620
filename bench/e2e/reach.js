// The figures this library wants to reach, against what was measured.
import {
  median,
  megabytesText,
  percent,
  ratioIn,
  rightRun,
  rightRuns,
  rssOf,
  secondsOf,
  tableOf,
  thousands,
  times
} from '../shared/figures.js'
import { allowedPeak, atLeast, atMost } from '../shared/verdicts.js'

/** How many times as fast as its rivals `asc-to-intervals` has to be, on one file. */
const rivals = [
  { rival: 'composition', must: 22, aim: 30 },
  { rival: 'gpg-funzip-duckdb', must: 2.5, aim: 3.5 }
]

/** Storing has to keep so much of the speed of reading alone. */
const keepsAim = 0.6

/** Peak memory of `asc-to-intervals`, whatever comes. */
const peakMust = 160

/** Milliseconds by which the event loop may be later than that of a process that does nothing, at the 99th percentile. */
const lateMust = 30

export function reachTable({ races, loop }, contenders) {
  const [single, many] = [races.filter(({ files }) => files === 1), races.filter(({ files }) => files > 1)]
  const rows = [
    ...rivals.flatMap(figure => single.map(race => ratioRow(race, figure))),
    ...many.flatMap(manyRows),
    ...races.map(storingRow),
    ...races.map(peakRow),
    ...(loop?.delays ?? []).map(delays => loopRow(loop.title, delays)),
    ...contenders.filter(({ own, several }) => own && !several).map(({ name }) => growthRow(single, name))
  ]
  return tableOf(['figure', 'must', 'aim', 'measured', 'verdict'], rows)
}

function ratioRow(race, { rival, must, aim }) {
  const ratio = ratioIn(race, 'asc-to-intervals', rival)
  const shown = ratio === undefined ? '' : times(ratio)
  return [`${race.title}: as fast as ${rival}`, `${must}x`, `${aim}x`, shown, atLeast({ must, aim }, [ratio])]
}

/**
 * Many files, one or several at a time, whichever is faster: the must is what two cores allow that open session keys with
 * openpgp and do nothing else; what they allow with OpenSSL is shown beside it.
 */
function manyRows(race) {
  const best = rightRuns(race).find(({ name }) => /^asc-to-intervals(-\d+)?$/.test(name))
  const limits = ['session-keys-library', 'session-keys-openssl'].map(name => rightRun(race, name))
  const rate = run => (run ? `${thousands(race.files / secondsOf(run))} files/s` : '')
  const [must, openssl] = limits
  const share = best && must && secondsOf(must) / secondsOf(best)
  const figure = `${race.title}: the rate of ${best?.name ?? 'asc-to-intervals'}`
  return [
    [figure, rate(must), '', rate(best), atLeast({ must: 1 }, [share])],
    [`${race.title}: the rate of session-keys-openssl`, '', '', rate(openssl), 'no figure was set']
  ]
}

function storingRow(race) {
  const share = ratioIn(race, 'asc-to-postgres', 'asc-to-intervals')
  const shown = share === undefined ? '' : percent(share)
  const figure = `${race.title}: asc-to-postgres, of the speed of asc-to-intervals`
  return [figure, '', percent(keepsAim), shown, atLeast({ aim: keepsAim }, [share])]
}

function peakRow(race) {
  const peak = peakIn(race, 'asc-to-intervals')
  const shown = peak === undefined ? '' : megabytesText(peak)
  const figure = `${race.title}: peak memory of asc-to-intervals`
  return [figure, `at most ${megabytesText(peakMust)}`, '', shown, atMost({ must: peakMust }, [peak])]
}

function loopRow(title, { name, own, twin }) {
  const late = median(own.map(({ p99 }, round) => p99 - twin[round].p99))
  const figure = `${title}: event loop of ${name}, later than that of its twin (p99)`
  return [figure, `at most ${lateMust} ms`, '', `${late.toFixed(1)} ms`, atMost({ must: lateMust }, [late])]
}

/** One file, and one ten times as large. */
function growthRow(races, name) {
  const figure = `${name}: peak memory does not grow with the file`
  const [small, large] = races.slice(-2).map(race => peakIn(race, name))
  if (small === undefined || large === undefined) return [figure, '', '', '', 'not measured']
  const must = allowedPeak(small)
  const shown = `${megabytesText(small)}, then ${megabytesText(large)}`
  return [figure, `at most ${megabytesText(must)}`, '', shown, atMost({ must }, [large])]
}

function peakIn(race, name) {
  const run = rightRun(race, name)
  return run && rssOf(run)
}
