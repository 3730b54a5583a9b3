/** Nodes that trade on one ledger and one board, over virtual time: what they do is all that happens. */
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import { silentLogger } from '../../../../src/core/env.ts'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { systemRandom } from '../../../../src/core/system.ts'
import { type JobSpec, jobKeyOf } from '../../../../src/mapreduce/spec.ts'
import type { JobRequest, JobView } from '../../../../src/mapreduce/types.ts'
import { claimId } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { Wallet } from '../../../../src/market/ledger/wallet.ts'
import type { Lent } from '../../../../src/market/lending/lender.ts'
import { decodeOffer } from '../../../../src/market/offers/offer.ts'
import type { Bought } from '../../../../src/market/trading/bought.ts'
import type { OfferBoard, TradingPorts } from '../../../../src/market/trading/ports.ts'
import { Trading } from '../../../../src/market/trading/trading.ts'
import { SoleLedger } from '../../../fakes/ledger.ts'
import { jobView } from '../../cli/fake-host.ts'
import { VirtualTime } from '../../mapreduce/virtual-time.ts'
import { genesisWith, START_MS } from '../ledger/books.ts'

export const never = { signal: new AbortController().signal }
export const REQUEST: JobRequest = { module: 'builtin:pi', params: { samples: 16 }, seed: 1 }
/** On this host, of 1,000 MIPS. */
export const TASK_MS = 8_000
export const TASKS = 16
export const LENT: Lent = { slots: 4, level: 'process', minPrice: 'auto', mips: 1000, forMs: undefined }

/** Hostile bytes may be put into it. */
export class FakeBoard implements OfferBoard {
  readonly posted: Uint8Array[] = []
  async post(offer: Uint8Array) {
    this.posted.push(offer)
  }
  async read() {
    return this.posted
  }
  forget() {}
}

export class World {
  readonly time = new VirtualTime()
  readonly board = new FakeBoard()
  readonly ledger: SoleLedger
  readonly #jobs = new Map<string, { view: JobView; spec: JobSpec; wake: () => void }>()

  constructor() {
    this.ledger = new SoleLedger(genesisWith([1]))
    Object.defineProperty(this.ledger, 'nowMs', { get: () => Math.max(START_MS, Math.floor(this.time.now())) })
  }

  /** What was asked of the ledger so far, but for what settles accounts in. */
  readonly operations: string[] = []

  async node(name: string, change: { lent?: Lent | undefined; kept?: readonly Bought[] } = {}) {
    const { time, ledger, board } = this
    const env = { clock: time, random: systemRandom.fork(name), log: silentLogger }
    const keys = fakeKeyPair(name)
    const wallet = new Wallet({ env, ledger, keys, host: fakeKeyPair(`host of ${name}`) })
    await this.run(wallet.settleIn(never))
    const act = wallet.act.bind(wallet)
    wallet.act = (action, options) => {
      this.operations.push(action.kind)
      return act(action, options)
    }
    const world = {
      lent: change.lent as Lent | undefined,
      measured: 0,
      journal: (change.kept ?? []) as readonly Bought[],
      writes: 0,
      released: [] as Key[],
      remembered: [] as Key[],
      cancelled: [] as string[],
    }
    const spec = (request: JobRequest): JobSpec => ({
      ...{ v: 1, module: request.module, name: 'pi', params: request.params, seed: request.seed, tasks: TASKS },
      ...{ fanIn: 16, leaf: 16, engine: 'js/test', submitter: name, nonce: '0'.repeat(32), submittedAtMs: 1 },
    })
    const ports: TradingPorts = {
      ...{ env, ledger, wallet, keys, verify: fakeVerify, board },
      levelOf: () => 'process',
      lending: {
        lent: async () => world.lent,
        async measure() {
          world.measured++
          if (world.lent) world.lent = { ...world.lent, mips: 1000 }
          return { mips: 1000, runs: [1000], measuredAtMs: 0, machine: '', engine: '', level: '', tasksRunning: 0 }
        },
      },
      contracts: {
        all: () =>
          [...ledger.state.allocations.entries()].filter(
            ([, { customer, supplier }]) => customer === wallet.account || supplier === wallet.account,
          ),
        specHere: () => undefined,
        remember: (spec) => world.remembered.push(jobKeyOf(spec)),
        release: (job) => world.released.push(job),
      },
      jobs: {
        submit: async (request) => {
          const made = spec(request)
          const contract = claimId({ customer: wallet.account, job: jobKeyOf(made) })
          const view = jobView({ id: `job ${this.#jobs.size}`, state: 'waiting' })
          this.#jobs.set(view.id, { view, spec: { ...made, contract }, wake: () => {} })
          return view
        },
        watch: (id, options) => this.#watch(id, options),
        cancel: async (id) => {
          world.cancelled.push(id)
          return this.end(id, 'cancelled')
        },
        spec: async (id) => this.#jobs.get(id)?.spec,
      },
      plan: async (request) => spec(request),
      redo: { digest: async (_, task) => ({ digest: hashKey(`task ${task}`), tookMs: TASK_MS }) },
      journal: {
        kept: world.journal,
        keep: (bought) => {
          world.journal = bought
          world.writes++
        },
      },
    }
    const open = () => new Trading({ ...ports, journal: { ...ports.journal, kept: world.journal } })
    return { trading: open(), open, world, wallet, ports }
  }

  async *#watch(id: string, options?: { signal?: AbortSignal | undefined }) {
    const job = this.#jobs.get(id)!
    while (job.view.state === 'waiting') {
      yield job.view
      await new Promise<void>((resolve, reject) => {
        job.wake = resolve
        options?.signal?.addEventListener('abort', () => reject(new ChoraleError('aborted', 'left')), { once: true })
      })
    }
    yield job.view
  }

  end(id: string, state: JobView['state']): JobView {
    const job = this.#jobs.get(id)!
    job.view = { ...job.view, state }
    job.wake()
    return job.view
  }

  run<T>(work: Promise<T>): Promise<T> {
    return this.time.until(work, 600_000)
  }

  async wait(ms: number): Promise<void> {
    await this.time.until(this.time.sleep(ms), ms + 1)
  }

  get sells() {
    return this.#offers('sell')
  }

  get buys() {
    return this.#offers('buy')
  }

  #offers(kind: 'sell' | 'buy') {
    return [...this.ledger.state.book.entries()].filter(([, { bytes }]) => {
      const offer = decodeOffer(bytes)
      return typeof offer !== 'string' && offer.terms.kind === kind && offer.expiresMs > this.time.now()
    })
  }

  get allocations() {
    return [...this.ledger.state.allocations.entries()].map(([, allocation]) => allocation)
  }
}
