import { describe, expect, test } from 'vitest'
import { keyFromBigint } from '../../../src/core/ids.ts'
import { MAX_LOST_CONTACTS } from '../../../src/core/limits.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { Graveyard } from '../../../src/dht/graves.ts'
import type { Contact } from '../../../src/net/contact.ts'

const at = (n: number, incarnation = 1): Contact => ({
  peer: `p${n}`,
  ip: '10.0.0.1',
  port: 1,
  slot: 0,
  incarnation,
  id: keyFromBigint(BigInt(n)),
})

describe('graveyard', () => {
  const DEAD_MS = 30_000
  const graves = () => new Graveyard(seededRandom(1))

  test.each([
    ['the dead', 1, 0, true],
    ['the dead, a while later', 1, DEAD_MS, true],
    ['the dead, long after', 1, DEAD_MS + 1, false],
    ['one that lived there before', 0, 0, true],
    ['one that came after', 2, 0, false],
  ])('holds %s: incarnation %i, %i ms later: %s', (_what, incarnation, laterMs, held) => {
    const yard = graves()
    yard.bury(at(5, 1), 1000)
    expect(yard.holds(at(5, incarnation), 1000 + laterMs)).toBe(held)
    expect(yard.holds(at(6), 1000 + laterMs)).toBe(false)
  })

  test('of a stranger says nothing of an older one at its place, which may never have ended', () => {
    const yard = graves()
    yard.bury(at(5, 7), 0, { wasStranger: true })
    expect(yard.holds(at(5, 7), 0)).toBe(true)
    expect(yard.holds(at(5, 6), 0)).toBe(false)
  })

  test('who speaks is alive, but stays among the lost until it was sought', () => {
    const yard = graves()
    yard.bury(at(5), 0)
    yard.raise(at(5))
    expect(yard.holds(at(5), 0)).toBe(false)
    const lost = yard.anyLost()!
    expect(lost).toEqual(at(5))
    yard.forgetLost(lost)
    expect(yard.anyLost()).toBeUndefined()
    yard.forgetLost(lost)
  })

  test('both lists are bounded: the newest dead are kept, and some of all that were lost', () => {
    const yard = graves()
    for (let n = 0; n < 5000; n++) {
      yard.bury(at(n), n)
      yard.bury(at(n), n) // once is enough
    }
    const dead = Array.from({ length: 5000 }, (_, n) => n).filter((n) => yard.holds(at(n), 5000))
    expect(dead).toEqual(Array.from({ length: 256 }, (_, i) => 5000 - 256 + i))
    const lost = new Set<Contact>()
    for (let contact = yard.anyLost(); contact !== undefined; contact = yard.anyLost()) {
      lost.add(contact)
      yard.forgetLost(contact)
    }
    expect(lost.size).toBe(MAX_LOST_CONTACTS)
    expect(new Set([...lost].map((c) => c.id)).size).toBe(MAX_LOST_CONTACTS)
  })
})
