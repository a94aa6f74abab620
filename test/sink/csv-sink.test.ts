import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { CsvSink } from '../../examples/csv-sink.ts'
import { rowText, testDurableSink, testSink } from '../conformance/sink.ts'

testSink('CsvSink', open)
testDurableSink('CsvSink', open)

function open(folder: string) {
  return { sink: new CsvSink(folder), rows: async () => visibleIn(folder) }
}

function visibleIn(folder: string): string[] {
  const files = readdirSync(folder).filter(name => !name.startsWith('.'))
  const lines = files.flatMap(name => readFileSync(join(folder, name), 'utf8').trim().split('\n').slice(1))
  return lines.map(line => {
    const [esiid = '', start = '', kwh = '', estimated, direction, revision = ''] = line.split(',')
    return rowText({
      esiid,
      start: Date.parse(start),
      kwh,
      estimated: estimated === 'true',
      direction: direction as 'consumption',
      revision: revision === '' ? null : Date.parse(revision)
    })
  })
}
