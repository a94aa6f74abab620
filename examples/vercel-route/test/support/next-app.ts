import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { createInterface } from 'node:readline'

export const nextBin = createRequire(import.meta.url).resolve('next/dist/bin/next')
export const quietly = { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' } as NodeJS.ProcessEnv

/** The built app, served by Next.js on a free port of 127.0.0.1. */
export interface NextApp extends AsyncDisposable {
  readonly origin: string
  /** What it wrote so far. */
  readonly output: string
}

/** Starts it with these variables of the environment, beside those of the test. */
export async function startApp(settings: Record<string, string | undefined>): Promise<NextApp> {
  const child = spawn(process.execPath, [nextBin, 'start', '--hostname', '127.0.0.1', '--port', '0'], {
    env: { ...quietly, ...settings },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const gone = once(child, 'exit')
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', text => {
      output += text
    })
  }
  let origin: string | undefined
  for await (const line of createInterface(child.stdout)) {
    origin ??= /http:\/\/127\.0\.0\.1:\d+/.exec(line)?.[0]
    if (line.includes('Ready')) break
  }
  if (origin === undefined) throw new Error(`next start ended\n${output}`)
  return {
    origin,
    get output() {
      return output
    },
    async [Symbol.asyncDispose]() {
      child.kill()
      await gone
    }
  }
}
