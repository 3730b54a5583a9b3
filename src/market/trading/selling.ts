/**
 * Keeps one sell offer of this host in the market, for what it lends and nobody has yet: posted, handed in, renewed before it runs
 * out, replaced when what is lent changes or is sold, and taken back when lending ends.
 *
 * The speed of the machine must be known first. It is measured when the user has said what is to be lent, or when the first offer
 * to buy is seen that this host could serve: then after a pause by chance, for many hosts on one machine may see it at once.
 */
import { errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { CappedMap } from '../../net/capped-map.ts'
import type { Piece } from '../auction/fit.ts'
import { formatCredits } from '../ledger/credits.ts'
import type { PublicKey } from '../ledger/keys.ts'
import { LEAST_BOND } from '../ledger/state/allocations/allocation.ts'
import type { Amount } from '../ledger/state/amount.ts'
import { FEE_PPM } from '../ledger/state/book/book.ts'
import { total } from '../ledger/state/purse.ts'
import type { State } from '../ledger/state/state.ts'
import type { Lent } from '../lending/lender.ts'
import type { Offer, Sell } from '../offers/offer.ts'
import type { Allocating } from './allocating.ts'
import { isOver } from './bought.ts'
import type { Counting } from './counting.ts'
import { entriesOf, liveEntries, openOffer } from './in-book.ts'
import type { OfferSigner } from './number.ts'
import { type OfferingFacts, offeringLine } from './offering.ts'
import { autoPrice } from './outlook.ts'
import type { TradingPorts } from './ports.ts'
import { hasChanged, isPricedOut, sellTerms, unfitOf } from './sell-terms.ts'
import { coresAt, freeFrom, type Sold, type Step, soldSteps } from './taken.ts'

/** An offer may be traded for so long, and is renewed so long before. */
const LIFE_MS = 3_600_000
const RENEW_MS = 300_000
/** More than is offered may be free for so long: a job that is placed takes it in pieces. */
const SETTLED_MS = 5_000
/** What is asked for by a price left to the market is looked at so often. */
const PRICE_MS = 60_000
/** Before the speed is measured, up to this. */
const MEASURE_SPREAD_MS = 20_000
/** Between two attempts to measure. */
const MEASURE_AGAIN_MS = 600_000
/** After an offer was taken out of the book because its deposit could not be put up: this, twice, and so on. */
const UNCOVERED_MS = 60_000
const UNCOVERED_MOST_MS = 3_600_000
const PATIENCE_MS = 20_000
const PAUSE_MS = 10_000

interface Offered {
  readonly id: Key
  readonly number: number
  readonly terms: Sell
  readonly expiresMs: number
  /** Of it that is not sold. */
  pieces: readonly Piece[]
  wasBooked: boolean
  moreSinceMs: number | undefined
}

type KnownLent = Lent & { readonly mips: number }

export class Selling {
  readonly #ports: TradingPorts
  readonly #allocating: Allocating
  readonly #counting: Counting
  readonly #signer: OfferSigner
  readonly #signal: AbortSignal
  /** Open allocations of this host and the tasks that they have left; what was sold at once; what was cut out of the offer for those that are not seen yet. */
  #open: ReadonlyMap<Key, number> = new Map()
  #sold: Sold[] = []
  #cut: Step[] = []
  readonly #judged = new CappedMap<Key, true>(65_536)
  /** As it was last looked at. */
  #lent: Lent | undefined
  #looked: State['book'] | undefined
  #offered: Offered | undefined
  #isBusy = false
  #isAsked = false
  #measureMs = 0
  #isMeasuring = false
  /** Why not, of the last time. */
  #unmeasured: string | undefined
  #notBeforeMs = 0
  #pausedBy = ''
  #uncovered = 0
  #isShort = false
  #price: { readonly atMs: number; readonly level: string; readonly price: Amount } | undefined

  constructor(
    ports: TradingPorts,
    parts: { readonly allocating: Allocating; readonly counting: Counting; readonly signer: OfferSigner },
    signal: AbortSignal,
  ) {
    this.#ports = ports
    this.#allocating = parts.allocating
    this.#counting = parts.counting
    this.#signer = parts.signer
    this.#signal = signal
  }

  /** The user has said what is to be lent. */
  lendingSet(): void {
    this.#notBeforeMs = 0
    this.#isAsked = true
    this.#measureMs = 0
  }

  /** What is offered now, or why nothing is, in one line. */
  async standing(): Promise<string> {
    const { env, ledger, lending } = this.#ports
    const nowMs = env.clock.now()
    const lent = await lending.lent()
    const offered = this.#offered
    const covered = this.#covered
    return offeringLine({
      account: this.#linkage,
      slots: lent?.slots,
      speed: lent?.mips === undefined ? this.#speed(nowMs) : 'known',
      offered: offered && {
        coresMilli: coresAt(offered.pieces, nowMs),
        minPrice: offered.terms.minPrice,
        isBooked: ledger.state.book.get(offered.id) !== undefined,
      },
      open: this.#open.size,
      lacks: covered === 0 ? LEAST_BOND : undefined,
      pause: nowMs < this.#notBeforeMs ? { forMs: this.#notBeforeMs - nowMs, why: this.#pausedBy } : undefined,
      hasFree: lent?.mips !== undefined && this.#termsOf({ ...lent, mips: lent.mips }, nowMs) !== undefined,
    })
  }

  get #linkage(): OfferingFacts['account'] {
    const { ledger, wallet } = this.#ports
    if (!ledger.state.accounts.get(wallet.account)) return 'not-open'
    const owner = ledger.state.hosts.get(wallet.host)
    return owner === undefined ? 'not-linked' : owner === wallet.account ? 'open' : 'others'
  }

  #speed(nowMs: number): OfferingFacts['speed'] {
    if (this.#isMeasuring) return 'measuring'
    if (!this.#isAsked) return 'unknown'
    if (this.#unmeasured === undefined || nowMs >= this.#measureMs) return 'asked'
    return { failed: this.#unmeasured, againInMs: this.#measureMs - nowMs }
  }

  async tick(): Promise<void> {
    if (this.#isBusy) return
    this.#isBusy = true
    try {
      await this.#step()
    } catch (error) {
      if (this.#signal.aborted) return
      const { env } = this.#ports
      this.#notBeforeMs = env.clock.now() + PAUSE_MS
      this.#pausedBy = `the last attempt has failed: ${errorMessage(error)}`
      env.log.debug('nothing was offered', { reason: errorMessage(error) })
    } finally {
      this.#isBusy = false
    }
  }

  /** Nobody is to be matched with a host that has left. */
  async stop({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const own = this.#offered?.id
    if (own === undefined) return
    this.#allocating.drop(own)
    if (this.#isOnSale(own)) await this.#takeBack(own, signal)
  }

  /** An offer to buy, from the board: does this host do such work? */
  seen(id: Key, { account, terms }: Pick<Offer, 'account' | 'terms'>): void {
    const { env, wallet } = this.#ports
    const lent = this.#lent
    if (terms.kind !== 'buy' || !lent || account === wallet.account || this.#judged.get(id)) return
    this.#judged.set(id, true)
    const unfit = unfitOf(lent, terms, env.clock.now())
    this.#counting.count({ kind: 'seen', unfit })
    if (unfit !== undefined) return
    if (isPricedOut(terms, this.#minPrice(lent), FEE_PPM)) this.#counting.count({ kind: 'pricedOut' })
    if (lent.mips === undefined) this.#askToMeasure()
  }

  async #step(): Promise<void> {
    const { env, ledger, wallet, lending } = this.#ports
    const isOwn = ledger.state.hosts.get(wallet.host) === wallet.account
    const lent = isOwn ? await lending.lent() : undefined
    this.#lent = lent
    const nowMs = env.clock.now()
    if (lent && ledger.state.book !== this.#looked) {
      this.#looked = ledger.state.book
      for (const entry of liveEntries(ledger.state, nowMs).buys) this.seen(entry.id, entry)
    }
    await this.#withdrawStrays()
    if (lent && lent.mips === undefined) this.#measureWhenDue(nowMs)
    this.#noteSold()
    const known = lent?.mips === undefined ? undefined : { ...lent, mips: lent.mips }
    if (known) this.#sayIfShort()
    const free = this.#freeCores(known?.slots ?? 0, nowMs)
    const wanted = known && this.#termsOf(known, nowMs, free)
    if (this.#offered) {
      if (this.#stays(this.#offered, known, { wanted, free: free.cores, nowMs })) return
      await this.#end()
    }
    if (!wanted || nowMs < this.#notBeforeMs) return
    await this.#offer(wanted, nowMs)
  }

  #termsOf(lent: KnownLent, nowMs: number, free = this.#freeCores(lent.slots, nowMs)): Sell | undefined {
    const host = this.#ports.wallet.host as PublicKey
    return sellTerms(lent, free, { host, nowMs, minPrice: this.#minPrice(lent), storeBytes: 0 })
  }

  #minPrice(lent: Lent): Amount {
    if (lent.minPrice !== 'auto') return lent.minPrice
    const { env, ledger } = this.#ports
    const atMs = env.clock.now()
    const { level } = lent
    if (!this.#price || this.#price.level !== level || atMs >= this.#price.atMs + PRICE_MS) {
      this.#price = { atMs, level, price: autoPrice(ledger.state, atMs, level) }
    }
    return this.#price.price
  }

  /** What of this host is sold, as far as its allocations are open. */
  #noteSold(): void {
    const { ledger, wallet, contracts } = this.#ports
    const open = new Map<Key, number>()
    for (const [id, allocation] of contracts.all()) {
      if (allocation.host === wallet.host && !isOver(allocation)) open.set(id, allocation.tasks - allocation.paid)
    }
    const fresh = [...open.keys()].filter((id) => !this.#open.has(id))
    const offered = this.#offered
    if (offered) {
      const booked = ledger.state.book.get(offered.id)
      if (booked) offered.wasBooked = true
      const pieces = booked?.pieces ?? (this.#isGone(offered) ? [] : offered.pieces)
      this.#cut.push(...soldSteps(offered.pieces, pieces))
      offered.pieces = pieces
    }
    if (fresh.length > 0 && this.#cut.length > 0) {
      this.#sold.push({ allocations: fresh, steps: this.#cut })
      this.#uncovered = 0
      this.#cut = []
    }
    this.#open = open
    this.#sold = this.#sold.filter(({ allocations }) => allocations.some((id) => this.#open.has(id)))
  }

  /** Of how many allocations this account could put up the least deposit. */
  get #covered(): number {
    const { ledger, wallet } = this.#ports
    const account = ledger.state.accounts.get(wallet.account)
    return Number((account ? total(account) : 0n) / LEAST_BOND)
  }

  #sayIfShort(): void {
    const isShort = this.#covered === 0 && this.#open.size === 0
    if (isShort && !this.#isShort) {
      this.#ports.env.log.warn('nothing is offered: the account has too few credits for a deposit', {
        needed: formatCredits(LEAST_BOND),
      })
    }
    this.#isShort = isShort
  }

  /** Each may come to be an allocation of its own, for which there must be a deposit. */
  #freeCores(slots: number, nowMs: number) {
    const known = new Set(this.#sold.flatMap(({ allocations }) => allocations))
    // Of before the last start: nobody knows any more which cores they were meant for, but it is at most one for a task.
    const unknown = [...this.#open].reduce((sum, [id, tasks]) => sum + (known.has(id) ? 0 : Math.min(tasks, slots)), 0)
    const free = freeFrom(slots, this.#sold, { unknown, nowMs })
    return { ...free, cores: Math.min(free.cores, this.#covered) }
  }

  /** Of an offer that is not in the book: it has left it, or will never come in. */
  #isGone({ wasBooked, number }: Offered): boolean {
    return wasBooked || (this.#spent !== undefined && number <= this.#spent)
  }

  /** Highest number of this account's offers that have left the book before their time. */
  get #spent(): number | undefined {
    const { ledger, wallet } = this.#ports
    return ledger.state.spent.get(wallet.account)
  }

  /** As it is, also when it is not in the book yet. What is gone or out of time is forgotten. */
  #stays(
    offered: Offered,
    known: KnownLent | undefined,
    { wanted, free, nowMs }: { readonly wanted: Sell | undefined; readonly free: number; readonly nowMs: number },
  ): boolean {
    if (!this.#ports.ledger.state.book.get(offered.id) && this.#isGone(offered)) {
      // What is cut out of it and in no allocation was dropped; or it was never in the book, and another of this account is gone.
      if (this.#cut.length > 0 && (offered.wasBooked || this.#spent === offered.number)) this.#onDropped(offered, nowMs)
      this.#cut = []
      return false
    }
    if (!known || nowMs >= offered.expiresMs) return false
    // At the end of the hours in which it lends a new offer would run out just as soon.
    const gainedMs = wanted ? expiryOf(wanted, nowMs) - offered.expiresMs : 0
    if (nowMs >= offered.expiresMs - RENEW_MS && gainedMs > RENEW_MS) return false
    const now = { speedMips: known.mips, level: known.level, minPrice: this.#minPrice(known) }
    if (hasChanged(offered.terms, now, known.minPrice === 'auto')) return false
    const leftMilli = coresAt(offered.pieces, nowMs)
    if (leftMilli > free * 1000) return false
    if (leftMilli === free * 1000) offered.moreSinceMs = undefined
    else offered.moreSinceMs ??= nowMs
    return offered.moreSinceMs === undefined || nowMs < offered.moreSinceMs + SETTLED_MS
  }

  /** The ledger has dropped it, because this account could not put up the deposit. */
  #onDropped(offered: Offered, nowMs: number): void {
    if (nowMs >= offered.expiresMs) return
    const pauseMs = Math.min(UNCOVERED_MOST_MS, UNCOVERED_MS * 2 ** this.#uncovered++)
    this.#notBeforeMs = nowMs + pauseMs
    this.#pausedBy = 'the last offer was dropped, for the account could not put up the deposit'
    this.#ports.env.log.warn('an offer was dropped: has the account the credits for a deposit?', { pauseMs })
  }

  async #offer(terms: Sell, nowMs: number): Promise<void> {
    const { env, board } = this.#ports
    const expiresMs = expiryOf(terms, nowMs)
    const { id, number, bytes } = this.#signer.sign(terms, expiresMs)
    const { fromMs, untilMs, coresMilli, memoryBytes } = terms
    const pieces = [{ fromMs, untilMs, coresMilli, memoryBytes }]
    this.#offered = { id, number, terms, expiresMs, pieces, wasBooked: false, moreSinceMs: undefined }
    this.#cut = []
    this.#allocating.add(id, bytes)
    env.log.debug('offered', { cores: terms.coresMilli / 1000, price: Number(terms.minPrice), expiresMs })
    using deadline = env.clock.deadline(PATIENCE_MS, this.#signal)
    // Nobody may take it: it is handed in from here anyway.
    await board.post(bytes, deadline).catch((error) => env.log.debug('not posted', { reason: errorMessage(error) }))
  }

  async #end(): Promise<void> {
    const { id } = this.#offered!
    this.#allocating.drop(id)
    if (this.#isOnSale(id)) await this.#takeBack(id, this.#signal)
    this.#offered = undefined
  }

  #isOnSale(id: Key): boolean {
    const { env, ledger } = this.#ports
    return openOffer(ledger.state, id, env.clock.now()) !== undefined
  }

  /** Of this host, from before its last start, or handed in by somebody after it was given up here. */
  async #withdrawStrays(): Promise<void> {
    const { env, ledger, wallet } = this.#ports
    if ((ledger.state.offersOf.get(wallet.account) ?? 0) === 0) return
    for (const { id, account, terms, expiresMs } of entriesOf(ledger.state).sells) {
      const isStray = account === wallet.account && terms.host === wallet.host && id !== this.#offered?.id
      if (isStray && expiresMs > env.clock.now()) await this.#takeBack(id, this.#signal)
    }
  }

  async #takeBack(offer: Key, signal: AbortSignal): Promise<void> {
    const { env, wallet } = this.#ports
    using deadline = env.clock.deadline(PATIENCE_MS, signal)
    await wallet.act({ kind: 'withdraw-offer', offer }, deadline)
  }

  // The speed ------------------------------------------------------------------------------------------------------

  #askToMeasure(): void {
    if (this.#isAsked) return
    const { env } = this.#ports
    this.#isAsked = true
    this.#measureMs = Math.max(this.#measureMs, env.clock.now() + env.random.next() * MEASURE_SPREAD_MS)
  }

  #measureWhenDue(nowMs: number): void {
    if (!this.#isAsked || this.#isMeasuring || nowMs < this.#measureMs) return
    const { env, lending } = this.#ports
    this.#isMeasuring = true
    this.#isAsked = false
    this.#measureMs = nowMs + MEASURE_AGAIN_MS
    lending
      .measure({ signal: this.#signal })
      .catch((error) => {
        this.#isAsked = true
        this.#unmeasured = errorMessage(error)
        if (!this.#signal.aborted) env.log.warn('the machine was not measured', { reason: errorMessage(error) })
      })
      .finally(() => {
        this.#isMeasuring = false
      })
  }
}

function expiryOf({ untilMs }: Sell, nowMs: number): number {
  return Math.min(untilMs, Math.floor(nowMs) + LIFE_MS)
}
