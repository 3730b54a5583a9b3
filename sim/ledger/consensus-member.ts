/**
 * A simulated driver of one honest member of a committee: its log, its store, its clock, and the operations that wait.
 * It checks signatures, syncs before it sends, and loses at a crash what a machine would lose.
 */

import { decode, encode } from '../../src/core/cbor.ts'
import type { Random } from '../../src/core/env.ts'
import type { Block, Tip } from '../../src/market/ledger/consensus/block.ts'
import { digestOf, tipAt } from '../../src/market/ledger/consensus/block.ts'
import type { Committee } from '../../src/market/ledger/consensus/committee.ts'
import type { Effect, Event, LogRecord } from '../../src/market/ledger/consensus/effects.ts'
import { recordsOf, recover } from '../../src/market/ledger/consensus/log.ts'
import type { FinalRun, Message } from '../../src/market/ledger/consensus/messages.ts'
import { initialState, type State } from '../../src/market/ledger/consensus/state.ts'
import { step } from '../../src/market/ledger/consensus/step.ts'
import { verified } from './fake-keys.ts'

/** What a member has of the simulated world. */
export interface World {
  readonly random: Random
  nowMs(): number
  /** Runs later, unless the member has crashed meanwhile; returns the cancellation. */
  after(ms: number, run: () => void): () => void
  send(to: number | 'all', message: Message): void
  finalized(run: FinalRun): void
  accused(member: number): void
}

export class ConsensusMember {
  readonly committee: Committee
  readonly #world: World
  state: State
  up = true
  /** Counts restarts: what was planned in an earlier life does not happen. */
  life = 0
  /** Messages with a signature that is not that of the member it names. */
  forged = 0
  readonly #store: FinalRun[] = []
  #log: LogRecord[] = []
  readonly #inChain = new Set<string>()
  /** What clients have given to this member, in the chain or not: they give it again after a crash. */
  readonly #given = new Set<string>()
  #cancelTimer = () => {}
  /** Effects of the next step that still happen; then the machine stops. */
  #stopsAfter = Number.POSITIVE_INFINITY
  /** Planted fault: the log is lost at a crash. */
  readonly #forgets: boolean

  constructor(committee: Committee, world: World, forgets: boolean) {
    this.committee = committee
    this.#world = world
    this.#forgets = forgets
    this.state = initialState(committee.base)
  }

  get isAtRest(): boolean {
    return this.state.timer === 'off'
  }

  /** An operation that a client has given to this member, or that another has told of. */
  give(operation: string): void {
    this.#given.add(operation)
    if (this.up) this.#wish()
  }

  hear(from: number, message: Message): void {
    if (!this.up) return
    if (verified(this.committee, message)) this.#take({ type: 'message', from, message })
    else this.forged++
  }

  probe(): void {
    if (this.up) this.#take({ type: 'probe' })
  }

  /** The machine stops in the middle of its next step, or at once. */
  crash(): void {
    if (this.#world.random.next() < 0.5) this.#stop()
    else this.#stopsAfter = this.#world.random.int(6)
  }

  restart(): void {
    this.#stopsAfter = Number.POSITIVE_INFINITY
    if (this.up) return
    this.up = true
    if (this.#forgets) this.#log = []
    this.state = recover(this.committee, this.#tip(), this.#log)
    this.#take({ type: 'probe' })
    this.#wish()
  }

  #tip(): Tip {
    const last = this.#store.at(-1)?.blocks.at(-1)
    return last === undefined ? this.committee.base : tipAt(last, digestOf(last, this.committee.payloadDigest))
  }

  #stop(): void {
    this.up = false
    this.life++
    this.#cancelTimer()
  }

  #wish(): void {
    const wanted = [...this.#given].some((operation) => !this.#inChain.has(operation))
    if (wanted !== this.state.wanted) this.#take({ type: 'wanted', wanted })
  }

  #take(event: Event): void {
    if (!this.up) return
    const { state, effects } = step(this.committee, this.state, event, this.#world.nowMs())
    this.state = state
    let synced = this.#log.length
    let finalizes = false
    for (const effect of effects) {
      if (this.#stopsAfter-- <= 0) {
        // What was written but not synced may be there, or some of it, or none.
        this.#log.length -= this.#world.random.int(this.#log.length - synced + 1)
        this.#stop()
        return
      }
      if (effect.type === 'persist') this.#log.push(effect.record)
      else synced = this.#log.length
      if (effect.type === 'finalize') finalizes = true
      this.#do(effect)
    }
    if (!finalizes) return
    if (this.#world.random.next() < 0.3) this.#log = recordsOf(this.committee, this.state)
    this.#wish()
  }

  #do(effect: Effect): void {
    const world = this.#world
    switch (effect.type) {
      case 'send':
        world.send(effect.to, effect.message)
        break
      case 'timer':
        this.#cancelTimer()
        if (effect.ms !== undefined) this.#cancelTimer = world.after(effect.ms, () => this.#take({ type: 'timer' }))
        break
      case 'build':
        this.#build(effect)
        break
      case 'validate': {
        const { digest, block, ancestors } = effect
        const valid = this.#isValid(block, ancestors)
        world.after(world.random.int(3), () => this.#take({ type: 'validated', digest, valid }))
        break
      }
      case 'finalize':
        this.#store.push(effect.run)
        for (const block of effect.run.blocks)
          for (const operation of operationsOf(block) ?? []) this.#inChain.add(operation)
        world.finalized(effect.run)
        break
      case 'serve': {
        const runs = this.#store.filter(({ blocks }) => blocks.at(-1)!.height >= effect.height).slice(0, 16)
        world.send(effect.to, { type: 'answer', runs, certificates: [], blocks: [] })
        break
      }
      case 'evidence':
        world.accused(effect.evidence.member)
    }
  }

  #build({ view, parent, ancestors }: Effect & { type: 'build' }): void {
    const fresh = () => {
      const taken = new Set(ancestors.flatMap((block) => operationsOf(block) ?? []))
      return [...this.#given].filter((operation) => !this.#inChain.has(operation) && !taken.has(operation))
    }
    const give = () => {
      const timeMs = Math.max(this.#world.nowMs(), parent.timeMs)
      this.#take({ type: 'built', view, parent: parent.digest, timeMs, payload: encode(fresh()) })
    }
    this.#world.after(fresh().length > 0 ? 0 : this.committee.viewMs / 6, give)
  }

  #isValid(block: Block, ancestors: readonly Block[]): boolean {
    const operations = operationsOf(block)
    const taken = new Set(ancestors.flatMap((ancestor) => operationsOf(ancestor) ?? []))
    return operations !== undefined && !operations.some((one) => taken.has(one) || this.#inChain.has(one))
  }
}

/** Undefined: it is not a list of operations. */
export function operationsOf(block: Block): string[] | undefined {
  try {
    const value = decode(block.payload)
    return Array.isArray(value) && value.every((one) => typeof one === 'string') ? value : undefined
  } catch {
    return undefined
  }
}
