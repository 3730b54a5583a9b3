/**
 * Scenario `ledger`: the real ledger of a committee (`src/market/ledger/service.ts`) with liars in it, over a network that
 * loses, delays, doubles and parts, on disks whose last writes are torn when the power goes. Faults end after two thirds of
 * the operations, but the liars go on. Judged from outside (`sim/ledger/ledger-checker.ts`).
 */
import type { Random } from '../../src/core/env.ts'
import { ChoraleError, errorMessage } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import { quorumOf } from '../../src/market/ledger/committee.ts'
import { networkOf } from '../../src/market/ledger/genesis.ts'
import { Client, type ClientPorts } from '../ledger/clients.ts'
import { Conspiracy } from '../ledger/conspiracy.ts'
import { LedgerChecker } from '../ledger/ledger-checker.ts'
import { type LedgerHost, LedgerNet } from '../ledger/ledger-net.ts'
import { LyingTransport } from '../ledger/lying-transport.ts'

export interface LedgerOptions {
  seed: number
  members: number
  /** Of these, the last ones lie. */
  faulty: number
  ops: number
  loss: number
}

export const LEDGER_DEFAULTS: LedgerOptions = { seed: 1, members: 7, faulty: 2, ops: 2000, loss: 0.05 }

export interface LedgerResult {
  /** Handed in by clients: some of them two under one number. */
  ops: number
  finalized: number
  doubleSpends: number
  supplyConserved: boolean
  membersEqual: boolean
  receiptsValid: boolean
  /** Of all epochs together. */
  views: number
  blocks: number
  epochs: number
  crashes: number
  /** From the end of faults to the next block that became final. */
  viewsToResume: number
  /** Whose histories are linearizable, every one. */
  accounts: number
  seconds: number
  violations: readonly string[]
  digest: string
}

const CLIENTS = 60
const VIEW_MS = 600
const STEP_MS = 250
/** Virtual time in which all must be done, for each operation and at least. */
const PATIENCE_MS = { each: 200, least: 600_000 }
/** In which all honest hosts must come to the same chain, when clients want nothing any more. */
const REST_MS = 30_000
const MAX_VIEWS_TO_RESUME = 10
/** Share of the operations after which there are no faults any more. */
const FAULTY_SHARE = 2 / 3

export async function runLedger(options: LedgerOptions, onProgress?: (line: string) => void): Promise<LedgerResult> {
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
  readonly #options: LedgerOptions
  readonly #onProgress: ((line: string) => void) | undefined
  readonly #random: Random
  readonly #net: LedgerNet
  readonly #checker: LedgerChecker
  readonly #conspiracy: Conspiracy | undefined
  #begun = 0
  #ended = 0
  #finalized = 0
  #crashes = 0
  #healsAtMs = 0
  readonly #restarts: { readonly number: number; readonly atMs: number }[] = []
  /** Where the honest were when faults ended. */
  #quiet: { readonly height: number; readonly epoch: number; readonly view: number } | undefined
  #viewsToResume: number | undefined

  constructor(options: LedgerOptions, onProgress: ((line: string) => void) | undefined) {
    const { seed, members, faulty, ops, loss } = options
    this.#options = options
    this.#onProgress = onProgress
    this.#random = seededRandom(`ledger ${seed}`)
    const settings = { epochMs: 5000 + Math.floor(ops / 2) }
    this.#net = new LedgerNet({ seed, members, followers: 1, viewMs: VIEW_MS, settings })
    this.#setFaults({ loss, duplication: 0.01, reordering: 0.03 })
    const { genesis, keys } = this.#net
    this.#checker = new LedgerChecker(genesis)
    const liars = keys.slice(members - faulty, members).map((key, i) => ({ member: members - faulty + i, key }))
    this.#conspiracy = faulty > 0 ? new Conspiracy(genesis, liars, this.#random.fork('liars')) : undefined
    const conspiracy = this.#conspiracy
    this.#net.begin({
      onRun: (host, run) => {
        if (!this.#isLiar(host)) this.#checker.onRun(host, run)
        else if (host === liars[0]!.member) conspiracy!.onRun(run)
      },
      transport: (number, real) => {
        const liar = liars.find(({ member }) => member === number)
        const contacts = () =>
          this.#net.hosts.slice(0, members).map(({ isUp, host }) => (isUp ? host.contact() : undefined))
        return liar && conspiracy ? new LyingTransport({ real, liar, conspiracy, contacts }) : real
      },
    })
  }

  async run(): Promise<LedgerResult> {
    const { ops } = this.#options
    const limitMs = this.#net.nowMs + PATIENCE_MS.least + ops * PATIENCE_MS.each
    let done = false
    const working = this.#work().then(() => {
      done = true
    })
    try {
      while (!done && this.#net.nowMs < limitMs && this.#checker.violations.length === 0) {
        await this.#net.run(STEP_MS)
        if (this.#ended >= ops * FAULTY_SHARE) this.#endFaults()
        else this.#meddle()
        this.#watchResuming()
      }
      if (done) await working
      this.#endFaults()
      for (let ms = 0; ms < REST_MS && !this.#areEqual(); ms += STEP_MS) await this.#net.run(STEP_MS)
    } catch (error) {
      this.#checker.wrong(`it threw: ${errorMessage(error)}`)
    }
    return this.#judge(done)
  }

  async #work(): Promise<void> {
    const { ops } = this.#options
    const { network } = this.#net
    // A machine of their own, that only has the time for them.
    const { env } = network.host()
    const ports: ClientPorts = {
      env,
      network: networkOf(this.#net.genesis),
      checker: this.#checker,
      pickLedger: (random) => {
        const up = this.#net.hosts.filter(({ isUp, number }) => isUp && !this.#isLiar(number))
        const picked = up[random.int(up.length)]
        return picked && { ledger: picked.service.ledger, env: picked.host.env }
      },
      tempt: (one, other) => this.#conspiracy?.tempt(one, other),
      begin: () => this.#begun < ops && ++this.#begun > 0,
      ended: (isFinal) => {
        this.#ended++
        if (isFinal) this.#finalized++
        if (this.#ended % 10_000 === 0) this.#onProgress?.(`${this.#ended} of ${ops} operations have ended`)
      },
    }
    const clients = Array.from({ length: CLIENTS }, (_, i) => new Client(ports, i))
    await Promise.all(clients.map((client) => client.open()))
    await Promise.all(clients.map((client) => client.live(clients)))
  }

  #honest(): LedgerHost[] {
    return this.#net.hosts.filter(({ number }) => !this.#isLiar(number))
  }

  #areEqual(): boolean {
    return this.#honest().every(({ service }) => service.ledger.status().height === this.#checker.height)
  }

  #isLiar(number: number): boolean {
    const { members, faulty } = this.#options
    return number >= members - faulty && number < members
  }

  // Faults ---------------------------------------------------------------------------------------------------------

  #setFaults(faults: { loss: number; duplication: number; reordering: number }): void {
    Object.assign(this.#net.network.options, faults)
  }

  /** Crashes and partitions, by chance. */
  #meddle(): void {
    const { hosts, network, nowMs } = this.#net
    const random = this.#random
    if (random.next() < 0.05) {
      const up = hosts.filter(({ isUp, number }) => isUp && !this.#isLiar(number))
      const victim = up[random.int(up.length)]
      if (victim) {
        this.#crashes++
        this.#net.kill(victim.number)
        this.#restarts.push({ number: victim.number, atMs: nowMs + 200 + random.int(3000) })
      }
    }
    for (const { number, atMs } of this.#restarts) if (atMs <= nowMs) this.#net.restart(number)
    if (network.isParted) {
      if (nowMs >= this.#healsAtMs) network.partition(undefined)
    } else if (random.next() < 0.04) {
      const sides = hosts.map(() => random.int(2))
      network.partition((host) => sides[hosts.findIndex((one) => one.host === host)] ?? 0)
      this.#healsAtMs = nowMs + 500 + random.int(3000)
    }
  }

  #endFaults(): void {
    if (this.#quiet) return
    this.#setFaults({ loss: 0, duplication: 0, reordering: 0 })
    this.#net.network.partition(undefined)
    for (const { number } of this.#net.hosts) this.#net.restart(number)
    this.#quiet = { height: this.#checker.height, ...this.#furthest() }
  }

  #furthest(): { epoch: number; view: number } {
    const all = this.#honest().map(({ service }) => service.ledger.status())
    const epoch = Math.max(...all.map((status) => status.epoch))
    return { epoch, view: Math.max(...all.filter((status) => status.epoch === epoch).map(({ view }) => view)) }
  }

  #watchResuming(): void {
    if (!this.#quiet || this.#viewsToResume !== undefined || this.#checker.height === this.#quiet.height) return
    const { epoch, view } = this.#furthest()
    this.#viewsToResume = epoch === this.#quiet.epoch ? view - this.#quiet.view : view
  }

  // Judgement ------------------------------------------------------------------------------------------------------

  #judge(done: boolean): LedgerResult {
    const checker = this.#checker
    const accounts = checker.judgeHistories()
    for (const { number, service } of this.#honest()) {
      const { height, halted } = service.ledger.status()
      if (height === checker.height) continue
      checker.membersEqual = false
      checker.wrong(
        `host ${number} has ${height} of ${checker.height} blocks at the end: ${halted ?? 'all seems well'}`,
      )
    }
    if (!done) checker.wrong(`${this.#begun - this.#ended} operations did not end`)
    const viewsToResume = this.#viewsToResume ?? 0
    if (viewsToResume > MAX_VIEWS_TO_RESUME) checker.wrong(`progress came back after ${viewsToResume} views`)
    return {
      ops: this.#begun,
      finalized: this.#finalized,
      doubleSpends: checker.doubleSpends,
      supplyConserved: checker.supplyConserved,
      membersEqual: checker.membersEqual,
      receiptsValid: checker.receiptsValid && checker.receipts >= this.#finalized,
      views: checker.views,
      blocks: checker.height,
      epochs: checker.epochs.length,
      crashes: this.#crashes,
      viewsToResume,
      accounts,
      seconds: Math.round(this.#net.nowMs / 1000),
      violations: checker.violations,
      digest: this.#net.network.schedule.digest,
    }
  }
}
