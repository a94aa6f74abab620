import { SinkError } from '../../errors.ts'
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
} from '../../ledger/ledger.ts'
import type { LedgerFile, Receipt } from '../../ledger/receipt.ts'
import type { PassedOver } from '../../source/source.ts'
import type { PostgresStore, Sql } from './store.ts'

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
      const { record, now } = (await find(sql, s, fingerprint))!
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
    if (touched === 0) throw fenced()
  }

  findPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#store.session(sql => findPayloadIn(sql, this.#store.schema, sha256))
  }

  settle(claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
    return this.#store.transaction(async sql => {
      await lockClaim(sql, this.#store.schema, claim, receipt.path)
      await settleIn(sql, this.#store.schema, claim, receipt, costsAttempt)
    })
  }

  passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    const { schema: s } = this.#store
    const fingerprint = fingerprintOf(file)
    return this.#store.transaction(async sql => {
      if ((await insert(sql, s, fingerprint, file, receipt.state)) === 0) return { known: true }
      await write(sql, s, fingerprint, receipt)
      return { known: false }
    })
  }

  /** The store is closed by the sink that opened it. */
  async close(): Promise<void> {}
}

/** What a claim that still holds is found by. */
const claimed = `fingerprint = $1 AND epoch = $2 AND state IN ('claimed', 'staged')`

/** An instant so many milliseconds from now, by the clock of the database. */
const after = (ms: string) => `clock_timestamp() + ${ms}::double precision * interval '1 millisecond'`

function fenced(file?: string): SinkError {
  return new SinkError('STORE_FENCED', 'another worker took the file over', { file })
}

/** Holds a claimed file until the caller's transaction ends, so that nobody takes it over meanwhile; gives its number. */
export async function lockClaim(sql: Sql, s: string, { fingerprint, epoch }: Claim, path?: string): Promise<string> {
  const query = `SELECT file_id FROM ${s}.files WHERE ${claimed} FOR UPDATE`
  const [row] = await sql.rows(query, [fingerprint, epoch])
  if (!row) throw fenced(path)
  return row.file_id as string
}

/** Writes a claimed file's end, inside a transaction of the caller that has locked it. */
export async function settleIn(
  sql: Sql,
  s: string,
  { fingerprint }: Claim,
  receipt: Receipt,
  costsAttempt = false
): Promise<void> {
  const isTriedAgain = receipt.state === 'seen'
  const [row] = await sql.rows(`SELECT attempts FROM ${s}.files WHERE fingerprint = $1`, [fingerprint])
  const attempts = isTriedAgain ? (row!.attempts as number) + (costsAttempt ? 1 : 0) : 0
  const pause = isTriedAgain && costsAttempt ? pauseAfter(attempts) : null
  const statement = `UPDATE ${s}.files SET state = $2, attempts = $3, lease_until = NULL,
    next_attempt_at = ${after('$4')} WHERE fingerprint = $1`
  await sql.run(statement, [fingerprint, receipt.state, attempts, pause])
  await write(sql, s, fingerprint, receipt)
}

/** The committed file whose payload has this hash. */
export async function findPayloadIn(sql: Sql, s: string, sha256: string): Promise<LedgerFile | undefined> {
  const query = `SELECT source, path, name, size, ${epochMs('modified_at')} AS modified_at FROM ${s}.files
    WHERE payload_sha256 = $1 AND state = 'committed'`
  const [row] = await sql.rows(query, [sha256])
  if (!row) return undefined
  const { source, path, name } = row as { source: string; path: string; name: string }
  return { source, path, name, size: Number(row.size), modifiedAt: Number(row.modified_at) }
}

const epochMs = (instant: string) => `(extract(epoch FROM ${instant}) * 1000)::bigint`

interface Found {
  readonly record: Omit<LedgerRecord, 'file'>
  /** The store's clock. */
  readonly now: number
}

async function find(sql: Sql, s: string, fingerprint: string): Promise<Found | undefined> {
  const query = `SELECT state, epoch, attempts, receipt, ${epochMs('lease_until')} AS lease_until,
      ${epochMs('next_attempt_at')} AS next_attempt_at, ${epochMs('clock_timestamp()')} AS now
    FROM ${s}.files WHERE fingerprint = $1 FOR UPDATE`
  const [row] = await sql.rows(query, [fingerprint])
  if (!row) return undefined
  const instant = (value: unknown) => (value === null ? null : Number(value))
  return {
    record: {
      state: row.state as LedgerRecord['state'],
      epoch: row.epoch as number,
      attempts: row.attempts as number,
      leaseUntil: instant(row.lease_until),
      nextAttemptAt: instant(row.next_attempt_at),
      receipt: row.receipt as Receipt | null
    },
    now: Number(row.now)
  }
}

/** Adds a file that the ledger does not have; gives 0 when it has it. */
function insert(sql: Sql, s: string, fingerprint: string, file: LedgerFile, state: string): Promise<number> {
  const { source, path, name, size, modifiedAt } = file
  const statement = `INSERT INTO ${s}.files (fingerprint, source, path, name, size, modified_at, state, epoch)
    VALUES ($1, $2, $3, $4, $5, to_timestamp($6::double precision / 1000), $7, 0) ON CONFLICT DO NOTHING`
  return sql.run(statement, [fingerprint, source, path, name, size, modifiedAt, state])
}

async function write(sql: Sql, s: string, fingerprint: string, receipt: Receipt): Promise<void> {
  const statement = `UPDATE ${s}.files SET fetched_sha256 = $2, payload_sha256 = $3, duplicate_of = $4, code = $5,
    reason = $6, receipt = $7, updated_at = clock_timestamp() WHERE fingerprint = $1`
  await sql.run(statement, [
    fingerprint,
    receipt.fetched?.sha256 ?? null,
    receipt.payload?.sha256 ?? null,
    receipt.duplicateOf,
    receipt.reason?.code ?? null,
    receipt.reason?.message ?? null,
    JSON.stringify(receipt)
  ])
}
