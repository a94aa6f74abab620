// A process that does nothing but say what that takes.
import { answer, peakRssMb } from './ask.js'

await answer({ idle: async () => ({ rssMb: peakRssMb() }) })
