/**
 * Payment for work, at a flat price per task, until the market prices it (DESIGN 10). When a job is over, the node that
 * submitted it pays the accounts of the hosts that did its tasks, as the job's own record has counted them (mapreduce/tally.ts):
 *
 *   owed -> escrow opened -> funded -> released to one account after the other -> paid; later the escrow is closed
 *
 * What the payer's own hosts did costs nothing, and a job never costs more than the price times its tasks. Each step is in a
 * journal before the next: after a crash it goes on where it was, and nobody is paid twice.
 *
 * What this does not do: nothing is locked before the work is done, so the worker trusts the submitter's node to pay; and the
 * count is the word of whoever kept the tasks' queue. Contracts and verification take its place.
 */
import type { Env } from '../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { MAX_ESCROW_PAYEES } from '../core/limits.ts'
import { markOf, type Tally } from '../mapreduce/tally.ts'
import type { Jobs, JobView } from '../mapreduce/types.ts'
import { CappedMap } from '../net/capped-map.ts'
import type { PublicKey } from './ledger/keys.ts'
import type { Ledger, Outcome } from './ledger/ledger.ts'
import { type Amount, amount, MAX_AMOUNT } from './ledger/state/amount.ts'
import { type Action, decodeOperation, escrowId } from './ledger/state/operation.ts'
import { type Result, sentenceOf } from './ledger/state/refusal.ts'
import type { Wallet } from './ledger/wallet.ts'

/** Until it is over an escrow cannot be closed, and nothing that was put into it be had back. */
const ESCROW_LIFE_MS = 3_600_000
/** Hosts that worked and have no account yet may be opening it. */
const LINK_PATIENCE_MS = 15_000
const LINK_RETRY_MS = 500
/** The step has been taken, its time has not come, or others must be closed first. */
const AGAIN: ReadonlySet<Result> = new Set([
  'over-funded',
  'wrong-step',
  'no-escrow',
  'before-deadline',
  'too-many-escrows',
])
/** Block time, which a deadline is held against, may be behind the clock. */
const CLOSE_AFTER_MS = 10_000
/** For one step. */
const PATIENCE_MS = 30_000
const RETRY_MS = 5_000
/** The record of a job is known for a day after its end. */
const GIVE_UP_MS = 24 * 3_600_000
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
  readonly sinceMs: number
  /** Once the job is over: at most `MAX_ESCROW_PAYEES`, in the order of release. */
  readonly wages?: readonly Wage[]
  /** Once it is opened. */
  readonly escrow?: { readonly id: Key; readonly deadlineMs: number }
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

function sumOf(wages: readonly Wage[]): Amount {
  return amount(wages.reduce((sum, wage) => sum + wage.amount, 0n))
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
    while (!signal.aborted) {
      const owed = this.#owed.get(job)!
      try {
        await this.#step(owed)
        if (!this.#owed.has(job)) return
      } catch (error) {
        if (signal.aborted) return
        const reason = errorMessage(error)
        env.log.debug('a job is not paid yet', { job, code: errorCode(error), reason })
        const late = env.clock.now() > owed.sinceMs + GIVE_UP_MS
        if (late || ['not-found', 'credits'].includes(errorCode(error))) {
          env.log.warn('a job stays unpaid', { job, reason })
          return this.#end(owed, 'unpaid', reason)
        }
        await env.clock.sleep(RETRY_MS * (0.5 + env.random.next()), { signal }).catch(() => {})
      }
    }
  }

  /** The next of: count, open, fund, release and close. */
  async #step(owed: Owed): Promise<void> {
    const { job, wages, escrow, paid } = owed
    const { env, ledger } = this.#ports
    const { signal } = this.#stopped
    if (!wages) return this.#note({ ...owed, wages: await this.#count(owed) })
    if (wages.length === 0) return this.#end(owed, 'paid')
    if (!escrow) {
      const payees = wages.map(({ to }) => to)
      const deadlineMs = Math.floor(env.clock.now()) + ESCROW_LIFE_MS
      const terms = { payees, arbiter: null, amount: sumOf(wages), deadlineMs }
      const { receipt } = await this.#act({ kind: 'open-escrow', ...terms })
      const opened = decodeOperation(receipt!.operation)
      if (typeof opened === 'string') throw new ChoraleError('internal', `an escrow was opened by no operation: ${job}`)
      return this.#note({ ...owed, escrow: { id: escrowId(opened), deadlineMs } })
    }
    const { id, deadlineMs } = escrow
    if (paid) await env.clock.sleep(Math.max(0, deadlineMs + CLOSE_AFTER_MS - env.clock.now()), { signal })
    await this.#freshen()
    const now = ledger.escrow(id)
    if (!now) return paid ? this.#end(owed, 'paid') : this.#end(owed, 'unpaid', 'its escrow is closed')
    if (paid) await this.#act({ kind: 'time-out', escrow: id })
    else if (now.funded < now.amount) {
      await this.#act({ kind: 'fund', escrow: id, amount: amount(now.amount - now.funded) })
    } else if (now.step < wages.length) {
      const wage = wages[now.step]!
      await this.#act({ kind: 'release', escrow: id, step: now.step, to: wage.to, amount: wage.amount })
    } else this.#note({ ...owed, paid: true })
  }

  /** What this node has done before a crash, or what came in late, must be in its copy. */
  async #freshen(): Promise<void> {
    const { env, ledger, wallet } = this.#ports
    using deadline = env.clock.deadline(PATIENCE_MS, this.#stopped.signal)
    await ledger.account(wallet.account, deadline)
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

  /** Rejects `credits` when the ledger refuses it, and `busy` when it is to be tried again. */
  async #act(action: Action): Promise<Outcome> {
    using deadline = this.#ports.env.clock.deadline(PATIENCE_MS, this.#stopped.signal)
    const outcome = await this.#ports.wallet.act(action, deadline)
    if (outcome.result === 'applied') return outcome
    throw new ChoraleError(AGAIN.has(outcome.result) ? 'busy' : 'credits', sentenceOf(outcome.result))
  }
}

/** The same jobs; each that is submitted through them will be paid for. */
export function paidJobs(jobs: Jobs, payments: Pick<Payments, 'owe'>): Jobs {
  const noted = (view: JobView) => {
    payments.owe(view.id)
    return view
  }
  return {
    submit: async (request, options) => noted(await jobs.submit(request, options)),
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
