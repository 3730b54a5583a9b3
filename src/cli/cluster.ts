/**
 * The nodes of a demo: separate processes on loopback, all in one temporary directory, tied to this process so that
 * they go when it does, by whatever death.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectHost, type RemoteHost } from '../api/client.ts'
import type { Random } from '../core/env.ts'
import { ChoraleError, errorCode } from '../core/errors.ts'
import { shuffled } from '../core/random.ts'
import { removeHome } from '../home.ts'
import { homeError } from '../home-files.ts'
import type { JobRequest, JobView } from '../mapreduce/types.ts'
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
  /** A node ended by itself. */
  readonly onLoss: (index: number, how: number | string) => void
}

export class Cluster implements AsyncDisposable {
  readonly root: string
  readonly #options: ClusterOptions
  readonly #members: Member[] = []
  #kept = false

  constructor(options: ClusterOptions) {
    this.#options = options
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

  /** Starts all nodes and waits until each sees the whole ring. */
  async start(): Promise<void> {
    const { nodes } = this.#options
    const first = this.#spawn()
    tell(first.child.stdin, { bootstrap: [] })
    // The others load their code meanwhile, but not all of many: they would only take the processors from each other.
    const waiting = Array.from({ length: Math.min(nodes, AT_ONCE) - 1 }, () => this.#spawn())
    const bootstrap = [await this.#whenReady(first)]
    let left = nodes - 1
    const startOneByOne = async () => {
      while (left-- > 0) {
        const member = waiting.pop() ?? this.#spawn()
        tell(member.child.stdin, { bootstrap })
        await this.#whenReady(member)
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, startOneByOne))
    await this.#whenRound()
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

  /** Starts new nodes in the place of those that were killed. Resolves when they have joined. */
  async replace(count: number): Promise<void> {
    const bootstrap = this.#alive().flatMap(({ address }) => address ?? [])
    const members = Array.from({ length: count }, () => this.#spawn())
    for (const member of members) tell(member.child.stdin, { bootstrap })
    await Promise.all(members.map((member) => this.#whenReady(member)))
  }

  /** Runs on some node that is up; on another when that one dies. `work` calls `well` whenever it gets an answer. */
  async #anywhere<T>(work: (host: RemoteHost, well: () => void) => Promise<T>): Promise<T> {
    let lastAnswerMs = Date.now()
    const well = () => {
      lastAnswerMs = Date.now()
    }
    for (let turn = 0; ; turn++) {
      this.#options.signal.throwIfAborted()
      const hosts = this.#alive().flatMap(({ host }) => host ?? [])
      const host = hosts[turn % Math.max(1, hosts.length)]
      if (!host) throw new ChoraleError('no-node', 'all nodes of the demo have ended: run it again with -v')
      try {
        return await work(host, well)
      } catch (error) {
        const passing = ['no-node', 'not-found', 'no-route', 'timeout'].includes(errorCode(error))
        if (!passing || Date.now() - lastAnswerMs > LOST_PATIENCE_MS) throw error
        await sleep(100, undefined, { signal: this.#options.signal }).catch(() => {})
      }
    }
  }

  submit(request: JobRequest): Promise<JobView> {
    const { signal } = this.#options
    return this.#anywhere((host) => host.jobs.submit(request, { signal }))
  }

  /** The job until its end, through one node after another if need be. */
  follow(id: string, onView: (job: JobView) => void): Promise<JobView> {
    const { signal } = this.#options
    return this.#anywhere(async (host, well) => {
      for await (const job of host.jobs.watch(id, { signal })) {
        well()
        onView(job)
        if (isOver(job)) return job
      }
      throw new ChoraleError('no-node', 'the watch ended before the job')
    })
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

  #spawn(): Member {
    const index = this.#members.length + 1
    const home = join(this.root, `node${index}`)
    mkdirSync(home, { mode: 0o700 })
    const log = openSync(join(this.root, `node${index}.log`), 'a', 0o600)
    const { nodes } = this.#options
    const share = Math.max(1, Math.floor(availableParallelism() / nodes))
    // Those that start first fill the cache, which only pays when others come later.
    const node = spawnNode(
      ['--home', home, '--tied', this.root, '--listen', '127.0.0.1:0', '--network', 'demo', '--lend', `${share}`, '-v'],
      { log, stdin: 'pipe', cache: nodes > AT_ONCE ? join(this.root, 'cache') : undefined },
    )
    closeSync(log)
    const member: Member = { ...node, index, home, alive: true }
    this.#members.push(member)
    void node.ended.then((how) => {
      if (!member.alive) return
      member.alive = false
      this.#options.onLoss(index, how)
    })
    return member
  }

  async #whenReady(member: Member): Promise<string> {
    const { signal } = this.#options
    const ready: Ready = await abortable(member.ready, signal, START_PATIENCE_MS)
    if (ready.address === undefined)
      throw new ChoraleError('internal', `node ${member.index} has no address on loopback`)
    member.host = connectHost(ready.socket)
    member.address = ready.address
    return ready.address
  }

  /** Until every node counts as many members as there are. */
  async #whenRound(): Promise<void> {
    const { signal, nodes } = this.#options
    for (let waitedMs = 0; waitedMs < RING_PATIENCE_MS; waitedMs += RING_POLL_MS) {
      const views = await Promise.all(this.#alive().map(({ host }) => host?.status({ signal })))
      const round = views.every((view) => {
        const node = view?.ring.nodes[0]
        if (!view || !node) return false
        return view.ring.mode === 'young'
          ? node.sizeEstimate === nodes
          : node.predecessor !== undefined && node.successors.length > 1
      })
      if (round) return
      await sleep(RING_POLL_MS, undefined, { signal })
    }
  }
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal, patienceMs: number): Promise<T> {
  signal.throwIfAborted()
  const { promise: stopped, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  const timer = setTimeout(
    () => reject(new ChoraleError('timeout', `no node within ${patienceMs / 1000} s`)),
    patienceMs,
  )
  try {
    return await Promise.race([promise, stopped])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}
