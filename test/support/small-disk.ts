import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { findReal } from './real.ts'

/** A file system of a few megabytes, which can be filled up. */
export class SmallDisk {
  readonly folder: string

  /** Mounts one in memory; throws where that is not permitted. */
  constructor(megabytes: number) {
    this.folder = mkdtempSync(join(tmpdir(), 'smt-disk-'))
    const { status, stderr } = run('mount', '-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', this.folder)
    if (status === 0) return
    rmSync(this.folder, { recursive: true })
    throw new Error(`no file system can be mounted here: ${stderr ?? 'there is no mount'}`)
  }

  /**
   * Whether a test that needs one can run, for `describe.skipIf(!SmallDisk.isPossible())`. With
   * `SMT_TEST_REQUIRE_REAL=1` it throws where it cannot: there a skipped test is a failed one.
   */
  static isPossible(): boolean {
    try {
      new SmallDisk(1).remove()
      return true
    } catch (error) {
      if (process.env.SMT_TEST_REQUIRE_REAL === '1') throw error
      console.info(`skipped: ${(error as Error).message}`)
      return false
    }
  }

  /** Fills it but for so many bytes. */
  fill(left: number): { free(): void } {
    const { bavail, bsize } = statfsSync(this.folder)
    const filler = join(this.folder, 'filler')
    writeFileSync(filler, Buffer.alloc(bavail * bsize - left))
    return { free: () => rmSync(filler) }
  }

  remove(): void {
    // Lazily: a database that was given up may hold a file a moment longer.
    run('umount', '-l', this.folder)
    rmSync(this.folder, { recursive: true })
  }
}

function run(program: string, ...args: string[]) {
  return spawnSync(findReal(program) ?? program, args, { encoding: 'utf8' })
}
