import { peakRssMb } from './ask.js'

/** Opens what is needed, takes the time of `load`, closes. */
export async function timedPass(open, ...where) {
  const opened = await open(...where)
  // Where other programs do the work, it is theirs that counts.
  const cpuSeconds = () => ownCpuSeconds() + (opened.childrenCpuSeconds?.() ?? 0)
  try {
    const [start, cpuBefore] = [performance.now(), cpuSeconds()]
    const found = await opened.load()
    const seconds = (performance.now() - start) / 1000
    const cpu = cpuSeconds() - cpuBefore
    return { found, seconds, cpuSeconds: cpu, rssMb: opened.peakRssMb ? opened.peakRssMb() : peakRssMb() }
  } finally {
    await opened.close()
  }
}

function ownCpuSeconds() {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
