/**
 * Scenario `market`: suppliers and customers meet on the real ledger of a committee with liars in it (`sim/ledger/`), and bring
 * jobs to an end by `src/market/allocation/steps.ts` while nodes come and go. Some of them cheat (`sim/market/cast.ts`). Work is
 * simulated: a task takes its time, and its result is a hash. Judged from outside (`sim/market/market-checker.ts`).
 *
 * Nodes submit at a banker that is honest, and read what is on its chain. They have no ledger of their own.
 */

import type { Random } from '../../src/core/env.ts'
import { ChoraleError, errorMessage } from '../../src/core/errors.ts'
import { hashKey, type Key } from '../../src/core/ids.ts'
import { MAX_OFFER_LIFE_MS } from '../../src/core/limits.ts'
import { seededRandom } from '../../src/core/random.ts'
import { quorumOf } from '../../src/market/ledger/committee.ts'
import { networkOf } from '../../src/market/ledger/genesis.ts'
import type { Amount } from '../../src/market/ledger/state/amount.ts'
import { offerIn } from '../../src/market/ledger/state/book/offers.ts'
import type { State } from '../../src/market/ledger/state/state.ts'
import type { Buy } from '../../src/market/offers/offer.ts'
import { Conspiracy } from '../ledger/conspiracy.ts'
import { LedgerChecker } from '../ledger/ledger-checker.ts'
import { LedgerNet } from '../ledger/ledger-net.ts'
import { LyingTransport } from '../ledger/lying-transport.ts'
import { Allocator } from '../market/allocator.ts'
import { castOf } from '../market/cast.ts'
import { Dispatch } from '../market/dispatch.ts'
import { judge, type MarketResult } from '../market/judgement.ts'
import { MarketChecker } from '../market/market-checker.ts'
import { MarketNode, type NodePorts } from '../market/market-node.ts'

export interface MarketOptions {
  seed: number
  nodes: number
  jobs: number
  /** Share of the nodes of each role that cheat. */
  cheaters: number
  /** Share of the nodes that go down, per second. */
  churn: number
  /** How long, on average, in seconds. */
  downtime: number
  /** Bankers, and those of them that lie; they are not among the nodes. */
  members: number
  faulty: number
}

export const MARKET_DEFAULTS: MarketOptions = {
  seed: 1,
  nodes: 500,
  jobs: 1000,
  cheaters: 0.2,
  churn: 0.005,
  downtime: 30,
  members: 7,
  faulty: 2,
}

const STEP_MS = 250
const VIEW_MS = 600
const SETTINGS = { epochMs: 600_000 }
/** A job of each node comes every so many seconds; its offer is good for so long, and its work must be done by then. */
const JOB_EVERY_S = 500
const JOB_LIFE_MS = 450_000
/** Until all nodes have settled in. */
const SETTLING_MS = 600_000
/** From the last offer's end until every deadline of a dispute is over. */
const REST_MS = 1_800_000
/** States that bankers may lag behind. */
const KEPT_STATES = 512

export async function runMarket(options: MarketOptions, onProgress?: (line: string) => void): Promise<MarketResult> {
  const { members, faulty } = options
  if (faulty > members - quorumOf(members)) {
    throw new ChoraleError(
      'usage',
      `--faulty ${faulty} of --members ${members}: nothing is promised with so many liars`,
    )
  }
  return new Run(options, onProgress).run()
}

class Run {
  readonly #options: MarketOptions
  readonly #onProgress: ((line: string) => void) | undefined
  readonly #random: Random
  readonly #net: LedgerNet
  readonly #ledger: LedgerChecker
  readonly #market: MarketChecker
  readonly #dispatch = new Dispatch()
  readonly #nodes: readonly MarketNode[]
  readonly #byAccount: ReadonlyMap<Key, MarketNode>
  readonly #customers: readonly MarketNode[]
  readonly #allocator: Allocator
  readonly #board: Uint8Array[] = []
  /** After each of the last blocks, and how far each banker is. */
  readonly #states = new Map<number, State>()
  readonly #heights: number[]
  readonly #refused = new Map<string, number>()

  constructor(options: MarketOptions, onProgress: ((line: string) => void) | undefined) {
    const { seed, members, faulty, nodes, cheaters } = options
    this.#options = options
    this.#onProgress = onProgress
    this.#random = seededRandom(`market ${seed}`)
    this.#net = new LedgerNet({ seed, members, followers: 0, viewMs: VIEW_MS, settings: SETTINGS })
    const { genesis, keys } = this.#net
    this.#market = new MarketChecker({
      dispatch: this.#dispatch,
      isRight: (supplier, task) => this.#byAccount.get(supplier)!.supplying!.isRight(task),
      wrong: (what) => this.#ledger.wrong(what),
    })
    this.#ledger = new LedgerChecker(genesis, {
      tried: this.#market.tried,
      block: (state) => {
        this.#states.set(state.height, state)
        this.#states.delete(state.height - KEPT_STATES)
      },
    })
    this.#states.set(0, this.#ledger.state)
    this.#heights = keys.map(() => 0)
    this.#begin()
    const { env } = this.#net.network.host()
    const network = networkOf(genesis)
    const ended: NodePorts['ended'] = (action, result) => {
      if (result === 'applied') return
      const name = `${action.kind}: ${result ?? 'unknown'}`
      this.#refused.set(name, (this.#refused.get(name) ?? 0) + 1)
    }
    const honest = members - faulty
    const ports: NodePorts = {
      env,
      network,
      dispatch: this.#dispatch,
      chain: ({ number }) => this.#chain(number % honest),
      open: (account) => this.#market.open.get(account) ?? [],
      ask: (supplier, id, allocation, positions) => {
        const node = this.#byAccount.get(supplier)!
        return node.isUp ? node.supplying!.openings(id, allocation, positions) : undefined
      },
      post: (offer) => void this.#board.push(offer),
      ended,
    }
    this.#nodes = castOf(nodes, cheaters).map((part, number) => new MarketNode(ports, number, part))
    this.#byAccount = new Map(this.#nodes.map((node) => [node.account, node]))
    this.#customers = this.#nodes.filter(({ part }) => part.role === 'customer').reverse()
    this.#allocator = new Allocator({ env, network, ended, board: this.#board, chain: () => this.#chain(0) })
  }

  #begin(): void {
    const { genesis, keys } = this.#net
    const { members, faulty } = this.#options
    const liars = keys.slice(members - faulty).map((key, i) => ({ member: members - faulty + i, key }))
    const conspiracy = faulty > 0 ? new Conspiracy(genesis, liars, this.#random.fork('liars')) : undefined
    this.#net.begin({
      onRun: (host, run) => {
        this.#heights[host] = run.lastHeight
        if (host < members - faulty) this.#ledger.onRun(host, run)
        else if (host === liars[0]!.member) conspiracy!.onRun(run)
      },
      transport: (number, real) => {
        const liar = liars.find(({ member }) => member === number)
        const contacts = () => this.#net.hosts.map(({ host }) => host.contact())
        return liar && conspiracy ? new LyingTransport({ real, liar, conspiracy, contacts }) : real
      },
    })
  }

  #chain(banker: number) {
    return { ledger: this.#net.hosts[banker]!.service.ledger, state: this.#states.get(this.#heights[banker]!)! }
  }

  async run(): Promise<MarketResult> {
    try {
      const isSettled = () => this.#nodes.every((node) => node.isSettled(this.#ledger.state))
      for (let ms = 0; ms < SETTLING_MS && !isSettled(); ms += STEP_MS) await this.#step()
      await this.#trade()
    } catch (error) {
      this.#ledger.wrong(`it threw: ${errorMessage(error)}`)
    }
    return judge({
      jobs: this.#options.jobs,
      ledger: this.#ledger,
      market: this.#market,
      dispatch: this.#dispatch,
      nodes: this.#nodes,
      refused: this.#refused,
      schedule: this.#net.network.schedule,
    })
  }

  async #step(): Promise<void> {
    await this.#net.run(STEP_MS)
    const { nowMs } = this.#net
    for (const node of this.#nodes) node.tick(nowMs)
    this.#allocator.tick(nowMs)
  }

  async #trade(): Promise<void> {
    const { jobs, nodes } = this.#options
    const everyMs = (JOB_EVERY_S * 1000) / nodes
    let nextMs = this.#net.nowMs
    let begun = 0
    let endMs = nextMs + JOB_LIFE_MS + REST_MS
    while (this.#net.nowMs < endMs && this.#ledger.violations.length === 0) {
      for (; begun < jobs && this.#net.nowMs >= nextMs; nextMs += everyMs) {
        this.#offerJob(begun++)
        endMs = this.#net.nowMs + JOB_LIFE_MS + REST_MS
        if (begun % 100 === 0) this.#onProgress?.(`${begun} jobs after ${Math.round(this.#net.nowMs / 1000)} s`)
      }
      if (begun === jobs && this.#isQuiet()) break
      this.#churn()
      await this.#step()
    }
  }

  /** Is nothing open, and nothing left to be matched? */
  #isQuiet(): boolean {
    const { nowMs } = this.#net
    if (this.#market.isAnyOpen) return false
    if (this.#board.length > 0) return false
    const offers = [...this.#ledger.state.book.entries()]
    return !offers.some(([, { bytes, left }]) => left > 0 && nowMs < offerIn(bytes)!.expiresMs)
  }

  #offerJob(number: number): void {
    const customer = this.#customers[number % this.#customers.length]!
    const random = this.#random
    const tasks = 20 + random.int(100)
    const taskMs = 1000 + random.int(2000)
    const replicas = random.next() < 0.1 ? 2 : 1
    const nowMs = Math.floor(this.#net.nowMs)
    const expiresMs = nowMs + JOB_LIFE_MS
    const id = hashKey(`job ${number}`)
    this.#dispatch.add({ id, customer: customer.account, tasks, replicas, taskMs, expiresMs })
    const terms: Buy = {
      kind: 'buy',
      job: id,
      tasks,
      taskWorkMi: taskMs, // a core of the simulation does 1,000 million instructions a second
      memoryBytes: 2 ** 20,
      replicas,
      maxPrice: BigInt(40_000 + random.int(40_000)) as Amount,
      deadlineMs: expiresMs,
      minServiceMs: 60_000,
      soonMs: MAX_OFFER_LIFE_MS,
      rate: 'auto',
      level: 'process',
      fromMs: nowMs,
      untilMs: expiresMs,
    }
    customer.offerJob(terms, expiresMs)
  }

  #churn(): void {
    const { churn, downtime } = this.#options
    if (churn === 0) return
    const random = this.#random
    for (const node of this.#nodes) {
      if (node.isUp && random.next() < (churn * STEP_MS) / 1000) node.goDown(downtime * 1000 * (0.5 + random.next()))
    }
  }
}
