/**
 * First what computes, two files side by side; then what starts processes, and waits for them as much as it computes.
 * Unit tests share their processes, for they leave nothing behind there; every other file has one of its own.
 */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const minutes = process.env.CHORALE_NIGHTLY ? 30 : 1

// What is started again and again is compiled once: a node then needs half of the time to start.
process.env.NODE_COMPILE_CACHE ||= fileURLToPath(new URL('node_modules/.cache/compiled', import.meta.url))

/** They come first, or one of them would be the last, alone. */
const LONG = [
  'sim/model',
  'sim/studies',
  'sim/jobs',
  'sim/balance',
  'sim/consensus',
  'sim/ledger-liars',
  'net/fuzz',
  'e2e/demo',
  'sandbox/code',
  'e2e/cli',
  'e2e/store',
  'e2e/ledger',
  'e2e/trade',
]

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) =>
      LONG.findIndex((name) => moduleId.endsWith(`${name}.test.ts`)) >>> 0
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    setupFiles: ['test/nightly.ts'],
    testTimeout: minutes * 60_000,
    hookTimeout: 60_000,
    sequence: { sequencer: LongFirst },
    projects: [
      {
        extends: true,
        test: { name: 'unit', include: ['test/unit/**/*.test.ts'], isolate: false },
      },
      {
        extends: true,
        // Millions of small objects that die young.
        test: { name: 'sim', include: ['test/sim/**/*.test.ts'], execArgv: ['--max-semi-space-size=64'] },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/sandbox/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          testTimeout: minutes * 120_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
