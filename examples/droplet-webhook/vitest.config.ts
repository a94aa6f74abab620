import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    // Two cores: each test has a daemon and a server of its own.
    maxWorkers: 2,
    expect: { requireAssertions: true },
    allowOnly: process.env.CI === undefined
  }
})
