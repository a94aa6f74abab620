// GnuPG and Info-ZIP's funzip in a shell, with a home of their own and an agent that ends with it. gpg proves the message at
// its end, funzip the checksum; `pipefail` makes the failure of either one the pipe's.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { peakRssMb } from '../shared/ask.js'

const gpg = spawnSync('gpg', ['--version'], { encoding: 'utf8' }).stdout?.match(/\d+(\.\d+)+/)?.[0]
// It reads no options and has no version of its own: of an empty input it says that it is no archive.
const hasFunzip = spawnSync('funzip', { input: '' }).error === undefined
const hasBash = spawnSync('bash', ['-c', 'exit'], { stdio: 'ignore' }).status === 0

/** Undefined where a program is missing. FIFOs and `/proc` are those of Linux. */
export const version = gpg && hasFunzip && hasBash && process.platform === 'linux' ? `gpg ${gpg}` : undefined

const gpgCommand = 'gpg --batch --quiet --no-tty'
/** How often the memory of the programs is looked at, in milliseconds. */
const lookEveryMs = 20

export class GpgFunzip {
  /** A folder for whatever else is needed. Its name is short: GnuPG keeps sockets there, whose paths have a limit. */
  home = mkdtempSync(join(tmpdir(), 'smt-'))
  #environment = { ...process.env, GNUPGHOME: this.home }
  #peaks = new Map()
  #looking
  #agent

  constructor(privateKey) {
    chmodSync(this.home, 0o700)
    this.#gpg(['--import'], privateKey)
    // The first question to the agent starts it, and asking it by hand tells which process it is.
    const answer = execFileSync('gpg-connect-agent', ['GETINFO pid', '/bye'], {
      env: this.#environment,
      encoding: 'utf8'
    })
    this.#agent = Number(answer.match(/D (\d+)/)[1])
    this.#looking = setInterval(() => this.#look(process.pid), lookEveryMs)
  }

  /** Opens one file into a pipe, or into a FIFO of that path. */
  open(asc, fifo) {
    const to = fifo === undefined ? '' : '> "$2"'
    return this.shell(`${gpgCommand} --decrypt "$1" | funzip ${to}`, asc, fifo ?? '')
  }

  /** Opens all files of a folder by one gpg, which writes beside them, and by one funzip for each. */
  openAll(folder) {
    return this.shell(
      `cd "$1"; ${gpgCommand} --multifile --decrypt *.asc; for zip in IntervalMeterUsage????; do funzip "$zip" > "$zip.csv"; done`,
      folder
    )
  }

  /** Runs a script. `done` is there when it has ended well. */
  shell(script, ...values) {
    const child = spawn('bash', ['-ceu', '-o', 'pipefail', script, 'bash', ...values], {
      env: this.#environment,
      stdio: ['ignore', 'pipe', 'pipe']
    })
    let complaints = ''
    child.stderr.on('data', text => {
      complaints += text
    })
    const done = once(child, 'close').then(([status]) => {
      if (status !== 0) throw new Error(`gpg | funzip: ${complaints.trim() || `status ${status}`}`)
    })
    // Whoever reads the pipe may fail first.
    done.catch(() => {})
    return { output: child.stdout, done }
  }

  /** Of this process, and of every program that it called: each at its peak, the largest of its name. */
  peakRssMb() {
    this.#look(process.pid)
    return [...this.#peaks.values()].reduce((sum, peak) => sum + peak, peakRssMb())
  }

  /** CPU seconds of the programs so far, the agent's too; it is nobody's child. */
  childrenCpuSeconds() {
    const [, children] = ticksOf(process.pid)
    return (children + ticksOf(this.#agent)[0]) / 100
  }

  close() {
    clearInterval(this.#looking)
    execFileSync('gpgconf', ['--kill', 'all'], { env: this.#environment })
    rmSync(this.home, { recursive: true, force: true })
  }

  #gpg(arguments_, input) {
    execFileSync('gpg', ['--batch', '--quiet', '--no-tty', ...arguments_], {
      input,
      env: this.#environment,
      stdio: ['pipe', 'pipe', 'pipe']
    })
  }

  #look(parent) {
    for (const pid of [...childrenOf(parent), ...(parent === process.pid ? [this.#agent] : [])]) {
      try {
        const name = readFileSync(`/proc/${pid}/comm`, 'latin1')
        this.#peaks.set(name, Math.max(this.#peaks.get(name) ?? 0, peakRssMb(pid)))
      } catch {
        // It has just ended.
      }
      this.#look(pid)
    }
  }
}

/** What its first thread has started, which is all that Node and bash start. */
function childrenOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean)
  } catch {
    return []
  }
}

/** Hundredths of a second of CPU: of a process, and of its children that have ended. */
function ticksOf(pid) {
  // After the name in brackets, which may hold anything: state is the first, `utime` the twelfth.
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ').map(Number)
  return [fields[11] + fields[12], fields[13] + fields[14]]
}
