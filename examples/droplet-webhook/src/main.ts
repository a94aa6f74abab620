import { IngestError, stagesFromEnv } from '@intelliwatt/smt-ingest'
import type { FastifyInstance } from 'fastify'
import { appFromEnv } from './app-link.ts'
import { loggerOptions } from './log.ts'
import { buildServer } from './server.ts'
import { isLoopback, readSettings } from './settings.ts'
import { smtFromEnv } from './smt-from-env.ts'

/** Starts the daemon as the environment says, and ends it at SIGTERM or SIGINT. A second one ends it at once. */
async function main(env: NodeJS.ProcessEnv): Promise<void> {
  const settings = readSettings(env)
  const { host, port, logLevel } = settings
  const stages = await stagesFromEnv(env)
  const calls = { smt: undefined, auth: undefined, ...smtFromEnv(env), app: appFromEnv(env) }
  const app = await buildServer({ ...settings, ...calls, stages, logger: loggerOptions(logLevel, env) })
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void stop(app, signal))
  process.on('uncaughtException', error => {
    app.log.fatal({ err: error }, 'ended by an error that nobody caught')
    process.exit(1)
  })
  await app.listen({ host, port, listenTextResolver: address => `listening at ${address}` })
  if (!isLoopback(host)) app.log.warn(`${host} is no loopback address: secrets and ESIIDs cross the network in clear`)
}

async function stop(app: FastifyInstance, signal: string): Promise<void> {
  app.log.info(`${signal}: ending; what is under way is finished, or given back`)
  await app.close()
  app.log.info('ended')
}

try {
  await main(process.env)
} catch (error) {
  // Before there is a logger, and for what systemd need not try again: a wrong setting is mended by somebody.
  const isWrongUse = error instanceof IngestError && error.code.startsWith('CONFIG_')
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`${JSON.stringify({ level: 60, time: new Date().toISOString(), msg: message })}\n`)
  process.exitCode = isWrongUse ? 2 : 1
}
