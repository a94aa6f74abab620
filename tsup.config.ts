import { copyFileSync } from 'node:fs'
import { defineConfig } from 'tsup'
import { buildCore } from './scripts/build-core.js'

await buildCore()

export default defineConfig({
  entry: {
    index: 'src/index.ts',
    'sink/duckdb': 'src/sink/duckdb.ts',
    'sink/http': 'src/sink/http.ts',
    'sink/http/receive': 'src/sink/http/receive.ts',
    'sink/ndjson': 'src/sink/ndjson.ts',
    'sink/postgres': 'src/sink/postgres.ts',
    'testing/index': 'src/testing/index.ts',
    'cli/bin': 'src/cli/bin.ts',
    // Beside the chunk that starts it.
    'demo-run': 'src/cli/demo-run.ts'
  },
  format: ['esm'],
  target: 'node20',
  platform: 'node',
  dts: {
    entry: [
      'src/index.ts',
      'src/sink/duckdb.ts',
      'src/sink/http.ts',
      'src/sink/http/receive.ts',
      'src/sink/ndjson.ts',
      'src/sink/postgres.ts',
      'src/testing/index.ts'
    ]
  },
  splitting: true,
  sourcemap: true,
  clean: true,
  // A development dependency, so it is bundled, and only the part that is used: docs/decisions/0007.
  onSuccess: async () => copyFileSync('node_modules/zod/LICENSE', 'dist/LICENSE.zod')
})
