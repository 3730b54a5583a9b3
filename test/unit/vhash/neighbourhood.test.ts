/** Whom a node keeps around it, without a network: what it is told goes in, what it owns comes out. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKey } from '../../../src/core/ids.ts'
import { MAX_FANS } from '../../../src/core/limits.ts'
import { type Contact, contactAt } from '../../../src/net/contact.ts'
import { Neighbourhood } from '../../../src/vhash/neighbourhood.ts'
import { peerAt } from '../../../src/vhash/peer.ts'
import { shortPeers } from '../../../src/vhash/peers.ts'
import { nearer } from '../../../src/vhash/route.ts'
import { spaceNamed } from '../../../src/vhash/spaces.ts'

const named = spaceNamed('torus2')
const PERIOD_MS = 1000

const at = (n: number, incarnation = 1): Contact =>
  contactAt({ peer: `p${n}`, ip: `10.0.${n >> 8}.${n & 255}`, port: 4001, incarnation }, 0)
const self = peerAt(named.space, at(0))

function around(dead: readonly Contact[] = []): Neighbourhood {
  return new Neighbourhood({
    self,
    space: named.space,
    choose: (place, candidates) => shortPeers(named, place, candidates, 'exact').peers,
    periodMs: PERIOD_MS,
    mostLong: 49,
    isDead: (contact) => dead.some(({ id }) => id === contact.id),
  })
}

const ids = (contacts: readonly { id: string }[]) => contacts.map(({ id }) => id).sort()
const all = (count: number) => Array.from({ length: count }, (_, i) => at(i + 1))

test('among few, everybody is a short peer; of many, the neighbours are', () => {
  const few = around()
  few.meet(all(7), 0)
  expect(ids(few.short)).toEqual(ids(all(7)))
  const many = around()
  many.meet(all(100), 0)
  expect(many.short.length).toBeLessThan(15)
  expect(many.known).toEqual(many.short) // who was only heard of, and not chosen, is forgotten
})

test('whoever was told of by a neighbour is known, and chosen when others are gone', () => {
  const dead: Contact[] = []
  const node = around(dead)
  node.meet(all(60), 0)
  const [first] = node.short
  const others = all(60)
    .filter(({ id }) => !node.short.some((peer) => peer.id === id))
    .slice(0, 20)
  node.hear([{ contact: first!.contact, short: others }], 0)
  expect(ids(node.known)).toEqual(ids([...node.short.map(({ contact }) => contact), ...others]))
  expect(node.known.slice(0, node.near.length)).toEqual(node.near)
  const before = ids(node.short)
  for (const { contact } of node.short.slice(1)) {
    dead.push(contact)
    node.forget(contact, 0)
  }
  expect(ids(node.short)).not.toEqual(before)
  expect(node.short.length).toBeGreaterThanOrEqual(7)
  expect(node.known.some(({ id }) => dead.some((contact) => contact.id === id))).toBe(false)
})

test('hearsay does not put another host in the place of one that spoke', () => {
  const node = around()
  node.hear([{ contact: at(1), short: [] }], 0, { unasked: true })
  const lie = { ...at(1), peer: 'another', incarnation: 2 ** 40 }
  node.hear([{ contact: at(2), short: [lie] }], 0, { unasked: true })
  expect(node.short.map(({ contact }) => contact.peer).sort()).toEqual(['p1', 'p2'])
})

test('it owns what lies nearer to it than to anybody that it was ever told of', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 10 }), (count, parts) => {
      const node = around()
      const everybody = all(count)
      for (let part = 0; part < parts; part++)
        node.meet(
          everybody.filter((_, i) => i % parts === part),
          0,
        )
      const places = everybody.map((contact) => peerAt(named.space, contact))
      for (let i = 0; i < 50; i++) {
        const target = named.space.pointOf(hashKey(`${count} ${i}`))
        const isNearest = (peers: typeof places) => !peers.some((peer) => nearer(named.space, target, peer, self))
        expect(isNearest([...node.short])).toBe(isNearest(places))
      }
    }),
    { numRuns: 20 },
  )
})

describe('those who count us as theirs', () => {
  /** A node that is no short peer, and comes to us. */
  function fan() {
    const node = around()
    node.meet(all(60), 0)
    const stranger = all(60).find(({ id }) => !node.short.some((peer) => peer.id === id))!
    node.hear([{ contact: stranger, short: [] }], 0, { unasked: true })
    return { node, stranger }
  }

  test('are near as long as they speak', () => {
    const { node, stranger } = fan()
    expect(ids(node.near)).toEqual(ids([...node.short, stranger]))
    node.spoke(stranger, 3 * PERIOD_MS)
    node.expire(6 * PERIOD_MS)
    expect(node.near.some(({ id }) => id === stranger.id)).toBe(true)
    node.expire(8 * PERIOD_MS)
    expect(node.near).toEqual(node.short)
    expect(node.known).toEqual(node.short)
  })

  test('are not those whom we asked, unless they name us', () => {
    const { node, stranger } = fan()
    node.hear([{ contact: stranger, short: [] }], 0)
    expect(node.near).toEqual(node.short)
    node.hear([{ contact: stranger, short: [self.contact] }], 0)
    expect(node.near).toHaveLength(node.short.length + 1)
  })

  test('are so many at most', () => {
    const node = around()
    node.meet(all(60), 0)
    for (const contact of all(200)) node.hear([{ contact, short: [] }], 0, { unasked: true })
    expect(node.near.length - node.short.length).toBe(MAX_FANS)
  })
})

test('of two starts of one host the later counts, whatever comes late', () => {
  const node = around()
  node.meet([at(1, 1)], 0)
  node.hear([{ contact: at(1, 2), short: [] }], 0)
  expect(node.short.map(({ contact }) => contact.incarnation)).toEqual([2])
  node.hear([{ contact: at(1, 1), short: [at(2)] }], 0)
  node.meet([at(1, 1)], 0)
  expect(node.short.map(({ contact }) => contact)).toEqual([at(1, 2)])
  node.forget(at(1, 1), 0) // the old one's death is no news
  expect(node.short).toHaveLength(1)
})

test('nothing new leaves everything as it was, so that nobody need look', () => {
  const node = around()
  node.meet(all(30), 0)
  node.hear([{ contact: node.short[0]!.contact, short: all(20) }], 0)
  const { short, near, known } = node
  node.hear([{ contact: short[0]!.contact, short: all(20) }], 10)
  node.meet([short[1]!.contact, self.contact], 10)
  expect([node.short === short, node.near === near, node.known === known]).toEqual([true, true, true])
})
