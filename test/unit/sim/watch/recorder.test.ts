import { expect, test } from 'vitest'
import { Call } from '../../../../sim/churn.ts'
import { runRing } from '../../../../sim/scenarios/ring.ts'
import { Schedule } from '../../../../sim/schedule.ts'
import { Recorder } from '../../../../sim/watch/recorder.ts'
import { HOP, OUTCOMES } from '../../../../sim/watch/run.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { QuietWorld, recorded, SMALL } from './world.ts'

test('watching changes nothing: the same seed gives the same digest and the same figures', async () => {
  const change = { loss: 0.02, duplication: 0.02, pauses: 0.01, partition: 2, kill: 0.1 }
  const { result } = await recorded(change)
  const alone = await runRing({ ...SMALL, ...change })
  expect({ ...result, eventsPerSecond: 0 }).toEqual({ ...alone, eventsPerSecond: 0 })
})

test('what is kept agrees with what the run says of itself', async () => {
  const { result, run } = await recorded()
  expect(run.counts.at(-1)!.slice(2)).toEqual([
    result.killed,
    result.lookups + result.lookupsAfterQuiet,
    result.wrong + result.wrongAfterQuiet,
    result.failed + result.failedAfterQuiet,
  ])
  expect(result.killed).toBeGreaterThan(0)
  expect(run.stays.filter(([, , toMs]) => toMs >= 0).length).toBe(result.killed)
  expect(run.stays.filter(([, fromMs]) => fromMs === 0).length).toBe(SMALL.nodes)
  expect(run.phases.map(([, text]) => text)).toEqual(['churn', 'healing', 'at rest'])
  for (const rows of [run.links, run.lookups, run.counts, run.phases] as (readonly [number, ...unknown[]])[][]) {
    expect(rows.every(([atMs], i) => atMs <= run.endMs && (i === 0 || atMs >= rows[i - 1]![0]))).toBe(true)
  }
})

test('a lookup is its messages from node to node, each going on where one before it arrived', async () => {
  const { run } = await recorded({ churn: 0 })
  const far = run.lookups.filter(([, , , , , hops]) => hops.length > 0)
  expect(far.length).toBeGreaterThan(100)
  const owner = (share: number) => {
    const order = run.points.map((point, node) => [(point[0]! - share + 1) % 1, node] as const)
    return order.sort(([a], [b]) => a - b)[0]![1]
  }
  for (const [, endMs, outcome, asker, target, hops] of far) {
    expect(endMs).toBeGreaterThan(0)
    expect(OUTCOMES[outcome]).toBe('right')
    const reached = new Map([[asker, 0]])
    for (let at = 0; at < hops.length; at += HOP) {
      const [from, to, leftMs, arrivedMs] = hops.slice(at) as [number, number, number, number]
      expect(reached.get(from)).toBeLessThanOrEqual(leftMs)
      expect(arrivedMs).toBeGreaterThan(leftMs)
      if (!reached.has(to)) reached.set(to, arrivedMs)
    }
    expect([...reached.keys()]).toContain(owner(target[0]!))
  }
})

test.each([
  ['to the dead', { churn: 0.1, seconds: 20 }],
  ['that the network loses', { churn: 0, loss: 0.1 }],
])('messages %s never arrive', async (_name, change) => {
  const { run } = await recorded(change)
  const lost = run.lookups.flatMap(([, , , , , hops]) => hops.filter((_, at) => at % HOP === 3 && hops[at] === -1))
  expect(lost.length).toBeGreaterThan(0)
})

test('links are kept when they change, and only then', async () => {
  const { run } = await recorded({ churn: 0 })
  expect(run.links.filter(([atMs]) => atMs === 0).length).toBe(SMALL.nodes)
  for (const [, node, short] of run.links) {
    const order = (other: number) => (run.points[other]![0]! - run.points[node]![0]! + 1) % 1
    const nearest = run.points.map((_, other) => other).sort((a, b) => order(a) - order(b))
    expect(short).toEqual(nearest.slice(1, 4))
  }
  const seen = new Map<number, string>()
  for (const [, node, ...lists] of run.links) {
    expect(JSON.stringify(lists)).not.toBe(seen.get(node))
    seen.set(node, JSON.stringify(lists))
  }
})

test('a long run has bounded memory: looks become rarer, and what was first is kept', async () => {
  const world = new QuietWorld(1000)
  const { schedule } = world.network
  const recorder = new Recorder('')
  recorder.follow(world)
  expect(recorder.run.linksOfEach).toBe(4)
  let asked = 0
  const step = () => {
    if (asked === 200_000) return
    const key = hashKey(`key ${asked++}`)
    recorder.asked(key, world.ids[asked % 1000]!)
    recorder.answered(key, 'right')
    // Every list changes all the time.
    world.ids.push(world.ids.shift()!)
    schedule.add(new Call(step), schedule.nowMs + 10)
  }
  schedule.add(new Call(step), 0)
  await schedule.run(1e9)
  expect(asked).toBe(200_000)
  const { run } = recorder
  expect(run.lookups.length).toBeGreaterThan(20_000)
  expect(run.lookups.length).toBeLessThan(400_000 / 6)
  expect(run.lookups.slice(0, 100).map(([atMs]) => atMs)).toEqual(Array.from({ length: 100 }, (_, i) => 10 * i))
  expect(JSON.stringify(run).length).toBeLessThan(6e6)
  recorder.end()
  expect(run.counts.at(-1)![3]).toBe(200_000)
  expect(run.endMs).toBe(1e9)
})

test('what the terminal has drawn is forgotten, and its room is free again', async () => {
  const world = new QuietWorld(10)
  const { schedule } = world.network
  const recorder = new Recorder('')
  recorder.onLook = (nowMs) => recorder.forget(nowMs - 1000)
  recorder.follow(world)
  const last = world.ids.at(-1)!
  const bursts = 80_000
  let done = 0
  const step = () => {
    const key = hashKey(`${done}`)
    recorder.asked(key, world.ids[0]!)
    recorder.answered(key, 'failed')
    world.died(last)
    world.joined(last)
    if (++done < bursts) schedule.add(new Call(step), schedule.nowMs + 100)
  }
  schedule.add(new Call(step), 0)
  await schedule.run(bursts * 100)
  recorder.end()
  const { lookups, stays, counts } = recorder.run
  // As many as at the start.
  expect(lookups.length).toBeGreaterThanOrEqual(10)
  expect(lookups.length).toBeLessThan(15)
  expect(stays.length).toBeLessThan(40)
  expect(counts.length).toBeLessThan(20)
  expect(counts.at(-1)!.slice(1)).toEqual([bursts, bursts, bursts, 0, bursts])
})

test('a look between events is none', async () => {
  const run = async (watch: boolean) => {
    const schedule = new Schedule()
    const looks: number[] = []
    if (watch) schedule.watch(50, () => looks.push(schedule.nowMs))
    for (const atMs of [10, 20, 70, 71, 300]) schedule.add(new Call(() => {}), atMs)
    await schedule.run(1000)
    return { looks, events: schedule.events, digest: schedule.digest }
  }
  const seen = await run(true)
  expect(seen.looks).toEqual([10, 70, 300])
  expect(await run(false)).toEqual({ ...seen, looks: [] })
})
