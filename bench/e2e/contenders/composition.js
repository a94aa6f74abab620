// openpgp, yauzl and csv-parse as most of their users write it: an object per row.
import { parserInto, settings as parserSettings } from '../../parse/contenders/csv-parse-objects.js'
import { openComposition } from '../composition.js'

export { version } from '../composition.js'
export const settings = `\`decrypt\` in memory, \`fromBufferPromise\`, csv-parse with ${parserSettings}`
export const open = files => openComposition(files, parserInto)
