/**
 * A small market over virtual time: nodes with an account, a disk and a network that loses nothing, over a ledger that decides at
 * once. Tasks are handed to whoever is admitted, one a second each, as the jobs service does it with pulls.
 */
import { CrashDisk } from '../../../../sim/crash-disk.ts'
import { fakeKeyPair } from '../../../../sim/fake-keys.ts'
import { encode } from '../../../../src/core/cbor.ts'
import { type Env, silentLogger } from '../../../../src/core/env.ts'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import type { Redo } from '../../../../src/mapreduce/ports.ts'
import { type JobSpec, jobKeyOf, localSpec } from '../../../../src/mapreduce/spec.ts'
import { Contracts } from '../../../../src/market/contracts/contracts.ts'
import type { RememberedJob } from '../../../../src/market/contracts/remembering.ts'
import type { PublicKey } from '../../../../src/market/ledger/keys.ts'
import type { Allocation } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import type { Action } from '../../../../src/market/ledger/state/operation.ts'
import type { Result } from '../../../../src/market/ledger/state/refusal.ts'
import { Wallet } from '../../../../src/market/ledger/wallet.ts'
import { type Buy, signOffer, type Terms } from '../../../../src/market/offers/offer.ts'
import { slotAt } from '../../../../src/market/offers/price-slot.ts'
import type { VerifyPolicy } from '../../../../src/market/verification/policy.ts'
import { type Contact, contactAt } from '../../../../src/net/contact.ts'
import {
  decodeReply,
  decodeRequest,
  encodeReply,
  encodeRequest,
  type MessageKind,
} from '../../../../src/net/message.ts'
import type { Transport } from '../../../../src/net/transport.ts'
import { SoleLedger } from '../../../fakes/ledger.ts'
import { VirtualTime } from '../../mapreduce/virtual-time.ts'
import { genesisWith } from '../ledger/books.ts'
import { BUY, SELL } from '../ledger/market-books.ts'

const HOUR_MS = 3_600_000
const LATENCY_MS = 20
const never = new AbortController().signal

export function rightDigest(task: number): Key {
  return hashKey(`result of task ${task}`)
}
export function wrongDigest(task: number): Key {
  return hashKey(`no result of task ${task}`)
}

type AnyHandler = (message: unknown, delivery: unknown) => unknown

export interface NodeOptions {
  /** What it makes of a task. Default: what is right. */
  readonly makes?: (task: number) => Key
  /** What it finds when it does a task again. */
  readonly finds?: (task: number) => Key
  /** That it lends; default 1. */
  cores?: number
  /** Answers for `market/open`: default, what it should. */
  readonly opens?: 'silent'
}

export interface Node extends NodeOptions {
  readonly name: string
  readonly peer: string
  readonly wallet: Wallet
  readonly handlers: Map<string, AnyHandler>
  readonly jobs: Map<Key, RememberedJob>
  disk: CrashDisk
  contracts: Contracts
  isUp: boolean
  /** Tasks that it did again; and how many at once at most. */
  redone: number[]
  mostAtOnce: number
}

export class Floor {
  readonly time = new VirtualTime()
  readonly ledger = new SoleLedger(genesisWith([1]))
  readonly nodes: Node[] = []
  readonly env: Env = { clock: this.time, random: seededRandom(1), log: silentLogger }
  /** By contract: what is to be done. */
  readonly #work = new Map<Key, { readonly spec: JobSpec; readonly left: number[] }>()
  /** Operations that came in, by whom. */
  readonly log: string[] = []
  /** What is sent fits its kind. */
  isStrict = true
  #offers = 0

  constructor() {
    Object.defineProperty(this.ledger, 'nowMs', { get: () => this.time.now() })
    this.time.timer(1_000, () => this.#dispatch())
  }

  async open(...names: string[]): Promise<Node[]> {
    await this.wait(this.nodes.length === 0 ? 3 * HOUR_MS : 0)
    const made: Node[] = []
    for (const name of names) made.push(await this.node(name))
    return made
  }

  async node(name: string, options: NodeOptions = {}): Promise<Node> {
    const [keys, host] = [fakeKeyPair(name), fakeKeyPair(`host of ${name}`)]
    const wallet = new Wallet({ env: this.env, ledger: this.ledger, keys, host })
    const node = {
      name,
      wallet,
      peer: peerOf(host.publicKey),
      handlers: new Map(),
      jobs: new Map(),
      ...options,
    } as Node
    node.disk = new CrashDisk()
    node.redone = []
    node.mostAtOnce = 0
    const act = wallet.act.bind(wallet)
    wallet.act = async (action, call) => {
      const outcome = await act(action, call)
      this.log.push(`${name} ${action.kind} ${outcome.result}`)
      return outcome
    }
    this.nodes.push(node)
    await this.must(node, { kind: 'open' })
    await this.must(node, { kind: 'link', host: host.publicKey })
    await this.start(node)
    return node
  }

  async mediators(count: number, finds = rightDigest): Promise<Node[]> {
    const made: Node[] = []
    for (let i = 0; i < count; i++) {
      const node = await this.node(`judge ${i}`, { finds })
      expectApplied(await this.done(node.wallet.volunteer(true, { signal: never })))
      made.push(node)
    }
    return made
  }

  async start(node: Node): Promise<void> {
    const { name, wallet } = node
    let running = 0
    const redo: Redo = {
      digest: async (_spec, task, { signal }) => {
        node.redone.push(task)
        node.mostAtOnce = Math.max(node.mostAtOnce, ++running)
        await this.time.sleep(1_500, { signal }).finally(() => running--)
        return { digest: (node.finds ?? rightDigest)(task), tookMs: 1_500 }
      },
    }
    node.handlers.clear()
    node.contracts = new Contracts({
      env: { ...this.env, random: seededRandom(7).fork(name) },
      transport: this.#transport(node),
      ledger: this.ledger,
      wallet,
      keys: fakeKeyPair(name),
      find: async (host) => placeOf(host),
      lost: () => {},
      publish: () => {},
      peerOf,
      hostOf: (peer) => this.nodes.find((one) => one.peer === peer)?.wallet.host,
      redo,
      copying: redo,
      cores: () => node.cores ?? 1,
      fs: node.disk,
      dir: '/work',
      jobs: {
        kept: [...node.jobs.values()],
        keep: (job) => void node.jobs.set(jobKeyOf(job.spec), job),
        forget: (job) => void node.jobs.delete(job),
      },
      admissionChanged: () => {},
    })
    node.isUp = true
    await this.done(node.contracts.start())
  }

  /** As a power cut does. */
  async crash(node: Node, keep: 'nothing' | 'everything' | 'some' = 'some'): Promise<void> {
    node.isUp = false
    node.disk.faults = () => 'power'
    await this.done(node.contracts.stop())
    node.disk = node.disk.reboot(seededRandom(3), keep)
  }

  #transport(node: Node): Transport {
    return {
      peer: node.peer,
      handle: (kind: MessageKind, handler: AnyHandler) => void node.handlers.set(kind.name, handler),
      request: (to: Contact, kind: MessageKind, message: never, options: { timeoutMs?: number } = {}) =>
        this.#request(node, to, kind, message, options.timeoutMs ?? 1_000),
    } as unknown as Transport
  }

  async #request(from: Node, to: Contact, kind: MessageKind, message: never, timeoutMs: number): Promise<unknown> {
    const bytes = encodeRequest(kind, message)
    await this.time.sleep(LATENCY_MS)
    const target = this.nodes.find(({ peer }) => peer === to.peer)
    if (!target?.isUp || (target.opens === 'silent' && kind.name === 'market/open')) {
      await this.time.sleep(timeoutMs)
      throw new ChoraleError('timeout', `${kind.name}: no answer`)
    }
    const handler = target.handlers.get(kind.name)
    if (!handler) throw new ChoraleError('unsupported', kind.name)
    const delivery = { from: { peer: from.peer, contact: undefined }, slot: 0 }
    const reply = await handler(decodeRequest(kind, bytes), delivery)
    await this.time.sleep(LATENCY_MS)
    return decodeReply(kind, this.isStrict ? encodeReply(kind, reply as never) : encode(reply))
  }

  /** Whatever a stranger says, as its words come over the wire. */
  ask(from: Node, to: Node, kind: MessageKind, message: unknown): Promise<unknown> {
    return this.done(this.#request(from, placeOf(to.wallet.host), kind, message as never, 1_000))
  }

  /** A paid job of so many tasks, and its allocations with these suppliers. */
  async job(
    customer: Node,
    suppliers: readonly Node[],
    changes: Partial<Buy> = {},
    policy: VerifyPolicy = { kind: 'auto' },
  ): Promise<{ spec: JobSpec; job: Key; contract: Key; ids: Key[] }> {
    const tasks = changes.tasks ?? BUY.tasks
    const plan = { name: 'waves', params: { tasks }, tasks, engine: 'fake/1' }
    const plain = localSpec({ module: 'builtin:waves', params: { tasks }, seed: this.#offers }, plan)
    const job = jobKeyOf(plain)
    const contract = customer.contracts.contractOf(job)
    const spec = { ...plain, contract }
    customer.contracts.remember(spec, policy)
    this.#work.set(contract, { spec, left: Array.from({ length: tasks }, (_, i) => i) })
    const nowMs = this.time.now()
    const window = { fromMs: nowMs, untilMs: nowMs + HOUR_MS }
    const founder = new Wallet({
      ...{ env: this.env, ledger: this.ledger },
      ...{ keys: fakeKeyPair('owner 1'), host: fakeKeyPair('banker 1') },
    })
    const before = new Set([...this.ledger.state.allocations.entries()].map(([id]) => id))
    const sells = suppliers.map((node) =>
      this.#offer(node, { kind: 'sell', host: node.wallet.host, ...SELL, ...window }),
    )
    const buy = this.#offer(customer, {
      ...{ kind: 'buy', job, ...BUY, ...window, deadlineMs: nowMs + HOUR_MS, ...changes },
    })
    for (const offer of [...sells, buy]) await this.#by(founder, { kind: 'hand-in', offers: [offer] })
    await this.wait(2_000)
    await this.#by(founder, { kind: 'match', slot: slotAt(this.time.now()) })
    const ids = [...this.ledger.state.allocations.entries()].map(([id]) => id).filter((id) => !before.has(id))
    return { spec, job, contract, ids }
  }

  #offer({ wallet, name }: Node, terms: Terms): Uint8Array {
    const { network } = this.ledger
    const expiresMs = this.time.now() + HOUR_MS
    return signOffer({ network, account: wallet.account, number: this.#offers++, expiresMs, terms }, fakeKeyPair(name))
  }

  async #by(wallet: Wallet, action: Action): Promise<void> {
    expectApplied(await this.done(wallet.act(action, { signal: never })))
  }

  /** Each takes one task a second. */
  #dispatch(): void {
    this.time.timer(1_000, () => this.#dispatch())
    for (const [contract, { spec, left }] of this.#work) {
      for (const node of this.nodes) {
        const pass = { job: jobKeyOf(spec), isFirst: true }
        if (!node.isUp || !this.nodes[0]!.contracts.admits(contract, node.peer, pass)) continue
        if (!node.contracts.admits(contract, node.peer, pass)) continue
        const task = left.shift()
        if (task !== undefined) node.contracts.witnessed(spec, task, (node.makes ?? rightDigest)(task))
      }
    }
  }

  /** The job is over: nobody hands out its tasks any more. */
  drop(contract: Key): void {
    this.#work.delete(contract)
  }

  allocation(id: Key): Allocation | undefined {
    const found = this.ledger.state.allocations.get(id)
    return found && (found.phase.name as string) !== 'closed' ? found : undefined
  }

  wealth({ wallet }: Pick<Node, 'wallet'>): bigint {
    const { free, granted } = this.ledger.state.accounts.get(wallet.account)!
    return free + granted
  }

  /** Of this allocation: until it is over, or a phase has come. */
  async over(id: Key, limitMs = 2 * HOUR_MS): Promise<void> {
    await this.until(() => this.allocation(id) === undefined, limitMs)
  }

  async until(check: () => boolean, limitMs = 2 * HOUR_MS): Promise<void> {
    const endMs = this.time.now() + limitMs
    while (!check()) {
      if (this.time.now() > endMs) throw new Error(`it does not come to that: ${this.log.slice(-10).join(', ')}`)
      await this.wait(200)
    }
  }

  async wait(ms: number): Promise<void> {
    await this.done(this.time.sleep(ms))
  }

  done<T>(promise: Promise<T>): Promise<T> {
    return this.time.until(promise, 4 * HOUR_MS)
  }

  async must(node: Node, action: Action): Promise<void> {
    expectApplied(await this.done(node.wallet.act(action, { signal: never })))
  }

  async stop(): Promise<void> {
    for (const node of this.nodes) if (node.isUp) await this.done(node.contracts.stop())
  }
}

function expectApplied({ result }: { readonly result: Result }): void {
  if (result !== 'applied') throw new Error(result)
}

function peerOf(host: PublicKey): string {
  return `peer of ${host}`
}

function placeOf(host: PublicKey): Contact {
  return contactAt({ peer: peerOf(host), ip: '127.0.0.1', port: 1_000, incarnation: 1 }, 0)
}
