/**
 * Buys work for jobs that were submitted here: one offer for each, from the journal to its end (DESIGN 10).
 *
 *   submitted -> in the journal -> posted, handed in -> matched, done, checked (`Contracts`) -> the job is over -> settled
 *
 * A job ends with one result of each task. Where each is to be done by several, its purchase goes on until all copies are paid.
 *
 * What is signed is in the journal before anybody hears of it, and goes out again as it was after a restart: by its number the
 * ledger knows it. When the job is over its offer is taken back and what runs of it is ended. When it is not by its deadline, or
 * cannot be paid for any more, it is cancelled.
 */
import { ChoraleError, errorCode, errorMessage, invariant } from '../../core/errors.ts'
import { jobKeyOf } from '../../mapreduce/spec.ts'
import type { JobRequest, JobView } from '../../mapreduce/types.ts'
import { LEAST_BOND, PATIENCE } from '../ledger/state/allocations/allocation.ts'
import { isSpent } from '../ledger/state/book/bookings.ts'
import { offerIn } from '../ledger/state/book/offers.ts'
import type { Action } from '../ledger/state/operation.ts'
import { total } from '../ledger/state/purse.ts'
import { sentenceOf } from '../ledger/state/refusal.ts'
import type { Buy } from '../offers/offer.ts'
import { formatVerify, parseVerify } from '../verification/policy.ts'
import type { Allocating } from './allocating.ts'
import { bidOf, raisedPrice } from './bidding.ts'
import {
  type Bought,
  type Failure,
  hasAllCopies,
  isCopied,
  isWorthWriting,
  overspent,
  sumsOf,
  whyDropped,
  withParts,
} from './bought.ts'
import { buyTerms, capFault, MOST_HOSTS, maxPriceFor, replicasOf, windowFor } from './buy-terms.ts'
import { openOffer } from './in-book.ts'
import type { PaidTerms, Purchase } from './market.ts'
import type { OfferSigner } from './number.ts'
import type { TradingPorts } from './ports.ts'
import type { Quoting } from './quoting.ts'
import { purchaseOf, SUCCEEDED, saidOf } from './standing.ts'

/** Purchases that are remembered, the settled ones that are oldest go first. */
const MAX_KEPT = 300
const PATIENCE_MS = 20_000
const RETRY_MS = 5_000
/** A job all of which was paid for is over soon; if it is not, its offer was dropped. */
const DROPPED_MS = 30_000

interface Call {
  readonly signal: AbortSignal
}

export class Buying {
  readonly #ports: TradingPorts
  readonly #allocating: Allocating
  readonly #signer: OfferSigner
  readonly #quoting: Quoting
  readonly #stopped: AbortSignal
  /** By job, the oldest first. */
  readonly #bought = new Map<string, Bought>()
  /** Offers that were in the book in this run. */
  readonly #booked = new Set<string>()
  /** When a job's offer was last signed anew. */
  readonly #anewMs = new Map<string, number>()
  /** Since when the ledger seems to have dropped an offer. */
  readonly #dropped = new Map<string, number>()
  /** Ends the wait for a job that is given up. */
  readonly #waits = new Map<string, AbortController>()
  /** Jobs that are over, and of which the rest of this host knows in this run; and those given up that are cancelled. */
  readonly #released = new Set<string>()
  readonly #cancelled = new Set<string>()
  #isActing = false
  #working: Promise<unknown> = Promise.resolve()

  constructor(
    ports: TradingPorts,
    parts: { readonly allocating: Allocating; readonly signer: OfferSigner; readonly quoting: Quoting },
    stopped: AbortSignal,
  ) {
    this.#ports = ports
    this.#allocating = parts.allocating
    this.#signer = parts.signer
    this.#quoting = parts.quoting
    this.#stopped = stopped
    for (const bought of ports.journal.kept) this.#bought.set(bought.job, bought)
  }

  /** Goes on with what was bought before. */
  start(): void {
    for (const bought of this.#bought.values()) if (!bought.over) this.#begin(bought, true)
  }

  async stop(): Promise<void> {
    await this.#working
  }

  get all(): Iterable<Bought> {
    return this.#bought.values()
  }

  /** Undefined: it was not bought here, or that was long ago. */
  purchase(job: string): Purchase | undefined {
    const { ledger, env, contracts } = this.#ports
    const bought = this.#bought.get(job)
    return bought && purchaseOf(withParts(bought, contracts.all()), ledger.state, env.clock.now())
  }

  async submit(request: JobRequest, terms: PaidTerms, call: Call): Promise<JobView> {
    const { env, ledger, wallet, jobs, contracts } = this.#ports
    const { maxCost, verify, when, deadlineMs } = terms
    const quoted = await this.#quoting.quote(request, terms, call)
    const { tasks, taskWorkMi, slot } = quoted
    const size = { tasks, taskWorkMi, replicas: replicasOf(verify) }
    const account = await ledger.account(wallet.account, call)
    if (!account) throw new ChoraleError('busy', sentenceOf('no-account'))
    const maxPrice = maxPriceFor(maxCost, size)
    const has = total(account) - this.#promised()
    const fault = capFault(maxCost, quoted, { has, bond: LEAST_BOND * BigInt(size.replicas), pays: maxPrice > 0n })
    if (fault !== undefined) throw new ChoraleError('credits', fault)
    const window = windowFor({ when, slot, deadlineMs }, env.clock.now())
    const view = await jobs.submit({ ...request, paid: true }, call)
    try {
      // From here on somebody must look after it: no signal of the caller's any more.
      const spec = await this.#specOf(view.id)
      invariant(spec.tasks === tasks, 'a job came out with another number of tasks')
      contracts.remember(spec, verify)
      const key = jobKeyOf(spec)
      const soonMs = window.untilMs - window.fromMs
      const level = this.#ports.levelOf(spec)
      const most = buyTerms({ ...size, ...window, job: key, verify, level, maxPrice, soonMs })
      const { id, bytes } = this.#signer.sign(this.#bid(most, maxCost), window.untilMs)
      const bought: Bought = {
        ...{ job: view.id, key, offer: bytes, id, maxCost, verify: formatVerify(verify), tasks },
        ...{ fromMs: window.fromMs, deadlineMs: window.untilMs, parts: [] },
      }
      this.#note(bought)
      this.#begin(bought)
    } catch (error) {
      await jobs.cancel(view.id).catch(() => {}) // nobody would ever do it
      throw error
    }
    return view
  }

  /** Looks at what has become of each: call after every block, and now and then. */
  tick(): void {
    const { contracts, ledger, env } = this.#ports
    const all = [...contracts.all()]
    for (const before of this.#bought.values()) {
      if (before.settled) continue
      const bought = withParts(before, all)
      if (bought !== before) this.#keep(bought, isWorthWriting(before, bought))
      if (ledger.state.book.get(bought.id)) this.#booked.add(bought.job)
      if (bought.over) {
        this.#release(bought)
        this.#settle(bought)
        continue
      }
      if (bought.succeeded && hasAllCopies(bought)) {
        this.#end({ ...bought, over: { reason: SUCCEEDED } })
        continue
      }
      if (this.#mustSignAnew(bought)) {
        this.#signAnew(bought)
        continue
      }
      this.#raise(bought)
      if (env.clock.now() >= this.#lastMs(bought)) this.#giveUp(bought, 'not-placed', this.#whyLate(bought))
      else this.#inspect(bought)
    }
    this.#withdrawOver()
  }

  /** `most`: at the highest price that its cap allows. `cap`: of it, as far as it is not promised yet. */
  #bid(most: Buy, cap: bigint): Buy {
    const { env, ledger, wallet } = this.#ports
    const hosts = this.#affordableHosts(cap)
    return bidOf(ledger.state, most, { account: wallet.account, nowMs: env.clock.now(), hosts })
  }

  /** A bond is locked with each supplier. */
  #affordableHosts(cap: bigint): number {
    const { ledger, wallet } = this.#ports
    const account = ledger.accountHere(wallet.account)
    const spare = (account ? total(account) : 0n) - this.#promised() - cap
    return Math.max(1, Math.min(MOST_HOSTS, Number(spare / LEAST_BOND)))
  }

  /** Nobody, or too few, would do for what is bid what is not placed. */
  #raise(bought: Bought): void {
    const { ledger, env, wallet } = this.#ports
    const nowMs = env.clock.now()
    const { state } = ledger
    const booked = openOffer(state, bought.id, nowMs)
    const maxPrice = booked && raisedPrice(state, bought, booked, { account: wallet.account, nowMs })
    if (maxPrice !== undefined) this.#act({ kind: 'raise-offer', offer: bought.id, maxPrice })
  }

  /** An offer of this account with a higher number has left the book before this came in. */
  #mustSignAnew({ id, job, offer, parts }: Bought): boolean {
    const { ledger, env } = this.#ports
    if (parts.length > 0 || ledger.state.book.get(id) || !isSpent(ledger.state, offerIn(offer)!)) return false
    return !this.#booked.has(job) && env.clock.now() >= (this.#anewMs.get(job) ?? 0) + DROPPED_MS
  }

  #signAnew(bought: Bought): void {
    const terms = offerIn(bought.offer)!.terms as Buy
    const bid = this.#bid({ ...terms, maxPrice: maxPriceFor(bought.maxCost, terms) }, 0n)
    const { id, bytes } = this.#signer.sign(bid, terms.untilMs)
    const anew = { ...bought, id, offer: bytes }
    this.#booked.delete(bought.job)
    this.#anewMs.set(bought.job, this.#ports.env.clock.now())
    this.#allocating.drop(bought.id)
    this.#allocating.add(id, bytes)
    this.#note(anew)
    this.#working = Promise.all([this.#working, this.#post(anew)])
  }

  /** Of other jobs, for as far as nothing is locked for them yet. */
  #promised(): bigint {
    let sum = 0n
    for (const bought of this.#bought.values()) {
      if (bought.over) continue
      const { exposed } = sumsOf(bought)
      if (bought.maxCost > exposed) sum += bought.maxCost - exposed
    }
    return sum
  }

  /** Can it still be paid for? */
  #inspect(bought: Bought): void {
    const { ledger, env } = this.#ports
    const booked = ledger.state.book.get(bought.id)
    const { open } = sumsOf(bought)
    if (booked && booked.left > 0) {
      const reason = overspent(bought, booked)
      // A job that has its result waits for the copies that are being made.
      if (reason !== undefined && !(bought.succeeded && open > 0)) this.#giveUp(bought, 'credits', reason)
      return
    }
    // Copies of which nothing came are left in the book again, unless the account could not cover them.
    const isDropped = open === 0 && (booked ? !hasAllCopies(bought) : this.#booked.has(bought.job))
    if (!isDropped) this.#dropped.delete(bought.job)
    else if (!this.#dropped.has(bought.job)) this.#dropped.set(bought.job, env.clock.now())
    else if (env.clock.now() >= this.#dropped.get(bought.job)! + DROPPED_MS) {
      const { failure, reason } = whyDropped(bought)
      this.#giveUp(bought, failure, reason)
    }
  }

  /** Suppliers have a little time beyond the deadline for what they have done by then. */
  #lastMs(bought: Bought): number {
    return bought.deadlineMs + (sumsOf(bought).open > 0 ? PATIENCE.lastWindow : 0)
  }

  #whyLate(bought: Bought): string {
    const { contracts, ledger, env } = this.#ports
    const { succeeded, ...waits } = withParts(bought, contracts.all())
    const { reason } = purchaseOf(waits, ledger.state, env.clock.now())
    const isPlaced = ledger.state.book.get(bought.id)?.left === 0
    return isPlaced ? `not done by the deadline: ${reason}` : `not placed by the deadline: ${reason}`
  }

  #giveUp(bought: Bought, failure: Failure, reason: string): void {
    this.#ports.env.log.info('a job was given up', { job: bought.job, reason })
    // What has a result is no failure: it was compared with fewer others.
    this.#end({ ...bought, over: bought.succeeded ? { reason: SUCCEEDED, why: reason } : { failure, reason } })
  }

  /** The job is over: its offer goes, and its allocations end. */
  #end(bought: Bought): void {
    this.#allocating.drop(bought.id)
    this.#note(bought)
    this.#release(bought)
    this.#settle(bought)
  }

  /** In every run once: the host may have gone down right after it had written that the job is over. */
  #release({ job, key, over }: Bought): void {
    if (this.#released.has(job)) return
    this.#ports.contracts.release(key)
    this.#released.add(job)
    this.#waits.get(job)?.abort(new ChoraleError('aborted', 'the job is over'))
    if (over?.failure) this.#working = Promise.all([this.#working, this.#cancel(job)])
  }

  async #cancel(job: string): Promise<void> {
    const { jobs, env } = this.#ports
    while (!this.#stopped.aborted && !this.#cancelled.has(job)) {
      try {
        await jobs.cancel(job)
        this.#cancelled.add(job)
      } catch (error) {
        env.log.warn('a job could not be cancelled', { job, reason: errorMessage(error) })
        if (errorCode(error) === 'not-found') this.#cancelled.add(job)
        else await env.clock.sleep(RETRY_MS, { signal: this.#stopped }).catch(() => {})
      }
    }
  }

  #settle(bought: Bought): void {
    const { ledger, env } = this.#ports
    if (bought.over?.failure && !this.#cancelled.has(bought.job)) return
    if (openOffer(ledger.state, bought.id, env.clock.now()) || sumsOf(bought).open > 0) return
    this.#note({ ...bought, settled: true })
  }

  /** Takes one offer back whose job is over; also one that somebody hands in anew later. */
  #withdrawOver(): void {
    const { ledger, env } = this.#ports
    const nowMs = env.clock.now()
    const found = [...this.#bought.values()].find(({ over, id }) => over && openOffer(ledger.state, id, nowMs))
    if (found) this.#act({ kind: 'withdraw-offer', offer: found.id })
  }

  /** One at a time. */
  #act(action: Action): void {
    const { env, wallet } = this.#ports
    if (this.#isActing) return
    this.#isActing = true
    const work = async () => {
      using deadline = env.clock.deadline(PATIENCE_MS, this.#stopped)
      try {
        await wallet.act(action, deadline)
      } catch (error) {
        env.log.debug('an offer was not raised or taken back', { code: errorCode(error), reason: errorMessage(error) })
        await env.clock.sleep(RETRY_MS, { signal: this.#stopped }).catch(() => {})
      } finally {
        this.#isActing = false
      }
    }
    this.#working = Promise.all([this.#working, work()])
  }

  #begin(bought: Bought, isKept = false): void {
    this.#allocating.add(bought.id, bought.offer)
    const done = Promise.all([this.#post(bought), this.#watch(bought, isKept)])
    this.#working = Promise.all([this.#working, done])
  }

  async #post({ offer }: Bought): Promise<void> {
    const { env, board } = this.#ports
    using deadline = env.clock.deadline(PATIENCE_MS, this.#stopped)
    // Nobody may take it: it is handed in from here anyway.
    await board.post(offer, deadline).catch((error) => env.log.debug('not posted', { reason: errorMessage(error) }))
  }

  /** Until the job is over or given up. */
  async #watch({ job, verify }: Bought, isKept: boolean): Promise<void> {
    const { env, jobs, contracts } = this.#ports
    const wait = new AbortController()
    const { signal } = wait
    const onStop = () => wait.abort(this.#stopped.reason)
    if (this.#stopped.aborted) return
    this.#stopped.addEventListener('abort', onStop, { once: true })
    this.#waits.set(job, wait)
    while (!signal.aborted) {
      try {
        if (isKept) contracts.remember(await this.#specOf(job), parseVerify(verify))
        let last: JobView | undefined
        for await (last of jobs.watch(job, { signal }));
        const bought = this.#bought.get(job)
        if (signal.aborted || !bought || bought.over) break
        if (last?.state === 'succeeded' && isCopied(bought) && !hasAllCopies(bought))
          this.#note({ ...bought, succeeded: true })
        else if (last) this.#end({ ...bought, over: { reason: `the job has ${saidOf(last)}` } })
        break
      } catch (error) {
        if (signal.aborted) break
        env.log.debug('a job that is paid for is not seen', { job, reason: errorMessage(error) })
        await env.clock.sleep(RETRY_MS, { signal }).catch(() => {})
      }
    }
    this.#stopped.removeEventListener('abort', onStop)
    this.#waits.delete(job)
  }

  async #specOf(job: string) {
    using deadline = this.#ports.env.clock.deadline(PATIENCE_MS, this.#stopped)
    const spec = await this.#ports.jobs.spec(job, deadline)
    if (!spec) throw new ChoraleError('not-found', `nobody knows the job ${job}`)
    return spec
  }

  #note(bought: Bought): void {
    this.#keep(bought, true)
  }

  #keep(bought: Bought, write: boolean): void {
    this.#bought.set(bought.job, bought)
    for (const [job, { settled, deadlineMs }] of this.#bought) {
      if (this.#bought.size <= MAX_KEPT) break
      // As long as its offer is good, somebody may hand it in once more.
      if (settled && deadlineMs < this.#ports.env.clock.now()) this.#bought.delete(job)
    }
    if (write) this.#ports.journal.keep([...this.#bought.values()])
  }
}
