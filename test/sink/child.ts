import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { build } from 'tsup'
import { onTestFinished } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A program made of our sources, which Node 20 cannot run as they are. */
export interface Program {
  readonly path: string
  remove(): void
}

/** Compiles a program into one file below node_modules, where it finds what it imports. */
export async function compile(entry: URL): Promise<Program> {
  const outDir = mkdtempSync(join(root, 'node_modules', '.smt-test-'))
  const source = fileURLToPath(entry)
  const outExtension = () => ({ js: '.mjs' })
  await build({ entry: [source], outDir, outExtension, format: 'esm', target: 'node20', config: false, silent: true })
  const name = basename(source).replace(/\.ts$/, '.mjs')
  return { path: join(outDir, name), remove: () => rmSync(outDir, { recursive: true, force: true }) }
}

/** A child process of a test; dead at the latest when the test ends. */
export class Child {
  readonly process: ChildProcess
  readonly #lines: AsyncIterator<string>
  readonly #exit: Promise<unknown[]>

  constructor({ path }: Program, ...args: string[]) {
    this.process = spawn(process.execPath, [path, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.process.stdout! })[Symbol.asyncIterator]()
    this.#exit = once(this.process, 'exit')
    onTestFinished(async () => void (await this.kill()))
  }

  /** The next line that it prints; undefined when it has ended. */
  async says(): Promise<string | undefined> {
    const { done, value } = await this.#lines.next()
    return done ? undefined : value
  }

  /** Waits for its end; gives its exit code. */
  async ends(): Promise<number | null> {
    await this.#exit
    return this.process.exitCode
  }

  /** Kills it, as a power cut would; gives what it died of. */
  async kill(): Promise<NodeJS.Signals | null> {
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill('SIGKILL')
      await this.#exit
    }
    return this.process.signalCode
  }
}
