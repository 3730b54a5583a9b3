/**
 * The ledger of a host: the finalized chain, kept up by following others or by a seat in the committee; epochs, in which seats
 * come and go; and what others ask of it. `ledger.ts` is what the host's own user sees of it.
 *
 *   chain (final) <--- follower: runs from others          while this host has no seat, or is an epoch behind
 *      |      ^------- member: consensus of this epoch     while it has one
 *      v
 *   submissions, reads, receipts
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { DiskFs } from '../../dht/store/disk/fs.ts'
import type { Contact } from '../../net/contact.ts'
import type { Delivery, Sender, Transport } from '../../net/transport.ts'
import { bootstrap } from './bootstrap.ts'
import { Chain } from './chain.ts'
import type { ChainStore } from './chain-store.ts'
import { clockLine } from './clock-check.ts'
import { MAX_ANSWER_BYTES, MAX_ANSWER_RUNS, runsFrom } from './consensus/catch-up.ts'
import type { Evidence, FinalRun } from './consensus/messages.ts'
import { Courier } from './courier.ts'
import type { Directory } from './directory.ts'
import { dutiesOf } from './duties.ts'
import { Follower } from './follower.ts'
import type { Genesis } from './genesis.ts'
import type { KeyPair, PublicKey, Verify } from './keys.ts'
import type { Ledger } from './ledger.ts'
import { Mempool } from './mempool.ts'
import { Ask, type Asked, decodeRun, decodeSaid, Hand, type Handed, type Said, Say, SayBulk } from './messages.ts'
import { payloadDigest } from './payload.ts'
import { haltLine, RollCall } from './roll-call.ts'
import { Seat } from './seat.ts'
import { serveChain } from './serving.ts'
import type { SnapshotBlocks } from './snapshot-blocks.ts'
import { SnapshotKeeper } from './snapshot-keeper.ts'
import { atBlock } from './state/apply.ts'
import { Submissions } from './submissions.ts'
import { LedgerView } from './view.ts'
import { Waiters } from './waiters.ts'

/** Three times the bound on a message's delay, worldwide. */
export const VIEW_MS = 1500
/** How often a host looks whether anything is due, and who answers. */
const ROUND_MS = 5000
/** A chain of fewer blocks is read and executed in seconds: nobody needs a snapshot of it. */
const SHORT_CHAIN = 2000
/** Requests that may wait at this host for news. */
const MAX_FOLLOWERS = 256

export interface LedgerPorts {
  readonly env: Env
  readonly transport: Transport
  readonly directory: Directory
  readonly genesis: Genesis
  /** This host's own: it signs votes and signs of life. */
  readonly host: KeyPair
  readonly verify: Verify
  /** Of this network's chain, or empty. */
  readonly store: ChainStore
  /** Where vote logs are kept. */
  readonly fs: DiskFs
  readonly dir: string
  /** How long a view may take; default `VIEW_MS`. */
  readonly viewMs?: number
  /** Where snapshots go to and come from. Default: nowhere, and the chain is followed from its beginning. */
  readonly blocks?: SnapshotBlocks
  /** From how many blocks on a chain has snapshots; default `SHORT_CHAIN`. */
  readonly shortChain?: number
}

const COUNTERS = [
  'badMessages', // bytes that are no message of consensus
  'badSignatures', // a message with a signature that is not good
  'strangers', // consensus from a host without a seat
  'wrongLedgers', // of another genesis
  'refusedRuns', // finalized blocks without a quorum
  'refusedOperations', // handed in, and of no use
  'fullQueues', // operations refused for want of room
  'evidence', // bankers caught lying
] as const
export type LedgerCounter = (typeof COUNTERS)[number]

export interface LedgerService {
  readonly ledger: Ledger
  /** Begins to follow, or takes its seat. Requests are answered from creation on. */
  start(): void
  stop(): Promise<void>
  counters(): Readonly<Record<LedgerCounter, number>>
}

/** Replays what is stored. Throws `mismatch` when the store holds what no committee can have decided, and `io`. */
export function createLedger(ports: LedgerPorts): LedgerService {
  return new Service(ports)
}

class Service implements LedgerService {
  readonly ledger: Ledger
  readonly #ports: LedgerPorts
  readonly #env: Env
  readonly #chain: Chain
  readonly #pool: Mempool
  readonly #courier: Courier
  readonly #follower: Follower
  readonly #submissions: Submissions
  readonly #rollCall: RollCall
  readonly #seat: Seat
  readonly #waiters: Waiters
  readonly #snapshots: SnapshotKeeper | undefined
  readonly #counters = Object.fromEntries(COUNTERS.map((name) => [name, 0])) as Record<LedgerCounter, number>
  #halted: string | undefined
  /** Why this host's seat does not vote. */
  #broken: string | undefined
  /** Why its chain did not take what is final. */
  #stuck: string | undefined
  #running = false
  readonly #stopped = new AbortController()
  #cancelRound = () => {}

  constructor(ports: LedgerPorts) {
    const { env, transport, directory, genesis, store, verify, host, blocks, shortChain = SHORT_CHAIN } = ports
    this.#ports = ports
    this.#env = { clock: env.clock, random: env.random.fork('ledger'), log: env.log.child('ledger') }
    this.#chain = new Chain(genesis, store, verify)
    this.#chain.replay()
    const chain = this.#chain
    this.#pool = new Mempool(verify)
    this.#courier = new Courier(this.#env, transport, directory, chain.network)
    const shared = { env: this.#env, chain, courier: this.#courier, verify, host: host.publicKey }
    const fetchFrom = (from: PublicKey, height: number) => this.#follower.fetchFrom(from, height)
    const view = () => this.#seat.member?.view ?? chain.tip.view + 1
    const isHurried = () => this.#submissions.size > 0
    const { signal } = this.#stopped
    const begin = async (from: Contact) => {
      let hasLeft = false
      const neighbours = () => directory.neighbours()
      const leave = () => this.#seat.leave().finally(() => (hasLeft = true))
      if (blocks) await bootstrap({ ...shared, blocks, shortChain, isHurried, neighbours, leave }, from, signal)
      if (hasLeft) this.#onEpoch()
    }
    this.#snapshots = blocks && new SnapshotKeeper({ ...shared, blocks, shortChain })
    this.#rollCall = new RollCall({ ...shared, own: () => this.#asked(), fetchFrom })
    const take = (run: FinalRun) => this.#takeRun(run)
    this.#follower = new Follower({ ...shared, take, isHurried, shortChain, begin })
    this.#submissions = new Submissions({
      ...shared,
      view,
      offer: (operations) => this.#offer(operations),
      freshen: (signal) => this.#rollCall.freshen(signal),
      hurry: () => this.#follower.hurry(),
      behind: (from) => void fetchFrom(from, this.#follower.heardHeight),
    })
    this.#seat = new Seat({
      ...shared,
      key: host,
      pool: this.#pool,
      fs: ports.fs,
      dir: ports.dir,
      viewMs: ports.viewMs ?? VIEW_MS,
      highestView: () => this.#rollCall.highestView(),
      runsFrom: (height) => this.#runsFrom(height),
      finalized: (run) => this.#append(run),
      evidence: (found) => this.#onEvidence(found),
      broken: (why) => {
        this.#broken = why
      },
    })
    this.#waiters = new Waiters(this.#env, chain, MAX_FOLLOWERS)
    this.ledger = new LedgerView({
      chain,
      rollCall: this.#rollCall,
      submissions: this.#submissions,
      host: host.publicKey,
      consensusView: view,
      pending: () => (this.#seat.member ? this.#pool.size : this.#submissions.size),
      heardHeight: () => this.#follower.heardHeight,
      halted: () => this.#stuck ?? this.#broken ?? this.#clockLine() ?? this.#halted,
      look: () => this.#look('asked'),
    })
    chain.events.on('block', () => this.#onBlock())
    chain.events.on('epoch', () => this.#onEpoch())
    this.#answer()
  }

  start(): void {
    this.#running = true
    this.#onEpoch()
    this.#round()
  }

  async stop(): Promise<void> {
    this.#running = false
    this.#cancelRound()
    this.#follower.stop()
    this.#submissions.stop()
    this.#waiters.stop()
    this.#snapshots?.stop()
    this.#stopped.abort()
    await this.#seat.leave()
  }

  counters(): Readonly<Record<LedgerCounter, number>> {
    return { ...this.#counters, refusedRuns: this.#follower.refused }
  }

  /** A host with a seat decides; one without follows. */
  #onEpoch(): void {
    if (!this.#running) return
    const { committee } = this.#chain
    if (committee.includes(this.#ports.host.publicKey)) {
      this.#follower.stop()
      this.#ports.directory.publish()
      this.#seat.take()
    } else {
      void this.#seat.leave()
      this.#follower.start()
    }
    this.#snapshots?.begin()
    this.#attend()
  }

  #onBlock(): void {
    this.#halted = undefined
    if (this.#pool.size > 0) this.#pool.settle(this.#stateNow())
    this.#chain.keepSnapshot(this.#snapshots?.isDue).catch((error) => {
      this.#env.log.warn('the state could not be kept', { reason: errorMessage(error) })
    })
  }

  /** What is due is brought in; and bankers, and those whom nobody answers, look who is there. */
  #round(): void {
    if (!this.#running) return
    this.#attend()
    void this.#look()
    this.#cancelRound = this.#env.clock.timer(ROUND_MS * (0.8 + 0.4 * this.#env.random.next()), () => this.#round())
  }

  #attend(): void {
    const { state } = this.#chain
    const banker = state.bankers.get(this.#ports.host.publicKey)
    if (banker?.candidate) this.#ports.directory.publish()
    const due = dutiesOf(state, this.#ports.host, this.#env.clock.now(), this.#chain.store.evidence())
    if (due.length > 0) this.#submissions.bring(due)
  }

  /**
   * Who is there: bankers look in every round, others when nobody brings them news, somebody waits here for an operation, or
   * they are asked.
   */
  async #look(why: 'round' | 'asked' = 'round'): Promise<void> {
    const { committee, epoch } = this.#chain
    const hasSeat = committee.includes(this.#ports.host.publicKey)
    const isStuck = this.#submissions.size > 0 || this.#follower.failures > 1
    const isAlone = committee.length === 1 && this.#seat.member?.isWhole !== false
    if (why === 'asked' ? hasSeat : hasSeat ? isAlone : !isStuck) {
      if (why === 'round') this.#halted = undefined
      return
    }
    const { answers, ...present } = await this.#rollCall.call({ enough: why === 'asked' })
    if (this.#chain.epoch !== epoch) return
    const before = this.#halted
    this.#halted = haltLine({ answered: answers.size, ...present })
    if (why === 'round' && this.#halted !== undefined) void this.#follower.fetchAnywhere() // it may be long over
    if (before !== undefined && this.#halted === undefined) this.#seat.member?.probe()
    for (const [banker, { height }] of answers) {
      const { tip } = this.#chain
      this.#follower.heard(height)
      // Members learn of blocks by themselves, but not of those that were made while they were cut off.
      if (why === 'round' && height > tip.height) await this.#follower.fetchFrom(banker, height)
    }
  }

  /** A checked run of this epoch. */
  #takeRun(run: FinalRun): boolean {
    const { height } = this.#chain.tip
    const { member } = this.#seat
    // Its step must know what is final.
    if (member) member.hear(member.committee.self, { type: 'answer', runs: [run], certificates: [], blocks: [] })
    else this.#append(run)
    return this.#chain.tip.height > height
  }

  #append(run: FinalRun): void {
    try {
      this.#chain.append(run)
      this.#stuck = undefined
    } catch (error) {
      this.#stuck = errorMessage(error)
      this.#env.log.error('the chain cannot go on', { reason: this.#stuck })
      throw error
    }
  }

  #clockLine(): string | undefined {
    const { offMs } = this.#seat.member?.clockCheck ?? {}
    return offMs === undefined ? undefined : clockLine(offMs)
  }

  #onEvidence(evidence: Evidence): void {
    this.#counters.evidence++
    const host = this.#chain.committee[evidence.member]!
    this.#env.log.warn('a banker has said two things of which it may say one', { host, view: evidence.view })
    this.#chain.store.keepEvidence(this.#chain.epoch, host, evidence) // the next round hands it in
  }

  #stateNow() {
    const { state } = this.#chain
    const blockTimeMs = Math.max(state.timeMs, Math.floor(this.#env.clock.now()))
    return atBlock(state, { height: state.height + 1, blockTimeMs })
  }

  /** Into the queue of this banker. */
  #offer(operations: readonly Uint8Array[]): Handed[] {
    const state = this.#stateNow()
    const answers = operations.map((bytes) => {
      const answer = this.#pool.offer(bytes, state)
      if (answer === 'busy') this.#counters.fullQueues++
      else if (answer !== 'waits') this.#counters.refusedOperations++
      return answer
    })
    this.#seat.member?.refresh()
    return answers
  }

  #runsFrom(height: number): readonly FinalRun[] {
    const limit = { maxRuns: MAX_ANSWER_RUNS, maxBytes: MAX_ANSWER_BYTES }
    const runs = this.#chain.store.runs(height, limit).flatMap(({ bytes }) => decodeRun(bytes) ?? [])
    return runsFrom({ payloadDigest }, runs, height).runs
  }

  #asked(): Asked {
    const { epoch, tip } = this.#chain
    return { epoch, height: tip.height, ...this.#seat.shown() }
  }

  // ---- what others ask

  #answer(): void {
    const { transport } = this.#ports
    const onSaid = async (said: Said, { from }: Delivery) => {
      this.#onSaid(said, from)
      await this.#courier.company()
      return {}
    }
    transport.handle(Say, onSaid)
    transport.handle(SayBulk, onSaid)
    transport.handle(Hand, async ({ network, operations }, { from }) => {
      this.#require(network, from)
      if (!this.#seat.member) throw new ChoraleError('busy', 'this host has no seat')
      const answers = this.#offer(operations)
      await this.#courier.company()
      return { answers }
    })
    transport.handle(Ask, async ({ network }, { from }) => {
      this.#require(network, from)
      while (this.#seat.member?.syncing) await this.#seat.member.syncing // its own votes are among those that it shows
      return this.#asked()
    })
    serveChain({
      transport,
      chain: this.#chain,
      waiters: this.#waiters,
      runsFrom: (height) => this.#runsFrom(height),
      snapshot: () => this.#snapshots?.latest,
      require: (network, from) => this.#require(network, from),
    })
  }

  /** The host that asks, if it is of this ledger. */
  #require(network: Key, { peer, contact }: Sender): PublicKey | undefined {
    if (network === this.#chain.network) return this.#ports.directory.heard(peer, contact)
    this.#counters.wrongLedgers++
    throw new ChoraleError('wrong-network', `this host keeps the ledger ${this.#chain.network.slice(0, 16)}`)
  }

  #onSaid({ network, epoch, messages }: Said, from: Sender): void {
    const host = this.#require(network, from)
    const { committee, epoch: own } = this.#chain
    if (host === undefined) return
    if (epoch > own && from.contact) void this.#follower.fetch(from.contact)
    const { member } = this.#seat
    const index = epoch === own ? committee.indexOf(host) : -1
    if (epoch === own && index < 0) this.#counters.strangers++
    let asks = false
    for (const bytes of messages) {
      const message = decodeSaid(bytes)
      if (!message) this.#counters.badMessages++
      else if (epoch < own) asks ||= message.type === 'fetch'
      else if (member && index >= 0 && !member.hear(index, message)) this.#counters.badSignatures++
    }
    if (asks) this.#help(host)
  }

  /** A banker does not know yet that its epoch is over. It fetches what it lacks when it hears of the new one. */
  #help(host: PublicKey): void {
    if (!this.#chain.state.bankers.get(host)) this.#counters.strangers++
    else this.#courier.say([host], this.#chain.epoch, [{ type: 'answer', runs: [], certificates: [], blocks: [] }])
  }
}
