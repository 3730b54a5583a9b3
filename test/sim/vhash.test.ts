/** Voronoi overlays of real nodes in the simulator. */
import { describe, expect, test } from 'vitest'
import { runVHash, VHASH_DEFAULTS, type VHashOptions } from '../../sim/scenarios/vhash.ts'
import { judgeClaims, misplaced } from '../../sim/vhash-checkers.ts'
import { VHashCluster } from '../../sim/vhash-cluster.ts'
import { hashKey, type Key } from '../../src/core/ids.ts'
import { MAX_CACHED_CONTACTS } from '../../src/core/limits.ts'
import { contactAt, sameNode } from '../../src/net/contact.ts'
import { Gossip, Ping } from '../../src/vhash/messages.ts'
import { type NamedSpace, spaceNamed } from '../../src/vhash/spaces.ts'
import { seeds } from '../nightly.ts'

const REPLICAS = 3

class Cells {
  readonly cluster: VHashCluster

  constructor(seed: number, size: number, space: NamedSpace = spaceNamed('torus2'), more: object = {}) {
    this.cluster = new VHashCluster({ seed, settings: { space, replicas: REPLICAS }, ...more })
    this.cluster.start(size)
  }

  run(ms: number): Promise<void> {
    return this.cluster.schedule.run(this.cluster.schedule.nowMs + ms)
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.cluster.schedule.until(promise)
  }

  kill(node = this.cluster.pick()!) {
    this.cluster.kill(node)
    return node
  }

  /** Waits until everybody has its true neighbours, and checks who claims what. */
  async rest(maxPeriods = 40): Promise<void> {
    for (let period = 0; misplaced(this.cluster) > 0 && period < maxPeriods; period++) await this.run(1000)
    await this.run(1000) // who is alone now makes sure of it
    expect({ misplaced: misplaced(this.cluster), of: this.cluster.nodes.length }).toMatchObject({ misplaced: 0 })
    const judged = judgeClaims(this.cluster, this.cluster.random.fork('claims'), 200, REPLICAS)
    expect(judged).toEqual({ disputed: 0, groups: 0 })
  }

  /** The share of lookups, from everywhere, that end at the true owner and bring its true replica group. */
  async rightShare(count: number): Promise<number> {
    const { random, nodes } = this.cluster
    const asked = Array.from({ length: count }, async (_, i) => {
      const key = hashKey(`${random.next()}`)
      const route = await nodes[i % nodes.length]!.overlay.lookup(key, { group: true })
      const right = this.cluster.nearestTo(key, REPLICAS)
      return route.replicas.length === right.length && route.replicas.every((c, k) => sameNode(c, right[k]!.self))
    })
    const results = await this.until(Promise.allSettled(asked))
    return results.filter((result) => result.status === 'fulfilled' && result.value).length / count
  }
}

// The scenario ---------------------------------------------------------------------------------------------------------

const small = { nodes: 60, seconds: 15, churn: 0.01, lookupsAfterQuiet: 2000, lookupsPerSecond: 40 }
const run = (change: Partial<VHashOptions>) => runVHash({ ...VHASH_DEFAULTS, ...small, ...change })
const fine = { wrongAfterQuiet: 0, failedAfterQuiet: 0, disputed: 0, wrongGroups: 0 }

test.each(seeds(2))('under churn lookups are right but for a few, and all of them after it: seed %i', async (seed) => {
  const result = await run({ seed })
  expect(result).toMatchObject(fine)
  expect(result.idealAfterPeriods).toBeLessThanOrEqual(20)
  expect((result.wrong + result.failed) / result.lookups).toBeLessThan(0.01)
})

test.each([
  ['half of the members die at once', { kill: 0.5, churn: 0 }],
  ['a partition heals', { partition: 8, churn: 0, seconds: 10 }],
  ['messages come twice, and are held up', { duplication: 0.01, reordering: 0.01, churn: 0.005 }],
  ['three dimensions, so few that cells touch around the back', { space: 'torus3', nodes: 40, seconds: 6 }],
  ['three dimensions', { space: 'torus3', nodes: 90, seconds: 6 }],
  ['a cube, which ends somewhere', { space: 'cube2' }],
  ['four dimensions, all the way around', { space: 'torus4', nodes: 48, seconds: 4 }],
  ['five dimensions', { space: 'cube5', nodes: 30, seconds: 6 }],
])('it comes to rest as it should: %s', async (_what, change) => {
  expect(await run(change)).toMatchObject({ ...fine, idealAfterPeriods: expect.any(Number) })
})

test('messages that get lost cost lookups their answers now and then, and never give a wrong one', async () => {
  const { failedAfterQuiet, ...result } = await run({ loss: 0.01, churn: 0.005 })
  expect(result).toMatchObject({ wrongAfterQuiet: 0, disputed: 0 })
  expect(failedAfterQuiet).toBeLessThan(40)
})

test('the same seed gives the same run, through the codec too; another gives another', async () => {
  const short = { seconds: 6, lookupsAfterQuiet: 200, nodes: 30 }
  const one = (await run({ ...short, seed: 1 })).digest
  expect((await run({ ...short, seed: 1 })).digest).toBe(one)
  expect((await run({ ...short, seed: 1, codec: true })).digest).toBe(one)
  expect((await run({ ...short, seed: 2 })).digest).not.toBe(one)
})

// By hand --------------------------------------------------------------------------------------------------------------

test.each(seeds(2))('an overlay grows from one by joins at once, and shrinks to one: seed %i', async (seed) => {
  const cells = new Cells(seed, 1, undefined, { codec: true })
  const { cluster } = cells
  for (const size of [2, 3, 4, 12, 30]) {
    const joins = Array.from({ length: size - cluster.nodes.length }, () => cluster.join())
    await cells.until(Promise.all(joins))
    await cells.rest()
    expect(await cells.rightShare(20)).toBe(1)
  }
  while (cluster.nodes.length > 1) {
    for (let i = Math.ceil(cluster.nodes.length / 4); i > 0 && cluster.nodes.length > 1; i--) cells.kill()
    await cells.rest()
  }
  expect(cluster.sorted()[0]!.member.size()).toEqual({ sizeEstimate: 1, knowsAll: true })
  expect(await cells.rightShare(5)).toBe(1)
})

test('a joiner owns as soon as it is in, and nobody beside it does', async () => {
  const cells = new Cells(3, 25)
  const { cluster } = cells
  const keys = Array.from({ length: 300 }, (_, i) => hashKey(`key ${i}`))
  const claimed = (key: Key) => cluster.sorted().filter((node) => node.owns(key))
  for (let i = 0; i < 10; i++) {
    const joined = await cells.until(cluster.join())
    for (const key of keys) expect(claimed(key)).toEqual([cluster.ownerOf(key)])
    expect(keys.some((key) => joined.overlay.owns(key))).toBe(true)
  }
})

test('who leaves politely is replaced at once', async () => {
  const cells = new Cells(4, 25)
  const { cluster } = cells
  const leaver = cluster.pick()!
  await cells.until(leaver.overlay.leave())
  cells.kill(leaver)
  expect(judgeClaims(cluster, cluster.random.fork('claims'), 300, REPLICAS)).toMatchObject({ disputed: 0 })
  expect(await cells.rightShare(100)).toBe(1)
  const { host } = cluster.pick()!
  const asked = cells.until(host.request(leaver.overlay.self!, Ping, {}))
  await expect(asked).rejects.toMatchObject({ code: 'timeout' })
})

test('a host that comes back at its old address is not taken for the one that died', async () => {
  const cells = new Cells(5, 20)
  const gone = cells.kill()
  const back = await cells.until(cells.cluster.join(gone))
  expect(back.overlay.self!.id).toBe(gone.overlay.self!.id)
  await cells.rest()
  expect(await cells.rightShare(50)).toBe(1)
})

test('a joiner whose first question is answered late comes in all the same', async () => {
  const cells = new Cells(9, 3)
  const { clock } = cells.cluster.nodes[0]!.host.env
  for (const { host, overlay } of cells.cluster.nodes) {
    const [node] = overlay.nodes
    let asked = 0
    host.handle(Gossip, async (message, { from }) => {
      if (asked++ === 0) await clock.sleep(4_000)
      return node!.onGossip(message, from)
    })
  }
  const joiner = await cells.until(cells.cluster.join())
  expect(joiner.overlay.owns(joiner.overlay.self!.id)).toBe(true)
  await cells.rest()
})

test('two that join through each other form an overlay; alone with a dead seed one does not', async () => {
  const cells = new Cells(6, 1)
  const dead = cells.kill().overlay.self!
  const lone = cells.cluster.spawn()
  await expect(cells.until(lone.overlay.join([dead]))).rejects.toMatchObject({ code: 'unreachable' })
  const founder = cells.cluster.spawn()
  await cells.until(founder.overlay.join([dead], { orFound: true }))
  expect(founder.overlay.owns(hashKey('any'))).toBe(true)
})

describe('nodes at one point', () => {
  /** A plane of four points only: many share one. */
  const coarse = (): NamedSpace => {
    const torus = spaceNamed('torus2')
    const pointOf = (key: Key) => torus.space.pointOf(key).map((at) => (at < 0.5 ? 0.25 : 0.75))
    return { ...torus, space: { ...torus.space, pointOf } }
  }

  test('the one with the lowest id owns, all are found, and others take over when it dies', async () => {
    const cells = new Cells(7, 12, coarse())
    const { cluster } = cells
    await cells.until(Promise.all([cluster.join(), cluster.join()]))
    await cells.run(5_000)
    expect(await cells.rightShare(60)).toBe(1)
    const key = hashKey('some key')
    for (let i = 0; i < 3; i++) {
      const owner = cluster.ownerOf(key)
      cells.kill(cluster.nodes.find(({ overlay }) => overlay.nodes.includes(owner)))
      await cells.run(10_000)
      expect(await cells.rightShare(30)).toBe(1)
    }
  })
})

test('a liar that names strangers without end costs a bounded memory and nobody their keys', async () => {
  const cells = new Cells(8, 20)
  const { cluster } = cells
  const [liar, ...others] = cluster.nodes as [(typeof cluster.nodes)[0], ...typeof cluster.nodes]
  const later = others.map(({ overlay }) => ({ ...overlay.self!, incarnation: 2 ** 40 }))
  const strangers = (n: number) => [
    ...later,
    ...Array.from({ length: 80 }, (_, i) =>
      contactAt({ peer: `x${n}-${i}`, ip: '10.9.9.9', port: 1 + 100 * n + i, incarnation: 1 }, 0),
    ),
  ]
  const keys = Array.from({ length: 200 }, (_, i) => hashKey(`key ${i}`))
  const claims = () => keys.map((key) => others.filter(({ overlay }) => overlay.owns(key)).map(({ host }) => host.peer))
  const before = claims()
  for (let n = 0; n < 10; n++) {
    for (const { overlay } of others) {
      const message = { short: strangers(n), long: strangers(n + 100).slice(0, 64) }
      liar.host.request(overlay.self!, Gossip, message).catch(() => {})
    }
    for (let i = 0; i < 10; i++) {
      await cells.run(50)
      expect(claims()).toEqual(before)
    }
  }
  liar.host.handle(Gossip, () => ({ short: [], long: [] }))
  await cells.run(20_000)
  for (const { overlay } of others) {
    const { member } = overlay.nodes[0]!
    expect(member.acquaintances.size).toBeLessThanOrEqual(MAX_CACHED_CONTACTS)
    expect(member.around.known.length).toBeLessThan(200)
  }
  expect(await cells.rightShare(100)).toBe(1)
})
