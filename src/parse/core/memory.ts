// Where everything lies in the core's one linear memory. JavaScript writes bytes into INPUT and reads columns behind
// BATCH; nothing else is shared. What is not used is never touched, so a small file costs a small part of it.

/** The bytes that most rows begin with, as the row before had them. */
export const PREFIX: usize = 0x400
export const LONGEST_PREFIX: usize = 128
/** One byte for each column: its role. */
export const ROLES: usize = 0x500
/** An ESIID's digits, where JavaScript places a row itself. */
export const ESIID: usize = 0x600

/** Readings that wait to be noted, see pending.ts. */
export const PENDING: usize = 0x700
export const PENDING_SIZE: usize = 48
export const MOST_PENDING: i32 = 48

/** For each calendar day from 1970 to 2199 four bytes, see {@link dayOf}. */
export const DAYS: usize = 0x1000
const DAYS_SIZE: usize = 230 * 512 * 4

/** Bytes to be read, a few zeros behind them. */
export const INPUT: usize = DAYS + DAYS_SIZE
const INPUT_SIZE: usize = 0x24000

/** Groups that one generation holds; what is known of the last so many meter-days is never forgotten. */
export const MOST_GROUPS: u32 = 0x10000
export const GROUP_SIZE: usize = 48
/** Twice as many places as groups, four bytes each. */
export const INDEX_BITS: u64 = 17
const INDEX_SIZE: usize = 0x80000

export const GROUPS_A: usize = INPUT + INPUT_SIZE
export const GROUPS_B: usize = GROUPS_A + <usize>MOST_GROUPS * GROUP_SIZE
export const INDEX_A: usize = GROUPS_B + <usize>MOST_GROUPS * GROUP_SIZE
export const INDEX_B: usize = INDEX_A + INDEX_SIZE

/** Meter-days whose readings are remembered, to be compared with rows that come again. */
export const MOST_SHEETS: u32 = 0x4000
/** Its owner, and 100 readings of four bytes. */
export const SHEET_SIZE: usize = 408
export const SHEETS: usize = INDEX_B + INDEX_SIZE

/** Rows that a batch may have at most, and its columns. */
const MOST_ROWS: usize = 0x10000
export const START: usize = SHEETS + <usize>MOST_SHEETS * SHEET_SIZE
export const KWH: usize = START + MOST_ROWS * 8
export const REVISION: usize = KWH + MOST_ROWS * 8
export const LINE: usize = REVISION + MOST_ROWS * 8
export const METER: usize = LINE + MOST_ROWS * 4
export const ESTIMATED: usize = METER + MOST_ROWS * 4
export const DIRECTION: usize = ESTIMATED + MOST_ROWS
export const MINUTES: usize = DIRECTION + MOST_ROWS
/** The digits of its meters, a comma behind each. */
export const METER_TEXTS: usize = MINUTES + MOST_ROWS
/** A hash table of its meters, with at least twice as many places as rows. */
export const METER_PLACES: usize = METER_TEXTS + MOST_ROWS * 24
export const METER_PLACE_SIZE: usize = 24
// It ends at 430.5 pages of 64 KiB; the compiler is told to give 450.
