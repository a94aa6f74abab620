import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { buildCore } from './scripts/build-core.js'

await buildCore()

export default defineConfig({
  // Examples name the package; where a test imports one, that is these sources, as in tsconfig.json.
  resolve: {
    alias: [
      { find: /^@intelliwatt\/smt-ingest$/, replacement: fileURLToPath(new URL('src/index.ts', import.meta.url)) }
    ]
  },
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: real servers, child processes and the tests share them.
    maxWorkers: 2,
    expect: { requireAssertions: true },
    allowOnly: process.env.CI === undefined,
    reporters: ['default', ['json', { outputFile: '.ci/out/tests.json' }]]
  }
})
