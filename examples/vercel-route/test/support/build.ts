import { execFileSync } from 'node:child_process'
import { nextBin, quietly } from './next-app.ts'

/** Builds the app as Vercel does, types checked; what it prints is shown when it fails. */
export function setup(): void {
  try {
    execFileSync(process.execPath, [nextBin, 'build'], { env: quietly, encoding: 'utf8', stdio: 'pipe' })
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`next build failed\n${stdout}${stderr}`)
  }
}
