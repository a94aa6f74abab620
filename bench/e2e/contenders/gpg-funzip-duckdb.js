// gpg and funzip write into a FIFO, DuckDB reads it: three programs at work at the same time. Of many files it would be a
// query each; there one gpg opens all of them, funzip each, and DuckDB reads the CSV files by one query.
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { version as duckDbVersion, reader } from '../../parse/contenders/duckdb.js'
import { GpgFunzip, version as gpgVersion } from '../gpg-funzip.js'

export const version = gpgVersion && `${gpgVersion}, DuckDB ${duckDbVersion}`
export const settings =
  "`gpg --decrypt` into `funzip` into a FIFO; many files: `gpg --multifile`; `read_csv` with bench:parse's settings, `threads` 2"

export async function open({ asc, privateKey }) {
  const tools = new GpgFunzip(privateKey)
  const read = reader(2)
  const names = readdirSync(asc)
  const [fifo, folder] = ['fifo', 'files'].map(name => `${tools.home}/${name}`)
  if (names.length === 1) execFileSync('mkfifo', [fifo])
  else {
    // gpg writes beside what it reads.
    mkdirSync(folder)
    for (const name of names) symlinkSync(`${asc}/${name}`, `${folder}/${name}`)
  }
  return {
    async load() {
      if (names.length === 1) {
        const { done } = tools.open(`${asc}/${names[0]}`, fifo)
        const [found] = await Promise.all([read(fifo), done])
        return found
      }
      await tools.openAll(folder).done
      return read(`${folder}/*.csv`)
    },
    peakRssMb: () => tools.peakRssMb(),
    childrenCpuSeconds: () => tools.childrenCpuSeconds(),
    close: () => tools.close()
  }
}
