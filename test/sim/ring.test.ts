/**
 * Real Chord nodes in virtual time, judged from outside. The first tests are runs of the scenario `ring`; their names are
 * the commands that replay them. The others set up what no scenario has: young rings that grow and shrink, restarts,
 * leaves. Lookups have a file of their own.
 */
import { describe, expect, test } from 'vitest'
import { judgeRing } from '../../sim/checkers.ts'
import type { SimNode } from '../../sim/cluster.ts'
import { uniformLatency } from '../../sim/latency.ts'
import { RING_DEFAULTS, type RingOptions, runRing } from '../../sim/scenarios/ring.ts'
import { Lookup, Ping, Stabilize } from '../../src/dht/chord/messages.ts'
import { type Contact, sameNode } from '../../src/net/contact.ts'
import { seeds } from '../nightly.ts'
import { lengths, PERIOD_MS, Ring, settings } from './ring-cluster.ts'

// The scenario ---------------------------------------------------------------------------------------------------------

type Change = Partial<RingOptions>

function commandOf(change: Change): string {
  const flag = (name: string) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`
  const flags = Object.entries(change).map(([name, value]) => (value === true ? flag(name) : `${flag(name)} ${value}`))
  return `npm run sim -- ring ${flags.join(' ')}`
}

const common = { nodes: 50, r: 4, seconds: 40, lookupsPerSecond: 20, lookupsAfterQuiet: 1000 }
const runs: Change[] = seeds(2).flatMap((seed) => [
  { ...common, seed },
  { ...common, r: 2, churn: 0.001, seed },
  { ...common, nodes: 8, seed },
  { ...common, nodes: 100, r: 16, kill: 0.5, churn: 0, seconds: 5, seed },
  { ...common, partition: 60, churn: 0, seconds: 65, seed },
  { ...common, pauses: 0.01, seed },
  { ...common, seconds: 15, codec: true, seed },
])

test.each(runs.map((run) => [commandOf(run), run] as const))('%s', async (_command, run) => {
  const result = await runRing({ ...RING_DEFAULTS, ...run })
  expect(result).toMatchObject({ broken: 0, wrongAfterQuiet: 0, failedAfterQuiet: 0, disputed: 0 })
  expect(result.idealAfterPeriods).not.toBeNull()
  expect(result.idealAfterPeriods).toBeLessThanOrEqual(30)
  expect(result.lookupsAfterQuiet).toBeGreaterThan(990)
  expect(result.checks).toBeGreaterThan(0)
  // Few lookups where the ring was parted most of the time: some of those right after the two halves met are wrong.
  expect(result.wrong).toBeLessThanOrEqual(5 + 0.02 * result.lookups)
  expect(result.failed).toBeLessThanOrEqual(8 + 0.02 * result.lookups)
})

const lossy = seeds(2).map((seed) => ({ ...common, loss: 0.02, duplication: 0.02, reordering: 0.02, seed }))

/** Every fiftieth message never arrives, at rest neither: lookups may fail, but none may end at the wrong owner. */
test.each(lossy.map((run) => [commandOf(run), run] as const))('%s', async (_command, run) => {
  const result = await runRing({ ...RING_DEFAULTS, ...run })
  expect(result).toMatchObject({ broken: 0, wrongAfterQuiet: 0, disputed: 0 })
  expect(result.idealAfterPeriods).not.toBeNull()
  expect(result.wrong / result.lookups).toBeLessThan(0.03)
  expect((result.failed + result.failedAfterQuiet) / (result.lookups + result.lookupsAfterQuiet)).toBeLessThan(0.05)
})

test('the same seed gives the same digest, another seed another', async () => {
  const digest = async (seed: number, more: Change = {}) => {
    const change = { loss: 0.01, duplication: 0.01, reordering: 0.01, pauses: 0.01, lookupsAfterQuiet: 0 }
    return (await runRing({ ...RING_DEFAULTS, ...common, seconds: 15, ...change, ...more, seed })).digest
  }
  const one = await digest(1)
  expect(await digest(1)).toBe(one)
  expect(await digest(2)).not.toBe(one)
  expect(await digest(1, { nodes: 51 })).not.toBe(one)
})

test('messages pass through the codec as they are: the run is the same', async () => {
  const digest = async (codec: boolean) =>
    (await runRing({ ...RING_DEFAULTS, ...common, seconds: 10, lookupsAfterQuiet: 100, codec })).digest
  expect(await digest(true)).toBe(await digest(false))
})

// By hand --------------------------------------------------------------------------------------------------------------

describe('young rings', () => {
  test.each(lengths)(
    'grow by joins at once to r + 1, r + 2 and 20, and shrink again to one: %o',
    async ({ r, seed }) => {
      const ring = new Ring({ seed, settings: settings(r), codec: true }, 1)
      const { cluster } = ring
      for (const size of [r + 1, r + 2, 20]) {
        const joins = Array.from({ length: size - cluster.nodes.length }, () => cluster.join())
        await ring.until(Promise.all(joins))
        expect(cluster.nodes.length).toBe(size)
        await ring.rest()
        expect(await ring.rightShare(20)).toBe(1)
      }
      while (cluster.nodes.length > 1) {
        ring.kill()
        await ring.rest()
        expect(cluster.sorted().every((chord) => chord.member.state.mode === 'young')).toBe(
          cluster.nodes.length <= r + 1,
        )
      }
      expect(cluster.sorted()[0]!.member.state).toMatchObject({ mode: 'young', succ: [], prdc: undefined })
      expect(await ring.rightShare(5)).toBe(1)
    },
  )

  test.each(lengths)('grow and shrink back and forth over the border of r + 1: %o', async ({ r, seed }) => {
    const ring = new Ring({ seed, settings: settings(r) }, r + 1)
    const { cluster } = ring
    for (let turn = 0; turn < 4; turn++) {
      await ring.until(cluster.join())
      await ring.rest()
      expect(judgeRing(cluster)).toEqual({ members: r + 2, principals: r + 2, stranded: 0 })
      ring.kill()
      await ring.rest()
    }
  })

  test('one that joins while its seed dies gets in through another', async () => {
    const ring = new Ring({ seed: 1, settings: settings(2) }, 3)
    const [first, second] = ring.cluster.nodes as [SimNode, SimNode]
    const joining = ring.cluster.join(undefined, [first.chord.self, second.chord.self])
    await ring.run(100)
    ring.kill(first)
    await ring.until(joining)
    await ring.rest()
  })

  test('nobody answers: joining ends with `unreachable`, or `aborted` when it is given up', async () => {
    const ring = new Ring({ seed: 1 }, 1)
    const dead = ring.kill(ring.cluster.nodes[0]).chord.self
    expect(await ring.codeOf(ring.cluster.spawn().overlay.join([dead]))).toBe('unreachable')
    const controller = new AbortController()
    const code = ring.codeOf(ring.cluster.spawn().overlay.join([dead], { signal: controller.signal }))
    controller.abort()
    expect(await code).toBe('aborted')
  })
})

describe('a node that loses everybody', () => {
  test.each(lengths)('goes on alone, and grows a ring again: %o', async ({ r, seed }) => {
    const ring = new Ring({ seed, settings: settings(r) }, 12)
    const { cluster } = ring
    await ring.run(20 * PERIOD_MS)
    while (cluster.nodes.length > 1) ring.kill()
    await ring.rest()
    expect(await ring.rightShare(20)).toBe(1)
    await ring.until(Promise.all(Array.from({ length: 8 }, () => cluster.join())))
    await ring.rest()
    expect(await ring.rightShare(50)).toBe(1)
  })

  test.each(lengths)('comes back to its ring when it was only cut off: %o', async ({ r, seed }) => {
    const ring = new Ring({ seed, settings: settings(r) }, 30)
    const { cluster } = ring
    await ring.run(20 * PERIOD_MS)
    const [lone] = cluster.nodes as [SimNode]
    cluster.network.partition((host) => (host === lone.host ? 1 : 0))
    await ring.run(60 * PERIOD_MS)
    const alone = lone.chord.member.state
    expect(alone).toMatchObject({ mode: 'young', succ: [] })
    cluster.network.partition(undefined)
    await ring.rest()
    expect(await ring.rightShare(50)).toBe(1)
  })
})

describe('neighbours', () => {
  test('a node in the middle of its own operation does not tell its state, but answers pings and lookups', async () => {
    const ring = new Ring({ seed: 1, settings: settings(4) }, 20)
    const [one, other] = ring.cluster.nodes as [SimNode, SimNode]
    const ask = () => ring.until<{ view?: object }>(one.host.request(other.chord.self, Stabilize, { preds: [] }))
    expect((await ask()).view).toBeDefined()
    other.chord.member.operating = true
    expect((await ask()).view).toBeUndefined()
    expect(await ring.until(one.host.request(other.chord.self, Ping, {}))).toMatchObject({ at: expect.any(Array) })
    const question = { key: other.chord.self.id, ttl: 8, budgetMs: 1000, trail: [], noCache: true, group: false }
    const reply = await ring.until<{ owner?: Contact }>(one.host.request(other.chord.self, Lookup, question))
    expect(reply.owner?.id).toBe(other.chord.self.id)
  })

  test('a dead predecessor is found out though nobody else comes forward', async () => {
    const ring = new Ring({ seed: 1, settings: settings(4) }, 20)
    await ring.run(3 * PERIOD_MS)
    const sorted = ring.cluster.sorted()
    const [dying, after] = [sorted[4]!, sorted[5]!]
    const nodeOf = (chord: typeof dying) => ring.cluster.nodes.find((node) => node.chord === chord)!
    for (const silent of sorted.slice(0, 4)) nodeOf(silent).host.pause(20 * PERIOD_MS) // all that list both
    ring.kill(nodeOf(dying))
    expect(after.member.state.prdc?.id).toBe(dying.self.id)
    await ring.run(5 * PERIOD_MS)
    expect(after.member.state.prdc?.id).not.toBe(dying.self.id)
    await ring.run(20 * PERIOD_MS)
    await ring.rest()
  })
})

describe('restarts', () => {
  test.each(lengths)('the same address started anew is another member: %o', async ({ r, seed }) => {
    const ring = new Ring({ seed, settings: settings(r) }, 20)
    const { cluster } = ring
    await ring.run(5 * PERIOD_MS)
    const old = ring.kill()
    const anew = cluster.spawn(old)
    expect(anew.chord.self.id).toBe(old.chord.self.id)
    // The others list the old one still. What answers at its address says so, and is not taken for it.
    const other = cluster.pick()!
    expect(await ring.codeOf(other.host.request(old.chord.self, Ping, {}))).toBe('gone')
    await ring.rest()
    expect(cluster.sorted().some((chord) => chord.member.state.succ.some((c) => c.id === old.chord.self.id))).toBe(
      false,
    )
    // Now it comes in: known under its new incarnation alone.
    await ring.until(anew.overlay.join([other.chord.self]))
    cluster.admit(anew)
    await ring.rest()
    expect(await ring.rightShare(100)).toBe(1)
  })

  test.each(lengths)('back before anybody noticed: %o', async ({ r, seed }) => {
    const ring = new Ring({ seed, settings: settings(r) }, 20)
    await ring.run(5 * PERIOD_MS)
    for (let i = 0; i < 5; i++) {
      const old = ring.kill()
      const back = await ring.until(ring.cluster.join(old))
      expect(sameNode(back.chord.self, old.chord.self)).toBe(false)
      await ring.rest()
    }
    expect(await ring.rightShare(100)).toBe(1)
  })
})

describe('leaving', () => {
  /** Many, because an answer of the leaver may be on its way to its predecessor just then. */
  const leaves = seeds(5).flatMap((seed) => [2, 4].map((r) => ({ r, seed })))

  test.each(leaves)('neighbours close up at once, and no lookup fails: %o', async ({ r, seed }) => {
    // One way takes the same always, so that messages keep their order, as on a connection.
    const ring = new Ring({ seed, settings: settings(r), latency: uniformLatency(40, 40) }, 20)
    const { cluster } = ring
    await ring.run(5 * PERIOD_MS)
    while (cluster.nodes.length > 2) {
      const leaver = cluster.pick()!
      const at = cluster.sorted().indexOf(leaver.chord)
      const n = cluster.sorted().length
      const before = cluster.sorted()[(at + n - 1) % n]!
      const after = cluster.sorted()[(at + 1) % n]!
      await ring.until(leaver.overlay.leave())
      ring.kill(leaver)
      // A round trip and a bit, and no time-out, which would take 200 ms at least.
      await ring.run(100)
      expect(before.member.state.succ[0]?.id).toBe(after.self.id)
      expect(after.member.state.prdc?.id).toBe(before.self.id)
      expect(await ring.rightShare(20)).toBe(1)
      await ring.rest()
    }
  })

  test('an answer that is on its way when its sender says that it leaves is no news', async () => {
    const ring = new Ring({ seed: 1, settings: settings(4), latency: uniformLatency(40, 40) }, 20)
    await ring.run(5 * PERIOD_MS)
    const [before, leaving, after] = ring.cluster.sorted().slice(3, 6)
    const leaver = ring.cluster.nodes.find((node) => node.chord === leaving)!
    let asked = false
    leaver.host.handle(Stabilize, async (message, { from }) => {
      const answer = leaver.chord.onStabilize(message, from)
      asked = true
      await leaver.host.env.clock.sleep(30)
      return answer
    })
    while (!asked) await ring.run(1)
    const left = leaver.overlay.leave()
    await ring.run(60)
    expect(before!.member.operating).toBe(true)
    expect(before!.member.state.succ[0]?.id).toBe(after!.self.id)
    await ring.run(20) // here it is
    expect(before!.member.state.succ[0]?.id).toBe(after!.self.id)
    await ring.until(left)
    ring.kill(leaver)
    await ring.rest()
  })
})

/** With loss: who is taken in may not hear of it, and the ring must not wait for it for ever. */
const starts = seeds(20).map((seed) => ({
  seed,
  size: 5 + (seed % 4),
  loss: seed % 4 === 0 ? 0 : 0.03,
  spreadMs: 100 * 10 ** (seed % 3),
}))

test.each(starts)(
  'hosts that start at once and know only each other are one ring soon: %o',
  async ({ seed, size, loss, spreadMs }) => {
    const ring = new Ring({ seed, loss, settings: settings(4) }, 0)
    const { cluster } = ring
    const nodes = Array.from({ length: size }, () => cluster.spawn())
    const [founder, ...others] = nodes.map(({ chord }) => chord.self) as [Contact, ...Contact[]]
    const joins = nodes.map(async (node, index) => {
      await node.host.env.clock.sleep(cluster.random.next() * spreadMs)
      // One remembers the others, who were told of that one.
      await node.overlay.join(index === 0 ? others : [founder], { orFound: index === 0 })
      cluster.admit(node)
    })
    await ring.until(Promise.all(joins))
    Object.assign(cluster.network.options, { loss: 0 })
    await ring.rest()
    expect(cluster.sorted().length).toBe(size)
  },
)

test('two hosts that wait for each other, and may not found a ring, give up', async () => {
  const { cluster } = new Ring({ seed: 1, settings: settings(4) }, 0)
  const [one, other] = [cluster.spawn(), cluster.spawn()]
  const joins = [one.overlay.join([other.chord.self]), other.overlay.join([one.chord.self])]
  const outcomes = await cluster.schedule.until(Promise.allSettled(joins))
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'unreachable' } })
  }
})

test('a host that came back and found nobody meets the ring as soon as it hears of one of it', async () => {
  const ring = new Ring({ seed: 1, settings: settings(4) }, 8)
  const { cluster } = ring
  await ring.run(5 * PERIOD_MS)
  const victim = cluster.pick() as SimNode
  cluster.kill(victim)
  const back = cluster.spawn(victim)
  await ring.until(back.overlay.join([]))
  cluster.admit(back)
  await ring.run(60 * PERIOD_MS)
  expect(back.overlay.neighbours()).toEqual([])
  await ring.until(back.overlay.meet(cluster.nodes[0]!.chord.self))
  await ring.rest()
  expect(cluster.sorted().length).toBe(8)
})
