/** The scenario `sybil`, small; at night as large as `npm run sim` has it. */
import { describe, expect, test } from 'vitest'
import { runSybil, SYBIL_DEFAULTS } from '../../sim/scenarios/sybil.ts'
import { seeds } from '../nightly.ts'

const small = { ...SYBIL_DEFAULTS, nodes: 60, ports: 200, targets: 60, lookups: 300 }

describe('an attacker on a ring of real nodes', () => {
  test.each(seeds(2))('enters the gaps that its ids fall into: seed %i', async (seed) => {
    const result = await runSybil({ ...small, attack: 'mash', seed })
    expect(result).toMatchObject({ nodes: 60, gapsTried: 60, keysTried: 0, lookupsFailed: 0 })
    expect(result.idealAfterPeriods).not.toBeNull()
    // All that it found, and as many as the formula has it: 46, with a deviation of at most 4.
    expect(result.gapsHit).toBe(result.identities)
    expect(Math.abs(result.gapsHit - result.gapsExpected)).toBeLessThan(12)
    expect(result.gapsHit).toBeLessThan(60)
    expect(result.lookupsCaptured).toBeGreaterThan(result.lookups / 3)
  })

  test.each(seeds(2))('gets most of the replica groups that it can: seed %i', async (seed) => {
    const result = await runSybil({ ...small, ports: 60, targets: 40, attack: 'eclipse', seed })
    expect(result).toMatchObject({ gapsTried: 0, keysTried: 40, lookupsFailed: 0 })
    // By the formula 20, with a deviation of about 3; keys that share a group more.
    expect(Math.abs(result.keysCaptured - result.keysExpected)).toBeLessThan(15)
    expect(result.keysCaptured).toBeGreaterThan(0)
    expect(result.keysOwned).toBeGreaterThan(0)
    expect(result.identities).toBeLessThan(60)
  })

  test('with one port gets nothing of a group, and one gap at most', async () => {
    const one = { ...small, nodes: 20, ports: 1, targets: 20, lookups: 20 }
    expect(await runSybil({ ...one, attack: 'eclipse' })).toMatchObject({ identities: 0, keysCaptured: 0 })
    expect(await runSybil({ ...one, attack: 'mash' })).toMatchObject({ identities: 1, gapsHit: 1, gapsTried: 20 })
  })

  test('on a ring so young that all know all', async () => {
    const result = await runSybil({ ...small, nodes: 4, targets: 4, attack: 'mash' })
    expect(result).toMatchObject({ gapsTried: 4, gapsHit: 4, identities: 4 })
  })

  test('the same seed, the same events', async () => {
    const options = { ...small, nodes: 30, targets: 10, lookups: 50 }
    const { digest } = await runSybil(options)
    expect((await runSybil(options)).digest).toBe(digest)
    expect((await runSybil({ ...options, seed: 2 })).digest).not.toBe(digest)
  })

  test('searches no more ids than it can keep', async () => {
    await expect(runSybil({ ...small, ips: 1000, ports: 50_000 })).rejects.toMatchObject({ code: 'usage' })
  })

  test.runIf(process.env.CHORALE_NIGHTLY)('1,000 nodes', async () => {
    const mash = await runSybil(SYBIL_DEFAULTS)
    // 188 of 200, with a deviation of 3.
    expect(Math.abs(mash.gapsHit - mash.gapsExpected)).toBeLessThan(12)
    const eclipse = await runSybil({ ...SYBIL_DEFAULTS, attack: 'eclipse' })
    expect(eclipse.keysCaptured).toBeGreaterThan(190)
  })
})
