import { SinkError } from '../errors.ts'
import {
  type Claim,
  type ClaimAnswer,
  type ClaimOptions,
  fingerprintOf,
  type Ledger,
  type LedgerRecord,
  mayClaim
} from '../ledger/ledger.ts'
import { known, type LedgerFile, type Receipt } from '../ledger/receipt.ts'
import type { PassedOver } from '../source/source.ts'
import type { DuckDbStore, Sql } from './duckdb-store.ts'

/** The ledger of a {@link DuckDbStore}: its table `files`. */
export class DuckDbLedger implements Ledger {
  readonly #store: DuckDbStore

  constructor(store: DuckDbStore) {
    this.#store = store
  }

  claim(file: LedgerFile, options?: ClaimOptions): Promise<ClaimAnswer> {
    const fingerprint = fingerprintOf(file)
    return this.#store.transaction(async sql => {
      const record = await find(sql, fingerprint)
      switch (mayClaim(record, options)) {
        case 'known':
          return { known: known({ ...record!.receipt!, ...file }) }
        case 'held':
          throw new SinkError('STORE_FENCED', 'the file is being taken already', { file: file.path })
        case 'yes': {
          const epoch = (record?.epoch ?? 0) + 1
          if (record) {
            const statement = `UPDATE files SET state = 'claimed', epoch = $epoch, updated_at = now()
              WHERE fingerprint = $fingerprint`
            await sql.run(statement, { fingerprint, epoch })
          } else await insert(sql, fingerprint, file, 'claimed', epoch)
          return { claim: { fingerprint, epoch } }
        }
      }
    })
  }

  findPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#store.transaction(async sql => {
      const query = `SELECT source, path, name, size, epoch_ms(modified_at) AS modified_at FROM files
        WHERE payload_sha256 = $sha256 AND state = 'committed' ORDER BY file_id LIMIT 1`
      const [row] = await sql.rows(query, { sha256 })
      if (!row) return undefined
      const { source, path, name } = row as { source: string; path: string; name: string }
      return { source, path, name, size: Number(row.size), modifiedAt: Number(row.modified_at) }
    })
  }

  settle(claim: Claim, receipt: Receipt): Promise<void> {
    return this.#store.transaction(sql => settleIn(sql, claim, receipt))
  }

  passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    const fingerprint = fingerprintOf(file)
    return this.#store.transaction(async sql => {
      if (await find(sql, fingerprint)) return { known: true }
      await insert(sql, fingerprint, file, receipt.state, 0)
      await write(sql, fingerprint, receipt)
      return { known: false }
    })
  }

  /** The store is closed by the sink that opened it. */
  async close(): Promise<void> {}
}

/** Writes a claimed file's end, inside a transaction of the caller. Refuses when the claim is not the newest. */
export async function settleIn(sql: Sql, claim: Claim, receipt: Receipt): Promise<void> {
  const statement = `UPDATE files SET state = $state, updated_at = now()
    WHERE fingerprint = $fingerprint AND epoch = $epoch AND state = 'claimed'`
  const { fingerprint, epoch } = claim
  if ((await sql.run(statement, { state: receipt.state, fingerprint, epoch })) === 0) {
    throw new SinkError('STORE_FENCED', 'another worker took the file over', { file: receipt.path })
  }
  await write(sql, fingerprint, receipt)
}

/** The number of a file, for its entries. */
export async function fileId(sql: Sql, fingerprint: string): Promise<bigint> {
  const [row] = await sql.rows('SELECT file_id FROM files WHERE fingerprint = $fingerprint', { fingerprint })
  return row!.file_id as bigint
}

async function find(sql: Sql, fingerprint: string): Promise<(LedgerRecord & { file: never }) | undefined> {
  const query = 'SELECT state, epoch, receipt FROM files WHERE fingerprint = $fingerprint'
  const [row] = await sql.rows(query, { fingerprint })
  if (!row) return undefined
  const receipt = row.receipt === null ? null : (JSON.parse(row.receipt as string) as Receipt)
  return { state: row.state, epoch: row.epoch, receipt } as LedgerRecord & { file: never }
}

async function insert(sql: Sql, fingerprint: string, file: LedgerFile, state: string, epoch: number): Promise<void> {
  const { source, path, name, size, modifiedAt } = file
  const statement = `INSERT INTO files (fingerprint, source, path, name, size, modified_at, state, epoch)
    VALUES ($fingerprint, $source, $path, $name, $size, to_timestamp($modifiedAt / 1000), $state, $epoch)`
  await sql.run(statement, { fingerprint, source, path, name, size, modifiedAt, state, epoch })
}

async function write(sql: Sql, fingerprint: string, receipt: Receipt): Promise<void> {
  const statement = `UPDATE files SET fetched_sha256 = $fetched, payload_sha256 = $payload,
      duplicate_of = $duplicateOf, code = $code, reason = $reason, receipt = $receipt, updated_at = now()
    WHERE fingerprint = $fingerprint`
  await sql.run(statement, {
    fingerprint,
    fetched: receipt.fetched?.sha256 ?? null,
    payload: receipt.payload?.sha256 ?? null,
    duplicateOf: receipt.duplicateOf,
    code: receipt.reason?.code ?? null,
    reason: receipt.reason?.message ?? null,
    receipt: JSON.stringify(receipt)
  })
}
