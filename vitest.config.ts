/** Tests within one process run side by side; those that start processes run after them, one file at a time. */
import { defineConfig } from 'vitest/config'

const minutes = process.env.CHORALE_NIGHTLY ? 30 : 1

export default defineConfig({
  test: {
    pool: 'forks',
    setupFiles: ['test/nightly.ts'],
    projects: [
      {
        extends: true,
        test: {
          name: 'inside',
          include: ['test/**/*.test.ts'],
          exclude: ['test/e2e/**'],
          testTimeout: minutes * 60_000,
          hookTimeout: 60_000,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          testTimeout: minutes * 120_000,
          hookTimeout: 60_000,
          maxWorkers: 1,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
