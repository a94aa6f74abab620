import net from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { FaultProxy, type LineFault } from '../../src/testing/fault-proxy.ts'

const content = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 11) % 251))
const open: { close(): unknown }[] = []

afterEach(async () => {
  for (const each of open.splice(0)) await each.close()
})

/** A line to a server that sends `content` to whoever asks, and says back what it hears. */
async function lineWith(options: { roundTripMs?: number; fault?: LineFault } = {}) {
  const heard: Buffer[] = []
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', piece => heard.push(piece))
    socket.once('data', () => socket.write(content))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const proxy = await FaultProxy.start({ port: (server.address() as net.AddressInfo).port, ...options })
  open.push(proxy, server)
  return { proxy, heard: () => Buffer.concat(heard) }
}

/** What a client got, and how it ended, within a while. */
async function ask({ proxy }: { proxy: FaultProxy }, ms = 300) {
  const socket = net.connect({ host: proxy.host, port: proxy.port, allowHalfOpen: true })
  const got: Buffer[] = []
  let end = 'open'
  socket.on('data', piece => got.push(piece))
  socket.on('end', () => (end = 'ended'))
  socket.on('error', (error: NodeJS.ErrnoException) => (end = error.code ?? 'error'))
  socket.write('hello')
  await pause(ms)
  socket.destroy()
  return { bytes: Buffer.concat(got), end, socket }
}

test('passes everything where nothing goes wrong, after the time that it takes', async () => {
  const line = await lineWith({ roundTripMs: 120 })
  expect((await ask(line, 80)).bytes).toHaveLength(0)
  const { bytes, end } = await ask(line, 400)
  expect(bytes.equals(content)).toBe(true)
  expect(end).toBe('open')
  expect(line.heard().toString()).toBe('hellohello')
  expect(line.proxy.connections).toBe(2)
})

test.each([
  ['cut', /^ended$/],
  // Where bytes came just before, Node takes a reset for an end.
  ['reset', /^(ECONNRESET|ended)$/],
  ['half-close', /^ended$/],
  ['black-hole', /^open$/]
] as const)('%s: passes so many bytes and no more', async (kind, expected) => {
  for (const afterBytes of [0, 1, 70_000]) {
    const { bytes, end } = await ask(await lineWith({ fault: { kind, afterBytes } }))
    expect(bytes.equals(content.subarray(0, afterBytes))).toBe(true)
    expect(end).toMatch(expected)
  }
})

test('drip: passes the rest slowly', async () => {
  const line = await lineWith({ fault: { kind: 'drip', afterBytes: 1_000, bytesPerSecond: 100 } })
  const { bytes } = await ask(line, 500)
  expect(bytes.length).toBeGreaterThan(1_005)
  expect(bytes.length).toBeLessThan(1_100)
  expect(bytes.equals(content.subarray(0, bytes.length))).toBe(true)
})

test('a fault that comes so many times leaves later connections alone, and one that is set late meets those open', async () => {
  const line = await lineWith({ fault: { kind: 'cut', afterBytes: 100, times: 2 } })
  const lengths: number[] = []
  for (let i = 0; i < 3; i++) lengths.push((await ask(line, 100)).bytes.length)
  expect(lengths).toEqual([100, 100, content.length])
  const asking = ask(line)
  await pause(100)
  line.proxy.fault = { kind: 'reset' }
  expect((await asking).end).toBe('ECONNRESET')
  line.proxy.fault = undefined
  expect((await ask(line)).bytes).toHaveLength(content.length)
})
