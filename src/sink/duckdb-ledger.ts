import { SinkError } from '../errors.ts'
import {
  type Claim,
  type ClaimAnswer,
  type ClaimOptions,
  fingerprintOf,
  LEASE_MS,
  type Ledger,
  type LedgerRecord,
  pauseAfter,
  refusalOf
} from '../ledger/ledger.ts'
import type { LedgerFile, Receipt } from '../ledger/receipt.ts'
import type { PassedOver } from '../source/source.ts'
import type { DuckDbStore, Sql } from './duckdb-store.ts'

/** The ledger of a {@link DuckDbStore}: its table `files`. */
export class DuckDbLedger implements Ledger {
  readonly #store: DuckDbStore

  constructor(store: DuckDbStore) {
    this.#store = store
  }

  claim(file: LedgerFile, options: ClaimOptions = {}): Promise<ClaimAnswer> {
    const fingerprint = fingerprintOf(file)
    const { leaseMs = LEASE_MS } = options
    return this.#store.transaction(async sql => {
      const found = await find(sql, fingerprint)
      const refusal = refusalOf(file, found?.record, found?.now ?? 0, options)
      if (refusal) return { known: refusal }
      const epoch = (found?.record.epoch ?? 0) + 1
      if (!found) await insert(sql, fingerprint, file, 'claimed')
      const statement = `UPDATE files SET state = 'claimed', epoch = $epoch, lease_until = ${after('$leaseMs')},
        next_attempt_at = NULL, updated_at = now() WHERE fingerprint = $fingerprint`
      await sql.run(statement, { fingerprint, epoch, leaseMs })
      return { claim: { fingerprint, epoch, leaseMs } }
    })
  }

  renew({ fingerprint, epoch, leaseMs }: Claim, state: 'claimed' | 'staged'): Promise<void> {
    return this.#store.transaction(async sql => {
      const statement = `UPDATE files SET state = $state, lease_until = ${after('$leaseMs')}, updated_at = now()
        WHERE ${claimed}`
      if ((await sql.run(statement, { fingerprint, epoch, leaseMs, state })) === 0) throw fenced()
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

  settle(claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
    return this.#store.transaction(sql => settleIn(sql, claim, receipt, costsAttempt))
  }

  passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    const fingerprint = fingerprintOf(file)
    return this.#store.transaction(async sql => {
      if (await find(sql, fingerprint)) return { known: true }
      await insert(sql, fingerprint, file, receipt.state)
      await write(sql, fingerprint, receipt)
      return { known: false }
    })
  }

  /** The store is closed by the sink that opened it. */
  async close(): Promise<void> {}
}

/** What a claim that still holds is found by. */
const claimed = `fingerprint = $fingerprint AND epoch = $epoch AND state IN ('claimed', 'staged')`

/** An instant so many milliseconds from now, by the store's clock. */
const after = (ms: string) => `now() + to_milliseconds(${ms})`

function fenced(file?: string): SinkError {
  return new SinkError('STORE_FENCED', 'another worker took the file over', { file })
}

/** Writes a claimed file's end, inside a transaction of the caller. Refuses when the claim is not the newest. */
export async function settleIn(sql: Sql, claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
  const { fingerprint, epoch } = claim
  const [row] = await sql.rows(`SELECT attempts FROM files WHERE ${claimed}`, { fingerprint, epoch })
  if (!row) throw fenced(receipt.path)
  const isTriedAgain = receipt.state === 'seen'
  const attempts = isTriedAgain ? (row.attempts as number) + (costsAttempt ? 1 : 0) : 0
  const pause = isTriedAgain && costsAttempt ? pauseAfter(attempts) : null
  const statement = `UPDATE files SET state = $state, attempts = $attempts, lease_until = NULL,
    next_attempt_at = ${after('$pause')}, updated_at = now() WHERE fingerprint = $fingerprint`
  await sql.run(statement, { state: receipt.state, attempts, pause, fingerprint })
  await write(sql, fingerprint, receipt)
}

/** The number of a file, for its entries. */
export async function fileId(sql: Sql, fingerprint: string): Promise<bigint> {
  const [row] = await sql.rows('SELECT file_id FROM files WHERE fingerprint = $fingerprint', { fingerprint })
  return row!.file_id as bigint
}

interface Found {
  readonly record: Omit<LedgerRecord, 'file'>
  /** The store's clock. */
  readonly now: number
}

async function find(sql: Sql, fingerprint: string): Promise<Found | undefined> {
  const query = `SELECT state, epoch, attempts, receipt, epoch_ms(lease_until) AS lease_until,
    epoch_ms(next_attempt_at) AS next_attempt_at, epoch_ms(now()) AS now FROM files WHERE fingerprint = $fingerprint`
  const [row] = await sql.rows(query, { fingerprint })
  if (!row) return undefined
  const instant = (value: unknown) => (value === null ? null : Number(value))
  return {
    record: {
      state: row.state as LedgerRecord['state'],
      epoch: row.epoch as number,
      attempts: row.attempts as number,
      leaseUntil: instant(row.lease_until),
      nextAttemptAt: instant(row.next_attempt_at),
      receipt: row.receipt === null ? null : (JSON.parse(row.receipt as string) as Receipt)
    },
    now: Number(row.now)
  }
}

async function insert(sql: Sql, fingerprint: string, file: LedgerFile, state: string): Promise<void> {
  const { source, path, name, size, modifiedAt } = file
  const statement = `INSERT INTO files (fingerprint, source, path, name, size, modified_at, state, epoch)
    VALUES ($fingerprint, $source, $path, $name, $size, to_timestamp($modifiedAt / 1000), $state, 0)`
  await sql.run(statement, { fingerprint, source, path, name, size, modifiedAt, state })
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
