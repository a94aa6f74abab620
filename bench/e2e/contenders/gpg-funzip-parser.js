// gpg and funzip into our parser, a pipe for each file.
import { readdirSync } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { FileAccount, IntervalParser } from '@intelliwatt/smt-ingest'
import { ColumnTally } from '../../parse/contenders/smt-ingest.js'
import { GpgFunzip, version as gpgVersion } from '../gpg-funzip.js'

export const version = gpgVersion
export const settings = '`gpg --decrypt` into `funzip` into `IntervalParser`'

export async function open({ asc, privateKey }) {
  const tools = new GpgFunzip(privateKey)
  const parser = new IntervalParser()
  return {
    async load() {
      const tally = new ColumnTally()
      for (const name of readdirSync(asc)) {
        const { output, done } = tools.open(`${asc}/${name}`)
        await pipeline(output, parser.stream(), async batches => {
          for await (const batch of batches) if (!(batch instanceof FileAccount)) tally.add(batch)
        })
        await done
      }
      return tally.end()
    },
    peakRssMb: () => tools.peakRssMb(),
    childrenCpuSeconds: () => tools.childrenCpuSeconds(),
    close: () => tools.close()
  }
}
