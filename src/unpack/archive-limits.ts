import * as z from 'zod'

/** Limits of what an archive may unpack to. Beyond one of them the file fails with `ZIP_LIMIT`. */
export interface ArchiveLimits {
  /**
   * Members of an archive and of the archives in it, folders among them.
   * @default 10000
   */
  readonly maxEntries?: number | undefined
  /**
   * Bytes that all of them unpack to, together.
   * @default 100_000_000_000
   */
  readonly maxBytes?: number | undefined
  /**
   * How many times its packed size a member may unpack to, with what is in it where it is an archive. Up to 64 MiB it may
   * be any number of times.
   * @default 200
   */
  readonly maxRatio?: number | undefined
  /**
   * How deep archives may stand in archives; with 0 the file has to be the only one.
   * @default 2
   */
  readonly maxDepth?: number | undefined
}

export const archiveLimitsSchema = z.strictObject({
  // A report has one member, a month of downloads some dozens.
  maxEntries: z.number().int().min(1).default(10_000),
  // A day of all eight million meters of Texas is 65 GB.
  maxBytes: z.number().int().min(1).default(100_000_000_000),
  // A report of nothing but zeros comes to 29; deflate can at most have 1032.
  maxRatio: z.number().min(1).default(200),
  // A year of months of reports.
  maxDepth: z.number().int().min(0).default(2)
})

/** Bytes up to which no ratio is asked for: they are unpacked in a fraction of a second. */
const FREE_BYTES = 64 * 1024 * 1024

/** Counts what comes out of a file, in all of its archives, against the limits. */
export class Budget {
  readonly limits: z.output<typeof archiveLimitsSchema>
  #entries = 0
  #bytes = 0

  constructor(limits: z.output<typeof archiveLimitsSchema>) {
    this.limits = limits
  }

  /** Counts a member. Gives the words for the limit that is broken by it, if one is. */
  addEntry(): string | undefined {
    const { maxEntries } = this.limits
    return ++this.#entries > maxEntries ? `more than ${maxEntries} members (maxEntries)` : undefined
  }

  /** Counts bytes, likewise. */
  addBytes(count: number): string | undefined {
    const { maxBytes } = this.limits
    return (this.#bytes += count) > maxBytes
      ? `the archive unpacks to more than ${maxBytes} bytes (maxBytes)`
      : undefined
  }
}

/** Weighs what comes of one member, and of the members in it, against the bytes that it has in the archive. */
export class MemberWeight {
  readonly #budget: Budget
  readonly #packed: () => number
  readonly #within: MemberWeight | undefined
  #unpacked = 0

  constructor(budget: Budget, packed: () => number, within: MemberWeight | undefined) {
    this.#budget = budget
    this.#packed = packed
    this.#within = within
  }

  /** Counts unpacked bytes. Gives the words for the limit that is broken by them, if one is. */
  add(count: number): string | undefined {
    const { maxRatio } = this.#budget.limits
    // What comes of an archive in an archive came of that one, too.
    for (let weight: MemberWeight | undefined = this; weight; weight = weight.#within) {
      weight.#unpacked += count
      if (weight.#unpacked > FREE_BYTES && weight.#unpacked > maxRatio * weight.#packed()) {
        return `a member unpacks to more than ${maxRatio} times its size (maxRatio)`
      }
    }
    return this.#budget.addBytes(count)
  }
}
