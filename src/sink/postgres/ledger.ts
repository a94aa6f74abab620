import {
  afterSettling,
  type Claim,
  type ClaimAnswer,
  type ClaimOptions,
  fenced,
  fingerprintOf,
  LEASE_MS,
  type Ledger,
  type LedgerRecord,
  MOST_RECORDS,
  mayBeForgotten,
  type RecordQuery,
  refusalOf,
  retried,
  stateWhileClaimed
} from '../../ledger/ledger.ts'
import type { LedgerFile, Receipt } from '../../ledger/receipt.ts'
import type { ReportKind } from '../../report-batch.ts'
import type { PassedOver } from '../../source/source.ts'
import { fileOf, isClaimedSql, receiptColumns, recordColumns, recordCondition, recordOf } from '../sql-columns.ts'
import type { Sql } from './connection.ts'
import { hasReadings, readingSpan } from './schema.ts'
import type { PostgresStore } from './store.ts'

/** The ledger of a {@link PostgresStore}: its table `files`. Any number of workers may share it. */
export class PostgresLedger implements Ledger {
  readonly #store: PostgresStore

  constructor(store: PostgresStore) {
    this.#store = store
  }

  async claim(file: LedgerFile, options: ClaimOptions = {}): Promise<ClaimAnswer> {
    const { schema: s } = this.#store
    const { leaseMs = LEASE_MS } = options
    const fingerprint = fingerprintOf(file)
    // Most files are known, and to say so nothing need be written or waited for. Of the others most are new.
    const answer = await this.#store.session(async sql => {
      const found = await find(sql, s, fingerprint)
      const refused = found && refusalOf(file, found.record, found.now, options)
      if (refused) return { known: refused }
      const epoch = found ? undefined : await insert(sql, s, fingerprint, file, { state: 'claimed', leaseMs })
      return epoch === undefined ? undefined : { claim: { fingerprint, epoch, leaseMs, isReplay: false } }
    })
    if (answer) return answer
    return this.#store.transaction(async sql => {
      // It may have been forgotten meanwhile. Whoever comes second waits here, and then sees what the first one did.
      await insert(sql, s, fingerprint, file, { state: 'seen' })
      const { record, now } = (await find(sql, s, fingerprint, 'FOR UPDATE'))!
      const refusal = refusalOf(file, record, now, options)
      if (refusal) return { known: refusal }
      const state = stateWhileClaimed(record, 'claimed')
      const statement = `UPDATE ${s}.files SET state = $3, epoch = greatest(epoch, ${forgottenEpoch(s)}) + 1,
        lease_until = ${after('$2')}, next_attempt_at = NULL, updated_at = clock_timestamp() WHERE fingerprint = $1
        RETURNING epoch`
      const [row] = await sql.rows(statement, [fingerprint, leaseMs, state])
      return { claim: { fingerprint, epoch: row!.epoch as number, leaseMs, isReplay: state === 'committed' } }
    })
  }

  /** Not waited for on the disk: a renewal that a crash takes away shortens a lease, and the crash ends the work. */
  async renew({ fingerprint, epoch, leaseMs }: Claim, state: 'claimed' | 'staged'): Promise<void> {
    const statement = `UPDATE ${this.#store.schema}.files
      SET state = CASE state WHEN 'committed' THEN state ELSE $4 END, lease_until = ${after('$3')},
      updated_at = clock_timestamp() FROM (SELECT set_config('synchronous_commit', 'off', true)) unhurried
      WHERE ${claimed}`
    const touched = await this.#store.session(sql => sql.run(statement, [fingerprint, epoch, leaseMs, state]))
    if (touched === 0) throw fenced(undefined)
  }

  findPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#store.session(sql => findPayloadIn(sql, this.#store.schema, sha256))
  }

  settle(claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
    const { schema: s } = this.#store
    return this.#store.transaction(async sql => {
      const held = await lockClaim(sql, s, claim, receipt.path)
      await writeSettled(sql, s, claim.fingerprint, afterSettling(held.record, claim, receipt, costsAttempt))
    })
  }

  passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    const { schema: s } = this.#store
    const fingerprint = fingerprintOf(file)
    return this.#store.transaction(async sql => {
      const { state } = receipt
      if ((await insert(sql, s, fingerprint, file, { state })) === undefined) return { known: true }
      await writeSettled(sql, s, fingerprint, { state, receipt, attempts: 0, pauseMs: null, isReplayDue: false })
      return { known: false }
    })
  }

  async records(query: RecordQuery = {}): Promise<readonly LedgerRecord[]> {
    const values: unknown[] = []
    const condition = recordCondition(query, value => `$${values.push(value)}`)
    const rows = await this.#store.session(sql =>
      sql.rows(
        `SELECT ${columns} FROM ${this.#store.schema}.files WHERE ${condition}
         ORDER BY files.updated_at DESC, file_id DESC LIMIT ${query.limit ?? MOST_RECORDS}`,
        values
      )
    )
    return rows.map(row => recordOf(row).record)
  }

  retry(fingerprint: string): Promise<boolean> {
    const { schema: s } = this.#store
    return this.#change(fingerprint, async (sql, record) => {
      const { state, isReplayDue } = retried(record)
      const set = `state = $2, replay_due = $3, attempts = 0, lease_until = NULL, next_attempt_at = NULL`
      const statement = `UPDATE ${s}.files SET ${set}, updated_at = clock_timestamp() WHERE fingerprint = $1`
      await sql.run(statement, [fingerprint, state, isReplayDue])
      return true
    })
  }

  forget(fingerprint: string): Promise<boolean> {
    const { schema: s } = this.#store
    return this.#change(fingerprint, async (sql, record) => {
      if (!mayBeForgotten(record)) return false
      const forgotten = `WITH gone AS (DELETE FROM ${s}.files WHERE fingerprint = $1 RETURNING fingerprint, epoch)
        INSERT INTO ${s}.forgotten SELECT * FROM gone
        ON CONFLICT (fingerprint) DO UPDATE SET epoch = greatest(forgotten.epoch, excluded.epoch)`
      return (await sql.run(forgotten, [fingerprint])) > 0
    })
  }

  /** Changes a record that nobody has; tells whether it did. */
  #change(fingerprint: string, change: (sql: Sql, record: LedgerRecord) => Promise<boolean>): Promise<boolean> {
    return this.#store.transaction(async sql => {
      const found = await find(sql, this.#store.schema, fingerprint, 'FOR UPDATE')
      if (!found || (found.record.leaseUntil ?? 0) > found.now) return false
      return change(sql, found.record)
    })
  }

  /** The store is closed by the sink that opened it. */
  async close(): Promise<void> {}
}

/** What a claim that still holds is found by. */
const claimed = `fingerprint = $1 AND epoch = $2 AND ${isClaimedSql}`

/** The last epoch of the file `$1` before it was forgotten: whoever had it then may still be under way. */
const forgottenEpoch = (s: string) => `coalesce((SELECT epoch FROM ${s}.forgotten WHERE fingerprint = $1), 0)`

/** An instant so many milliseconds from now, by the clock of the database. */
const after = (ms: string) => `clock_timestamp() + ${ms}::double precision * interval '1 millisecond'`

/** Holds a claimed file until the caller's transaction ends, so that nobody takes it over meanwhile. */
export async function lockClaim(
  sql: Sql,
  s: string,
  { fingerprint, epoch }: Claim,
  path: string
): Promise<{ readonly fileId: string; readonly record: LedgerRecord }> {
  const query = `SELECT file_id, ${columns} FROM ${s}.files WHERE ${claimed} FOR UPDATE`
  const [row] = await sql.rows(query, [fingerprint, epoch])
  if (!row) throw fenced(path)
  return { fileId: row.file_id as string, record: recordOf(row).record }
}

/** Writes what became of a file, inside a transaction of the caller that has it to itself. */
export async function writeSettled(
  sql: Sql,
  s: string,
  fingerprint: string,
  { receipt, attempts, pauseMs, isReplayDue }: ReturnType<typeof afterSettling>
): Promise<void> {
  const columns = receiptColumns(receipt!)
  const set = Object.keys(columns).map((name, i) => `${name} = $${i + 5}`)
  const statement = `UPDATE ${s}.files SET ${set.join(', ')}, attempts = $2, replay_due = $3, lease_until = NULL,
    next_attempt_at = ${after('$4')}, updated_at = clock_timestamp() WHERE fingerprint = $1`
  await sql.run(statement, [fingerprint, attempts, isReplayDue, pauseMs, ...Object.values(columns)])
}

/** Has the next run read files anew that have readings of a span: one that beat theirs is there no more. */
export async function replayOthers(
  sql: Sql,
  s: string,
  { fingerprint }: Claim,
  [first, last]: readonly [number, number]
): Promise<void> {
  const statement = `UPDATE ${s}.files SET replay_due = true, updated_at = clock_timestamp()
    WHERE ${hasReadings} AND ${readingSpan} && int8range($2, $3, '[]') AND fingerprint <> $1`
  await sql.run(statement, [fingerprint, first, last])
}

/** The same for rows of a report, by their local days. */
export async function replayOtherReports(
  sql: Sql,
  s: string,
  { fingerprint }: Claim,
  { kind, days: [first, last] }: { readonly kind: ReportKind; readonly days: readonly [string, string] }
): Promise<void> {
  const day = (end: string) => `(receipt #>> '{reports,${kind},dates,${end}}') COLLATE "C"`
  const statement = `UPDATE ${s}.files SET replay_due = true, updated_at = clock_timestamp()
    WHERE state = 'committed' AND fingerprint <> $1 AND ${day('first')} <= $3 AND ${day('last')} >= $2`
  await sql.run(statement, [fingerprint, first, last])
}

/** The committed file whose payload has this hash. */
export async function findPayloadIn(sql: Sql, s: string, sha256: string): Promise<LedgerFile | undefined> {
  const query = `SELECT source, path, name, size, ${epochMs('modified_at')} AS modified_at FROM ${s}.files
    WHERE payload_sha256 = $1 AND state = 'committed'`
  const [row] = await sql.rows(query, [sha256])
  return row && fileOf(row)
}

const epochMs = (instant: string) => `(extract(epoch FROM ${instant}) * 1000)::bigint`

const columns = recordColumns(epochMs, 'clock_timestamp()')

async function find(
  sql: Sql,
  s: string,
  fingerprint: string,
  lock: '' | 'FOR UPDATE' = ''
): Promise<ReturnType<typeof recordOf> | undefined> {
  const [row] = await sql.rows(`SELECT ${columns} FROM ${s}.files WHERE fingerprint = $1 ${lock}`, [fingerprint])
  return row && recordOf(row)
}

/** Adds a file that the ledger does not have, claimed where a lease is given; gives its epoch, none when it has it. */
async function insert(
  sql: Sql,
  s: string,
  fingerprint: string,
  { source, path, name, size, modifiedAt }: LedgerFile,
  { state, leaseMs = null }: { readonly state: LedgerRecord['state']; readonly leaseMs?: number | null }
): Promise<number | undefined> {
  const columns = 'fingerprint, source, path, name, size, modified_at, state, lease_until, epoch'
  const epoch = leaseMs === null ? 0 : `${forgottenEpoch(s)} + 1`
  const statement = `INSERT INTO ${s}.files (${columns})
    VALUES ($1, $2, $3, $4, $5, to_timestamp($6::double precision / 1000), $7, ${after('$8')}, ${epoch})
    ON CONFLICT DO NOTHING RETURNING epoch`
  const [row] = await sql.rows(statement, [fingerprint, source, path, name, size, modifiedAt, state, leaseMs])
  return row?.epoch as number | undefined
}
