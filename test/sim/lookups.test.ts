/** Lookups over real Chord nodes in virtual time: hosts with several places, leaves, limits of patience, and liars. */
import { describe, expect, test } from 'vitest'
import { judgeRing } from '../../sim/checkers.ts'
import type { SimNode } from '../../sim/cluster.ts'
import type { Latency } from '../../sim/latency.ts'
import { between, hashKey, type Key } from '../../src/core/ids.ts'
import { MAX_CACHED_CONTACTS } from '../../src/core/limits.ts'
import { seededRandom } from '../../src/core/random.ts'
import { ChordHost } from '../../src/dht/chord/host.ts'
import { Lookup, Ping, Stabilize } from '../../src/dht/chord/messages.ts'
import { type Contact, contactAt } from '../../src/net/contact.ts'
import { seeds } from '../nightly.ts'
import { lengths, PERIOD_MS, Ring, settings } from './ring-cluster.ts'

describe('several places per host', () => {
  test.each(seeds(2))('a host is owner of what any of its nodes owns; hosts come and die: seed %i', async (seed) => {
    const ring = new Ring({ seed, slots: 3, settings: settings(4), codec: true }, 12)
    const { cluster } = ring
    expect(cluster.sorted().length).toBe(36)
    await ring.rest()
    expect(await ring.rightShare(100)).toBe(1)
    for (let i = 0; i < 200; i++) {
      const key = hashKey(`${seed} ${i}`)
      const owners = cluster.nodes.filter((node) => node.overlay.owns(key))
      expect(owners.map((node) => node.host.peer)).toEqual([cluster.ownerOf(key).self.peer])
    }
    for (let i = 0; i < 4; i++) {
      ring.kill()
      await ring.until(cluster.join())
      await ring.rest()
    }
    expect(cluster.sorted().length).toBe(36)
    expect(await ring.rightShare(100)).toBe(1)
    // A slot that the host does not have.
    const [one, other] = cluster.nodes as [SimNode, SimNode]
    expect(await ring.codeOf(one.host.request(contactAt(other.host.self, 3), Ping, {}))).toBe('gone')
  })

  test('a leaf has no place: it looks up through members, past those that died', async () => {
    const ring = new Ring({ seed: 1, settings: settings(4) }, 20)
    const { cluster } = ring
    await ring.run(PERIOD_MS)
    const host = cluster.network.host()
    const leaf = new ChordHost({ env: host.env, transport: host, slots: 0 })
    expect(leaf.self).toBeUndefined()
    const [dead, member] = cluster.nodes as [SimNode, SimNode]
    ring.kill(dead)
    await leaf.join([dead.chord.self, member.chord.self])
    expect(leaf.nextHop(hashKey('1'), new Set([dead.chord.self.id]))).toBe(member.chord.self)
    for (let i = 0; i < 10; i++) {
      const key = hashKey(`${i}`)
      expect(leaf.owns(key)).toBe(false)
      const route = await ring.until(leaf.lookup(key, { deadlineMs: 12_000 }))
      expect(route.owner.id).toBe(cluster.ownerOf(key).self.id)
    }
  })
})

describe('lookups', () => {
  const keyOf = (ring: Ring, node: SimNode, far: (hops: Contact | undefined) => boolean): Key => {
    for (let i = 0; ; i++) {
      const key = hashKey(`${i}`)
      if (!node.overlay.owns(key) && far(node.chord.nextHop(key)) && ring.cluster.ownerOf(key) !== node.chord)
        return key
    }
  }

  test('end with `aborted` as soon as they are given up', async () => {
    const ring = new Ring({ seed: 1, settings: settings(4) }, 60)
    await ring.run(PERIOD_MS)
    const asker = ring.cluster.nodes[0]!
    const key = keyOf(ring, asker, () => true)
    const controller = new AbortController()
    let ended: unknown
    asker.overlay.lookup(key, { signal: controller.signal }).catch((error: { code: string }) => {
      ended = { code: error.code, atMs: ring.nowMs }
    })
    await ring.run(5) // less than any message takes
    expect(ended).toBeUndefined()
    const atMs = ring.nowMs
    controller.abort()
    await ring.run(1)
    expect(ended).toEqual({ code: 'aborted', atMs })
    const before = asker.overlay.lookup(key, { signal: AbortSignal.abort() })
    expect(await ring.codeOf(before)).toBe('aborted')
  })

  test('end with `no-route` at their deadline when nobody answers', async () => {
    const ring = new Ring({ seed: 1, settings: settings(4) }, 60)
    await ring.run(PERIOD_MS)
    const asker = ring.cluster.nodes[0]!
    ring.cluster.network.partition((host) => (host === asker.host ? 1 : 0))
    const key = keyOf(ring, asker, () => true)
    for (const deadlineMs of [300, 2500]) {
      const startMs = ring.nowMs
      let endedAtMs = -1
      const asked = asker.overlay.lookup(key, { deadlineMs }).finally(() => {
        endedAtMs = ring.nowMs
      })
      expect(await ring.codeOf(asked)).toBe('no-route')
      // The pause before the next try, and a connection that was being made, may be under way.
      expect(endedAtMs - startMs).toBeLessThanOrEqual(deadlineMs + 180 + 240)
    }
  })

  test('go straight to owners met lately; with `noCache` they take the shortcuts of the ring', async () => {
    const ring = new Ring({ seed: 1, settings: settings(4) }, 100)
    await ring.run(PERIOD_MS)
    const asker = ring.cluster.nodes[0]!
    const keys = Array.from({ length: 60 }, (_, i) => hashKey(`${i}`)).filter((key) => !asker.overlay.owns(key))
    const hops = async (noCache: boolean) => {
      let sum = 0
      for (const key of keys) {
        const route = await ring.until(asker.overlay.lookup(key, { noCache }))
        expect(route.owner.id).toBe(ring.cluster.ownerOf(key).self.id)
        sum += route.hops
      }
      return sum / keys.length
    }
    await hops(false)
    expect(await hops(false)).toBeLessThan(1.5)
    expect(await hops(true)).toBeGreaterThan(2)
  })

  test('an answer names the replica group where it is asked for', async () => {
    const ring = new Ring({ seed: 2, settings: { ...settings(4), replicas: 3 } }, 30)
    await ring.run(PERIOD_MS)
    for (let i = 0; i < 50; i++) {
      const key = hashKey(`${i}`)
      const route = await ring.until(ring.cluster.pick()!.overlay.lookup(key, { group: true }))
      const sorted = ring.cluster.sorted()
      const at = sorted.indexOf(ring.cluster.ownerOf(key))
      expect(route.replicas.map((c) => c.id)).toEqual([0, 1, 2].map((k) => sorted[(at + k) % 30]!.self.id))
      const holders = sorted.filter((chord) => chord.holdsReplica(key)).map((chord) => chord.self.id)
      expect(new Set(holders)).toEqual(new Set(route.replicas.map((c) => c.id)))
    }
  })
})

describe('proximity', () => {
  /** Hosts all over a square; what is far takes long. One way, ms. */
  const square: Latency = (from, to) => {
    const [a, b] = [placeOf(from), placeOf(to)]
    return 3 + 100 * Math.hypot(a.x - b.x, a.y - b.y)
  }
  const placeOf = (host: number) => {
    const random = seededRandom(`place ${host}`)
    return { x: random.next(), y: random.next() }
  }

  async function settled(seed: number, proximity: boolean): Promise<Ring> {
    const ring = new Ring({ seed, latency: square, settings: { ...settings(4), proximity } }, 100)
    await ring.run(60 * PERIOD_MS)
    return ring
  }

  /** Mean length of the ways that lookups take, one way, ms. */
  function meanWayMs({ cluster }: Ring): number {
    const byId = new Map(cluster.nodes.map((node) => [node.chord.self.id, node]))
    let sum = 0
    for (let i = 0; i < 1000; i++) {
      const key = hashKey(`${i}`)
      let at = cluster.pick()!
      for (let next = at.chord.nextHop(key); next !== undefined; next = at.chord.nextHop(key)) {
        const to = byId.get(next.id)!
        sum += square(at.host.number, to.host.number, cluster.random)
        at = to
      }
      expect(at.chord).toBe(cluster.ownerOf(key))
    }
    return sum / 1000
  }

  test.each(seeds(2))('makes lookups quicker, and is settled by round trips alone: seed %i', async (seed) => {
    const [plain, near] = [await settled(seed, false), await settled(seed, true)]
    expect(meanWayMs(near)).toBeLessThan(0.8 * meanWayMs(plain))
    expect(await near.rightShare(200)).toBe(1)
    // Every finger is still in its arc, so that the way is halved by each.
    for (const { member } of near.cluster.sorted()) {
      const { fingers, state } = member
      for (let exponent = 255; between(state.succ.at(-1)!.id, fingers.target(exponent), member.self.id); exponent--) {
        const finger = fingers.at(exponent)
        const owner = near.cluster.ownerOf(fingers.target(exponent))
        if (owner.self.id === member.self.id) continue
        expect(finger).toBeDefined()
        expect(fingers.fits(exponent, finger!.id) || finger!.id === owner.self.id).toBe(true)
      }
    }
  })

  test('one that claims to be near everybody, and names others that do not exist, is found out', async () => {
    const ring = new Ring({ seed: 1, latency: square, settings: settings(4) }, 60)
    await ring.run(60 * PERIOD_MS)
    const liar = ring.cluster.nodes[0]!
    const nobody = contactAt({ peer: 'nobody', ip: '192.0.2.1', port: 1, incarnation: 1 }, 0)
    const holders = () =>
      ring.cluster.sorted().filter(({ member }) => member.fingers.list().some(({ id }) => id === liar.chord.self.id))
    const before = holders().length
    liar.host.handle(Lookup, async (message, { from }) => {
      const reply = await liar.chord.onLookup(message, from)
      const at = message.near?.at ?? ([0, 0, 0, 0, 0] as const)
      return { ...reply, at: [...at], ...(message.near && { near: [[nobody, [...at]]] }) } as never
    })
    liar.host.handle(Ping, () => ({ at: [0, 0, 0, 0, 0] }) as never)
    for (let i = 0; i < 60; i++) {
      await ring.run(PERIOD_MS)
      const named = ring.cluster.sorted().filter(({ member }) => member.fingers.list().includes(nobody))
      expect(named).toEqual([])
    }
    expect(holders().length).toBeLessThanOrEqual(before + 8)
    expect(await ring.rightShare(200)).toBe(1)
  })
})

describe('liars', () => {
  /** Hosts that do not exist, at places all around the circle. */
  const invented = (count: number, from = 0): Contact[] =>
    Array.from({ length: count }, (_, i) =>
      contactAt({ peer: `nobody ${from + i}`, ip: '192.0.2.1', port: from + i + 1, incarnation: 1 }, 0),
    )

  test.each(seeds(2))('one that claims every key is believed only while it is there: seed %i', async (seed) => {
    const ring = new Ring({ seed, settings: settings(4) }, 40)
    await ring.run(PERIOD_MS)
    const liar = ring.cluster.nodes[0]!
    liar.host.handle(Lookup, () => ({ owner: liar.chord.self, replicas: [liar.chord.self], hops: 0 }))
    await ring.rightShare(200, ring.cluster.nodes.slice(1)) // who knows who was told what
    await ring.rest() // no list has changed for it, and joiners find their places
    await ring.until(ring.cluster.join())
    await ring.rest()
    ring.kill(liar)
    await ring.rest()
    expect(await ring.rightShare(200)).toBe(1)
  })

  test.each(lengths)('one that lists members that do not exist: %o', async ({ r, seed }) => {
    const ring = new Ring({ seed, settings: settings(r), codec: true }, 30)
    await ring.run(PERIOD_MS)
    const liar = ring.cluster.nodes[0]!
    let told = 0
    liar.host.handle(Stabilize, () => {
      const list = invented(r, (told += r))
      return { view: { mode: 'ring' as const, succ: list, prdc: list[0]! } }
    })
    await ring.run(20 * PERIOD_MS)
    expect(told).toBeGreaterThan(0)
    expect(judgeRing(ring.cluster)).toMatchObject({ stranded: 0 })
    ring.kill(liar)
    await ring.rest(60)
    expect(await ring.rightShare(100)).toBe(1)
  })

  test('caches are bounded, whatever they are told', async () => {
    const ring = new Ring({ seed: 1, settings: settings(4) }, 20)
    await ring.run(PERIOD_MS)
    const [liar, victim] = ring.cluster.nodes as [SimNode, SimNode]
    liar.host.handle(Lookup, () => ({ owner: invented(1, ring.cluster.random.int(60_000))[0]!, hops: 0 }))
    const keys = Array.from({ length: 3000 }, (_, i) => hashKey(`${i}`))
    await ring.until(Promise.allSettled(keys.map((key) => victim.overlay.lookup(key, { deadlineMs: 3000 }))))
    expect(victim.chord.member.cache.size).toBeLessThanOrEqual(MAX_CACHED_CONTACTS)
    expect(victim.chord.neighbours().length).toBeLessThan(300)
  })
})
