/**
 * How a host learns of finalized blocks that it had no part in: it waits at another host for the next ones, a banker or any
 * neighbour, and fetches what it lacks. Nobody is believed: every run has the signatures of a quorum of its epoch's committee,
 * which the chain before it names, and every block is executed. Hosts with a seat do so only when they have fallen behind by
 * an epoch.
 */
import type { Env } from '../../core/env.ts'
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Contact } from '../../net/contact.ts'
import { isCertified } from './certified.ts'
import type { Chain } from './chain.ts'
import type { FinalRun } from './consensus/messages.ts'
import type { Courier } from './courier.ts'
import type { PublicKey, Verify } from './keys.ts'
import { decodeRun, Follow, Runs } from './messages.ts'
import { decodePayload } from './payload.ts'

/** So many hosts in a row must have no use for the end of the chain here before a new beginning is looked for, and how often. */
const TOO_LOW = 3
const BEGIN_AGAIN_MS = 60_000
/** How long a host that has nothing new may keep us waiting, and how long we wait for its answer. */
const WAIT_MS = 20_000
const ANSWER_MS = 10_000
/** The same while somebody waits here: another host may know more. */
const HURRY_MS = 1000
const FIRST_PAUSE_MS = 100
const MAX_PAUSE_MS = 3000

export interface FollowerPorts {
  readonly env: Env
  readonly chain: Chain
  readonly courier: Courier
  readonly verify: Verify
  readonly host: PublicKey
  /** A checked run. False: there is nothing new in it. */
  take(run: FinalRun): boolean
  /** A chain of so many blocks is worth a snapshot. */
  readonly shortChain: number
  /** From the genesis to a snapshot, if this or another host leads to one. Never rejects. */
  begin(from: Contact): Promise<void>
  /** Does somebody wait for an operation here? */
  isHurried(): boolean
}

export class Follower {
  readonly #ports: FollowerPorts
  readonly #fetching = new Map<string, Promise<void>>()
  #beginning: Promise<void> | undefined
  #running: AbortController | undefined
  /** While it waits at a host that may have nothing new for long. */
  #waiting: AbortController | undefined
  /** Hosts in a row that keep the chain only from a later block on. */
  #higher = 0
  /** When a new beginning was looked for last. */
  #begunAtMs = Number.NEGATIVE_INFINITY
  /** Of the highest block that anybody has told of. */
  heardHeight = 0
  /** Requests in a row that brought no answer. */
  failures = 0
  /** Runs with signatures that are not good, or that the chain refuses. */
  refused = 0

  constructor(ports: FollowerPorts) {
    this.#ports = ports
  }

  start(): void {
    if (this.#running) return
    this.#running = new AbortController()
    void this.#loop(this.#running.signal)
  }

  stop(): void {
    this.#running?.abort()
    this.#running = undefined
    this.#waiting?.abort()
  }

  /** Somebody has begun to wait here for an operation: a banker knows first what becomes of it. */
  hurry(): void {
    this.#waiting?.abort()
  }

  async #loop(signal: AbortSignal): Promise<void> {
    const { env, chain, isHurried } = this.#ports
    let pauseMs = FIRST_PAUSE_MS
    while (!signal.aborted) {
      const { height } = chain.tip
      const waiting = new AbortController()
      try {
        const isFast = isHurried()
        const source = await this.#source(isFast && this.failures === 0)
        if (!source) throw undefined
        const { network } = chain
        const waitMs = isFast ? HURRY_MS : WAIT_MS
        const message = { network, above: height, waitMs }
        const options = { timeoutMs: waitMs + ANSWER_MS, signal: waiting.signal }
        if (signal.aborted || isFast !== isHurried()) continue
        this.#waiting = waiting
        const answer = await this.#ports.courier.request(source, Follow, message, options)
        this.failures = 0
        pauseMs = FIRST_PAUSE_MS
        this.heard(answer.height)
        await this.#begin(source)
        const taken = this.#takeAll(answer.runs)
        if (!taken && answer.height > height) await this.fetch(source)
        if (chain.tip.height > height || answer.height <= height) continue
        // It claims more than it has.
      } catch (error) {
        if (signal.aborted) return
        if (waiting.signal.aborted) continue
        if (error !== undefined) this.#failed(error)
        this.failures++
      }
      await env.clock.sleep(pauseMs * (0.5 + env.random.next()), { signal }).catch(() => {})
      pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2)
    }
  }

  /** Any of the bankers or neighbours; undefined: nobody is known. `atFirst`: a banker, if one can be found. */
  async #source(atFirst: boolean): Promise<Contact | undefined> {
    const { env, chain, courier, host } = this.#ports
    const { directory } = courier
    const bankers = chain.committee.filter((banker) => banker !== host)
    const neighbours = directory.neighbours()
    const others = atFirst ? 0 : Math.min(neighbours.length, bankers.length + 1)
    const pick = env.random.int(Math.max(1, bankers.length + others))
    const banker = bankers[pick]
    const found = banker && (await directory.find(banker))
    return found ?? neighbours[env.random.int(neighbours.length)]
  }

  /** All that this host has and we lack. Never rejects. */
  fetch(from: Contact): Promise<void> {
    let fetching = this.#fetching.get(from.peer)
    if (!fetching) {
      fetching = this.#fetch(from).finally(() => this.#fetching.delete(from.peer))
      this.#fetching.set(from.peer, fetching)
    }
    return fetching
  }

  /** From any neighbour. Never rejects. */
  async fetchAnywhere(): Promise<void> {
    const { env, courier } = this.#ports
    const neighbours = courier.directory.neighbours()
    const from = neighbours[env.random.int(Math.max(1, neighbours.length))]
    if (from) await this.fetch(from)
  }

  /** `height`: of the chain there, as it says. */
  async fetchFrom(host: PublicKey, height: number): Promise<void> {
    this.heard(height)
    const contact = await this.#ports.courier.directory.find(host)
    if (contact) await this.fetch(contact)
  }

  async #fetch(from: Contact): Promise<void> {
    const { chain, courier } = this.#ports
    await this.#begin(from)
    try {
      for (;;) {
        const message = { network: chain.network, above: chain.tip.height }
        const { runs } = await courier.request(from, Runs, message)
        this.#higher = 0
        if (!this.#takeAll(runs)) return
      }
    } catch (error) {
      if (errorCode(error) === 'not-found') this.#higher++
      this.#failed(error)
    }
  }

  /** With nothing here and much to come, or nothing that leads on from here; not before who waits here for an operation knows what became of it. */
  #begin(from: Contact): Promise<void> {
    const { env, chain, shortChain, begin, isHurried } = this.#ports
    const isLate = this.#higher >= TOO_LOW && env.clock.now() >= this.#begunAtMs + BEGIN_AGAIN_MS
    if ((chain.tip.height > 0 && !isLate) || this.heardHeight < shortChain || isHurried()) return Promise.resolve()
    this.#higher = 0
    if (chain.tip.height > 0) this.#begunAtMs = env.clock.now()
    this.#beginning ??= begin(from).finally(() => {
      this.#beginning = undefined
    })
    return this.#beginning
  }

  /** A lie about it shows as a lag until the next answer. */
  heard(height: number): void {
    this.heardHeight = Math.max(this.#ports.chain.tip.height, height)
  }

  #takeAll(runs: readonly Uint8Array[]): boolean {
    let taken = false
    for (const bytes of runs) {
      const run = decodeRun(bytes)
      if (!run || !this.#isGood(run)) {
        this.refused++
        return taken
      }
      if (this.#ports.take(run)) taken = true
    }
    return taken
  }

  /** Signed by a quorum of the committee of now. One of another epoch is not, whoever signed it. */
  #isGood(run: FinalRun): boolean {
    const { chain, verify } = this.#ports
    const first = run.blocks.find(({ height }) => height > chain.tip.height)
    if (!first || decodePayload(first.payload)?.epoch !== chain.epoch) return first === undefined
    return run.certificate.kind === 'finalize' && isCertified(chain, run.certificate, verify)
  }

  #failed(error: unknown): void {
    const code = errorCode(error)
    if (code === 'aborted') return
    const { env } = this.#ports
    if (code === 'internal' || code === 'mismatch') env.log.error('cannot follow', { reason: errorMessage(error) })
    else env.log.debug('a host did not tell of the chain', { reason: errorMessage(error) })
  }
}
