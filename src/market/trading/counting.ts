/** Counts what became of the offers that a lender has seen (lending/funnel.ts), and what its allocations came to. */
import type { Key } from '../../core/ids.ts'
import { type Allocation, worthOf } from '../ledger/state/allocations/allocation.ts'
import { type Amount, minus } from '../ledger/state/amount.ts'
import { counted, EMPTY_FUNNEL, type Funnel, type LenderMarket, type OfferEvent } from '../lending/funnel.ts'

export class Counting implements Pick<LenderMarket, 'funnel'> {
  #funnel = EMPTY_FUNNEL
  /** What each allocation of this host has brought so far. */
  #paid: Map<Key, Amount> | undefined

  funnel(): Funnel {
    return this.#funnel
  }

  count(event: OfferEvent): void {
    this.#funnel = counted(this.#funnel, event)
  }

  /** All allocations of this host, closed ones too. Those of the first call were there before: what they brought is not counted. */
  allocations(own: Iterable<readonly [Key, Allocation]>): void {
    const before = this.#paid
    const now = new Map<Key, Amount>()
    for (const [id, allocation] of own) {
      const paid = worthOf(allocation, allocation.paid)
      now.set(id, paid)
      if (!before) continue
      const was = before.get(id)
      if (was === undefined) this.count({ kind: 'won' })
      // What was paid was checked, or its customer has chosen not to.
      if (paid > 0n && (was ?? 0n) === 0n) this.count({ kind: 'verified' })
      if (paid > (was ?? 0n)) this.count({ kind: 'earned', amount: minus(paid, was ?? (0n as Amount)) })
    }
    this.#paid = now
  }
}
