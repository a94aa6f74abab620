// Small questions that need a process of their own.
//
//   idle                what a process that does nothing takes
//   settings <file>     a contender's version and settings
import { answer, peakRssMb } from './ask.js'

await answer({ idle: async () => ({ rssMb: peakRssMb() }), settings })

async function settings(file) {
  const { version, settings } = await import(file)
  return { version, settings }
}
