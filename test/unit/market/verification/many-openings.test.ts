/** What it takes a supplier to open many places of a window: its customer may ask for all of them. */
import { expect, test, vi } from 'vitest'
import type * as Ids from '../../../../src/core/ids.ts'

let hashes = 0
vi.mock('../../../../src/core/ids.ts', async (original) => {
  const ids = await original<typeof Ids>()
  const hashKey: typeof ids.hashKey = (...args) => {
    hashes++
    return ids.hashKey(...args)
  }
  return { ...ids, hashKey }
})

const { hashKey } = await import('../../../../src/core/ids.ts')
const { commitTo, opens } = await import('../../../../src/market/verification/commitment.ts')

test('opening a place of a window takes few hashes, however many places the window has', () => {
  const count = 5_001
  const digests = Array.from({ length: count }, (_, task) => hashKey(`${task}`))
  const name = { contract: hashKey('contract'), supplier: hashKey('supplier') as never, window: 0 }
  const commitment = commitTo(name, digests, hashKey('secret'))
  hashes = 0
  const openings = Array.from({ length: count }, (_, position) => commitment.open(position))
  expect(hashes).toBeLessThan(100 * count)
  for (const position of [0, 1, 31, 32, 4095, 4096, 4999, 5000]) {
    expect(opens(openings[position]!, name, commitment.root, count)).toBe(true)
    expect(opens({ ...openings[position]!, position: position + 1 }, name, commitment.root, count)).toBe(false)
  }
})
