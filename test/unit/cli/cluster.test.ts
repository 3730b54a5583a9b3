/** The demo's cluster with planted processes: those that start late, not at all, or live and do not answer. */
import type { ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { afterEach, expect, test } from 'vitest'
import type { RemoteHost } from '../../../src/api/client.ts'
import { Cluster, type ClusterPorts } from '../../../src/cli/cluster.ts'
import type { Ready } from '../../../src/cli/spawn.ts'
import { ChoraleError, errorCode } from '../../../src/core/errors.ts'
import { seededRandom } from '../../../src/core/random.ts'
import type { JobView } from '../../../src/mapreduce/types.ts'
import { VirtualTime } from '../mapreduce/virtual-time.ts'
import { fakeStatus, jobView } from './fake-host.ts'

const MINUTES = 60_000
const done = jobView({ state: 'succeeded' })

interface Waiting {
  signal?: AbortSignal | undefined
}

/** Rejects when the caller gives up, and never says anything else: a process that hangs. */
function hang({ signal }: Waiting = {}): Promise<never> {
  return new Promise((_, reject) => {
    signal?.addEventListener('abort', () => reject(signal.reason))
  })
}

/** A process that does as the test says; it ends when it is killed. */
class Planted {
  killed = false
  readonly ready = Promise.withResolvers<Ready>()
  readonly ended = Promise.withResolvers<number | string>()

  constructor() {
    this.ready.promise.catch(() => {})
  }

  up(address = '127.0.0.1:4001'): void {
    const lend = { state: 'lending' as const, why: 'at all hours' }
    this.ready.resolve({ pid: 1, peer: 'peer', address, socket: '/nowhere', lend })
  }

  readonly child = {
    kill: () => {
      this.killed = true
      this.ready.reject(new ChoraleError('internal', 'the node ended before it was ready (SIGKILL)'))
      this.ended.resolve('SIGKILL')
      return true
    },
  } as unknown as ChildProcess
}

const clusters: Cluster[] = []
afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster[Symbol.asyncDispose]()
})

/** A cluster of so many; `born` says what becomes of the n-th process, `host` how it answers. */
function plant(
  nodes: number,
  born: (process: Planted, n: number) => void,
  host: (n: number) => Partial<RemoteHost['jobs']> & Partial<Pick<RemoteHost, 'status'>> = () => ({}),
) {
  const clock = new VirtualTime()
  const stop = new AbortController()
  const processes: Planted[] = []
  const losses: number[] = []
  let connected = 0
  const ports: ClusterPorts = {
    clock,
    found: async () => {},
    spawn: () => {
      const process = new Planted()
      processes.push(process)
      born(process, processes.length)
      return { child: process.child, ready: process.ready.promise, ended: process.ended.promise }
    },
    connect: () => {
      const { status, ...jobs } = host(++connected)
      const young = { ...fakeStatus.ring.nodes[0]!, sizeEstimate: nodes }
      return {
        status: status ?? (async () => ({ ...fakeStatus, ring: { ...fakeStatus.ring, nodes: [young] } })),
        jobs,
      } as unknown as RemoteHost
    },
  }
  const options = { nodes, signal: stop.signal, onLoss: (index: number) => void losses.push(index) }
  const cluster = new Cluster(options, ports)
  clusters.push(cluster)
  return { cluster, clock, processes, losses, stop, elapsed: since(clock) }
}

function since(clock: VirtualTime): () => number {
  const startedAtMs = clock.now()
  return () => clock.now() - startedAtMs
}

const up = (process: Planted) => process.up()

test('nothing is started any more once it is disposed, however far it is', async () => {
  // All but the first hang, so that the disposal comes in the middle of the start.
  const { cluster, clock, processes } = plant(64, (process, n) => n === 1 && process.up())
  const started = cluster.start().catch(errorCode)
  await new Promise(setImmediate)
  const before = processes.length
  expect(before).toBeLessThan(64)
  await cluster[Symbol.asyncDispose]()
  expect(await clock.until(started, MINUTES)).toBe('internal')
  await expect(cluster.replace(1, () => {})).rejects.toMatchObject({ code: 'aborted' })
  expect(processes).toHaveLength(before)
  expect(processes.every(({ killed }) => killed)).toBe(true)
  expect(existsSync(cluster.root)).toBe(false)
})

test('a job that ends while nodes are replaced takes the new nodes with it', async () => {
  const { cluster, clock, processes, losses } = plant(3, (process, n) => n <= 3 && process.up())
  await clock.until(cluster.start(), MINUTES)
  expect(cluster.kill(2, seededRandom('kill'))).toHaveLength(2)
  const told: string[] = []
  const replaced = cluster.replace(2, (_, reason) => void told.push(reason)).catch(errorCode)
  await cluster[Symbol.asyncDispose]()
  expect(await clock.until(replaced, MINUTES)).toBe('internal')
  expect(processes.map(({ killed }) => killed)).toEqual([true, true, true, true, true])
  expect([told, losses]).toEqual([[], []])
})

test('new nodes that do not start are told once each, and hold nothing up', async () => {
  const { cluster, clock, processes, losses, elapsed } = plant(3, (process, n) => {
    if (n <= 3 || n === 6) process.up()
    if (n !== 4) return
    process.ready.reject(new ChoraleError('unreachable', 'no node answers'))
    process.ended.resolve(3)
  })
  await clock.until(cluster.start(), MINUTES)
  cluster.kill(2, seededRandom('kill'))
  const told: string[] = []
  const onFailure = (index: number, reason: string) => void told.push(`${index}: ${reason}`)
  expect(await clock.until(cluster.replace(3, onFailure), 2 * MINUTES)).toBe(1)
  expect(told).toEqual(['4: no node answers', '5: node 5 is not up after 60 s: try fewer --nodes'])
  expect(elapsed()).toBeLessThan(61_000)
  expect(processes[4]?.killed).toBe(true)
  expect(losses).toEqual([])
  expect(cluster.nodes).toHaveLength(2)
})

test('a node that ends by itself once it was up is told', async () => {
  const { cluster, clock, processes, losses } = plant(2, up)
  await clock.until(cluster.start(), MINUTES)
  processes[1]?.ended.resolve(1)
  await new Promise(setImmediate)
  expect(losses).toEqual([2])
})

test('the start ends when a node says nothing about its ring', async () => {
  const { cluster, clock, elapsed } = plant(3, up, (n) => (n === 2 ? { status: hang } : {}))
  await clock.until(cluster.start(), MINUTES)
  expect(elapsed()).toBeLessThan(20_000)
})

test('a job is submitted through another node when the first one hangs', async () => {
  const { cluster, clock } = plant(3, up, (n) => ({
    submit: n === 1 ? (_, options) => hang(options) : async () => done,
  }))
  await clock.until(cluster.start(), MINUTES)
  expect(await clock.until(cluster.submit({ module: 'builtin:pi', params: {}, seed: 1 }), MINUTES)).toBe(done)
})

test('when all nodes hang the demo ends, with one line', async () => {
  const submit = (_: unknown, options?: Waiting) => hang(options)
  const asleep = () => ({ submit, status: hang, watch: (_: string, options?: Waiting) => silent(options?.signal) })
  const { cluster, clock } = plant(2, up, asleep)
  await clock.until(cluster.start(), MINUTES)
  const message = 'no node of the demo has answered for 30 s: try fewer --nodes'
  const submitted = cluster.submit({ module: 'builtin:pi', params: {}, seed: 1 })
  await expect(clock.until(submitted, MINUTES)).rejects.toMatchObject({ code: 'no-node', message })
  await expect(
    clock.until(
      cluster.follow('x', () => {}),
      MINUTES,
    ),
  ).rejects.toMatchObject({ code: 'no-node', message })
})

/** A watch that says nothing until the caller leaves. */
async function* silent(signal?: AbortSignal): AsyncGenerator<JobView> {
  yield await hang({ signal })
}

test('a job is followed through another node when the one that is asked hangs', async () => {
  const running = jobView()
  const { cluster, clock, elapsed } = plant(2, up, (n) => ({
    ...(n === 1 && { status: hang }),
    async *watch(_, options) {
      yield n === 1 ? running : done
      await hang(options)
    },
  }))
  await clock.until(cluster.start(), MINUTES)
  const seen: JobView[] = []
  const end = cluster.follow('x', (view) => void seen.push(view))
  expect(await clock.until(end, MINUTES)).toBe(done)
  expect(seen).toEqual([running, done])
  expect(elapsed()).toBeLessThan(30_000)
})

test('a job may be without news for long while its node is well', async () => {
  let clock: VirtualTime
  const planted = plant(1, up, () => ({
    async *watch() {
      await clock.sleep(10 * MINUTES)
      yield done
    },
  }))
  clock = planted.clock
  await clock.until(planted.cluster.start(), MINUTES)
  expect(
    await clock.until(
      planted.cluster.follow('x', () => {}),
      11 * MINUTES,
    ),
  ).toBe(done)
})

test('a job that is lost ends the demo', async () => {
  const lost = new ChoraleError('no-route', 'the job can no longer be found')
  const { cluster, clock } = plant(2, up, () => ({
    // biome-ignore lint/correctness/useYield: it never gets that far
    async *watch() {
      throw lost
    },
  }))
  await clock.until(cluster.start(), MINUTES)
  await expect(
    clock.until(
      cluster.follow('x', () => {}),
      MINUTES,
    ),
  ).rejects.toBe(lost)
})

test('Ctrl-C ends whatever is under way', async () => {
  const { cluster, clock, stop } = plant(2, up, () => ({ watch: (_, options) => silent(options?.signal) }))
  await clock.until(cluster.start(), MINUTES)
  const end = cluster.follow('x', () => {})
  clock.timer(5000, () => stop.abort(new ChoraleError('interrupted', 'stopped')))
  await expect(clock.until(end, 6000)).rejects.toMatchObject({ code: 'interrupted' })
})
