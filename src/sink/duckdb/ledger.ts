import {
  afterSettling,
  type Claim,
  type ClaimAnswer,
  type ClaimOptions,
  fenced,
  fingerprintOf,
  isStored,
  LEASE_MS,
  type Ledger,
  type LedgerRecord,
  MOST_RECORDS,
  type RecordQuery,
  refusalOf,
  retried,
  stateWhileClaimed
} from '../../ledger/ledger.ts'
import type { LedgerFile, Receipt } from '../../ledger/receipt.ts'
import type { PassedOver } from '../../source/source.ts'
import { fileOf, isClaimedSql, receiptColumns, recordColumns, recordCondition, recordOf } from '../sql-columns.ts'
import type { DuckDbStore, Sql, Values } from './store.ts'

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
      const state = found ? stateWhileClaimed(found.record, 'claimed') : 'claimed'
      const statement = `UPDATE files SET state = $state, epoch = $epoch, lease_until = ${after('$leaseMs')},
        next_attempt_at = NULL, updated_at = now() WHERE fingerprint = $fingerprint`
      await sql.run(statement, { fingerprint, epoch, leaseMs, state })
      return { claim: { fingerprint, epoch, leaseMs, isReplay: state === 'committed' } }
    })
  }

  renew({ fingerprint, epoch, leaseMs }: Claim, state: 'claimed' | 'staged'): Promise<void> {
    return this.#store.transaction(async sql => {
      const statement = `UPDATE files SET state = CASE state WHEN 'committed' THEN state ELSE $state END, lease_until = ${after('$leaseMs')}, updated_at = now()
        WHERE ${claimed}`
      if ((await sql.run(statement, { fingerprint, epoch, leaseMs, state })) === 0) throw fenced(undefined)
    })
  }

  findPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#store.transaction(async sql => {
      const [payload] = await sql.rows('SELECT file_id FROM payloads WHERE payload_sha256 = $sha256', { sha256 })
      if (!payload) return undefined
      const query = `SELECT source, path, name, size, epoch_ms(modified_at) AS modified_at FROM files
        WHERE file_id = $id AND payload_sha256 = $sha256 AND state = 'committed'`
      const [row] = await sql.rows(query, { id: payload.file_id as bigint, sha256 })
      return row && fileOf(row)
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
      const { state } = receipt
      await write(sql, fingerprint, { state, receipt, attempts: 0, pauseMs: null, isReplayDue: false })
      return { known: false }
    })
  }

  records(query: RecordQuery = {}): Promise<readonly LedgerRecord[]> {
    const values: Values = {}
    const condition = recordCondition(query, value => {
      const name = `v${Object.keys(values).length}`
      values[name] = value
      return `$${name}`
    })
    return this.#store.transaction(async sql => {
      const rows = await sql.rows(
        `SELECT ${columns} FROM files WHERE ${condition}
         ORDER BY files.updated_at DESC, file_id DESC LIMIT ${query.limit ?? MOST_RECORDS}`,
        values
      )
      return rows.map(row => recordOf(row).record)
    })
  }

  retry(fingerprint: string): Promise<boolean> {
    return this.#change(fingerprint, async (sql, record) => {
      const set = `state = $state, replay_due = $isReplayDue, attempts = 0, lease_until = NULL, next_attempt_at = NULL`
      const statement = `UPDATE files SET ${set}, updated_at = now() WHERE fingerprint = $fingerprint`
      await sql.run(statement, { fingerprint, ...retried(record) })
      return true
    })
  }

  forget(fingerprint: string): Promise<boolean> {
    return this.#change(fingerprint, async (sql, record) => {
      if (isStored(record)) return false
      return (await sql.run('DELETE FROM files WHERE fingerprint = $fingerprint', { fingerprint })) > 0
    })
  }

  /** Changes a record that nobody has; tells whether it did. */
  #change(fingerprint: string, change: (sql: Sql, record: LedgerRecord) => Promise<boolean>): Promise<boolean> {
    return this.#store.transaction(async sql => {
      const found = await find(sql, fingerprint)
      if (!found || (found.record.leaseUntil ?? 0) > found.now) return false
      return change(sql, found.record)
    })
  }

  /** The store is closed by the sink that opened it. */
  async close(): Promise<void> {}
}

/** What a claim that still holds is found by. */
const claimed = `fingerprint = $fingerprint AND epoch = $epoch AND ${isClaimedSql}`

/** An instant so many milliseconds from now, by the store's clock. */
const after = (ms: string) => `now() + to_milliseconds(${ms})`

/** Writes a claimed file's end, inside a transaction of the caller. Refuses when the claim is not the newest. */
export async function settleIn(sql: Sql, claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
  const { fingerprint, epoch } = claim
  const [row] = await sql.rows(`SELECT ${columns} FROM files WHERE ${claimed}`, { fingerprint, epoch })
  if (!row) throw fenced(receipt.path)
  await write(sql, fingerprint, afterSettling(recordOf(row).record, claim, receipt, costsAttempt))
}

/** Has the next run read files anew that have readings of a span: one that beat theirs is there no more. */
export async function replayOthers(
  sql: Sql,
  { fingerprint }: Claim,
  [first, last]: readonly [number, number]
): Promise<void> {
  const quality = (field: string) => `CAST(json_extract(receipt, '$.quality.${field}') AS BIGINT)`
  const statement = `UPDATE files SET replay_due = true, updated_at = now()
    WHERE state = 'committed' AND fingerprint <> $fingerprint
      AND ${quality('first')} <= $last AND ${quality('last')} >= $first`
  await sql.run(statement, { fingerprint, first, last })
}

/** The number of a file, for its entries. */
export async function fileId(sql: Sql, fingerprint: string): Promise<bigint> {
  const [row] = await sql.rows('SELECT file_id FROM files WHERE fingerprint = $fingerprint', { fingerprint })
  return row!.file_id as bigint
}

const columns = recordColumns(instant => `epoch_ms(${instant})`, 'now()')

async function find(sql: Sql, fingerprint: string): Promise<ReturnType<typeof recordOf> | undefined> {
  const [row] = await sql.rows(`SELECT ${columns} FROM files WHERE fingerprint = $fingerprint`, { fingerprint })
  return row && recordOf(row)
}

async function insert(sql: Sql, fingerprint: string, file: LedgerFile, state: string): Promise<void> {
  const { source, path, name, size, modifiedAt } = file
  const statement = `INSERT INTO files (fingerprint, source, path, name, size, modified_at, state, epoch)
    VALUES ($fingerprint, $source, $path, $name, $size, to_timestamp($modifiedAt / 1000), $state, 0)`
  await sql.run(statement, { fingerprint, source, path, name, size, modifiedAt, state })
}

async function write(
  sql: Sql,
  fingerprint: string,
  { receipt, attempts, pauseMs, isReplayDue }: ReturnType<typeof afterSettling>
): Promise<void> {
  const columns = receiptColumns(receipt!)
  const set = Object.keys(columns).map(name => `${name} = $${name}`)
  const statement = `UPDATE files SET ${set.join(', ')}, attempts = $attempts, replay_due = $isReplayDue,
    lease_until = NULL, next_attempt_at = ${after('$pauseMs')}, updated_at = now() WHERE fingerprint = $fingerprint`
  await sql.run(statement, { ...columns, attempts, pauseMs, isReplayDue, fingerprint })
  if (receipt!.state !== 'committed' || !receipt!.payload) return
  // The row of a file that somebody took out of the ledger by hand gives way.
  await sql.run(`INSERT OR REPLACE INTO payloads SELECT $sha256, file_id FROM files WHERE fingerprint = $fingerprint`, {
    sha256: receipt!.payload.sha256,
    fingerprint
  })
}
