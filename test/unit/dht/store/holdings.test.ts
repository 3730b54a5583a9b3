import { expect, test } from 'vitest'
import { silentLogger } from '../../../../src/core/env.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { systemEnv } from '../../../../src/core/system.ts'
import { Holdings } from '../../../../src/dht/store/blocks/holdings.ts'
import { MemoryBlocks } from '../../../../src/dht/store/memory-blocks.ts'

/** As a disk: what is put is there some turns later. */
class SlowBlocks extends MemoryBlocks {
  override async put(...args: Parameters<MemoryBlocks['put']>): Promise<void> {
    await new Promise(setImmediate)
    await super.put(...args)
  }
}

test('one block put many times at once counts once for its publisher', async () => {
  const holdings = new Holdings(systemEnv(silentLogger), new SlowBlocks(1e6), 2000)
  const bytes = new Uint8Array(1000)
  const copy = { key: hashKey(bytes), expiresAtMs: holdings.leaseEnd(60_000), publisher: 'somebody', bytes }
  const kept = await Promise.all(Array.from({ length: 16 }, () => holdings.put(copy)))
  expect(new Set(kept)).toEqual(new Set(['kept']))
  expect(holdings.withinQuota('somebody', 1000)).toBe(true)
  expect(holdings.withinQuota('somebody', 1001)).toBe(false)
})
