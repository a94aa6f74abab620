// What one would put together from libraries: openpgp, yauzl, csv-parse. openpgp's own form: the message in memory, opened
// and proven whole, which is also what a ZIP needs whose directory stands at its end. yauzl inflates; it compares sizes,
// not the checksum, and nothing is counted or hashed beside the answer.
//
// Tried: a message that streams, with `allowUnauthenticatedStream`, into a file that yauzl reads. For 500 MB of CSV that
// takes 200 MB less memory and as much time: opening takes a thirtieth of it, csv-parse nearly all the rest.
import { readdir, readFile } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { decrypt, readMessage, readPrivateKey } from 'openpgp'
import { fromBufferPromise } from 'yauzl'
import { Tally } from '../parse/contenders/tally.js'
import { versionOf } from '../shared/package-version.js'

export const version = ['openpgp', 'yauzl', 'csv-parse'].map(name => `${name} ${versionOf(name)}`).join(', ')

/** `parserInto` makes a csv-parse parser that hands its rows on to a tally. */
export async function openComposition({ asc, privateKey }, parserInto) {
  const decryptionKeys = await readPrivateKey({ armoredKey: privateKey })
  return {
    async load() {
      const tally = new Tally()
      for (const name of await readdir(asc)) {
        const message = await readMessage({ armoredMessage: await readFile(`${asc}/${name}`, 'latin1') })
        const { data } = await decrypt({ message, decryptionKeys, format: 'binary' })
        const zip = await fromBufferPromise(Buffer.from(data.buffer, data.byteOffset, data.length), {
          lazyEntries: true
        })
        for await (const entry of zip.eachEntry()) {
          await pipeline(await zip.openReadStreamPromise(entry), parserInto(tally))
        }
      }
      return tally
    },
    close() {}
  }
}
