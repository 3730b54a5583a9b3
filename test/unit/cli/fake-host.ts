/** A host whose jobs advance when the test says so, behind a real control socket. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { serveApi } from '../../../src/api/server.ts'
import type { Terminal } from '../../../src/cli/cli.ts'
import { run } from '../../../src/cli/program.ts'
import { silentLogger } from '../../../src/core/env.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import { systemEnv } from '../../../src/core/system.ts'
import { keyOfCid } from '../../../src/dht/cid.ts'
import { lazyFiles } from '../../../src/dht/store/files/lazy.ts'
import { Pins } from '../../../src/dht/store/pins.ts'
import type { SignedRecord } from '../../../src/dht/store/records.ts'
import { hostLending } from '../../../src/lend-host.ts'
import type { JobSpec } from '../../../src/mapreduce/spec.ts'
import type { JobLogLine, JobPlacement, JobView } from '../../../src/mapreduce/types.ts'
import { sybilReport } from '../../../src/market/sybil-report.ts'
import type { Host, HostStatus, RingView } from '../../../src/node.ts'
import { MemoryIo } from '../../fakes/block-io.ts'
import { FakeBooks } from '../../fakes/host-ledger.ts'
import { fakeLender } from '../../fakes/lender.ts'
import { FakeMarket } from '../../fakes/market.ts'
import { quietSurvey } from '../../fakes/survey.ts'

export function jobView(change: Partial<JobView> = {}): JobView {
  return {
    id: 'bafyreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',
    module: 'builtin:pi',
    name: 'pi',
    params: { samples: 1_000_000 },
    seed: 42,
    submitter: '12D3KooWFakeFakeFake',
    state: 'running',
    reason: 'tasks are out',
    tasks: { total: 100, done: 25, reassigned: 1 },
    workers: 3,
    submittedAtMs: Date.now() - 2000,
    ...change,
  }
}

export const fakeStatus: HostStatus = {
  pid: 4711,
  peer: '12D3KooWFakeFakeFake',
  network: 'private',
  address: { ip: '127.0.0.1', port: 4001 },
  role: 'member',
  upSinceMs: Date.UTC(2026, 0, 2, 3, 4, 5),
  ring: {
    overlay: 'chord',
    space: 'ring',
    mode: 'young',
    nodes: [
      {
        id: 'ab'.repeat(32),
        slot: 0,
        predecessor: { id: 'cd'.repeat(32), peer: '12D3KooWOther', address: '127.0.0.1:4002' },
        successors: [{ id: 'cd'.repeat(32), peer: '12D3KooWOther', address: '127.0.0.1:4002' }],
        fingers: 0,
        sizeEstimate: 2,
      },
    ],
  },
  connections: 1,
  lend: { cores: 2, slots: 2, busy: 1, tasksRunning: 3, tasksDone: 12, state: 'lending', why: 'at all hours' },
  store: { blocks: 3, bytes: 5 * 2 ** 20, capacityBytes: 10 * 2 ** 30, full: false, pins: 1 },
  ledger: { height: 12, epoch: 0, seats: 4, seated: true, halted: null },
  memoryBytes: { rss: 100 * 2 ** 20, heapUsed: 30 * 2 ** 20, external: 0 },
  counters: { malformedFrames: 0 },
}

export class FakeHost implements Host {
  readonly views = new Map<string, JobView[]>()
  readonly requests: unknown[] = []
  readonly specs = new Map<string, JobSpec>()
  /** Is every job? */
  own = true
  /** Of every job's log. */
  lines: JobLogLine[] = []
  placement: JobPlacement = {
    segments: 7,
    sampled: 7,
    hosts: [
      { peer: fakeStatus.peer, address: '127.0.0.1:4001', tasks: 68 },
      { peer: '12D3KooWOther', address: '127.0.0.1:4002', tasks: 32 },
    ],
    lending: { asked: 2, hosts: 1, cores: 2, busy: 1 },
  }
  survey = quietSurvey()
  readonly sybil: Host['sybil'] = { report: async () => sybilReport(this.survey) }
  stopped = false
  books = new FakeBooks()
  ring: RingView = fakeStatus.ring
  /** Real, on a machine that is made up. */
  readonly lender = fakeLender()
  readonly lending: Host['lending'] = hostLending({
    lender: this.lender.lender,
    ledger: this.books.ledger,
    account: this.books.wallet.account,
    storeCapacityBytes: fakeStatus.store.capacityBytes,
    onSet: () => {},
  })
  /** Real files and pins, over blocks in memory. */
  readonly io = new MemoryIo()
  readonly files = lazyFiles(this.io)
  /** What pins have extended. */
  readonly extended: string[] = []
  readonly blocks: Host['blocks'] = {
    put: (cid, bytes) => this.io.put(cid, bytes),
    get: (cid, options) => this.io.get(cid, options),
    extend: async (cids) => {
      this.extended.push(...cids.map(String))
      return cids.filter((cid) => !this.io.blocks.has(keyOfCid(cid)))
    },
    stat: async (cid) => ({
      cid,
      sizeBytes: this.io.blocks.get(keyOfCid(cid))?.length,
      holders: [
        { peer: '12D3KooWOther', address: '127.0.0.1:4002', role: 'owner', holds: true, expiresAtMs: Date.now() + 6e8 },
        { peer: '12D3KooWGone', address: '127.0.0.1:4003', role: 'replica', holds: undefined, expiresAtMs: undefined },
      ],
      wanted: 3,
    }),
  }
  /** By name; nobody else has any. */
  readonly written = new Map<string, SignedRecord>()
  readonly records: Host['records'] = {
    publish: async (name, value, { expiresAfterMs }) => {
      const publicKey = new Uint8Array(32)
      const seq = (this.written.get(name)?.seq ?? 0) + 1
      const record = { publicKey, name, seq, expiresAtMs: Date.now() + expiresAfterMs, value, signature: publicKey }
      this.written.set(name, record)
      return record
    },
    resolve: async (who, name) => (who === fakeStatus.peer ? this.written.get(name) : undefined),
  }
  readonly pins = new Pins({
    env: systemEnv(silentLogger),
    blocks: this.blocks,
    blocksOf: (root, options) => this.files.blocksOf(root, options),
    leaseMs: 7 * 24 * 3_600_000,
    kept: [],
    keep: () => {},
  })

  /** The views that a watch will show, the last of them being what `show` tells. */
  add(...views: JobView[]): void {
    this.views.set(views[0]!.id, views)
  }

  status(): HostStatus {
    return { ...fakeStatus, ring: this.ring }
  }

  storeStat() {
    return { ...fakeStatus.store, pins: this.pins.list().length, cachedBytes: 0, counters: { served: 2, rotten: 0 } }
  }

  peers() {
    return [{ peer: '12D3KooWOther', address: '127.0.0.1:4002', direction: 'inbound' as const, rttMs: 0.5 }]
  }

  async ping(target: string): Promise<number> {
    if (target === 'nobody') throw new ChoraleError('unreachable', 'nobody is not known here')
    return 1.25
  }

  async stop(): Promise<void> {
    this.stopped = true
  }

  readonly jobs: Host['jobs'] = {
    submit: async (request) => {
      this.requests.push(request)
      const { input, ...rest } = request
      const view = jobView({ ...rest, ...(input && { input }), tasks: { total: 100, done: 0, reassigned: 0 } })
      if (!this.views.has(view.id)) this.add(view)
      return view
    },
    list: async () => [...this.views.values()].map((views) => views.at(-1)!),
    show: async (id) => this.views.get(id)?.at(-1),
    watch: (id, options) => this.#watch(id, options?.signal),
    spec: async (id) => this.specs.get(id),
    isOwn: async () => this.own,
    retry: async (id, { asOwn } = {}) => {
      this.requests.push(asOwn ? { id, asOwn } : id)
      return jobView({ id: `${id.slice(0, -1)}q`, state: 'waiting' })
    },
    logs: (id, options) => this.#logs(id, options),
    place: async (plan) => {
      this.requests.push(plan)
      return this.placement
    },
    cancel: async (id) => ({ ...this.views.get(id)!.at(-1)!, state: 'cancelled', reason: 'by the submitter' }),
  }

  readonly market = new FakeMarket({ submit: (request) => this.jobs.submit(request) }, (willing, options) =>
    this.books.wallet.volunteer(willing, options),
  )

  async *#logs(id: string, { task, follow, signal }: Parameters<Host['jobs']['logs']>[1] = {}) {
    yield* this.lines.filter((line) => task === undefined || line.task === task)
    if (follow) for await (const _ of this.#watch(id, signal));
  }

  /** Ends after a terminal view; else stays open like the watch of a job that runs. */
  async *#watch(id: string, signal: AbortSignal | undefined): AsyncIterable<JobView> {
    const views = this.views.get(id) ?? []
    yield* views
    if (['succeeded', 'failed', 'cancelled'].includes(views.at(-1)?.state ?? '')) return
    await new Promise<void>((resolve) => {
      if (signal?.aborted) resolve()
      signal?.addEventListener('abort', () => resolve())
    })
  }
}

export interface Bench extends AsyncDisposable {
  readonly host: FakeHost
  readonly socketPath: string
  /** Runs `chorale --api SOCKET ...`. */
  chorale(...args: string[]): Promise<{ code: number; out: string; err: string }>
}

export async function bench(): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), 'chorale-test-'))
  const socketPath = join(directory, 'api.sock')
  const host = new FakeHost()
  host.lender.lender.start()
  const server = await serveApi(host, { socketPath, log: silentLogger, onStop: () => void host.stop() })
  return {
    host,
    socketPath,
    chorale: (...args) => runCli([...args, '--api', socketPath]),
    async [Symbol.asyncDispose]() {
      await server.close()
      rmSync(directory, { recursive: true })
    },
  }
}

export async function runCli(args: readonly string[], change: Partial<Terminal> = {}) {
  let out = ''
  let err = ''
  const terminal: Terminal = {
    out: (text) => {
      out += text
    },
    err: (text) => {
      err += text
    },
    write: async (bytes) => {
      out += Buffer.from(bytes).toString('latin1')
    },
    input: async function* () {
      yield Buffer.from('hello world')
    },
    live: false,
    tty: false,
    width: () => 80,
    variables: { XDG_CONFIG_HOME: '/nowhere' },
    signal: new AbortController().signal,
    ...change,
  }
  const code = await run(args, terminal)
  return { code, out, err }
}
