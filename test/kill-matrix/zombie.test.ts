import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { wrong } from './check.js'
import { openMatrix } from './matrix.js'
import { ended, filesOf, start } from './trial.js'

type Matrix = Awaited<ReturnType<typeof openMatrix>>
type Work = Parameters<typeof start>[1]

let matrix: Matrix
beforeAll(async () => {
  matrix = await openMatrix(1)
})
afterAll(() => matrix.close())

/** Begins a run that stops itself (SIGSTOP) at a point, and waits until it has. */
async function freeze(work: Work, point: string) {
  const zombie = start(matrix, work, { point, nth: 1, signal: 'SIGSTOP' })
  let isOver = false
  zombie.ended.then(() => (isOver = true))
  while (!existsSync(zombie.report)) {
    if (isOver) throw new Error((await zombie.ended).stderr)
    await pause(5)
  }
  return zombie
}

/** Another run takes what a frozen one had; then that one wakes. Gives how it ends. */
async function overtake(sink: string, point: string, order: string) {
  const stand = await matrix.stand(sink, `zombie_${stores++}`)
  const work = { sink, stand, order, overSftp: false }
  const zombie = await freeze(work, point)
  await stand.endLeases()
  expect(ended(await start(matrix, work).ended)).toBeUndefined()
  zombie.child.kill('SIGCONT')
  const woken = await zombie.ended
  expect(woken).toMatchObject({ code: 1, signal: null, reported: point })
  expect(wrong(await stand.look(), filesOf(matrix, work), true)).toBeUndefined()
  await stand.remove()
  const receipts = woken.stdout.split('\n').filter(line => line.includes('"state":"seen"'))
  return receipts.map(line => JSON.parse(line).reason.code)
}

let stores = 0
describe.each(['postgres-days', 'postgres-rows'])('I5: a worker of %s that is frozen past its lease', sink => {
  test.each([
    ['staging made', 'large'],
    ['in the middle of a copy by the commit', '0'],
    ['in the middle of transfer', 'large'],
    ['after staged', '0'],
    ...(sink === 'postgres-rows' ? [['copied before staged', 'large'] as const] : [])
  ] as const)(
    '%s: cannot commit when it wakes; another one has, and nothing of it stays',
    async (point, order) => {
      expect(await overtake(sink, point, order)).toEqual(['STORE_FENCED'])
    },
    30_000
  )

  test('claim locked: keeps nobody waiting for long, and finds its connection ended', async () => {
    expect(await overtake(sink, 'claim locked', '0')).toEqual(['STORE_UNREACHABLE'])
  }, 30_000)

  test('in the middle of a copy: keeps nobody waiting, and finds its connection ended', async () => {
    // Or hears first that it is too late to renew its claim.
    const [code, ...more] = await overtake(sink, 'in the middle of a copy', 'large')
    expect(['STORE_UNREACHABLE', 'STORE_FENCED']).toContain(code)
    expect(more).toEqual([])
  }, 30_000)
})
