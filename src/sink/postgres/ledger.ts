import {
  attemptsAfter,
  type Claim,
  type ClaimAnswer,
  type ClaimOptions,
  fenced,
  fingerprintOf,
  LEASE_MS,
  type Ledger,
  refusalOf
} from '../../ledger/ledger.ts'
import type { LedgerFile, Receipt } from '../../ledger/receipt.ts'
import type { PassedOver } from '../../source/source.ts'
import { fileOf, isClaimedSql, receiptColumns, recordOf } from '../sql-columns.ts'
import type { Sql } from './connection.ts'
import type { PostgresStore } from './store.ts'

/** The ledger of a {@link PostgresStore}: its table `files`. Any number of workers may share it. */
export class PostgresLedger implements Ledger {
  readonly #store: PostgresStore

  constructor(store: PostgresStore) {
    this.#store = store
  }

  claim(file: LedgerFile, options: ClaimOptions = {}): Promise<ClaimAnswer> {
    const { schema: s } = this.#store
    const { leaseMs = LEASE_MS } = options
    const fingerprint = fingerprintOf(file)
    return this.#store.transaction(async sql => {
      // Whoever comes second waits here, and then sees what the first one did.
      await insert(sql, s, fingerprint, file, 'seen')
      const { record, now } = await find(sql, s, fingerprint)
      const refusal = refusalOf(file, record, now, options)
      if (refusal) return { known: refusal }
      const epoch = record.epoch + 1
      const statement = `UPDATE ${s}.files SET state = 'claimed', epoch = $2, lease_until = ${after('$3')},
        next_attempt_at = NULL, updated_at = clock_timestamp() WHERE fingerprint = $1`
      await sql.run(statement, [fingerprint, epoch, leaseMs])
      return { claim: { fingerprint, epoch, leaseMs } }
    })
  }

  async renew({ fingerprint, epoch, leaseMs }: Claim, state: 'claimed' | 'staged'): Promise<void> {
    const statement = `UPDATE ${this.#store.schema}.files SET state = $4, lease_until = ${after('$3')},
      updated_at = clock_timestamp() WHERE ${claimed}`
    const touched = await this.#store.session(sql => sql.run(statement, [fingerprint, epoch, leaseMs, state]))
    if (touched === 0) throw fenced(undefined)
  }

  findPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#store.session(sql => findPayloadIn(sql, this.#store.schema, sha256))
  }

  settle(claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
    const { schema: s } = this.#store
    return this.#store.transaction(async sql => {
      const { attempts } = await lockClaim(sql, s, claim, receipt.path)
      await writeReceipt(sql, s, claim.fingerprint, receipt, attemptsAfter(attempts, receipt, costsAttempt))
    })
  }

  passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    const { schema: s } = this.#store
    const fingerprint = fingerprintOf(file)
    return this.#store.transaction(async sql => {
      if ((await insert(sql, s, fingerprint, file, receipt.state)) === 0) return { known: true }
      await writeReceipt(sql, s, fingerprint, receipt)
      return { known: false }
    })
  }

  /** The store is closed by the sink that opened it. */
  async close(): Promise<void> {}
}

/** What a claim that still holds is found by. */
const claimed = `fingerprint = $1 AND epoch = $2 AND ${isClaimedSql}`

/** An instant so many milliseconds from now, by the clock of the database. */
const after = (ms: string) => `clock_timestamp() + ${ms}::double precision * interval '1 millisecond'`

/** Holds a claimed file until the caller's transaction ends, so that nobody takes it over meanwhile. */
export async function lockClaim(
  sql: Sql,
  s: string,
  { fingerprint, epoch }: Claim,
  path: string
): Promise<{ readonly fileId: string; readonly attempts: number }> {
  const query = `SELECT file_id, attempts FROM ${s}.files WHERE ${claimed} FOR UPDATE`
  const [row] = await sql.rows(query, [fingerprint, epoch])
  if (!row) throw fenced(path)
  return { fileId: row.file_id as string, attempts: row.attempts as number }
}

/** Writes what became of a file, inside a transaction of the caller that has it to itself. */
export async function writeReceipt(
  sql: Sql,
  s: string,
  fingerprint: string,
  receipt: Receipt,
  { attempts, pauseMs } = attemptsAfter(0, receipt, false)
): Promise<void> {
  const columns = receiptColumns(receipt)
  const set = Object.keys(columns).map((name, i) => `${name} = $${i + 4}`)
  const statement = `UPDATE ${s}.files SET ${set.join(', ')}, attempts = $2, lease_until = NULL,
    next_attempt_at = ${after('$3')}, updated_at = clock_timestamp() WHERE fingerprint = $1`
  await sql.run(statement, [fingerprint, attempts, pauseMs, ...Object.values(columns)])
}

/** The committed file whose payload has this hash. */
export async function findPayloadIn(sql: Sql, s: string, sha256: string): Promise<LedgerFile | undefined> {
  const query = `SELECT source, path, name, size, ${epochMs('modified_at')} AS modified_at FROM ${s}.files
    WHERE payload_sha256 = $1 AND state = 'committed'`
  const [row] = await sql.rows(query, [sha256])
  return row && fileOf(row)
}

const epochMs = (instant: string) => `(extract(epoch FROM ${instant}) * 1000)::bigint`

async function find(sql: Sql, s: string, fingerprint: string): Promise<ReturnType<typeof recordOf>> {
  const query = `SELECT state, epoch, attempts, receipt, ${epochMs('lease_until')} AS lease_until,
      ${epochMs('next_attempt_at')} AS next_attempt_at, ${epochMs('clock_timestamp()')} AS now
    FROM ${s}.files WHERE fingerprint = $1 FOR UPDATE`
  const [row] = await sql.rows(query, [fingerprint])
  return recordOf(row!)
}

/** Adds a file that the ledger does not have; gives 0 when it has it. */
function insert(sql: Sql, s: string, fingerprint: string, file: LedgerFile, state: string): Promise<number> {
  const { source, path, name, size, modifiedAt } = file
  const statement = `INSERT INTO ${s}.files (fingerprint, source, path, name, size, modified_at, state, epoch)
    VALUES ($1, $2, $3, $4, $5, to_timestamp($6::double precision / 1000), $7, 0) ON CONFLICT DO NOTHING`
  return sql.run(statement, [fingerprint, source, path, name, size, modifiedAt, state])
}
