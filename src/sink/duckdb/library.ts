import { ConfigError } from '../../errors.ts'

/** The library, loaded at first use: it is an optional peer. */
export type DuckDb = typeof import('@duckdb/node-api')

/** Loads the library for whoever needs it. */
export async function loadDuckDb(user: string): Promise<DuckDb> {
  try {
    return await import('@duckdb/node-api')
  } catch (cause) {
    throw new ConfigError('CONFIG_MISSING_PEER', `${user} needs the package @duckdb/node-api`, { cause })
  }
}
