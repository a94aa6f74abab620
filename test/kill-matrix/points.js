// The named points at which a run is killed: for each sink, the call of a public function of a library (`pg`, DuckDB,
// Node's fs) by which the point is recognised, before it is made, when it is made but has no answer, or when it has one.
// The most telling stand first: a small number of trials takes only them, beside what chance adds.

/**
 * What the preload tells of a call: `moment` is `before`, `sent` or `answered`; `text` and `values` are a statement's,
 * `since` are the statements since BEGIN on the same connection, undefined outside of a transaction.
 */

const had = (event, pattern) => event.since?.some(({ text }) => pattern.test(text)) === true
const query =
  (moment, pattern, more = () => true) =>
  event =>
    event.call === 'query' && event.moment === moment && pattern.test(event.text) && more(event)
const end = (moment, pattern) => query(moment, /^COMMIT$/, event => had(event, pattern))

const receipt = event => event.call === 'print' && event.text.includes('"state":"committed"')
const transfer = event => event.call === 'read' && event.moment === 'answered'

const claims = /SET state = \$\w+, epoch/
const firstClaim = moment => query(moment, /^INSERT INTO \S+\.files/, ({ values }) => values?.includes('claimed'))
const merges = /^INSERT INTO \S*entries/

const isStaging = event => event.path?.includes('/.staging-')
const isJournal = event => event.path?.endsWith('/.ledger.ndjson')
const isLock = event => event.path?.endsWith('/.ledger.ndjson.lock')
const file = (call, moment, which) => event => event.call === call && event.moment === moment && which(event)
const entry = (call, moment, state) => file(call, moment, event => isJournal(event) && event.state === state)

const postgres = {
  'rows merged, ledger not written': query('before', /fetched_sha256/, ({ values }) => values?.includes('committed')),
  'COMMIT sent': end('sent', merges),
  'after COMMIT': end('answered', merges),
  'before COMMIT': end('before', merges),
  'staging made': end('answered', /CREATE UNLOGGED TABLE/),
  'after the first copy': query('answered', /^COPY/),
  'in the middle of transfer': transfer,
  'after staged': query('answered', /^UPDATE/, ({ values }) => values?.includes('staged')),
  'rolling back': query('before', /^DROP TABLE/, ({ since }) => since === undefined),
  'claim sent': firstClaim('sent'),
  'transaction begun': query('answered', /SET LOCAL work_mem/),
  'claim locked': query('before', merges),
  'in the middle of a copy': query('sent', /^COPY/, ({ since }) => since === undefined),
  'in the middle of a copy by the commit': query('sent', /^COPY \S*smt_staged/),
  'before staged': query('before', /^UPDATE/, ({ values }) => values?.includes('staged')),
  'after the claim': firstClaim('answered'),
  'after listing': query('before', /^INSERT INTO \S+\.files/),
  'before the receipt': receipt,
  'rolled back': query('answered', /^DROP TABLE/, ({ since }) => since === undefined),
  'on close': event => event.call === 'end' && event.moment === 'before',
  'making the tables': end('before', /CREATE VIEW/)
}

/** For each sink its points. */
export const points = {
  duckdb: {
    'rows merged, ledger not written': query('before', /fetched_sha256/, ({ values }) => values?.state === 'committed'),
    'COMMIT sent': end('sent', merges),
    'after COMMIT': end('answered', merges),
    'before COMMIT': end('before', merges),
    'staging made': query('answered', /CREATE TEMP TABLE staged_meters/),
    'after the first copy': event => event.call === 'append' && event.moment === 'answered',
    'in the middle of transfer': transfer,
    'after staged': query('answered', /^COMMIT$/, ({ since }) =>
      since?.some(({ values }) => values?.state === 'staged')
    ),
    'rolling back': event => event.call === 'clear' && event.moment === 'before',
    'claim sent': end('sent', claims),
    'transaction begun': query('answered', /^BEGIN$/, ({ isStaging }) => isStaging),
    'in the middle of a copy': event => event.call === 'flush' && event.moment === 'before',
    'before staged': query('before', /^UPDATE/, ({ values }) => values?.state === 'staged'),
    'after the claim': end('answered', claims),
    'after listing': query('before', /^INSERT INTO files/),
    'before the receipt': receipt,
    'rolled back': event => event.call === 'clear' && event.moment === 'answered',
    'on close': event => event.call === 'close' && event.moment === 'before' && !event.isStaging,
    'half closed': event => event.call === 'close' && event.moment === 'answered' && !event.isStaging,
    closed: event => event.call === 'end' && event.moment === 'answered',
    'making the tables': end('before', /CREATE VIEW intervals/)
  },
  'postgres-days': postgres,
  'postgres-rows': {
    ...postgres,
    'copied before staged': query('answered', /^COPY/, ({ isStaged }) => !isStaged)
  },
  ndjson: {
    'rows merged, ledger not written': entry('append', 'before', 'committed'),
    'COMMIT sent': file('rename', 'sent', isStaging),
    'after COMMIT': entry('sync', 'answered', 'committed'),
    'before COMMIT': file('rename', 'before', isStaging),
    'staging made': file('open', 'answered', isStaging),
    'after the first copy': file('append', 'answered', isStaging),
    'in the middle of transfer': transfer,
    'after staged': entry('sync', 'answered', 'staged'),
    'rolling back': file('rm', 'before', isStaging),
    'claim sent': entry('append', 'sent', 'claimed'),
    'transaction begun': file('sync', 'answered', isStaging),
    'in the middle of a copy': file('append', 'sent', isStaging),
    'before staged': entry('append', 'before', 'staged'),
    'after the claim': entry('sync', 'answered', 'claimed'),
    'after listing': entry('append', 'before', 'claimed'),
    'before the receipt': receipt,
    'rolled back': file('rm', 'answered', isStaging),
    'on close': file('rm', 'before', isLock),
    closed: file('rm', 'answered', isLock),
    'locked without a name': file('open', 'answered', isLock),
    locked: file('write', 'answered', isLock),
    'in the middle of the ledger’s entry': entry('append', 'sent', 'committed')
  }
}

/** Points that need a large file: it comes in several pieces, and is staged before its commit. */
export const largePoints = new Set([
  'in the middle of transfer',
  'staging made',
  'in the middle of a copy',
  'rolling back',
  'rolled back',
  'copied before staged'
])
