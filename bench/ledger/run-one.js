// One ledger in a process of its own.
//
//   fill <kind> <place> <folder> <count>     one report through the sink, then so many copies of what the ledger has of it
//   use <kind> <place> <folder> <count>      opens it, times every question, tells the peak of memory
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { DirectorySource, IntervalParser } from '@intelliwatt/smt-ingest'
import { makeIntervalReport } from '@intelliwatt/smt-ingest/testing'
import { answer, peakRssMb } from '../shared/ask.js'
import { median } from '../shared/figures.js'
import { meterDay } from '../shared/meter-days.js'
import { fileOf, payloadOf, quarantinedEvery } from './files.js'
import { stores } from './stores.js'

/** Calls of each kind, and reports that are stored. */
const calls = 100
const reports = 40

await answer({ fill, use })

async function fill(kind, placeText, folder, count) {
  const place = JSON.parse(placeText)
  const sink = stores[kind].open(place)
  await storeReports(sink, folder, 1, 'template')
  const [template] = await (await sink.ledger()).records()
  const receipt = JSON.stringify(template.receipt)
  await sink.close()
  const { file } = template
  await stores[kind].fill(place, { file, receipt, sha256: template.receipt.payload.sha256 }, Number(count))
  return { receiptBytes: receipt.length }
}

async function use(kind, placeText, folder, countText) {
  const count = Number(countText)
  const run = `${process.pid}-${Date.now()}`
  const times = {}
  const timed = async (name, values, ask) => {
    const [answers, each] = await timesOf(values, ask)
    times[name] = median(each)
    return answers
  }
  const sink = stores[kind].open(JSON.parse(placeText))
  const [ledger] = await timed('opening the store', [0], () => sink.ledger())
  const openedMb = peakRssMb()
  const spread = Array.from({ length: calls }, (_, n) => 1 + Math.floor(((n + 0.5) / calls) * count))
  const committed = spread.map(i => (i % quarantinedEvery === 0 ? i - 1 : i))
  const fresh = spread.map((_, n) => fileOf(`${run}-${n}`))

  const known = await timed('claim, known', committed, i => ledger.claim(fileOf(i)))
  expect(
    known.every(({ known }) => known?.state === 'duplicate'),
    'a known file is a duplicate'
  )
  const claims = await timed('claim, new', fresh, file => ledger.claim(file))
  expect(
    claims.every(({ claim }) => claim?.epoch === 1),
    'a new file is given'
  )
  await timed('renew', claims, ({ claim }) => ledger.renew(claim, 'claimed'))
  const hits = await timed('findPayload, found', committed, i => ledger.findPayload(payloadOf(i)))
  expect(
    hits.every((file, n) => file?.path === fileOf(committed[n]).path),
    'a payload is found'
  )
  const misses = await timed('findPayload, not found', fresh, ({ path }) => ledger.findPayload(payloadOf(path)))
  expect(
    misses.every(file => file === undefined),
    'no other payload is found'
  )
  await timed('settle', claims, ({ claim }, n) => {
    const { receipt } = settledAs(known[n].known, fresh[n])
    return ledger.settle(claim, receipt)
  })
  times['a report of 96 rows'] = median(await storeReports(sink, folder, reports, run))
  const named = await timed('records({ path })', committed.slice(0, 5), i => ledger.records({ path: fileOf(i).name }))
  expect(
    named.every(found => found.length === 1),
    'a path names one file'
  )
  const query = { states: ['quarantined'], limit: 5 }
  const [aside] = await timed('records({ states })', [1, 2, 3], () => ledger.records(query))
  expect(aside.length === Math.min(5, Math.floor(count / quarantinedEvery)), 'what was set aside is listed')
  const rssMb = peakRssMb()
  await timed('closing the store', [0], () => sink.close())
  return { times, openedMb, rssMb }
}

/** What a file would get that was taken as the known one was. */
function settledAs(known, file) {
  const payload = { ...known.payload, sha256: payloadOf(file.path) }
  return { receipt: { ...known, ...file, known: false, state: 'committed', duplicateOf: null, payload } }
}

/** Stores reports of one meter-day each, as `ingest` does; gives the milliseconds of each. */
async function storeReports(sink, folder, count, run) {
  const inbox = `${folder}/${run}`
  mkdirSync(inbox, { recursive: true })
  for (let n = 0; n < count; n++) {
    const day = meterDay(1 + Math.floor(Math.random() * 1e6), n, { days: 61, solarEvery: Infinity })
    writeFileSync(`${inbox}/IntervalMeterUsage${n}.csv`, makeIntervalReport([day]).bytes)
  }
  const parser = new IntervalParser()
  const times = []
  for await (const file of new DirectorySource({ directories: [inbox], settleMs: 0 }).files()) {
    const start = performance.now()
    const target = sink.stream(file)
    await pipeline(file.stream(), parser.stream(file), target)
    times.push(performance.now() - start)
    expect(target.receipt.state === 'committed' && target.receipt.rows.accepted === 96, 'a report is stored')
  }
  rmSync(inbox, { recursive: true })
  return times
}

/** Asks for each value, one after another: the answers, and the milliseconds of each. */
async function timesOf(values, ask) {
  const [answers, times] = [[], []]
  for (const [n, value] of values.entries()) {
    const start = performance.now()
    answers.push(await ask(value, n))
    times.push(performance.now() - start)
  }
  return [answers, times]
}

function expect(holds, what) {
  if (!holds) throw new Error(`it does not hold that ${what}`)
}
