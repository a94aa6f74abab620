import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { HttpSink } from '../../src/sink/http.ts'
import { rowText, testDurableSink, testSink } from '../conformance/sink.ts'
import { ReceivingServer } from '../support/receiving-server.ts'

const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
let server: ReceivingServer
beforeAll(async () => {
  server = await ReceivingServer.start({ secrets: secret })
})
afterAll(() => server[Symbol.asyncDispose]())

testSink('HttpSink', open)
testDurableSink('HttpSink', open)

function open(folder: string) {
  const sink = new HttpSink({ url: server.urlOf(folder), ledger: join(folder, 'ledger.ndjson'), secret })
  const rows = async () =>
    server
      .storeIn(folder)
      .rows()
      .map(row => rowText({ ...row, kwh: row.kwh.toFixed(5) }))
  return { sink, rows }
}
