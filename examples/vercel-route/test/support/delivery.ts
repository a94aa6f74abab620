import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { AscDecryptor, DirectorySource, IntervalParser, ingest, type Receipt } from '@intelliwatt/smt-ingest'
import { HttpSink } from '@intelliwatt/smt-ingest/http'
import { type DeliveryManifest, makeDelivery, makePgpKey, type PgpKey } from '@intelliwatt/smt-ingest/testing'

/** Weeks of encrypted files in a folder, as SMT leaves them, and the truth about them. */
export interface Inbox extends Disposable {
  readonly folder: string
  readonly key: PgpKey
  readonly manifest: DeliveryManifest
}

export async function makeInbox(): Promise<Inbox> {
  const folder = mkdtempSync(join(tmpdir(), 'vercel-route-inbox-'))
  const key = await makePgpKey()
  const write = (path: string, bytes: Buffer, modifiedAt: number) => {
    const target = join(folder, 'inbox', path)
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, bytes)
    utimesSync(target, modifiedAt / 1000, modifiedAt / 1000)
  }
  const manifest = await makeDelivery({ publicKey: key.publicKey, write, meters: 8, days: 4 })
  return { folder, key, manifest, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}

/** Where to, and as whom. */
export interface Sending {
  readonly url: string
  readonly secret: string
  readonly retries?: number
}

/** Sends the inbox in parts of few rows, so that a file has several, as `smt-ingest` or a program of one's own does. */
export async function push({ folder, key }: Inbox, ledger: string, sending: Sending): Promise<Receipt[]> {
  const source = new DirectorySource({ directories: [join(folder, 'inbox')], settleMs: 0 })
  const decryptor = new AscDecryptor({ privateKey: key.privateKey })
  const parser = new IntervalParser()
  await using sink = new HttpSink({ ledger: join(folder, ledger), maxRows: 200, ...sending })
  const receipts: Receipt[] = []
  for await (const receipt of ingest({ source, decryptor, parser, sink })) receipts.push(receipt)
  return receipts
}

/** Has the next push read every file anew that is in; gives how many. */
export async function askAnew({ folder }: Inbox, ledger: string, sending: Sending): Promise<number> {
  await using sink = new HttpSink({ ledger: join(folder, ledger), ...sending })
  const books = await sink.ledger()
  const records = await books.records({ states: ['committed'] })
  for (const { fingerprint } of records) await books.retry(fingerprint)
  return records.length
}

/** State by name, as receipts have it or as the manifest foretells it. */
export function statesOf(receipts: readonly Receipt[]): Record<string, string> {
  return Object.fromEntries(receipts.map(({ path, state }) => [basename(path), state]))
}

export function foretold({ files }: DeliveryManifest): Record<string, string> {
  return Object.fromEntries(files.map(({ path, expect }) => [basename(path), expect]))
}
