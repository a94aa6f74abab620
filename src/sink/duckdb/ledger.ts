import { ForgottenEpochs } from '../../ledger/forgotten-epochs.ts'
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
import { fileOf, receiptColumns, recordColumns, recordCondition, recordOf } from '../sql-columns.ts'
import { keyOf } from './schema.ts'
import type { DuckDbStore, Sql, Values } from './store.ts'

/** The ledger of a {@link DuckDbStore}: its table `files`. */
export class DuckDbLedger implements Ledger {
  readonly #store: DuckDbStore
  readonly #forgotten = new ForgottenEpochs()

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
      const epoch = this.#forgotten.last(fingerprint, found?.record.epoch) + 1
      const state = found ? stateWhileClaimed(found.record, 'claimed') : 'claimed'
      const id = found?.id ?? (await insert(sql, fingerprint, file, state))
      const statement = `UPDATE files SET state = $state, epoch = $epoch, lease_until = ${after('$leaseMs')},
        next_attempt_at = NULL, updated_at = now() WHERE file_id = $id`
      await sql.run(statement, { id, epoch, leaseMs, state })
      return { claim: { fingerprint, epoch, leaseMs, isReplay: state === 'committed' } }
    })
  }

  renew(claim: Claim, state: 'claimed' | 'staged'): Promise<void> {
    return this.#store.transaction(async sql => {
      const { id, record } = await held(sql, claim)
      const statement = `UPDATE files SET state = $state, lease_until = ${after('$leaseMs')}, updated_at = now()
        WHERE file_id = $id`
      await sql.run(statement, { id, leaseMs: claim.leaseMs, state: stateWhileClaimed(record, state) })
    })
  }

  findPayload(sha256: string): Promise<LedgerFile | undefined> {
    return this.#store.transaction(async sql => {
      const known = await sql.rows(`SELECT file_id FROM payloads WHERE ${isKey('payload_key')}`, { key: keyOf(sha256) })
      // Asked one by one: that is what the index of `files` answers.
      for (const { file_id: id } of known) {
        const query = `SELECT source, path, name, size, epoch_ms(modified_at) AS modified_at FROM files
          WHERE file_id = $id AND payload_sha256 = $sha256 AND state = 'committed'`
        const [row] = await sql.rows(query, { id: id as bigint, sha256 })
        if (row) return fileOf(row)
      }
      return undefined
    })
  }

  settle(claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
    return this.#store.transaction(sql => settleIn(sql, claim, receipt, costsAttempt))
  }

  passOver(file: PassedOver, receipt: Receipt): Promise<{ known: boolean }> {
    const fingerprint = fingerprintOf(file)
    return this.#store.transaction(async sql => {
      if (await find(sql, fingerprint)) return { known: true }
      const { state } = receipt
      await write(sql, await insert(sql, fingerprint, file, state), {
        state,
        receipt,
        attempts: 0,
        pauseMs: null,
        isReplayDue: false
      })
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
    return this.#change(fingerprint, async (sql, { id, record }) => {
      const set = `state = $state, replay_due = $isReplayDue, attempts = 0, lease_until = NULL, next_attempt_at = NULL`
      const statement = `UPDATE files SET ${set}, updated_at = now() WHERE file_id = $id`
      await sql.run(statement, { id, ...retried(record) })
      return true
    })
  }

  forget(fingerprint: string): Promise<boolean> {
    return this.#change(fingerprint, async (sql, { id, record }) => {
      if (!mayBeForgotten(record)) return false
      this.#forgotten.keep(fingerprint, record.epoch)
      return (await sql.run('DELETE FROM files WHERE file_id = $id', { id })) > 0
    })
  }

  /** Changes a record that nobody has; tells whether it did. */
  #change(fingerprint: string, change: (sql: Sql, found: Found) => Promise<boolean>): Promise<boolean> {
    return this.#store.transaction(async sql => {
      const found = await find(sql, fingerprint)
      if (!found || (found.record.leaseUntil ?? 0) > found.now) return false
      return change(sql, found)
    })
  }

  /** The store is closed by the sink that opened it. */
  async close(): Promise<void> {}
}

/**
 * What a file is found by. Of the column's own type, because compared as a double no index is asked; and alone, because a
 * second condition has DuckDB read through all files, or more of each than is needed.
 */
const isKey = (column: string) => `${column} = CAST($key AS UINTEGER)`

/** An instant so many milliseconds from now, by the store's clock. */
const after = (ms: string) => `now() + to_milliseconds(${ms})`

/** Writes a claimed file's end, inside a transaction of the caller. Refuses when the claim is not the newest. */
export async function settleIn(sql: Sql, claim: Claim, receipt: Receipt, costsAttempt = false): Promise<void> {
  const { id, record } = await held(sql, claim, receipt.path)
  await write(sql, id, afterSettling(record, claim, receipt, costsAttempt))
}

/** The record of a claim that still holds. */
async function held(sql: Sql, { fingerprint, epoch }: Claim, path?: string): Promise<Found> {
  const found = await find(sql, fingerprint)
  if (found?.record.epoch !== epoch || found.record.leaseUntil === null) throw fenced(path)
  return found
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

/** The same for rows of a report, by their local days. */
export async function replayOtherReports(
  sql: Sql,
  { fingerprint }: Claim,
  kind: ReportKind,
  [first, last]: readonly [string, string]
): Promise<void> {
  const day = (end: string) => `json_extract_string(receipt, '$.reports."${kind}".dates.${end}')`
  const statement = `UPDATE files SET replay_due = true, updated_at = now()
    WHERE state = 'committed' AND fingerprint <> $fingerprint AND ${day('first')} <= $last AND ${day('last')} >= $first`
  await sql.run(statement, { fingerprint, first, last })
}

/** The number of a file, for its entries. */
export async function fileId(sql: Sql, fingerprint: string): Promise<bigint> {
  return (await find(sql, fingerprint))!.id
}

const columns = recordColumns(instant => `epoch_ms(${instant})`, 'now()')

/** A file's number, what the ledger has of it, and the store's clock. */
interface Found extends ReturnType<typeof recordOf> {
  readonly id: bigint
}

async function find(sql: Sql, fingerprint: string): Promise<Found | undefined> {
  const query = `SELECT file_id, ${columns} FROM files WHERE ${isKey('fingerprint_key')}`
  const row = (await sql.rows(query, { key: keyOf(fingerprint) })).find(row => row.fingerprint === fingerprint)
  return row && { id: row.file_id as bigint, ...recordOf(row) }
}

/** Adds a file; gives its number. */
async function insert(sql: Sql, fingerprint: string, file: LedgerFile, state: string): Promise<bigint> {
  const { source, path, name, size, modifiedAt } = file
  const statement = `INSERT INTO files (fingerprint, fingerprint_key, source, path, name, size, modified_at, state, epoch)
    VALUES ($fingerprint, $key, $source, $path, $name, $size, to_timestamp($modifiedAt / 1000), $state, 0)
    RETURNING file_id`
  const values = { fingerprint, key: keyOf(fingerprint), source, path, name, size, modifiedAt, state }
  const [row] = await sql.rows(statement, values)
  return row!.file_id as bigint
}

async function write(
  sql: Sql,
  id: bigint,
  { receipt, attempts, pauseMs, isReplayDue }: ReturnType<typeof afterSettling>
): Promise<void> {
  const columns = receiptColumns(receipt!)
  const set = Object.keys(columns).map(name => `${name} = $${name}`)
  const statement = `UPDATE files SET ${set.join(', ')}, attempts = $attempts, replay_due = $isReplayDue,
    lease_until = NULL, next_attempt_at = ${after('$pauseMs')}, updated_at = now() WHERE file_id = $id`
  await sql.run(statement, { ...columns, attempts, pauseMs, isReplayDue, id })
  if (receipt!.state !== 'committed' || !receipt!.payload) return
  const key = keyOf(receipt!.payload.sha256)
  const known = await sql.rows(`SELECT file_id FROM payloads WHERE ${isKey('payload_key')}`, { key })
  // A file that is read anew has its row already.
  if (known.some(row => row.file_id === id)) return
  await sql.run('INSERT INTO payloads VALUES ($key, $id)', { key, id })
}
