/** Whom a node keeps around it, without a network: what it is told goes in, what it owns comes out. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKey } from '../../../src/core/ids.ts'
import { MAX_FANS } from '../../../src/core/limits.ts'
import { type Contact, contactAt, sameNode } from '../../../src/net/contact.ts'
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

function around(dead: readonly Contact[] = [], { space, ...more } = named, mostLong = 49): Neighbourhood {
  return new Neighbourhood({
    self: peerAt(space, at(0)),
    space,
    choose: (place, candidates, among) => shortPeers({ space, ...more }, place, candidates, 'exact', among).peers,
    periodMs: PERIOD_MS,
    mostLong,
    isDead: (contact) => dead.some((one) => sameNode(one, contact)),
  })
}

/** Hears of others, and asks whoever would be a neighbour, until nobody would. */
function greet(node: Neighbourhood, contacts: readonly Contact[]): void {
  node.meet(contacts, 0)
  for (let next = node.prospects[0]; next !== undefined; next = node.prospects[0]) node.spoke(next, 0)
}

const ids = (contacts: readonly { id: string }[]) => contacts.map(({ id }) => id).sort()
const all = (count: number) => Array.from({ length: count }, (_, i) => at(i + 1))

test('among few, everybody is a short peer; of many, the neighbours are', () => {
  const few = around()
  greet(few, all(7))
  expect(ids(few.short)).toEqual(ids(all(7)))
  const many = around()
  greet(many, all(100))
  expect(many.short.length).toBeLessThan(15)
  expect(many.known).toEqual(many.short) // who was only heard of, and not chosen, is forgotten
})

test('whoever was told of by a neighbour is known, and chosen when others are gone', () => {
  const dead: Contact[] = []
  const node = around(dead)
  greet(node, all(60))
  const [first] = node.short
  const others = all(60)
    .filter(({ id }) => !node.short.some((peer) => peer.id === id))
    .slice(0, 20)
  node.hear([{ contact: first!.contact, short: others }], 0)
  expect(ids(node.known)).toEqual(ids(node.short))
  for (const contact of others) node.spoke(contact, 0)
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

test('who is told of no more is remembered for a moment, and then a stranger again', () => {
  const node = around()
  greet(node, all(60))
  const [first] = node.short
  const far = all(60).find(({ id }) => !node.short.some((peer) => peer.id === id))!
  const tell = (short: readonly Contact[], nowMs: number) => node.hear([{ contact: first!.contact, short }], nowMs)
  const isKnown = () => node.known.some(({ id }) => id === far.id)
  tell([far], 0)
  node.spoke(far, 0)
  expect(isKnown()).toBe(true)
  tell([], 1000)
  expect(isKnown()).toBe(false)
  tell([far], 11_000)
  expect(isKnown()).toBe(true)
  tell([], 12_000)
  tell([far], 22_001)
  expect(isKnown()).toBe(false)
  expect([...node.strangers(() => false).values()]).toEqual([far])
})

test('hearsay does not put another host in the place of one that spoke', () => {
  const node = around()
  node.hear([{ contact: at(1), short: [] }], 0, { unasked: true })
  const lie = { ...at(1), peer: 'another', incarnation: 2 ** 40 }
  node.hear([{ contact: at(2), short: [lie] }], 0, { unasked: true })
  expect(node.short.map(({ contact }) => contact.peer).sort()).toEqual(['p1', 'p2'])
})

describe('strangers', () => {
  test('count for nothing until they have spoken, and are asked one by one of each who told of them', () => {
    const node = around()
    greet(node, all(20))
    const before = { short: node.short, near: node.near, known: node.known }
    const [one, other] = node.short.map(({ contact }) => contact) as [Contact, Contact]
    const false1 = Array.from({ length: 100 }, (_, i) => at(1000 + i))
    node.hear([{ contact: one, short: false1 }], 0)
    node.hear([{ contact: other, short: [at(2000)] }], 0)
    expect({ short: node.short, near: node.near, known: node.known }).toEqual(before)
    const asked = new Set<string>()
    for (let turn = 0; turn < 3; turn++) {
      const next = node.strangers(({ id }) => asked.has(id))
      expect(next.size).toBeLessThanOrEqual(3)
      if (turn === 0) expect(next.get(other.id)).toEqual(at(2000))
      for (const { id } of next.values()) asked.add(id)
    }
    const [prospect] = node.prospects
    node.spoke(prospect!, 0)
    expect(node.short.map(({ contact }) => contact)).toContain(prospect)
  })

  test('of a later start do not put it in the place of one that spoke, nor bury it', () => {
    const dead: Contact[] = []
    const node = around(dead)
    greet(node, all(7))
    const { contact } = node.short[0]!
    const later = { ...contact, incarnation: 2 ** 40 }
    node.hear([{ contact: node.short[1]!.contact, short: [later] }], 0)
    expect(node.short.map((peer) => peer.contact)).toContain(contact)
    expect(node.prospects).toEqual([later])
    dead.push(later)
    node.forget(later, 0)
    expect(node.short.map((peer) => peer.contact)).toContain(contact)
    expect(node.prospects).toEqual([])
  })

  test('are asked as each named them: one that names false starts of them hides nobody', () => {
    const node = around()
    greet(node, all(20))
    const [honest, liar] = node.short.map(({ contact }) => contact) as [Contact, Contact]
    for (let round = 1; round < 20; round++) {
      node.hear([{ contact: liar, short: [at(500, round + 1)] }], 0)
      node.hear([{ contact: honest, short: [at(500)] }], 0)
      expect(node.strangers(() => false).get(honest.id)).toEqual(at(500))
      expect(node.strangers(() => false).get(liar.id)).toEqual(at(500, round + 1))
    }
  })

  test('that would not be known if they spoke are not asked', () => {
    const node = around([], named, 3)
    greet(node, all(60))
    const [first] = node.short
    const far = all(60).filter(({ id }) => !node.short.some((peer) => peer.id === id))
    node.hear([{ contact: first!.contact, short: far }], 0)
    expect(node.hasStrangers).toBe(true)
    for (const contact of far) node.spoke(contact, 0)
    expect(node.known).toHaveLength(node.near.length + 3)
    const places = far.map((contact) => peerAt(named.space, contact))
    const farthest = places.reduce((a, b) => (nearer(named.space, self.point, a, b) ? b : a))
    node.hear([{ contact: first!.contact, short: [...far, { ...farthest.contact, incarnation: 2 }] }], 0)
    expect(node.hasStrangers).toBe(false)
  })

  test('of a later start take its place once they speak', () => {
    const node = around()
    greet(node, all(7))
    const later = { ...node.short[0]!.contact, incarnation: 2 }
    greet(node, [later])
    expect(node.short[0]!.contact).toEqual(later)
    expect(node.short).toHaveLength(7)
  })
})

test.each(['torus2', 'torus3', 'cube2', 'cube4'])(
  'when all who would be neighbours have spoken, it owns what lies nearer to it than to anybody it was told of: %s',
  (name) => {
    const space = spaceNamed(name)
    const place = peerAt(space.space, at(0))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1, max: 10 }), (count, parts) => {
        const node = around([], space)
        const everybody = all(count)
        for (let part = 0; part < parts; part++)
          greet(
            node,
            everybody.filter((_, i) => i % parts === part),
          )
        const places = everybody.map((contact) => peerAt(space.space, contact))
        for (let i = 0; i < 50; i++) {
          const target = space.space.pointOf(hashKey(`${count} ${i}`))
          const isNearest = (peers: typeof places) => !peers.some((peer) => nearer(space.space, target, peer, place))
          expect(isNearest([...node.short])).toBe(isNearest(places))
        }
      }),
      { numRuns: 8 },
    )
  },
)

describe('those who count us as theirs', () => {
  /** A node that is no short peer, and comes to us. */
  function fan() {
    const node = around()
    greet(node, all(60))
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
    greet(node, all(60))
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
  greet(node, all(30))
  node.hear([{ contact: node.short[0]!.contact, short: all(20) }], 0)
  const { short, near, known } = node
  node.hear([{ contact: short[0]!.contact, short: all(20) }], 10)
  node.meet([short[1]!.contact, self.contact], 10)
  expect([node.short === short, node.near === near, node.known === known]).toEqual([true, true, true])
})
