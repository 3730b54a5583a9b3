/**
 * What a job would cost (prices/quote.ts). One or two of its tasks are done here, to see how long they take; the machine's own
 * speed makes work of it, so that it can be told for hosts of any speed.
 */
import type { JobSpec } from '../../mapreduce/spec.ts'
import type { JobRequest } from '../../mapreduce/types.ts'
import { CappedMap } from '../../net/capped-map.ts'
import { FEE_PPM } from '../ledger/state/book/book.ts'
import { quote } from '../prices/quote.ts'
import { capFor, replicasOf, slotsFor, taskWorkMi } from './buy-terms.ts'
import type { JobQuote, QuoteTerms } from './market.ts'
import { failureOf, outlookOf, SLOTS_AHEAD } from './outlook.ts'
import type { TradingPorts } from './ports.ts'

/** All attempts at a task together succeed in so many cases. */
const SUCCESS = 0.99
/** A first task that took so long is enough to know. */
const ENOUGH_MS = 5_000
/** Jobs whose tasks were measured lately: a quote is followed by a submission. */
const REMEMBERED = 64

interface Call {
  readonly signal: AbortSignal
}

export class Quoting {
  readonly #ports: TradingPorts
  readonly #measured = new CappedMap<string, number>(REMEMBERED)

  constructor(ports: TradingPorts) {
    this.#ports = ports
  }

  /** Rejects with `usage`, `user-code` and `not-found` as `Jobs.submit` does, and as `Lender.measure` where that must be done. */
  async quote(request: JobRequest, { verify, when }: QuoteTerms, call: Call): Promise<JobQuote> {
    const { env, ledger } = this.#ports
    const spec = await this.#ports.plan(request, call)
    const level = this.#ports.levelOf(spec)
    const taskWorkMi = await this.#taskWork(spec, request, call)
    const size = { tasks: spec.tasks, replicas: replicasOf(verify), taskWorkMi }
    const nowMs = env.clock.now()
    const outlooks = slotsFor(when, nowMs).map((slot) => outlookOf(ledger.state, nowMs, level, slot))
    const wished = outlooks.toSorted((a, b) => Number(a.likely - b.likely) || a.slot - b.slot)[0]!
    const others = slotsFor('cheapest', nowMs)
      .slice(0, SLOTS_AHEAD)
      .map((slot) => outlookOf(ledger.state, nowMs, level, slot))
      .filter(({ slot }) => slot !== wished.slot)
    const wish = { ...size, failure: failureOf(ledger.state), success: SUCCESS, feePpm: FEE_PPM }
    const quoted = quote(wish, wished, others)
    const { tasks } = size
    // What is bid leaves room for rounding: a cap needs it too.
    return { ...quoted, high: capFor(quoted.high, size), tasks, taskWorkMi, isGuess: wished.isGuess }
  }

  async #taskWork(spec: JobSpec, { module, params, input }: JobRequest, call: Call): Promise<number> {
    const name = JSON.stringify([module, params, input ?? null, spec.tasks])
    const known = this.#measured.get(name)
    if (known !== undefined) return known
    const { redo, lending } = this.#ports
    const lent = await lending.lent()
    const mips = lent?.mips ?? (await lending.measure(call)).mips
    let { tookMs } = await redo.digest(spec, 0, call)
    if (tookMs < ENOUGH_MS && spec.tasks > 1) {
      const other = await redo.digest(spec, Math.floor(spec.tasks / 2), call)
      tookMs = Math.max(tookMs, other.tookMs)
    }
    const work = taskWorkMi(tookMs, mips)
    this.#measured.set(name, work)
    return work
  }
}
