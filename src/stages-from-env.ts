import type { AscDecryptor } from './decrypt/asc-decryptor.ts'
import { buildDecryptor, buildSink, buildSources, storeOf } from './settings.ts'
import type { Sink } from './sink/sink.ts'
import type { Source } from './source/source.ts'

/** What `ingest` and `watch` need besides a parser. Whoever asked for them closes them. */
export interface EnvStages {
  /** The server that `SMT_HOST` names, or the folder of `SMT_LOCAL_DIR`. */
  readonly source: Source
  readonly decryptor: AscDecryptor
  readonly sink: Sink
  /** What `SMT_STORE` is. Only PostgreSQL may be open in several processes at a time. */
  readonly store: 'duckdb' | 'ndjson' | 'postgres'
}

/**
 * The stages that the environment names, as `smt-ingest pull` and `watch` understand it: `SMT_HOST` and its like,
 * `SMT_PGP_KEY` and its like, `SMT_STORE`. Nothing is opened yet; a setting that is missing is a {@link ConfigError}.
 */
export async function stagesFromEnv(env: NodeJS.ProcessEnv = process.env): Promise<EnvStages> {
  const { kind: store } = storeOf('SMT_STORE', undefined, env)
  const [source] = buildSources({}, env)
  return { source: source!, decryptor: buildDecryptor({}, env), sink: await buildSink(undefined, env), store }
}
