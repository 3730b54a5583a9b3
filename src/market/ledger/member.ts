/**
 * A banker at work: it drives the pure step of consensus (`consensus/step.ts`) for one epoch. It checks what comes in, syncs
 * its log before anything that depends on it is sent, executes blocks, and hands finalized ones to the chain.
 *
 *   messages ---> checked ---> step ---> persist: the vote log, synced in groups
 *   timer, operations ---------> |  \--> send: when all that was to be persisted is synced
 *                                |   \-> build, validate: the chain executes
 *                                 \----> finalize: the chain takes the run; serve: runs from its store
 */
import type { Env } from '../../core/env.ts'
import { errorMessage } from '../../core/errors.ts'
import type { Chain } from './chain.ts'
import { ClockCheck } from './clock-check.ts'
import type { Block, Tip } from './consensus/block.ts'
import { type Committee, leaderOf } from './consensus/committee.ts'
import type { Effect, Event } from './consensus/effects.ts'
import { recordsOf, recover } from './consensus/log.ts'
import { type Certificate, claims, type Evidence, type FinalRun, type Message } from './consensus/messages.ts'
import { exitOf, type State } from './consensus/state.ts'
import { step } from './consensus/step.ts'
import type { PublicKey, Verify } from './keys.ts'
import type { Mempool } from './mempool.ts'
import { atBlock } from './state/apply.ts'
import type { OpenedLog, VoteLog } from './vote-log.ts'

export interface MemberPorts {
  readonly env: Env
  readonly committee: Committee
  /** Of the committee, in the order of their keys. */
  readonly hosts: readonly PublicKey[]
  readonly verify: Verify
  readonly chain: Chain
  readonly pool: Mempool
  readonly opened: OpenedLog
  /** To members by their index; some may be lost. */
  send(to: number | 'all', messages: readonly Message[]): void
  evidence(evidence: Evidence): void
  /** A run became final by what this member knows. */
  finalized(run: FinalRun): void
  /** Whole runs from this height on. */
  runsFrom(height: number): readonly FinalRun[]
  /** It cannot go on: its disk fails, or the committee has broken the rules. */
  failed(error: unknown): void
}

/** Answers to `build` with nothing in them wait so long, as a share of a view's time: the paper's delta. */
const IDLE_SHARE = 1 / 3

/**
 * How long what nobody waits for, waits for company. While blocks follow each other, the vote to finalize one goes out with the
 * vote to notarize the next: half of the messages.
 */
const GATHER_MS = 8

interface Outgoing {
  readonly to: number | 'all'
  readonly message: Message
}

export class Member {
  readonly committee: Committee
  /** What the committee's blocks tell of the clock here. */
  readonly clockCheck = new ClockCheck()
  readonly #ports: MemberPorts
  readonly #log: VoteLog
  /** Of the last block that was stored when it sat down. */
  readonly #stored: Certificate | undefined
  #state: State
  #stopped = false
  #cancelTimer = () => {}
  #cancelBuild = () => {}
  /** What to build, while it waits for operations. */
  #wish: (Effect & { type: 'build' }) | undefined
  readonly #events: Event[] = []
  #stepping = false
  /** Effects wait for the log, and events for these. */
  #held = false
  /** What leaves together. */
  #outgoing: Outgoing[] = []
  #flushing = false
  #cancelGathering: (() => void) | undefined
  /** The last append of which the sync is not over. */
  #syncing: Promise<void> | undefined

  constructor(ports: MemberPorts) {
    const { committee, chain, opened } = ports
    this.#ports = ports
    this.committee = committee
    this.#log = opened.log
    this.#stored = chain.tip.view > 0 ? chain.runAt(chain.tip.height)?.certificate : undefined
    this.#state = recover(committee, chain.tip, opened.records)
  }

  get view(): number {
    return this.#state.view
  }

  /**
   * Can it show all that it has said, and by what it came to its view? Not while its silence lasts (`consensus/log.ts`): what
   * it may have helped to decide and has forgotten is on its chain when that has passed the silence, not before. And not
   * after a crash that took the certificate before its view, which came with a run whose block was not synced, and left the
   * votes: until somebody has told it of that certificate again.
   */
  get isWhole(): boolean {
    const { silentUntil, view } = this.#state
    return silentUntil <= this.#ports.chain.tip.view && (this.highestCertificate?.view ?? 0) >= view - 1
  }

  /** Of the highest view of which there is proof that it may be left, and that a quorum has been in. */
  get highestCertificate(): Certificate | undefined {
    const { rounds, kept } = this.#state
    let highest = kept.at(-1)?.certificate ?? this.#stored
    for (const round of rounds.values()) {
      const exit = exitOf(round)
      if (exit && exit.view > (highest?.view ?? 0)) highest = exit
    }
    return highest
  }

  /**
   * The highest notarization on which this member has voted to finalize, if that is not on its chain. What is final for its
   * step, and waits for the log before the chain takes it (`#hold`), others may have told already.
   */
  get votedToFinalize(): Certificate | undefined {
    const { rounds, kept } = this.#state
    const last = kept.at(-1)?.certificate
    let highest = last && last.view > this.#ports.chain.tip.view ? last : undefined
    for (const { view, votes, certificates } of rounds.values()) {
      const notarized = certificates.finalize ?? certificates.notarize
      if (notarized && votes.finalize.has(this.committee.self) && view > (highest?.view ?? 0)) highest = notarized
    }
    return highest
  }

  start(): void {
    this.#take({ type: 'probe' })
    this.refresh()
  }

  /** Ends when what it has said so far is on disk, or it has failed. Undefined: nothing is under way. */
  get syncing(): Promise<void> | undefined {
    return this.#syncing
  }

  /** Nothing is said or heard any more. Resolves when the log is closed. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cancelTimer()
    this.#cancelBuild()
    this.#cancelGathering?.()
    await this.#log.close()
  }

  /** False: a signature in it is not good. */
  hear(from: number, message: Message): boolean {
    if (this.#stopped || this.#isOld(message) || this.#isOutOfPlace(from, message)) return true
    const { hosts, verify } = this.#ports
    const good = claims(this.committee, message).every(({ member, statement, signature }) => {
      const host = hosts[member]
      return host !== undefined && verify(host, statement, signature)
    })
    if (good && message.type === 'proposal') this.clockCheck.heard(message.block, this.#ports.env.clock.now())
    if (good) this.#take({ type: 'message', from, message })
    return good
  }

  /** Repeats and asks: after a start, or when others are back. */
  probe(): void {
    this.#take({ type: 'probe' })
  }

  /** The pool has changed. */
  refresh(): void {
    const wanted = this.#ports.pool.isWanting(this.#ports.chain.state)
    if (wanted !== this.#state.wanted) this.#take({ type: 'wanted', wanted })
    if (this.#wish) this.#build(this.#wish)
  }

  /** Does it only tell what is known here? Then its signatures need no look. */
  #isOld(message: Message): boolean {
    if (message.type === 'proposal') return message.block.view <= this.#state.finalized.view
    if (message.type !== 'certificate' && message.type !== 'vote') return false
    const { kind, view, digest } = message
    if (view <= this.#state.finalized.view) return true
    const known = this.#state.rounds.get(view)
    const certificate = known?.certificates[kind]
    return certificate !== undefined && certificate.digest === digest
  }

  /** A proposal that its leader does not tell itself: it is long, so it is not even hashed. */
  #isOutOfPlace(from: number, message: Message): boolean {
    return message.type === 'proposal' && leaderOf(this.committee, message.block.view) !== from
  }

  #take(event: Event): void {
    this.#events.push(event)
    if (!this.#stepping && !this.#held) this.#goOn()
  }

  #goOn(held: readonly Effect[] = []): void {
    this.#stepping = true
    try {
      this.#doAll(held)
      while (!this.#stopped && !this.#held) {
        const next = this.#events.shift()
        if (!next) break
        this.#step(next)
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#stepping = false
      if (this.#stopped) this.#events.length = 0
    }
  }

  #step(event: Event): void {
    const { env } = this.#ports
    const { state, effects } = step(this.committee, this.#state, event, Math.floor(env.clock.now()))
    this.#state = state
    const records = effects.flatMap((effect) => (effect.type === 'persist' ? [effect.record] : []))
    if (records.length > 0) this.#persist(this.#log.append(records))
    if (this.#syncing && effects.some((effect) => this.#tellsOwnVote(effect))) this.#hold(effects, this.#syncing)
    else this.#doAll(effects)
  }

  /** What is final is told to anybody, with the votes for it: one's own may not leave before it is on disk. */
  #tellsOwnVote(effect: Effect): boolean {
    return effect.type === 'finalize' && effect.run.certificate.members.includes(this.committee.self)
  }

  #hold(effects: readonly Effect[], synced: Promise<void>): void {
    this.#held = true
    // A timer that the step has replaced must not run out meanwhile.
    for (const effect of effects) if (effect.type === 'timer') this.#do(effect)
    void synced.then(() => {
      this.#held = false
      this.#goOn(effects.filter(({ type }) => type !== 'timer'))
    })
  }

  #doAll(effects: readonly Effect[]): void {
    const { chain } = this.#ports
    const { height } = chain.tip
    for (const effect of effects) if (!this.#stopped) this.#do(effect)
    if (chain.tip.height > height && !this.#stopped) this.#afterBlocks()
  }

  #persist(synced: Promise<void>): void {
    const settled = synced
      .catch((error) => this.#fail(error))
      .then(() => {
        if (this.#syncing === settled) this.#syncing = undefined
      })
    this.#syncing = settled
  }

  #do(effect: Effect): void {
    const { env, chain } = this.#ports
    switch (effect.type) {
      case 'persist':
        break
      case 'send':
        this.#send(effect)
        break
      case 'timer':
        this.#cancelTimer()
        if (effect.ms !== undefined) this.#cancelTimer = env.clock.timer(effect.ms, () => this.#take({ type: 'timer' }))
        break
      case 'build':
        this.#cancelBuild()
        this.#wish = effect
        this.#cancelBuild = env.clock.timer(this.committee.viewMs * IDLE_SHARE, () => this.#build(effect, true))
        this.#build(effect)
        break
      case 'validate': {
        const { digest, block, ancestors } = effect
        const outcome = chain.stateAfter([...ancestors, block])
        if (typeof outcome === 'string') env.log.warn('a proposal is not valid', { view: block.view, why: outcome })
        this.#take({ type: 'validated', digest, valid: typeof outcome !== 'string' })
        break
      }
      case 'finalize':
        for (const block of effect.run.blocks) this.clockCheck.final(block)
        this.#ports.finalized(effect.run)
        break
      case 'serve': {
        const isServed = ({ to, message }: Outgoing) => to === effect.to && message.type === 'answer'
        if (this.#outgoing.some(isServed)) break // whoever asks many times at once is answered once
        const runs = this.#ports.runsFrom(effect.height)
        if (runs.length > 0) {
          this.#send({ to: effect.to, message: { type: 'answer', runs, certificates: [], blocks: [] } })
        }
        break
      }
      case 'evidence':
        this.#ports.evidence(effect.evidence)
    }
  }

  /** As soon as there is something to put in, or when it has waited long enough. */
  #build(wish: Effect & { type: 'build' }, evenIdle = false): void {
    const { env, chain, pool } = this.#ports
    const { view, parent, ancestors } = wish
    if (this.#stopped || this.#wish !== wish) return
    const before = this.#stateAt(parent, ancestors)
    if (before === undefined) return
    const isIdle = chain.isOver(before) || !pool.isWanting(before)
    if (isIdle && !evenIdle) return
    this.#wish = undefined
    this.#cancelBuild()
    const timeMs = Math.max(Math.floor(env.clock.now()), parent.timeMs)
    const payload = chain.build(before, timeMs, pool.candidates(atBlock(before, { height: 0, blockTimeMs: timeMs })))
    this.#take({ type: 'built', view, parent: parent.digest, timeMs, payload })
  }

  /** Some of the ancestors may be final by now. Undefined: the chain has gone elsewhere, and nobody wants this any more. */
  #stateAt(parent: Tip, ancestors: readonly Block[]) {
    const { chain } = this.#ports
    const { digest } = chain.tip
    const from = parent.digest === digest ? ancestors.length : ancestors.findIndex((block) => block.parent === digest)
    const state = from < 0 ? undefined : chain.stateAfter(ancestors.slice(from))
    return typeof state === 'string' ? undefined : state
  }

  #send(send: Outgoing): void {
    this.#outgoing.push(send)
    if (isUrgent(send.message)) this.#flushSoon()
    else this.#cancelGathering ??= this.#ports.env.clock.timer(GATHER_MS, () => this.#flushSoon())
  }

  /** At the end of this turn, and after all that was to be persisted till then. */
  #flushSoon(): void {
    if (this.#flushing) return
    this.#flushing = true
    void Promise.resolve().then(async () => {
      this.#flushing = false
      this.#cancelGathering?.()
      this.#cancelGathering = undefined
      const outgoing = this.#outgoing
      this.#outgoing = []
      await this.#syncing
      if (!this.#stopped) this.#flush(outgoing)
    })
  }

  #flush(outgoing: readonly Outgoing[]): void {
    const toAll = outgoing.flatMap(({ to, message }) => (to === 'all' ? [message] : []))
    if (toAll.length > 0) this.#ports.send('all', toAll)
    for (const { to, message } of outgoing) if (to !== 'all') this.#ports.send(to, [message])
  }

  #afterBlocks(): void {
    const { chain } = this.#ports
    this.refresh()
    if (!this.#log.isLong || !chain.store.sync()) return
    this.#persist(this.#log.cut(recordsOf(this.committee, this.#state)))
  }

  #fail(error: unknown): void {
    if (this.#stopped) return
    this.#ports.env.log.error('this banker stops', { reason: errorMessage(error) })
    void this.stop()
    this.#ports.failed(error)
  }
}

/** Does the next step of the others wait for it? */
function isUrgent(message: Message): boolean {
  return message.type !== 'certificate' && !(message.type === 'vote' && message.kind === 'finalize')
}
