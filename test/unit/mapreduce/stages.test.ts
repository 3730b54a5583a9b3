/**
 * Jobs of several passes and over stored input, on hosts that lose messages and die: what they come to is what one
 * process makes of the same bytes.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import kmeans from '../../../jobs/kmeans.ts'
import sort from '../../../jobs/sort.ts'
import wordcount from '../../../jobs/wordcount.ts'
import { fakeExecutor } from '../../../sim/fake-executor.ts'
import { type FakeStore, fakeStore } from '../../../sim/fake-store.ts'
import { encode } from '../../../src/core/cbor.ts'
import { silentLogger } from '../../../src/core/env.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { systemEnv } from '../../../src/core/system.ts'
import { defineJob, defineKeyedJob } from '../../../src/mapreduce/define.ts'
import { taskInput } from '../../../src/mapreduce/input.ts'
import { runLocally } from '../../../src/mapreduce/local.ts'
import type { JobModule, JobView, Json } from '../../../src/mapreduce/types.ts'
import { seeds } from '../../nightly.ts'
import { type FakeHost, FakeNetwork, type FakeOptions } from './fake-network.ts'

// biome-ignore lint/suspicious/noExplicitAny: jobs of any parameters and results
type Job = JobModule<any, any>

const encoder = new TextEncoder()

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

async function add({ files }: Pick<FakeStore, 'files'>, text: string, lines = false): Promise<string> {
  return (await files.addFile(once(encoder.encode(text)), { lines })).cid.toString()
}

async function textOf({ files }: Pick<FakeStore, 'files'>, cid: string): Promise<string> {
  const pieces: Uint8Array[] = []
  for await (const piece of files.cat(cid)) pieces.push(piece)
  return Buffer.concat(pieces).toString()
}

/** Words of a few letters, some lines of them empty, some long. */
function someText(seed: number, bytes: number): string {
  const random = seededRandom(seed)
  const lines: string[] = []
  for (let length = 0; length < bytes; length += lines.at(-1)!.length + 1) {
    const words = Array.from({ length: random.int(random.int(20) === 0 ? 3_000 : 12) }, () =>
      Array.from({ length: 1 + random.int(3) }, () => String.fromCharCode(97 + random.int(26))).join(''),
    )
    lines.push(words.join(' '))
  }
  return `${lines.join('\n')}\n`
}

function countWords(text: string): string {
  const counts = new Map<string, number>()
  for (const [word] of text.toLowerCase().matchAll(/[a-z]+/g)) counts.set(word, (counts.get(word) ?? 0) + 1)
  const words = [...counts.keys()].sort()
  return words.map((word) => `${String(counts.get(word)).padStart(7)} ${word}\n`).join('')
}

interface Run {
  readonly module: Job
  readonly input?: string
  readonly lines?: boolean
  readonly params?: { [name: string]: Json }
  readonly hosts?: number
  readonly network?: Partial<FakeOptions>
  readonly taskMs?: number
  /** Hosts that die, one after the other. */
  readonly kills?: number
  readonly onView?: (hosts: readonly FakeHost[]) => void
  /** The input is stored, and nothing else yet. */
  readonly onStored?: (network: FakeNetwork) => void
}

async function run({ module, input, lines, params = {}, hosts = 6, kills = 0, taskMs = 20, ...rest }: Run) {
  const network = new FakeNetwork({ seed: 1, ...rest.network })
  const executor = fakeExecutor({ module, taskMs: () => taskMs })
  const all = Array.from({ length: hosts }, () => network.add(executor))
  const cid = input === undefined ? undefined : await add(network.stored, input, lines)
  const request = { module: 'x', params, seed: 7, ...(cid && { input: cid }) }
  rest.onStored?.(network)
  const { id } = await network.time.until(all[0]!.service.jobs.submit(request), 20_000)
  for (let i = 0; i < kills; i++) {
    network.time.timer(200 + 700 * i, () => {
      const victims = all.filter((host) => host.alive && host !== all.at(-1))
      network.kill(victims[network.random.int(victims.length)]!)
      all.unshift(network.add(executor))
    })
  }
  const views: JobView[] = []
  const follow = async () => {
    for await (const view of all.at(-1)!.service.jobs.watch(id)) {
      views.push(view)
      rest.onView?.(all)
    }
  }
  await network.time.until(follow(), 200_000)
  return { network, view: views.at(-1) as JobView, views, hosts: all }
}

async function alone(module: Job, input: string | undefined, params: { [name: string]: Json }, lines = false) {
  const stored = fakeStore()
  const executor = fakeExecutor({ module, taskMs: () => 0 })(systemEnv(silentLogger))
  const cid = input === undefined ? undefined : await add(stored, input, lines)
  const request = { module: 'x', params, seed: 7, ...(cid && { input: cid }) }
  return runLocally({ executor, store: stored.store }, request, { signal: new AbortController().signal })
}

describe('whole lines', () => {
  const options = { signal: new AbortController().signal }
  const pieces = fc.array(fc.stringMatching(/^[ab\n]{0,6}$/), { minLength: 1, maxLength: 12 })

  test('every line is of exactly one task, wherever the blocks are cut', async () => {
    await fc.assert(
      fc.asyncProperty(pieces, fc.integer({ min: 1, max: 4 }), async (texts, taskBlocks) => {
        const blocks = texts.map((text) => encoder.encode(text))
        const file = {
          ...{ cid: 'x', bytes: 0, blocks: blocks.length },
          keyOf: () => {
            throw new Error('not asked for')
          },
          read: async (index: number) => blocks[index]!,
        }
        const tasks = Math.ceil(blocks.length / taskBlocks)
        const parts: string[] = []
        for (let task = 0; task < tasks; task++) {
          parts.push(new TextDecoder().decode(await taskInput(file, { as: 'lines', taskBlocks }, task, options)))
        }
        expect(parts.join('')).toBe(texts.join(''))
        // All but the last part that has anything end with a line.
        const full = parts.filter((part) => part !== '')
        for (const part of full.slice(0, -1)) expect(part.endsWith('\n')).toBe(true)
      }),
    )
  })
})

describe('a word count', () => {
  const text = someText(3, 5_000_000)

  test.each(seeds(3))('over hosts that die and messages that get lost is exact, seed %i', async (seed) => {
    const faults = { seed, loss: 0.01, duplication: 0.01 }
    const params = { parts: 1 + (seed % 5) }
    const { view, network } = await run({
      module: wordcount,
      input: text,
      network: faults,
      params,
      kills: 4,
      taskMs: 300,
    })
    expect(view.state).toBe('succeeded')
    const { output, words } = view.value as { output: string; words: number }
    const expected = countWords(text)
    expect(await textOf(network.stored, output)).toBe(expected)
    expect(words).toBe(expected.split('\n').length - 1)
    const blocks = Math.ceil(encoder.encode(text).length / 2 ** 18)
    const tasks = Math.ceil(blocks / Math.ceil(blocks / 16)) + params.parts
    expect(view.tasks).toMatchObject({ total: tasks, done: tasks })
    for (const host of network.hosts) expect(host.service.counters().alarms).toBe(0)
  })

  test('has the same value on one machine, and leaves nothing in the hosts', async () => {
    const { view, network } = await run({ module: wordcount, input: text })
    const local = await alone(wordcount, text, {})
    expect(encode(view.value)).toEqual(encode(local.value))
    expect(local.tasks).toBe(view.tasks.total)
    await network.time.until(network.time.sleep(6_000), 7_000)
    for (const host of network.hosts) {
      expect(host.service.counters()).toMatchObject({ liveJobs: 0, partialsBytes: 0 })
    }
  })

  /** What the tasks have left is nowhere, from the first time that somebody wants it. */
  function losing(forMs = Number.POSITIVE_INFINITY) {
    return ({ stored: { blocks }, time }: FakeNetwork) => {
      const input = new Set(blocks.keys())
      const get = blocks.get.bind(blocks)
      let backAtMs: number | undefined
      blocks.get = (key) => {
        if (input.has(key)) return get(key)
        backAtMs ??= time.now() + forMs
        return time.now() < backAtMs ? undefined : get(key)
      }
    }
  }

  test('tasks whose runs are lost are done again', async () => {
    const input = text.slice(0, 1_200_000)
    const { view } = await run({ module: wordcount, input, onStored: losing() })
    const { view: whole } = await run({ module: wordcount, input })
    expect(view.state).toBe('succeeded')
    expect(view.value).toEqual(whole.value)
  })

  test('what nobody can make again is waited for, and then the job fails', async () => {
    let calls = 0
    const moody = defineKeyedJob({
      name: 'moody',
      params: {},
      input: 'lines',
      map(_task, { emit }) {
        for (let i = 0; i < 5_000; i++) emit(`${calls++}`, 1)
      },
      combine: (left: number, right: number) => left + right,
      write: (word, count) => `${count} ${word}\n`,
      finish: ({ keys }) => ({ keys }),
    })
    const { view: late } = await run({ module: moody, input: text, onStored: losing(40_000) })
    expect(late.state).toBe('succeeded')
    const { view: never } = await run({ module: moody, input: text, onStored: losing() })
    expect(never.state).toBe('failed')
    expect(never.failure?.message).toMatch(/gone with all its copies \(.*\): submit it again/)
  })

  test('of nothing, and of one long line', async () => {
    for (const input of ['', 'a', `${'word '.repeat(150_000)}end`]) {
      const { view, network } = await run({ module: wordcount, input, hosts: 3 })
      const { output } = view.value as { output: string }
      expect(await textOf(network.stored, output)).toBe(countWords(input))
    }
  })
})

test('runs of many small tasks are merged on the way', async () => {
  const many = {
    ...wordcount,
    plan: (params: never, input?: { bytes: number; blocks: number }) => ({
      ...wordcount.plan(params, input),
      tasks: input!.blocks,
      input: { as: 'lines' as const, taskBlocks: 1 },
    }),
  }
  const text = Array.from({ length: 90 }, (_, block) => 'ab cd ef\n'.repeat(29_000 + block)).join('')
  let merges = 0
  const stored = fakeStore()
  const executor = fakeExecutor({ module: many, taskMs: () => 0 })(systemEnv(silentLogger))
  const { merge } = executor
  executor.merge = (spec, runs) => {
    merges++
    expect(runs.length).toBeGreaterThan(64)
    return merge.call(executor, spec, runs)
  }
  const input = await add(stored, text)
  const inputs = new Set(stored.blocks.keys())
  const request = { module: 'x', params: {}, seed: 7, input }
  const options = { signal: new AbortController().signal }
  const { value } = await runLocally({ executor, store: stored.store }, request, options)
  expect(merges).toBe(1) // all words are of the first partition
  expect(await textOf(stored, (value as { output: string }).output)).toBe(countWords(text))

  // Those of many tasks and those of one are made again when they are lost.
  const { blocks } = stored
  const get = blocks.get.bind(blocks)
  blocks.get = (key) => (inputs.has(key) ? get(key) : undefined)
  expect(await runLocally({ executor, store: stored.store }, request, options)).toMatchObject({ value })
  expect(merges).toBe(3)
})

test('lines are sorted, those that are there twice too', async () => {
  const random = seededRandom(5)
  const lines = Array.from({ length: 40_000 }, () =>
    random
      .bytes(8)
      .toString()
      .slice(0, 1 + random.int(12)),
  )
  const input = `${[...lines, ...lines.slice(0, 500), '', ''].join('\n')}\n`.replaceAll(/[\ud800-\udfff]/g, '')
  const { view, network } = await run({ module: sort, input, params: { parts: 7 }, kills: 2 })
  const { output } = view.value as { output: string }
  const sorted = input.slice(0, -1).split('\n').sort()
  expect(await textOf(network.stored, output)).toBe(`${sorted.join('\n')}\n`)
})

describe('rounds', () => {
  const random = seededRandom(6)
  const middles = [
    [0, 0, 0],
    [10, 0, 5],
    [0, 9, -5],
    [7, 7, 7],
  ]
  const input = Array.from({ length: 12_000 }, (_, i) =>
    middles[i % 4]!.map((middle) => (middle + random.next() - 0.5).toFixed(4)).join(','),
  ).join('\n')

  test.each(seeds(2))('k-means finds what the points were made of, hosts dying, seed %i', async (seed) => {
    const { view, views } = await run({
      module: kmeans,
      input,
      params: { k: 4 },
      network: { seed, loss: 0.01 },
      kills: 4,
    })
    expect(view.state).toBe('succeeded')
    const local = await alone(kmeans, input, { k: 4 })
    expect(encode(view.value)).toEqual(encode(local.value))
    const { centers, sizes } = view.value as { centers: number[][]; sizes: number[] }
    expect(sizes.reduce((sum, size) => sum + size)).toBe(12_000)
    for (const middle of middles) {
      const nearest = Math.min(...centers.map((center) => Math.hypot(...center.map((x, i) => x - middle[i]!))))
      expect(nearest).toBeLessThan(0.1)
    }
    const rounds = views.map((one) => one.round ?? 0)
    expect(rounds).toEqual(rounds.toSorted((a, b) => a - b))
    expect(rounds.at(-1)).toBeGreaterThan(1)
  })

  test('three hundred rounds, of which no host remembers more than the last, and a state larger than a message', async () => {
    const counting = defineJob({
      name: 'counting',
      split: () => 20,
      map: (task, { state, round }) => ({ sum: task + round + ((state as { sum: number } | null)?.sum ?? 0) }),
      reduce: (left, right) => ({ sum: (left.sum + right.sum) % 1_000_003 }),
      next: ({ sum }, { round }) => (round < 300 ? { sum, filler: 'x'.repeat(100_000) } : undefined),
    })
    let most = 0
    const onView = (hosts: readonly FakeHost[]) => {
      most = Math.max(most, ...hosts.map(({ service }) => service.counters().liveJobs))
    }
    const { view } = await run({ module: counting, taskMs: 1, onView })
    expect(most).toBeLessThan(64)
    const local = await alone(counting, undefined, {})
    expect(view).toMatchObject({ state: 'succeeded', round: 300, value: local.value })
    expect(view.tasks).toMatchObject({ total: 20 * 301, done: 20 * 301 })
  })
})

test('results that are larger than a message come together all the same', async () => {
  const large = defineJob({
    name: 'large',
    split: () => 300,
    map: (task) => [{ task, text: String(task).repeat(20_000).slice(0, 40_000) }],
    reduce: (left, right) => [...left, ...right].slice(-5),
    finish: (last) => last.map(({ task }) => task),
  })
  const { view } = await run({ module: large, kills: 2 })
  expect(view).toMatchObject({ state: 'succeeded', value: [295, 296, 297, 298, 299] })
})

test.each([
  [{ module: wordcount }, 'wordcount works on a file: name it with --input'],
  [{ module: sort, input: 'x', params: { parts: 2000 } }, 'parts must be a whole number up to 1024'],
])('bad input is told: %#', async (bad, message) => {
  await expect(run(bad)).rejects.toThrow(message)
})

test('input that nobody has', async () => {
  const network = new FakeNetwork({ seed: 1 })
  const host = network.add(fakeExecutor({ module: wordcount, taskMs: () => 0 }))
  const input = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
  const request = { module: 'x', params: {}, seed: 7, input }
  await expect(network.time.until(host.service.jobs.submit(request), 60_000)).rejects.toThrow(/nobody has bafkrei/)
})
