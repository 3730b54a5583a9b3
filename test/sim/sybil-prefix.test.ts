/** The scenario `sybil` under placement `ip-prefix`, and against committees: small; at night as large as can be waited for. */
import { describe, expect, test } from 'vitest'
import { Cluster, type SimNode } from '../../sim/cluster.ts'
import { runSybil, SYBIL_DEFAULTS } from '../../sim/scenarios/sybil.ts'
import { COMMITTEE_DEFAULTS, runSybilCommittee } from '../../sim/scenarios/sybil-committee.ts'
import { ChordHost } from '../../src/dht/chord/host.ts'
import { createRegisters } from '../../src/dht/store/registers.ts'
import { contactAt } from '../../src/net/contact.ts'
import { keysOf, words, wordsKind } from '../fakes/registers.ts'
import { seeds } from '../nightly.ts'

const small = { ...SYBIL_DEFAULTS, nodes: 80, ports: 400, crowd: 8, placement: 'ip-prefix' as const }

describe('an attacker with crowds in the arcs of its address', () => {
  test.each(seeds(2))('owns keys, but has no majority of any group: seed %i', async (seed) => {
    const result = await runSybil({ ...small, targets: 300, lookups: 200, attack: 'eclipse', seed })
    expect(result).toMatchObject({ keysTried: 300, keysCaptured: 0, keysExpected: 0, lookupsFailed: 0, groupsWrong: 0 })
    expect(result.idealAfterPeriods).not.toBeNull()
    expect(result.identities).toBeGreaterThanOrEqual(8 * small.crowd)
    expect(result.keysOwned).toBeGreaterThan(0)
    const [bare, , spread] = result.defences
    // 8 arcs among 80 nodes, two places each: about 17 % of the keys, if groups counted ids.
    expect(bare).toMatchObject({ parties: false, density: false })
    expect(Math.abs(bare!.captured - bare!.expected!)).toBeLessThan(40)
    expect(bare!.captured).toBeGreaterThan(10)
    expect(spread).toMatchObject({ parties: true, density: false, captured: 0, expected: 0 })
  })

  test('with two addresses in two blocks has some', async () => {
    const result = await runSybil({ ...small, ips: 2, targets: 400, lookups: 50, attack: 'eclipse', nodes: 40 })
    const [, , spread] = result.defences
    expect(result.keysCaptured).toBe(spread!.captured)
    expect(result.keysExpected).toBe(spread!.expected)
    expect(result.keysCaptured).toBeGreaterThan(0)
    expect(result.groupsWrong).toBe(0)
  })

  test('hits as many gaps as it has arcs, and no more', async () => {
    const result = await runSybil({ ...small, targets: 80, lookups: 50, crowd: 1, attack: 'mash' })
    expect(result.gapsHit).toBeGreaterThan(3)
    expect(result.gapsHit).toBeLessThanOrEqual(8)
    expect(Math.abs(result.gapsHit - result.gapsExpected)).toBeLessThan(4)
  })

  test('the same seed, the same events', async () => {
    const options = { ...small, nodes: 30, targets: 10, lookups: 20, attack: 'eclipse' as const }
    const { digest } = await runSybil(options)
    expect((await runSybil(options)).digest).toBe(digest)
    expect((await runSybil({ ...options, placement: 'ip-port', ports: 100 })).digest).not.toBe(digest)
  })
})

describe('an attacker among the bankers', () => {
  test('has too many seats as often as the exact law says', () => {
    const options = { ...COMMITTEE_DEFAULTS, bankers: 40, liars: [0.1, 0.3], seats: [1, 4, 10], networks: 1500 }
    const { rows, farthest } = runSybilCommittee(options)
    expect(rows.length).toBe(6)
    expect(farthest).toBeLessThan(3.5)
    for (const row of rows) {
      expect(row.broken).toBeGreaterThanOrEqual(row.owned)
      expect(row.brokenExact).toBeLessThanOrEqual(row.brokenFormula * 1.02)
    }
    expect(rows.find(({ liars, seats }) => liars === 0.3 && seats === 4)!.broken).toBeGreaterThan(0.3)
    expect(runSybilCommittee(options)).toEqual({ rows, farthest })
    expect(runSybilCommittee({ ...options, seed: 2 }).rows).not.toEqual(rows)
  })

  test('sizes that no committee has, or that its bankers cannot fill', () => {
    expect(() => runSybilCommittee({ ...COMMITTEE_DEFAULTS, seats: [5] })).toThrow('no committee has 5 seats')
    expect(() => runSybilCommittee({ ...COMMITTEE_DEFAULTS, bankers: 3, seats: [4] })).toThrow('cannot fill 4 seats')
  })
})

test('a crowd that keeps nothing and answers nothing stops no register but those that it owns', async () => {
  const ipOf = (n: number) => `${11 + (n % 80)}.${(37 * n) & 255}.${(91 * n) & 255}.${1 + (n % 250)}`
  const cluster = new Cluster({ seed: 3, placement: 'ip-prefix', ipOf, settings: { replicas: 3 } })
  const stores = new Map<SimNode, ReturnType<typeof createRegisters>>()
  cluster.onSpawn((node) => {
    const store = createRegisters({ env: node.host.env, transport: node.host, overlay: node.overlay, replicas: 3 })
    store.define(wordsKind)
    store.start()
    stores.set(node, store)
  })
  cluster.start(40)
  const honest = [...cluster.nodes]
  // Ten nodes in each of two arcs: more than a successor list holds. They have no store.
  const arcs = new Map<string, number>()
  for (let i = 0; [...arcs.values()].filter((count) => count >= 10).length < 2; i++) {
    const address = { peer: `sybil ${i}`, ip: '198.18.0.1', port: 1024 + i, incarnation: 1 }
    const arc = contactAt(address, 0, 'ip-prefix').id.slice(0, 6)
    arcs.set(arc, (arcs.get(arc) ?? 0) + 1)
    const host = cluster.network.host(address)
    const overlay = new ChordHost({ env: host.env, transport: host, settings: { replicas: 3 } })
    await cluster.schedule.until(overlay.join([cluster.nodes[0]!.chord.self]))
    cluster.admit({ host, overlay, chord: overlay.nodes[0]! })
  }
  await cluster.schedule.run(cluster.schedule.nowMs + 30_000)
  const isHonest = (peer: string) => !peer.startsWith('sybil')
  const keys = keysOf(200).filter((key) => isHonest(cluster.ownerOf(key).self.peer))
  expect(keys.length).toBeGreaterThan(100)
  // Who belongs to a group knows it, also when the crowd is all that it sees before it. Who sees no crowd knows of what else it keeps nothing, too.
  const byPeer = new Map(cluster.nodes.map((node) => [node.host.peer, node]))
  for (const key of keys) {
    const group = cluster.ownerOf(key).replicas(key)
    expect(new Set(group.map(({ ip }) => ip)).size).toBe(3)
    for (const { peer } of group) expect(byPeer.get(peer)!.overlay.holdsReplica(key)).toBe(true)
  }
  const clear = honest.filter(({ chord }) => chord.member.preds.every(({ peer }) => isHonest(peer)))
  expect(clear.length).toBeGreaterThan(20)
  for (const { overlay, chord } of clear) {
    const kept = keys.filter((key) => overlay.holdsReplica(key))
    expect(kept).toEqual(keys.filter((key) => cluster.ownerOf(key).replicas(key).includes(chord.self)))
  }
  const writer = stores.get(honest[5]!)!
  const outcomes = keys.map((key) => writer.update(wordsKind, key, words('here'), { deadlineMs: 20_000 }))
  const done = await cluster.schedule.until(Promise.allSettled(outcomes))
  expect(done.filter(({ status }) => status === 'rejected')).toEqual([])
  // A majority of each group are honest hosts that hold it, or will soon.
  await cluster.schedule.run(cluster.schedule.nowMs + 20_000)
  for (const key of keys) {
    expect(honest.filter((node) => stores.get(node)!.local(wordsKind, key) !== undefined).length).toBeGreaterThan(1)
  }
  const reader = stores.get(honest[30]!)!
  for (const key of keys) expect((await cluster.schedule.until(reader.read(wordsKind, key)))?.words).toEqual(['here'])
})
