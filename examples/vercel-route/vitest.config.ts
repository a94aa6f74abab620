import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    globalSetup: 'test/support/build.ts',
    expect: { requireAssertions: true },
    testTimeout: 30_000,
    hookTimeout: 60_000
  }
})
