/**
 * The nodes of a demo: separate processes on loopback, all in one temporary directory, tied to this process so that
 * they go when it does, by whatever death.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectHost, type RemoteHost } from '../api/client.ts'
import type { Clock, Random } from '../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../core/errors.ts'
import { shuffled } from '../core/random.ts'
import { systemClock } from '../core/system.ts'
import { removeHome } from '../home.ts'
import { homeError } from '../home-files.ts'
import { foundNetwork } from '../ledger-network.ts'
import type { JobRequest, JobView } from '../mapreduce/types.ts'
import type { RingView } from '../node.ts'
import { isOver } from './job/over.ts'
import { type NodeProcess, type Ready, spawnNode } from './spawn.ts'
import { tell } from './tie.ts'

/** Start of one node, on a machine that is busy. */
const START_PATIENCE_MS = 60_000
/** Nodes that start at the same time. */
const AT_ONCE = Math.max(4, 2 * availableParallelism())
/** Until all nodes see the whole ring. A job runs in an unfinished one too. */
const RING_PATIENCE_MS = 15_000
const RING_POLL_MS = 40
/** Without an answer from any node about the job. */
const LOST_PATIENCE_MS = 30_000
const RETRY_MS = 100
/** A node that lives answers sooner, however busy the machine is. */
const ANSWER_PATIENCE_MS = 10_000
/** The first nodes keep the ledger together, so that some of them may die: 1, 4 or 7. */
const MAX_BANKERS = 7
/** While a job has no news, its node is asked so often whether it is still there. */
const PULSE_MS = 2_000

interface Member extends NodeProcess {
  readonly index: number
  readonly home: string
  host?: RemoteHost
  address?: string
  alive: boolean
}

export interface ClusterOptions {
  readonly nodes: number
  readonly signal: AbortSignal
  /** Copies of each block. Default: as `chorale up` has it. */
  readonly replicas?: number
  /** Default: the ring. */
  readonly space?: string
  /** A node that was up ended by itself. */
  readonly onLoss: (index: number, how: number | string) => void
}

/** What it stands on; tests have their own. */
export interface ClusterPorts {
  readonly spawn: typeof spawnNode
  readonly connect: (socket: string) => RemoteHost
  readonly found: typeof foundNetwork
  readonly clock: Clock
}

const REAL: ClusterPorts = { spawn: spawnNode, connect: connectHost, found: foundNetwork, clock: systemClock }

export class Cluster implements AsyncDisposable {
  readonly root: string
  readonly #options: ClusterOptions
  readonly #ports: ClusterPorts
  readonly #members: Member[] = []
  #kept = false
  #disposed = false

  constructor(options: ClusterOptions, ports: ClusterPorts = REAL) {
    this.#options = options
    this.#ports = ports
    const base = tmpdir()
    try {
      this.root = mkdtempSync(join(base, 'chorale-demo-')) // mode 0700
    } catch (error) {
      throw homeError(base, error)
    }
  }

  /** Homes and addresses of the nodes that are up. */
  get nodes(): Array<{ home: string; address: string | undefined; pid: number | undefined }> {
    return this.#alive().map(({ home, address, child }) => ({ home, address, pid: child.pid }))
  }

  /** Those that are up, in order. */
  get hosts(): RemoteHost[] {
    return this.#alive().flatMap(({ host }) => host ?? [])
  }

  /** Those that are up, with their numbers. */
  get numbered(): Array<{ index: number; host: RemoteHost }> {
    return this.#alive().flatMap(({ index, host }) => (host ? { index, host } : []))
  }

  /** Starts all nodes and waits until each sees the whole ring. */
  async start(): Promise<void> {
    const { nodes } = this.#options
    await this.#found()
    const first = this.#spawn()
    tell(first.child.stdin, { bootstrap: [] })
    // The others load their code meanwhile, but not all of many: they would only take the processors from each other.
    const waiting = Array.from({ length: Math.min(nodes, AT_ONCE) - 1 }, () => this.#spawn())
    await this.#whenReady(first)
    let left = nodes - 1
    const startOneByOne = async () => {
      while (left-- > 0) {
        const member = waiting.pop() ?? this.#spawn()
        tell(member.child.stdin, { bootstrap: this.#addresses() })
        await this.#whenReady(member)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, startOneByOne))
    await this.#whenRound()
  }

  /** The ledger's beginning. */
  async #found(): Promise<void> {
    const { nodes } = this.#options
    const most = Math.min(nodes, MAX_BANKERS)
    const homes = Array.from({ length: most - ((most - 1) % 3) }, (_, i) => this.#home(i + 1))
    await this.#ports.found(
      this.#genesis,
      homes,
      { network: 'demo', ...this.#shape },
      Math.floor(this.#ports.clock.now()),
    )
  }

  get #genesis(): string {
    return join(this.root, 'genesis')
  }

  get #shape() {
    const { replicas = 3, space = 'ring' } = this.#options
    return { space, replicas, successors: Math.max(4, replicas) }
  }

  #home(index: number): string {
    return join(this.root, `node${index}`)
  }

  /** SIGKILL for some of the nodes, never all. Returns their numbers. */
  kill(count: number, random: Random): number[] {
    const alive = this.#alive()
    const chosen = shuffled(alive, random).slice(0, Math.min(count, alive.length - 1))
    for (const member of chosen) {
      member.alive = false
      member.child.kill('SIGKILL')
    }
    return chosen.map(({ index }) => index).sort((a, b) => a - b)
  }

  /**
   * Starts new nodes in the place of those that were killed. Resolves when each has joined or failed; `onFailure` hears
   * why. Returns how many have joined. Rejects only when the demo ends meanwhile.
   */
  async replace(count: number, onFailure: (index: number, reason: string) => void): Promise<number> {
    const bootstrap = this.#addresses()
    const members = Array.from({ length: count }, () => this.#spawn())
    for (const member of members) tell(member.child.stdin, { bootstrap })
    const joined = members.map(async (member) => {
      try {
        await this.#whenReady(member)
        return true
      } catch (error) {
        member.alive = false
        member.child.kill('SIGKILL')
        if (this.#over) throw error
        onFailure(member.index, errorMessage(error))
        return false
      }
    })
    return (await Promise.all(joined)).filter(Boolean).length
  }

  /** Runs on some node that is up; on another when that one dies. `work` calls `well` whenever it gets an answer. */
  async #anywhere<T>(work: (host: RemoteHost, well: () => void) => Promise<T>): Promise<T> {
    const { clock } = this.#ports
    const { signal } = this.#options
    let lastAnswerMs = clock.now()
    const well = () => {
      lastAnswerMs = clock.now()
    }
    for (let turn = 0; ; turn++) {
      signal.throwIfAborted()
      const { hosts } = this
      const host = hosts[turn % Math.max(1, hosts.length)]
      if (!host) throw new ChoraleError('no-node', 'all nodes of the demo have ended: run it again')
      try {
        return await work(host, well)
      } catch (error) {
        signal.throwIfAborted()
        const code = errorCode(error)
        if (!['no-node', 'not-found', 'no-route', 'timeout'].includes(code)) throw error
        if (clock.now() - lastAnswerMs > LOST_PATIENCE_MS) throw code === 'timeout' ? noAnswer(error) : error
        await clock.sleep(RETRY_MS, { signal })
      }
    }
  }

  /** A node that has died without a word is given up: what it was asked is asked of another, as a new job. */
  submit(request: JobRequest): Promise<JobView> {
    return this.#anywhere(async (host) => {
      using deadline = this.#ports.clock.deadline(ANSWER_PATIENCE_MS, this.#options.signal)
      return await host.jobs.submit(request, { signal: deadline.signal })
    })
  }

  /** The job until its end, through one node after another if need be. */
  follow(id: string, onView: (job: JobView) => void): Promise<JobView> {
    return this.#anywhere(async (host, well) => {
      const left = new AbortController()
      const { signal } = this.#options
      const onAbort = () => left.abort(signal.reason)
      signal.addEventListener('abort', onAbort, { once: true })
      void this.#pulse(host, left.signal).catch((error) => left.abort(error))
      try {
        for await (const job of host.jobs.watch(id, { signal: left.signal })) {
          well()
          onView(job)
          if (isOver(job)) return job
        }
        throw new ChoraleError('no-node', 'the watch ended before the job')
      } finally {
        signal.removeEventListener('abort', onAbort)
        left.abort()
      }
    })
  }

  /** A watch is silent when nothing happens, and when its node hangs. Rejects when it is the latter. */
  async #pulse(host: RemoteHost, signal: AbortSignal): Promise<never> {
    const { clock } = this.#ports
    for (;;) {
      await clock.sleep(PULSE_MS, { signal })
      using deadline = clock.deadline(ANSWER_PATIENCE_MS, signal)
      await host.status({ signal: deadline.signal })
    }
  }

  /** Lets the nodes live on without this process. */
  keep(): void {
    this.#kept = true
    for (const { child } of this.#alive()) {
      tell(child.stdin, { keep: true })
      child.stdin?.end()
      child.stdout?.destroy()
      child.unref()
    }
  }

  /** Kills all nodes, for there is nobody left to hand anything over to, and removes all files. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true // nothing is started from here on: nobody would end it
    if (this.#kept) return
    for (const member of this.#members) {
      member.alive = false
      member.child.kill('SIGKILL')
    }
    await Promise.all(this.#members.map(({ ended }) => ended))
    for (const { home } of this.#members) removeHome(home) // and its socket, if that is elsewhere
    removeHome(this.root)
  }

  #alive(): Member[] {
    return this.#members.filter(({ alive }) => alive)
  }

  /** Of those that are up: a new node may join through any of them. */
  #addresses(): string[] {
    return this.#alive().flatMap(({ address }) => address ?? [])
  }

  get #over(): boolean {
    return this.#disposed || this.#options.signal.aborted
  }

  #spawn(): Member {
    if (this.#over) throw new ChoraleError('aborted', 'the demo is over')
    const index = this.#members.length + 1
    const home = this.#home(index)
    mkdirSync(home, { recursive: true, mode: 0o700 })
    const log = openSync(join(this.root, `node${index}.log`), 'a', 0o600)
    const { nodes } = this.#options
    const { space, replicas, successors } = this.#shape
    const shape = ['--space', space, '--replicas', `${replicas}`]
    if (space === 'ring') shape.push('--successors', `${successors}`)
    const share = Math.max(1, Math.floor(availableParallelism() / nodes))
    // Those that start first fill the cache, which only pays when others come later.
    // All nodes are one user's: none is a stranger to the other.
    const own = ['--allow-native', '--lend-as-root']
    const lend = ['--lend', `${share}`, ...own]
    const node = this.#ports.spawn(
      [
        '--home',
        home,
        '--tied',
        this.root,
        '--listen',
        '127.0.0.1:0',
        '--network',
        'demo',
        '--genesis',
        this.#genesis,
        ...shape,
        ...lend,
        '-v',
      ],
      { log, stdin: 'pipe', cache: nodes > AT_ONCE ? join(this.root, 'cache') : undefined },
    )
    closeSync(log)
    const member: Member = { ...node, index, home, alive: true }
    this.#members.push(member)
    void node.ended.then((how) => {
      if (!member.alive) return
      member.alive = false
      if (member.host) this.#options.onLoss(index, how) // else whoever waits for it hears why
    })
    return member
  }

  async #whenReady(member: Member): Promise<string> {
    const { signal } = this.#options
    using deadline = this.#ports.clock.deadline(START_PATIENCE_MS, signal)
    const ready: Ready = await abortable(member.ready, deadline.signal).catch((error) => {
      throw deadline.signal.aborted && !signal.aborted ? notUp(member.index, error) : error
    })
    if (ready.address === undefined)
      throw new ChoraleError('internal', `node ${member.index} has no address on loopback`)
    member.host = this.#ports.connect(ready.socket)
    member.address = ready.address
    return ready.address
  }

  /** Until every node counts as many members as there are. */
  async #whenRound(): Promise<void> {
    const { signal, nodes } = this.#options
    const { clock } = this.#ports
    using patience = clock.deadline(RING_PATIENCE_MS, signal)
    while (!patience.signal.aborted) {
      const ask = ({ host }: Member) => host?.status({ signal: patience.signal }).catch(() => undefined)
      const views = await Promise.all(this.#alive().map(ask))
      const round = views.every((view) => {
        return view !== undefined && isRound(view.ring, nodes)
      })
      if (round) return
      await clock.sleep(RING_POLL_MS, { signal: patience.signal }).catch(() => {})
    }
    signal.throwIfAborted()
  }
}

/** Does a node see what it should of an overlay of so many? */
function isRound(ring: RingView, size: number): boolean {
  if (ring.overlay === 'vhash') {
    const [node] = ring.nodes
    return node !== undefined && (node.knowsAll ? node.sizeEstimate === size : node.short.length > 1)
  }
  const [node] = ring.nodes
  if (!node) return false
  return ring.mode === 'young'
    ? node.sizeEstimate === size
    : node.predecessor !== undefined && node.successors.length > 1
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise: stopped, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, stopped])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function notUp(index: number, cause: unknown): ChoraleError {
  const after = `node ${index} is not up after ${START_PATIENCE_MS / 1000} s`
  return new ChoraleError('timeout', `${after}: try fewer --nodes`, { cause })
}

function noAnswer(cause: unknown): ChoraleError {
  const patience = `${LOST_PATIENCE_MS / 1000} s`
  return new ChoraleError('no-node', `no node of the demo has answered for ${patience}: try fewer --nodes`, { cause })
}
