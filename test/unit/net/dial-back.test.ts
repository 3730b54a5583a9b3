import { describe, expect, it } from 'vitest'
import { MAX_DIAL_BACKS_PER_IP_BURST, MAX_DIAL_BACKS_PER_SECOND } from '../../../src/core/limits.ts'
import type { Address } from '../../../src/net/contact.ts'
import { newCounters } from '../../../src/net/counters.ts'
import { DialBacks } from '../../../src/net/dial-back.ts'

function setUp() {
  const dialled: Address[] = []
  const state = { nowMs: 0, reachable: true }
  const counters = newCounters()
  const dialBacks = new DialBacks({
    dial: async (address) => {
      dialled.push(address)
      if (!state.reachable) throw new Error('nobody there')
    },
    now: () => state.nowMs,
    counters,
  })
  return { dialBacks, dialled, state, counters }
}

const at = (port: number, ip = '1.2.3.4', incarnation = 1): Address => ({ peer: 'alice', ip, port, incarnation })

describe('dial-backs', () => {
  it('try a claim once, however many ask', async () => {
    const { dialBacks, dialled } = setUp()
    expect(dialBacks.confirmed(at(1))).toBe(false)
    const answers = await Promise.all([dialBacks.confirm(at(1)), dialBacks.confirm(at(1))])
    expect(answers).toEqual([true, true])
    expect(dialBacks.confirm(at(1))).toBe(true)
    expect(dialBacks.confirmed(at(1))).toBe(true)
    expect(dialled).toEqual([at(1)])
  })

  it('take another incarnation, port or peer for another claim', async () => {
    const { dialBacks } = setUp()
    await dialBacks.confirm(at(1))
    for (const other of [at(2), at(1, '1.2.3.5'), at(1, '1.2.3.4', 2), { ...at(1), peer: 'bob' }]) {
      expect(dialBacks.confirmed(other)).toBe(false)
    }
  })

  it('try a refuted claim again, later each time', async () => {
    const { dialBacks, dialled, state, counters } = setUp()
    state.reachable = false
    const tries = async () => {
      const before = dialled.length
      await dialBacks.confirm(at(1))
      return dialled.length > before
    }
    const triedAt: number[] = []
    for (state.nowMs = 0; state.nowMs <= 70_000; state.nowMs += 1000) if (await tries()) triedAt.push(state.nowMs)
    expect(triedAt).toEqual([0, 2_000, 6_000, 14_000, 30_000, 62_000])
    expect(counters.failedDialBacks).toBe(6)
    state.reachable = true
    state.nowMs += 80_000
    expect(await dialBacks.confirm(at(1))).toBe(true)
  })

  it('know what a dial of our own has shown', () => {
    const { dialBacks, dialled } = setUp()
    dialBacks.mark(at(1))
    expect(dialBacks.confirm(at(1))).toBe(true)
    expect(dialled).toEqual([])
  })

  it('give one IP no more than its share, and all together no more than theirs', async () => {
    const { dialBacks, dialled, state } = setUp()
    for (let port = 1; port <= 100; port++) void dialBacks.confirm(at(port))
    expect(dialled.length).toBe(MAX_DIAL_BACKS_PER_IP_BURST + 1)
    for (let host = 0; host < 200; host++) void dialBacks.confirm(at(1, `2.0.0.${host}`))
    expect(dialled.length).toBe(MAX_DIAL_BACKS_PER_SECOND + 1)
    state.nowMs = 1000
    expect(await dialBacks.confirm(at(1, '3.0.0.1'))).toBe(true)
  })
})
