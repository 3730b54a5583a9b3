/** The market of one host, put together: prices and the book, selling what it lends, buying work for jobs, and bringing offers in. */
import { errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { encodeSpec, jobIdOf } from '../../mapreduce/spec.ts'
import type { JobRequest, JobView } from '../../mapreduce/types.ts'
import type { Outcome } from '../ledger/ledger.ts'
import { type Allocation, PATIENCE, worthOf } from '../ledger/state/allocations/allocation.ts'
import { countOf } from '../ledger/state/allocations/ranges.ts'
import { isSpent } from '../ledger/state/book/bookings.ts'
import type { Funnel, LenderMarket } from '../lending/funnel.ts'
import { type Buy, type Offer, type Sell, timeFault } from '../offers/offer.ts'
import type { SlotRecord } from '../prices/history.ts'
import { Allocating, leaving } from './allocating.ts'
import { Buying } from './buying.ts'
import { Counting } from './counting.ts'
import { liveEntries } from './in-book.ts'
import type {
  BookView,
  JobQuote,
  Market,
  OfferView,
  PaidTerms,
  PriceView,
  Purchase,
  QuoteTerms,
  Sale,
} from './market.ts'
import { OfferSigner } from './number.ts'
import { historyOf, pricesOf } from './outlook.ts'
import type { TradingPorts } from './ports.ts'
import { Quoting } from './quoting.ts'
import { Selling } from './selling.ts'

/** All of it is looked at so often, and so soon after a block. It reads this node's own copy of the ledger, and asks nobody. */
const TICK_MS = 2_000
const SOON_MS = 100
/** Offers that were seen on the board are shown beside those of the book: so many. */
const MAX_SHOWN = 1_024
/** To take an offer back when the host leaves. */
const LEAVE_MS = 2_000

interface Call {
  readonly signal: AbortSignal
}

export class Trading implements Market, LenderMarket {
  readonly #ports: TradingPorts
  readonly #stopped = new AbortController()
  readonly #counting = new Counting()
  readonly #allocating: Allocating
  readonly #selling: Selling
  readonly #quoting: Quoting
  readonly #buying: Buying
  /** Seen on the board, good when they were. */
  readonly #posted = new Map<Key, Offer>()
  #cancel = () => {}
  #unlisten = () => {}
  #isSoon = false

  constructor(ports: TradingPorts) {
    this.#ports = ports
    const { signal } = this.#stopped
    this.#allocating = new Allocating(ports, signal, (id, offer) => this.#onSeen(id, offer))
    const parts = { allocating: this.#allocating, signer: new OfferSigner(ports) }
    this.#selling = new Selling(ports, { ...parts, counting: this.#counting }, signal)
    this.#quoting = new Quoting(ports)
    this.#buying = new Buying(ports, { ...parts, quoting: this.#quoting }, signal)
  }

  start(): void {
    this.#buying.start()
    this.#unlisten = this.#ports.ledger.onBlock(() => this.#soon())
    this.#tick()
  }

  /** Takes back what it offers to sell. What was bought is gone on with after the next start. */
  async stop(): Promise<void> {
    if (this.#stopped.signal.aborted) return
    this.#cancel()
    this.#unlisten()
    this.#stopped.abort(leaving())
    using deadline = this.#ports.env.clock.deadline(LEAVE_MS)
    await Promise.all([this.#buying.stop(), this.#selling.stop(deadline).catch(() => {})])
  }

  /** The user of this host has said what it lends: how fast it is will be asked. */
  lendingSet(): void {
    this.#selling.lendingSet()
    this.#soon()
  }

  offering(): Promise<string> {
    return this.#selling.standing()
  }

  funnel(): Funnel {
    return this.#counting.funnel()
  }

  prices(): PriceView {
    return pricesOf(this.#ports.ledger.state, this.#nowMs)
  }

  history(): readonly SlotRecord[] {
    return historyOf(this.#ports.ledger.state, this.#nowMs)
  }

  book(): BookView {
    const nowMs = this.#nowMs
    const { state } = this.#ports.ledger
    const { sells, buys } = liveEntries(state, nowMs)
    const own = this.#ports.wallet.account
    const isOpen = (offer: Offer) => !isSpent(state, offer) && !timeFault(offer, nowMs)
    const posted = [...this.#posted].filter(([id, offer]) => !state.book.get(id) && isOpen(offer))
    const views = posted.map(([id, { account, expiresMs, terms }]) => {
      return { id, account, isOwn: account === own, expiresMs, terms, isBooked: false }
    })
    const booked = { isBooked: true }
    return {
      sells: [
        ...sells.map(({ id, account, expiresMs, terms }) => ({
          id,
          account,
          isOwn: account === own,
          expiresMs,
          terms,
          ...booked,
        })),
        ...views.filter((view): view is OfferView<Sell> & typeof view => view.terms.kind === 'sell'),
      ],
      buys: [
        ...buys.map(({ id, account, expiresMs, terms, left }) => ({
          id,
          account,
          isOwn: account === own,
          expiresMs,
          terms,
          left,
          ...booked,
        })),
        ...views.filter((view): view is OfferView<Buy> & typeof view => view.terms.kind === 'buy'),
      ],
    }
  }

  quote(request: JobRequest, terms: QuoteTerms, call: Call): Promise<JobQuote> {
    return this.#quoting.quote(request, terms, call)
  }

  async submit(request: JobRequest, terms: PaidTerms, call: Call): Promise<JobView> {
    const view = await this.#buying.submit(request, terms, call)
    this.#soon()
    return view
  }

  purchase(job: string): Purchase | undefined {
    return this.#buying.purchase(job)
  }

  jobOf(allocation: Pick<Allocation, 'customer' | 'job'>): string | undefined {
    const { contracts, wallet } = this.#ports
    const isOwn = allocation.customer === wallet.account
    const bought = isOwn ? [...this.#buying.all].find(({ key }) => key === allocation.job) : undefined
    const spec = bought ? undefined : contracts.specHere(allocation)
    return bought?.job ?? (spec && jobIdOf(encodeSpec(spec)))
  }

  sales(): readonly Sale[] {
    return [...this.#ownAllocations()].map(([id, allocation]) => ({
      ...saleOf(id, allocation, this.#nowMs),
      jobId: this.jobOf(allocation),
    }))
  }

  volunteer(willing: boolean, call: Call): Promise<Outcome> {
    return this.#ports.wallet.volunteer(willing, call)
  }

  get #nowMs(): number {
    return this.#ports.env.clock.now()
  }

  *#ownAllocations(): Generator<readonly [Key, Allocation]> {
    const { contracts, wallet } = this.#ports
    for (const entry of contracts.all()) {
      const { supplier, host } = entry[1]
      if (supplier === wallet.account && host === wallet.host) yield entry
    }
  }

  #onSeen(id: Key, offer: Offer): void {
    this.#posted.delete(id)
    this.#posted.set(id, offer)
    const [oldest] = this.#posted.keys()
    if (this.#posted.size > MAX_SHOWN) this.#posted.delete(oldest!)
    this.#selling.seen(id, offer)
  }

  /** Something has changed. */
  #soon(): void {
    if (!this.#isSoon) this.#planTick(SOON_MS)
    this.#isSoon = true
  }

  #planTick(ms: number): void {
    this.#cancel()
    if (!this.#stopped.signal.aborted) this.#cancel = this.#ports.env.clock.timer(ms, () => this.#tick())
  }

  #tick(): void {
    const { env } = this.#ports
    this.#isSoon = false
    this.#planTick(TICK_MS)
    try {
      this.#counting.allocations(this.#ownAllocations())
      this.#buying.tick()
      this.#allocating.tick()
      const dueMs = this.#allocating.dueMs - env.clock.now()
      if (dueMs < TICK_MS) this.#planTick(Math.max(SOON_MS, dueMs))
    } catch (error) {
      env.log.error('trading has failed', { reason: errorMessage(error) })
    }
    void this.#selling.tick()
  }
}

function saleOf(id: Key, allocation: Allocation, nowMs: number): Sale {
  const { customer, job, phase, tasks, paid, price, deposit, untilMs } = allocation
  const checked = 'window' in phase ? countOf(phase.window.tasks) : 0
  return {
    allocation: id,
    ...{ customer, job, tasks, price, deposit },
    state: phase.name === 'closed' ? phase.outcome : phase.name,
    doneTasks: paid + checked,
    paidTasks: paid,
    earned: worthOf(allocation, paid),
    deadlineMs: untilMs,
    backByMs: backByMs(allocation, nowMs),
  }
}

/** When the supplier's next step is due at the earliest. */
function backByMs({ phase, untilMs }: Allocation, nowMs: number): number {
  switch (phase.name) {
    case 'signing':
    case 'challenged':
    case 'drawing':
      return phase.deadlineMs
    case 'committed':
    case 'revealed':
      return nowMs + PATIENCE.show // a task of the window may be challenged at any moment
    case 'shown':
      return nowMs + PATIENCE.draw
    default:
      return untilMs
  }
}
