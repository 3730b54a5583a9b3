/**
 * A simulated committee under faults, judged from outside: loss, delay, reordering, duplication, partitions, crashes with
 * a torn log, and up to f liars. Faults end; then everything that clients wanted must be final within ten views, and all
 * must come to rest with the same chain. Messages are handed over as objects; no time passes but the virtual one.
 */
import { seededRandom } from '../../src/core/random.ts'
import type { Message } from '../../src/market/ledger/consensus/messages.ts'
import { ConsensusChecker } from './consensus-checker.ts'
import { ConsensusMember, operationsOf } from './consensus-member.ts'
import { fakeCommittee } from './fake-keys.ts'
import { Liar } from './liar.ts'

export interface ConsensusRun {
  seed: number
  members: number
  /** Of these, the last ones lie. At most f, or the protocol promises nothing. */
  liars: number
  /** How long faults last, virtual milliseconds. */
  faultsMs: number
  /** Operations during faults, and as many after them. */
  operations: number
  /** Share of messages lost while there are faults. */
  loss: number
  /** Planted faults. */
  quorum?: number | undefined
  forgets?: boolean | undefined
}

export const RUN_DEFAULTS: ConsensusRun = {
  seed: 1,
  members: 4,
  liars: 1,
  faultsMs: 10_000,
  operations: 10,
  loss: 0.05,
}

export interface ConsensusRunResult {
  height: number
  view: number
  messages: number
  crashes: number
  accusations: number
  forged: number
  /** The most views that an operation took after faults had ended. */
  slowestViews: number
  violations: readonly string[]
}

/** Bound on a message's delay when there are no faults. */
const DELTA_MS = 100
/** After the last operation all must be at rest by then. */
const REST_MS = 60_000
/** Views that an operation may take after faults. */
const MAX_VIEWS = 10

interface Due {
  readonly atMs: number
  readonly sequence: number
  readonly run: () => void
}

export function runConsensus(options: ConsensusRun): ConsensusRunResult {
  const run = new Run(options)
  return run.result()
}

class Run {
  readonly #options: ConsensusRun
  readonly #random
  readonly #checker
  readonly #honest: ConsensusMember[]
  readonly #liars: Liar[]
  #nowMs = 1_000_000
  readonly #quietMs: number
  #queue: Due[] = []
  #sequence = 0
  #messages = 0
  #crashes = 0
  #accusations = 0
  /** Operations, with the latest view of anybody when they were wanted; or when faults ended, if that was later. */
  readonly #wantedIn = new Map<string, number>()
  #slowest = 0
  /** While it lasts, only members of one half hear each other. */
  #half: Set<number> | undefined

  constructor(options: ConsensusRun) {
    const { seed, members, liars, faultsMs, quorum, forgets } = options
    this.#options = options
    this.#random = seededRandom(`consensus ${seed}`)
    this.#quietMs = this.#nowMs + faultsMs
    const committees = fakeCommittee({ members, viewMs: 3 * DELTA_MS, firstLeader: this.#random.int(members), quorum })
    this.#checker = new ConsensusChecker(committees[0]!.base, members, committees[0]!.quorum)
    this.#honest = committees.slice(0, members - liars).map((committee) => this.#member(committee, forgets === true))
    this.#liars = committees.slice(members - liars).map((committee) => {
      const random = this.#random.fork(`liar ${committee.self}`)
      const nowMs = () => this.#nowMs
      return new Liar(committee, random, nowMs, (to, message, lateMs) => {
        this.#at(lateMs, () => this.#deliver(committee.self, to, message))
      })
    })
    this.#plan()
    this.#runUntil(this.#quietMs)
    this.#endFaults()
    this.#runUntil(this.#quietMs + DELTA_MS * this.#options.operations * 10 + REST_MS)
    this.#judgeEnd()
  }

  result(): ConsensusRunResult {
    return {
      height: this.#checker.chain.length,
      view: this.#view(),
      messages: this.#messages,
      crashes: this.#crashes,
      accusations: this.#accusations,
      forged: this.#honest.reduce((sum, { forged }) => sum + forged, 0),
      slowestViews: this.#slowest,
      violations: this.#checker.violations,
    }
  }

  #member(committee: ConsensusMember['committee'], forgets: boolean): ConsensusMember {
    const { self } = committee
    const random = this.#random.fork(`member ${self}`)
    const skewMs = random.int(1000) - 500
    return new ConsensusMember(
      committee,
      {
        random,
        nowMs: () => this.#nowMs + skewMs,
        after: (ms, run) => {
          let live = true
          const member = this.#honest[self]!
          const { life } = member
          this.#at(ms, () => live && member.life === life && run())
          return () => {
            live = false
          }
        },
        send: (to, message) => {
          this.#checker.sent(self, message)
          for (let i = 0; i < committee.members; i++)
            if (i !== self && (to === 'all' || to === i)) this.#deliver(self, i, message)
        },
        finalized: (run) => {
          for (const block of this.#checker.finalized(self, run))
            for (const one of operationsOf(block) ?? []) this.#final(one, block.view)
        },
        accused: (member) => {
          this.#accusations++
          if (member < this.#honest.length) this.#checker.violations.push(`honest member ${member} stands accused`)
        },
      },
      forgets,
    )
  }

  #plan(): void {
    const { faultsMs, operations } = this.#options
    for (let i = 0; i < operations; i++) this.#at(this.#random.int(faultsMs), () => this.#want(`early ${i}`))
    for (let ms = 0; ms < faultsMs; ms += 500 + this.#random.int(2000)) {
      const member = this.#honest[this.#random.int(this.#honest.length)]!
      this.#at(ms, () => {
        this.#crashes++
        member.crash()
      })
      this.#at(ms + this.#random.int(1500), () => member.restart())
    }
    for (let ms = 0; ms < faultsMs; ms += 2000 + this.#random.int(4000)) {
      this.#at(ms, () => {
        this.#half = new Set(this.#honest.map((_, i) => i).filter(() => this.#random.next() < 0.5))
      })
      this.#at(ms + this.#random.int(1500), () => {
        this.#half = undefined
      })
    }
  }

  #endFaults(): void {
    this.#half = undefined
    const view = this.#view()
    for (const operation of this.#wantedIn.keys()) this.#wantedIn.set(operation, view)
    for (const member of this.#honest) {
      member.restart()
      member.probe()
    }
    const { operations } = this.#options
    for (let i = 0; i < operations; i++)
      this.#at(this.#random.int(operations * DELTA_MS * 10), () => this.#want(`late ${i}`))
  }

  #view(): number {
    return Math.max(...this.#honest.map(({ state }) => state.view))
  }

  /** A client gives an operation to all members, some later than others. */
  #want(operation: string): void {
    this.#wantedIn.set(operation, this.#view())
    for (const member of this.#honest) this.#at(this.#random.int(DELTA_MS), () => member.give(operation))
  }

  #final(operation: string, view: number): void {
    const since = this.#wantedIn.get(operation)
    if (since === undefined) return
    this.#wantedIn.delete(operation)
    if (this.#nowMs >= this.#quietMs) this.#slowest = Math.max(this.#slowest, view - since)
  }

  #judgeEnd(): void {
    const { violations, chain } = this.#checker
    for (const operation of this.#wantedIn.keys()) violations.push(`'${operation}' was never finalized`)
    if (this.#slowest > MAX_VIEWS) violations.push(`an operation took ${this.#slowest} views`)
    if (this.#queue.length > 0) violations.push('no rest: something still happens')
    for (const { committee, state, isAtRest } of this.#honest) {
      if (!isAtRest) violations.push(`no rest: member ${committee.self} waits in view ${state.view}`)
      if (state.finalized.height !== chain.length) {
        violations.push(`member ${committee.self} has ${state.finalized.height} of ${chain.length} blocks`)
      }
    }
  }

  #deliver(from: number, to: number, message: Message): void {
    const faults = this.#nowMs < this.#quietMs
    const liar = to - this.#honest.length
    this.#messages++
    if (liar >= 0) {
      this.#at(this.#random.int(20), () => this.#liars[liar]!.hear(message))
      return
    }
    if (faults) {
      if (this.#random.next() < this.#options.loss) return
      if (this.#half !== undefined && this.#half.has(from) !== this.#half.has(to)) return
      if (this.#random.next() < 0.03) this.#at(this.#random.int(4000), () => this.#honest[to]!.hear(from, message))
    }
    const late = faults && this.#random.next() < 0.05 ? this.#random.int(1500) : 0
    this.#at(1 + this.#random.int(DELTA_MS - 40) + late, () => this.#honest[to]!.hear(from, message))
  }

  #at(ms: number, run: () => unknown): void {
    const due = { atMs: this.#nowMs + ms, sequence: this.#sequence++, run }
    const queue = this.#queue
    let at = queue.push(due) - 1
    for (; at > 0 && before(due, queue[(at - 1) >> 1]!); at = (at - 1) >> 1) queue[at] = queue[(at - 1) >> 1]!
    queue[at] = due
  }

  #runUntil(endMs: number): void {
    while (this.#queue.length > 0 && this.#queue[0]!.atMs <= endMs && this.#checker.violations.length === 0) {
      const due = this.#pop()
      this.#nowMs = due.atMs
      due.run()
    }
    this.#nowMs = endMs
  }

  #pop(): Due {
    const queue = this.#queue
    const first = queue[0]!
    const last = queue.pop()!
    if (queue.length === 0) return first
    let at = 0
    for (let child = 1; child < queue.length; child = 2 * at + 1) {
      if (child + 1 < queue.length && before(queue[child + 1]!, queue[child]!)) child++
      if (!before(queue[child]!, last)) break
      queue[at] = queue[child]!
      at = child
    }
    queue[at] = last
    return first
  }
}

function before(a: Due, b: Due): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence)
}
