// A sink of your own: a CSV file for each report, in a folder. docs/write-a-sink.md says why it is as it is.
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type Claim,
  FileLedger,
  type IngestFile,
  type Ledger,
  Sink,
  type SinkTransaction
} from '@intelliwatt/smt-ingest'

export class CsvSink extends Sink {
  readonly #folder: string

  constructor(folder: string) {
    super()
    this.#folder = folder
  }

  /** Makes the folder. Without a ledger of its own, a sink forgets what it took when the process ends. */
  protected override openLedger(): Promise<Ledger> {
    return FileLedger.open(join(this.#folder, '.ledger.ndjson'))
  }

  protected override async begin(_file: IngestFile, { fingerprint }: Claim): Promise<SinkTransaction> {
    // What a dead run left of this file is written over.
    const staging = join(this.#folder, `.${fingerprint}.part`)
    const csv = await open(staging, 'w')
    await csv.appendFile('esiid,start,kwh,estimated,direction,revision\n')
    return {
      write: async batch => {
        let text = ''
        for (const { esiid, start, kwh, estimated, direction, revision } of batch) {
          text += `${[esiid, iso(start), kwh.toFixed(5), estimated, direction, iso(revision)].join(',')}\n`
        }
        await csv.appendFile(text)
      },
      commit: async ({ rows }, { receipt }) => {
        const stored = { inserted: rows.accepted, replaced: 0, unchanged: 0, superseded: 0, conflicts: 0 }
        await csv.sync()
        await csv.close()
        // Named after the content: a run that died before the ledger knew of it writes this name again.
        await rename(staging, join(this.#folder, `${receipt(stored).payload!.sha256}.csv`))
        return stored
      },
      rollback: async () => {
        await csv.close()
        await rm(staging, { force: true })
      }
    }
  }
}

function iso(instant: number | null): string {
  return instant === null ? '' : new Date(instant).toISOString()
}
