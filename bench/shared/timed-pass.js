import { peakRssMb } from './ask.js'

/** Opens what is needed, takes the time of `load`, closes. */
export async function timedPass(open, ...where) {
  const opened = await open(...where)
  try {
    const start = performance.now()
    const found = await opened.load()
    const seconds = (performance.now() - start) / 1000
    // Where another program does the work, it is that one's memory that counts.
    return { found, seconds, rssMb: opened.peakRssMb ? opened.peakRssMb() : peakRssMb() }
  } finally {
    await opened.close()
  }
}
