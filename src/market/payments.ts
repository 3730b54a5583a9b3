/**
 * Payment for work, at a flat price per task, until the market prices it (DESIGN 10). When a job is over, the node that
 * submitted it pays the accounts of the hosts that did its tasks, as the job's own record has counted them (mapreduce/tally.ts):
 *
 *   owed -> escrow opened -> funded -> released to one account after the other -> paid; later the escrow is closed
 *
 * What the payer's own hosts did costs nothing, and a job never costs more than the price times its tasks. Each step is in a
 * journal before the next: after a crash it goes on where it was, and nobody is paid twice. When the deadline of the escrow is
 * over by then, its credits are taken back, and what is left of the wages goes through a new one.
 *
 * What this does not do: nothing is locked before the work is done, so the worker trusts the submitter's node to pay; and the
 * count is the word of whoever kept the tasks' queue. Contracts and verification take its place.
 */
import type { Env } from '../core/env.ts'
import { ChoraleError, errorCode, errorMessage, invariant } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { MAX_ESCROW_PAYEES } from '../core/limits.ts'
import { markOf, type Tally } from '../mapreduce/tally.ts'
import type { Jobs, JobView } from '../mapreduce/types.ts'
import { CappedMap } from '../net/capped-map.ts'
import type { PublicKey } from './ledger/keys.ts'
import type { AccountView, HistoryEntry, Ledger, Outcome } from './ledger/ledger.ts'
import { type Amount, amount, MAX_AMOUNT } from './ledger/state/amount.ts'
import { type Action, decodeOperation, escrowId } from './ledger/state/operation.ts'
import { total } from './ledger/state/purse.ts'
import { sentenceOf } from './ledger/state/refusal.ts'
import type { Wallet } from './ledger/wallet.ts'

/** Until it is over an escrow cannot be closed, and nothing that was put into it be had back. */
const ESCROW_LIFE_MS = 3_600_000
/** Hosts that worked and have no account yet may be opening it. */
const LINK_PATIENCE_MS = 15_000
const LINK_RETRY_MS = 500
/** Block time, which a deadline is held against, may be behind the clock. */
const CLOSE_AFTER_MS = 10_000
/** For one step. */
const PATIENCE_MS = 30_000
const RETRY_MS = 5_000
/** After the end of a job, and after a start of this node: no escrow could be opened for so long. */
const GIVE_UP_MS = 24 * 3_600_000
/** Entries of the history that are read at a time. */
const HISTORY_PAGE = 256
/** Payments that are remembered for whoever asks. */
const REMEMBERED = 256

export interface Wage {
  readonly to: PublicKey
  readonly tasks: number
  /** Millicredits. */
  readonly amount: Amount
}

/** What the journal keeps of a payment that is not done. */
export interface Owed {
  readonly job: string
  /** Millicredits for a task. */
  readonly price: Amount
  /** When it was submitted; once there are wages, when they were counted. */
  readonly sinceMs: number
  /** Once the job is over: at most `MAX_ESCROW_PAYEES`, in the order of release. */
  readonly wages?: readonly Wage[]
  /** Wages that were released from earlier escrows, whose deadlines were over before all were. */
  readonly released?: number
  /** The deadline of an escrow that was asked for: by it that is found when the answer fails to come. */
  readonly openingMs?: number
  /** Once it is opened. `over`: nothing can be released from it any more, `released` counts what was. */
  readonly escrow?: { readonly id: Key; readonly deadlineMs: number; readonly over?: true }
  /** All is released, and what is left to do is to close the escrow, when its deadline is over. */
  readonly paid?: true
}

export interface Payment {
  readonly job: string
  readonly price: Amount
  readonly state: 'owed' | 'paid' | 'unpaid'
  /** Of a payment that was not made. */
  readonly reason: string | undefined
  readonly wages: readonly Wage[]
}

/**
 * Whom a job's submitter pays, and what. `accountOf`: of a host by its mark. Of more accounts than an escrow can have, those
 * that did most. `unknown`: tasks of hosts that have no account.
 */
export function wagesOf(
  { doneBy = [], tasks }: { readonly doneBy?: Tally; readonly tasks: { readonly total: number } },
  price: Amount,
  accountOf: (mark: number) => PublicKey | undefined,
  payer: PublicKey,
): { readonly wages: readonly Wage[]; readonly unknown: number } {
  const done = new Map<PublicKey, number>()
  let left = tasks.total
  let unknown = 0
  for (const [mark, counted] of doneBy) {
    const account = accountOf(mark)
    const count = Math.min(counted, left) // a queue's keeper may say anything, the cap stays
    left -= count
    if (account === undefined) unknown += count
    else if (account !== payer) done.set(account, (done.get(account) ?? 0) + count)
  }
  const wages = [...done]
    .filter(([, count]) => count > 0 && price > 0n)
    .sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1))
    .slice(0, MAX_ESCROW_PAYEES)
    .map(([to, count]) => ({ to, tasks: count, amount: priceOf(price, count) }))
  return { wages, unknown }
}

function priceOf(price: Amount, tasks: number): Amount {
  const sum = price * BigInt(tasks)
  return sum > MAX_AMOUNT ? MAX_AMOUNT : amount(sum)
}

/** May be above `MAX_AMOUNT`. */
function sumOf(wages: readonly Wage[]): bigint {
  return wages.reduce((sum, wage) => sum + wage.amount, 0n)
}

/** Throws `credits`, and `busy` while the account is not open. */
function requireCredits(account: AccountView | undefined, sum: bigint): void {
  if (!account) throw new ChoraleError('busy', sentenceOf('no-account'))
  if (total(account) < sum) throw new ChoraleError('credits', sentenceOf('insufficient'))
}

export interface PaymentPorts {
  readonly env: Env
  readonly jobs: Pick<Jobs, 'watch'>
  readonly ledger: Ledger
  readonly wallet: Pick<Wallet, 'account' | 'act'>
  /** The peer id of a host. */
  readonly peerOf: (host: PublicKey) => string
  /** Millicredits for a task; 0 pays nothing. */
  readonly price: Amount
  readonly journal: { readonly kept: readonly Owed[]; keep(owed: readonly Owed[]): void }
}

export class Payments {
  readonly #ports: PaymentPorts
  readonly #owed = new Map<string, Owed>()
  readonly #ended = new CappedMap<string, Payment>(REMEMBERED)
  readonly #stopped = new AbortController()
  #working: Promise<unknown> = Promise.resolve()
  /** Escrows are opened and funded one after the other, so that no two count on the same credits. */
  #opening: Promise<unknown> = Promise.resolve()

  constructor(ports: PaymentPorts) {
    this.#ports = ports
    for (const owed of ports.journal.kept) this.#owed.set(owed.job, owed)
  }

  /** Goes on with what was owed at the last stop. */
  start(): void {
    for (const { job } of this.#owed.values()) this.#begin(job)
  }

  /** What is not paid is paid after the next start. */
  async stop(): Promise<void> {
    this.#stopped.abort(new ChoraleError('aborted', 'the host leaves'))
    await this.#working
  }

  /** A job that was submitted here will be paid for. */
  owe(job: string): void {
    const { price, env } = this.#ports
    if (price === 0n || this.#owed.has(job) || this.#ended.get(job)) return
    this.#note({ job, price, sinceMs: env.clock.now() })
    this.#begin(job)
  }

  /** Of a job that was submitted here; undefined: it is not paid for, or that was long ago. */
  of(job: string): Payment | undefined {
    const owed = this.#owed.get(job)
    if (!owed) return this.#ended.get(job)
    const { price, wages = [], paid } = owed
    return { job, price, state: paid ? 'paid' : 'owed', reason: undefined, wages }
  }

  #note(owed: Owed): void {
    this.#owed.set(owed.job, owed)
    this.#ports.journal.keep([...this.#owed.values()])
  }

  #end(owed: Owed, state: 'paid' | 'unpaid', reason?: string): void {
    const { job, price, wages = [] } = owed
    this.#owed.delete(job)
    this.#ended.set(job, { job, price, state, reason, wages })
    this.#ports.journal.keep([...this.#owed.values()])
  }

  #begin(job: string): void {
    const done = this.#settle(job)
    this.#working = Promise.all([this.#working, done])
  }

  /** Until it is paid, or there is no hope. */
  async #settle(job: string): Promise<void> {
    const { env } = this.#ports
    const { signal } = this.#stopped
    const startedMs = env.clock.now()
    while (!signal.aborted) {
      try {
        await this.#step(this.#owed.get(job)!)
        if (!this.#owed.has(job)) return
      } catch (error) {
        if (signal.aborted) return
        const reason = errorMessage(error)
        env.log.debug('a job is not paid yet', { job, code: errorCode(error), reason })
        const owed = this.#owed.get(job)!
        const isLate = owed.wages && env.clock.now() > Math.max(owed.sinceMs, startedMs) + GIVE_UP_MS
        const isHopeless = isLate || ['not-found', 'credits'].includes(errorCode(error))
        // What an escrow holds must come out again first.
        if (isHopeless && !owed.escrow) {
          env.log.warn('a job stays unpaid', { job, reason })
          return this.#end(owed, 'unpaid', reason)
        }
        await env.clock.sleep(RETRY_MS * (0.5 + env.random.next()), { signal }).catch(() => {})
      }
    }
  }

  /** The next of: count, open and fund, release and close. */
  async #step(owed: Owed): Promise<void> {
    const { wages, released = 0, escrow, paid } = owed
    const { env, ledger } = this.#ports
    const { signal } = this.#stopped
    if (!wages) {
      const counted = await this.#count(owed)
      return this.#note({ ...owed, sinceMs: env.clock.now(), wages: counted })
    }
    const left = wages.slice(released)
    if (left.length === 0) return this.#end(owed, 'paid')
    if (!escrow) {
      const opened = this.#opening.then(() => this.#open(owed, left))
      this.#opening = opened.catch(() => {}) // whoever waits for it hears of it
      return await opened
    }
    const { id, deadlineMs, over } = escrow
    const closableMs = deadlineMs + CLOSE_AFTER_MS
    if (paid) await env.clock.sleep(Math.max(0, closableMs - env.clock.now()), { signal })
    const account = await this.#freshen()
    const now = ledger.escrow(id)
    if (!now) return await this.#onClosed(owed)
    if (paid || over) await this.#act({ kind: 'time-out', escrow: id })
    else if (now.step === left.length) this.#note({ ...owed, paid: true })
    else if (ledger.status().blockTimeMs > deadlineMs) {
      // By block time, so that no release which is still on its way can come in any more.
      this.#note({ ...owed, released: released + now.step, escrow: { ...escrow, over: true } })
    } else if (now.funded < now.amount) {
      const missing = amount(now.amount - now.funded)
      // Then it is refused, and the block in which it is moves the block time on.
      if (env.clock.now() <= closableMs) requireCredits(account, missing)
      await this.#act({ kind: 'fund', escrow: id, amount: missing })
    } else {
      const wage = left[now.step]!
      await this.#act({ kind: 'release', escrow: id, step: now.step, to: wage.to, amount: wage.amount })
    }
  }

  async #open({ openingMs, ...owed }: Owed, wages: readonly Wage[]): Promise<void> {
    const { env } = this.#ports
    const sum = sumOf(wages)
    const account = await this.#freshen()
    const before = openingMs === undefined ? undefined : await this.#openedUntil(openingMs, wages)
    if (before) return this.#note({ ...owed, escrow: { id: before, deadlineMs: openingMs! } })
    requireCredits(account, sum)
    const nowMs = Math.floor(env.clock.now())
    const deadlineMs = openingMs !== undefined && openingMs > nowMs ? openingMs : nowMs + ESCROW_LIFE_MS
    this.#note({ ...owed, openingMs: deadlineMs })
    const payees = wages.map(({ to }) => to)
    const terms = { payees, arbiter: null, amount: amount(sum), deadlineMs }
    const { receipt } = await this.#act({ kind: 'open-escrow', ...terms })
    const opened = decodeOperation(receipt!.operation)
    invariant(typeof opened !== 'string', 'an escrow was opened by no operation')
    const id = escrowId(opened)
    this.#note({ ...owed, escrow: { id, deadlineMs } })
    await this.#act({ kind: 'fund', escrow: id, amount: terms.amount })
  }

  /** An escrow of this account for these wages, and of no other payment. */
  async #openedUntil(deadlineMs: number, wages: readonly Wage[]): Promise<Key | undefined> {
    const others = new Set([...this.#owed.values()].map(({ escrow }) => escrow?.id))
    const firstMs = deadlineMs - 2 * ESCROW_LIFE_MS // some clock may be off
    for await (const { operation, timeMs } of this.#history()) {
      if (timeMs < firstMs) return undefined
      const { action } = operation
      if (action.kind !== 'open-escrow' || action.deadlineMs !== deadlineMs) continue
      if (action.amount !== sumOf(wages) || !wages.every(({ to }, i) => action.payees[i] === to)) continue
      const id = escrowId(operation)
      if (!others.has(id) && this.#ports.ledger.escrow(id)) return id
    }
    return undefined
  }

  /** Its escrow is no more. */
  async #onClosed({ escrow, paid, ...owed }: Owed): Promise<void> {
    if (paid) return this.#end(owed, 'paid')
    if (escrow!.over) return this.#note(owed)
    const released = await this.#releasedFrom(escrow!.id)
    if (released === undefined) return this.#end(owed, 'unpaid', 'its escrow is closed')
    this.#note({ ...owed, released: (owed.released ?? 0) + released })
  }

  /**
   * How many wages were released from an escrow that another account has closed: anybody may, after the deadline. Undefined: a
   * payee has given its wage back, or this node's copy of the ledger does not begin early enough.
   */
  async #releasedFrom(id: Key): Promise<number | undefined> {
    let released = 0
    for await (const { operation } of this.#history()) {
      const { action } = operation
      if (action.kind === 'open-escrow' && escrowId(operation) === id) return released
      if (action.kind === 'refund' && action.escrow === id) return undefined
      if (action.kind === 'release' && action.escrow === id) released++
    }
    return undefined
  }

  /** What this account has asked for and what moved it, if it was applied, newest first, as far as this node's copy goes. */
  async *#history(): AsyncGenerator<HistoryEntry> {
    const { ledger, wallet } = this.#ports
    let page: readonly HistoryEntry[] = []
    do {
      const before = page.at(-1)
      page = await ledger.history(wallet.account, { limit: HISTORY_PAGE, ...(before && { before }) })
      yield* page.filter(({ result }) => result === 'applied')
    } while (page.length > 0)
  }

  /** What this node has done before a crash, or what came in late, must be in its copy. */
  async #freshen(): Promise<AccountView | undefined> {
    const { env, ledger, wallet } = this.#ports
    using deadline = env.clock.deadline(PATIENCE_MS, this.#stopped.signal)
    return await ledger.account(wallet.account, deadline)
  }

  /** Waits for the job's end, and for a moment for workers who have no account yet. */
  async #count({ job, price }: Owed): Promise<readonly Wage[]> {
    const { env, ledger, peerOf, wallet } = this.#ports
    const { signal } = this.#stopped
    let view: JobView | undefined
    for await (view of this.#ports.jobs.watch(job, { signal }));
    if (!view) throw new ChoraleError('not-found', 'nobody knows the job any more')
    const untilMs = env.clock.now() + LINK_PATIENCE_MS
    for (;;) {
      const accounts = new Map([...ledger.hosts()].map(([host, account]) => [markOf(peerOf(host)), account]))
      const { wages, unknown } = wagesOf(view, price, (mark) => accounts.get(mark), wallet.account)
      if (unknown === 0 || env.clock.now() > untilMs) return wages
      await env.clock.sleep(LINK_RETRY_MS, { signal })
    }
  }

  /** Rejects `credits` when there are too few of them, and `busy` when the ledger refuses it for another reason. */
  async #act(action: Action): Promise<Outcome> {
    using deadline = this.#ports.env.clock.deadline(PATIENCE_MS, this.#stopped.signal)
    const outcome = await this.#ports.wallet.act(action, deadline)
    if (outcome.result === 'applied') return outcome
    throw new ChoraleError(outcome.result === 'insufficient' ? 'credits' : 'busy', sentenceOf(outcome.result))
  }
}

/** The same jobs; each that is submitted through them will be paid for, unless its suppliers are paid by contract. */
export function paidJobs(jobs: Jobs, payments: Pick<Payments, 'owe'>): Jobs {
  const noted = (view: JobView) => {
    payments.owe(view.id)
    return view
  }
  return {
    async submit(request, options) {
      const view = await jobs.submit(request, options)
      return request.paid ? view : noted(view)
    },
    retry: async (id, options) => noted(await jobs.retry(id, options)),
    list: () => jobs.list(),
    show: (id, options) => jobs.show(id, options),
    watch: (id, options) => jobs.watch(id, options),
    cancel: (id) => jobs.cancel(id),
    spec: (id, options) => jobs.spec(id, options),
    isOwn: (id, options) => jobs.isOwn(id, options),
    logs: (id, options) => jobs.logs(id, options),
    place: (plan, options) => jobs.place(plan, options),
  }
}
