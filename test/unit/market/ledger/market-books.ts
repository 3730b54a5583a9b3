/**
 * A small ledger with a market: suppliers with hosts, customers with jobs, mediators with bonds. All secrets follow from names, so
 * that any step of any allocation can be played.
 */

import { expect } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { MAX_OFFER_LIFE_MS } from '../../../../src/core/limits.ts'
import type { Allocation, Finding, Outcome } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { sealOf } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { countOf, type Ranges } from '../../../../src/market/ledger/state/allocations/ranges.ts'
import type { Amount } from '../../../../src/market/ledger/state/amount.ts'
import type { Action } from '../../../../src/market/ledger/state/operation.ts'
import type { Refusal, Result } from '../../../../src/market/ledger/state/refusal.ts'
import { type Buy, type Sell, signOffer, type Terms } from '../../../../src/market/offers/offer.ts'
import { slotAt } from '../../../../src/market/offers/price-slot.ts'
import { type Commitment, commitTo } from '../../../../src/market/verification/commitment.ts'
import { anchorOf, nonceOf, type WindowName } from '../../../../src/market/verification/nonces.ts'
import { Books, genesisWith } from './books.ts'

const HOUR_MS = 3_600_000
const CHAIN = 16

export const SELL: Omit<Sell, 'kind' | 'host' | 'fromMs' | 'untilMs'> = {
  coresMilli: 1000,
  speedMips: 1000,
  memoryBytes: 2 ** 30,
  storeBytes: 0,
  level: 'process',
  minPrice: 1000n as Amount,
}
export const BUY: Omit<Buy, 'kind' | 'job' | 'fromMs' | 'untilMs' | 'deadlineMs'> = {
  tasks: 80,
  taskWorkMi: 36_000,
  memoryBytes: 2 ** 20,
  replicas: 1,
  // The price is the seller's: its host has something left for which this buyer would not pay more.
  maxPrice: 2020n as Amount,
  minServiceMs: 60_000,
  soonMs: MAX_OFFER_LIFE_MS,
  rate: 'auto',
  level: 'process',
}

export class MarketBooks extends Books {
  #offers = 0

  constructor() {
    super(genesisWith([1]))
    // Block time in the middle of a price slot, so that tests do not run over its end.
    this.block([], 3 * HOUR_MS)
  }

  /** With an account, and a host that is linked to it. */
  supplier(...names: string[]): this {
    for (const name of names) {
      this.open(name)
      this.must(name, { kind: 'link', host: this.id(`host of ${name}`) })
    }
    return this
  }

  mediator(...names: string[]): this {
    this.supplier(...names)
    for (const name of names) {
      const host = this.id(`host of ${name}`)
      this.must(name, { kind: 'bond', host, amount: this.state.settings.bond })
      this.must(name, { kind: 'mediate', host, willing: true })
    }
    return this
  }

  get slot(): number {
    return slotAt(this.state.timeMs)
  }

  sell(name: string, changes: Partial<Sell> = {}): Uint8Array {
    const { timeMs } = this.state
    const window = { fromMs: timeMs, untilMs: timeMs + HOUR_MS }
    return this.offer(name, { kind: 'sell', host: this.id(`host of ${name}`), ...SELL, ...window, ...changes })
  }

  buy(name: string, changes: Partial<Buy> = {}): Uint8Array {
    const { timeMs } = this.state
    const window = { fromMs: timeMs, untilMs: timeMs + HOUR_MS, deadlineMs: timeMs + HOUR_MS }
    return this.offer(name, { kind: 'buy', job: hashKey(`job of ${name}`), ...BUY, ...window, ...changes })
  }

  offer(name: string, terms: Terms): Uint8Array {
    const account = this.id(name)
    const expiresMs = this.state.timeMs + HOUR_MS
    const unsigned = { network: this.state.network, account, number: this.#offers++, expiresMs, terms }
    return signOffer(unsigned, this.keyOf(account))
  }

  /** Handed in by the founder, and matched. The allocations that came of it. */
  trade(...offers: Uint8Array[]): Key[] {
    const before = new Set([...this.state.allocations.entries()].map(([id]) => id))
    for (const offer of offers) this.must('owner 1', { kind: 'hand-in', offers: [offer] })
    this.must('owner 1', { kind: 'match', slot: this.slot }, 2000)
    return [...this.state.allocations.entries()].map(([id]) => id).filter((id) => !before.has(id))
  }

  allocation(id: Key): Allocation {
    const found = this.state.allocations.get(id)
    expect(found, 'it is not over').toBeDefined()
    return found!
  }

  /** Allocations that are not closed. */
  get running(): Key[] {
    return [...this.state.allocations.entries()].flatMap(([id, { phase }]) => (phase.name === 'closed' ? [] : id))
  }

  /** How it was closed. */
  outcome(id: Key): Outcome | undefined {
    const { phase } = this.allocation(id)
    return phase.name === 'closed' ? phase.outcome : undefined
  }

  /** Takes back the offer of which this came. */
  withdraw(id: Key): void {
    const { customer, offer } = this.allocation(id)
    this.must(this.nameOf(customer), { kind: 'withdraw-offer', offer })
  }

  /** Copies of tasks that the customer's offer has left. */
  left(id: Key): number | undefined {
    return this.state.book.get(this.allocation(id).offer)?.left
  }

  /** Of a public key. */
  sideOf(id: Key, side: 'customer' | 'supplier'): string {
    return this.nameOf(this.allocation(id)[side])
  }

  /** One allocation, signed by both. */
  contract(supplier: string, customer: string, changes: Partial<Buy> = {}): Key {
    const [id] = this.trade(this.sell(supplier), this.buy(customer, changes))
    expect(this.play(id!, 'sign', 'customer')).toBe('applied')
    expect(this.play(id!, 'sign', 'supplier')).toBe('applied')
    return id!
  }

  windowName(id: Key): WindowName {
    const { supplier, phase, windows } = this.allocation(id)
    return { contract: id, supplier, window: phase.name === 'running' ? windows : windows - 1 }
  }

  /** To the window that comes next, or the one that is open. */
  commitment(id: Key, count: number): Commitment {
    const name = this.windowName(id)
    const digests = Array.from({ length: count }, (_, at) => digestOf(id, name.window, at))
    return commitTo(name, digests, secretOf(id, 'supplier'))
  }

  /** The usual next step of one side; `ranges`: of a commit. */
  play(
    id: Key,
    kind: 'sign' | 'commit' | 'reveal' | 'approve' | 'show' | 'draw',
    side: 'customer' | 'supplier',
    ranges?: Ranges,
  ): Result {
    return this.do(this.sideOf(id, side), this.step(id, kind, side, ranges))
  }

  step(
    id: Key,
    kind: 'sign' | 'commit' | 'reveal' | 'approve' | 'show' | 'draw',
    side: 'customer' | 'supplier',
    ranges: Ranges = [[0, 10]],
  ): Action {
    const { windows, phase } = this.allocation(id)
    const common = { allocation: id }
    switch (kind) {
      case 'sign':
        return { kind, ...common, anchor: anchorOf(secretOf(id, side), side === 'customer' ? CHAIN : 1) }
      case 'commit': {
        const { root } = this.commitment(id, countOf(ranges))
        return { kind, ...common, window: windows, tasks: ranges.map(([from, to]) => [from, to]), root }
      }
      case 'reveal':
        return { kind, ...common, nonce: this.nonce(id) }
      case 'approve':
        return { kind, ...common, window: Math.max(0, windows - 1), tests: 1 }
      case 'show': {
        const position = 'position' in phase ? phase.position : 0
        const count = 'window' in phase ? countOf(phase.window.tasks) : 1
        const { digest, salt, path } = this.commitment(id, count).open(position)
        return { kind, ...common, digest, salt, path: [...path] }
      }
      case 'draw': {
        const secret =
          side === 'customer' ? nonceOf(secretOf(id, 'customer'), CHAIN, windows) : secretOf(id, 'supplier')
        return { kind, ...common, secret }
      }
    }
  }

  /** From now until an allocation's wait is over, in ms, and one more. */
  untilLate(id: Key): number {
    return this.allocation(id).phase.deadlineMs - this.state.timeMs + 1
  }

  /** Of the window that is open. */
  nonce(id: Key): Key {
    return nonceOf(secretOf(id, 'customer'), CHAIN, Math.max(0, this.allocation(id).windows - 1))
  }

  /** Up to the drawing of mediators: those that were drawn, by name. */
  disputed(id: Key, position = 3): string[] {
    const customer = this.sideOf(id, 'customer')
    expect(this.play(id, 'commit', 'supplier')).toBe('applied')
    expect(this.play(id, 'reveal', 'customer')).toBe('applied')
    this.must(customer, { kind: 'challenge', allocation: id, position })
    expect(this.play(id, 'show', 'supplier')).toBe('applied')
    this.must(customer, { kind: 'dispute', allocation: id })
    expect(this.play(id, 'draw', 'customer')).toBe('applied')
    expect(this.play(id, 'draw', 'supplier')).toBe('applied')
    const phase = this.state.allocations.get(id)?.phase
    return phase && 'mediators' in phase ? phase.mediators.map((host) => this.nameOf(this.state.hosts.get(host)!)) : []
  }

  sealed(id: Key, mediator: string, finding: Finding): Result {
    const host = this.id(`host of ${mediator}`)
    return this.do(mediator, { kind: 'seal', allocation: id, host, seal: sealOf(id, host, finding, saltOf(mediator)) })
  }

  told(id: Key, mediator: string, finding: Finding): Result {
    const host = this.id(`host of ${mediator}`)
    return this.do(mediator, { kind: 'verdict', allocation: id, host, finding, salt: saltOf(mediator) })
  }

  wealth(name: string): bigint {
    const [free, granted] = this.purse(name)
    return free + granted
  }
}

function saltOf(mediator: string): Key {
  return hashKey(`salt of ${mediator}`)
}

/** What an honest supplier finds. */
export function digestOf(id: Key, window: number, position: number): Key {
  return hashKey(`digest ${id} ${window} ${position}`)
}

function secretOf(id: Key, side: 'customer' | 'supplier'): Key {
  return hashKey(`secret of the ${side} of ${id}`)
}

/** These are of `book.test.ts` and `allocations.test.ts`. */
export const MARKET_REFUSALS: readonly Refusal[] = [
  'no-offer',
  'bad-price',
  'round-not-over',
  'nothing-to-match',
  'bad-price',
  'no-allocation',
  'wrong-phase',
  'bad-tasks',
  'claimed',
  'too-many-ranges',
  'nothing-new',
]
