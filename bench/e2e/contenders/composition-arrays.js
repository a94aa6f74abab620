// openpgp, yauzl and csv-parse, with an array per row.
import { parserInto, settings as parserSettings } from '../../parse/contenders/csv-parse-arrays.js'
import { openComposition } from '../composition.js'

export { version } from '../composition.js'
export const settings = `the same, csv-parse with ${parserSettings}`
export const open = files => openComposition(files, parserInto)
