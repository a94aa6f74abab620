// What a ledger takes for one file when it knows a thousand files, and when it knows a million. See README.md.
import { kinds, measureLedger } from './ledger/measure.js'
import { sectionsOf } from './ledger/report.js'
import { idleRssMb } from './shared/ask.js'
import { deadlineAfter, runBench } from './shared/command.js'
import { serverSettings, startPostgres } from './shared/postgres.js'
import { duckDbSettings } from './sinks/duckdb-place.js'

await runBench({
  name: 'ledger',
  options: { few: '1000', many: '1000000', rounds: '5', kinds: kinds.join(), minutes: '20' },
  measure,
  sectionsOf,
  own: kinds
})

async function measure(options) {
  const [few, many, rounds] = [options.few, options.many, options.rounds].map(Number)
  const chosen = kinds.filter(kind => options.kinds.split(',').includes(kind))
  const deadline = deadlineAfter(options.minutes)
  const server = await startPostgres()
  try {
    const databases = { PostgreSQL: await serverSettings(server), DuckDB: await duckDbSettings() }
    const races = []
    for (const kind of chosen) races.push(await measureLedger(kind, server, { few, many, rounds, deadline }))
    return { few, many, rounds, databases, idleRssMb: await idleRssMb(), races }
  } finally {
    await server.stop()
  }
}
