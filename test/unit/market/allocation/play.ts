/**
 * Plays allocations to their end on a small ledger: every side asks `steps.ts` what to do, as a node does, and whatever cheats
 * does so by what it knows or by what it does not send.
 */
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { secretOf } from '../../../../src/market/allocation/secrets.ts'
import {
  customerStep,
  type Examined,
  lateStep,
  mediatorStep,
  supplierStep,
  testedPositions,
  windowName,
} from '../../../../src/market/allocation/steps.ts'
import type { Allocation, Finding } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { claimableOf } from '../../../../src/market/ledger/state/allocations/claims.ts'
import { countOf, type Ranges, tasksIn } from '../../../../src/market/ledger/state/allocations/ranges.ts'
import type { Action } from '../../../../src/market/ledger/state/operation.ts'
import { commitTo, opens } from '../../../../src/market/verification/commitment.ts'
import type { MarketBooks } from '../ledger/market-books.ts'

export function rightDigest(task: number): Key {
  return hashKey(`result of task ${task}`)
}

export function wrongDigest(task: number): Key {
  return hashKey(`no result of task ${task}`)
}

export interface Actors {
  /** What a supplier has for the result of a task. Default: what is right. */
  digest?: (task: number) => Key | undefined
  /** Tasks of the job that it has done. Default: all. */
  done?: Ranges
  /** Openings go to the customer off the ledger. Default: they do. */
  opens?: boolean
  /** What a customer finds out. Default: it does what is tested again. */
  examined?: Examined
  own?: (task: number) => Key
  isTrusting?: boolean
  /** The customer needs no more. */
  isOver?: boolean
  /** Default: what is right. */
  finding?: (mediator: string, task: number) => Finding
  /** Actions that are never sent, of a side or a mediator. */
  drops?: (who: string, action: Action, allocation: Allocation) => boolean
  mediators?: readonly string[]
  /** Says that deadlines are over. */
  bystander?: string
}

/** When nobody has anything to do, time passes. */
const IDLE_MS = 20_000
const MAX_ROUNDS = 500

export class Play {
  readonly books: MarketBooks
  readonly actors: Actors
  nowMs: number
  /** Who did what, and what became of it. */
  readonly log: string[] = []
  /** After every operation, before anybody decides again. */
  onOperation: () => void = () => {}

  constructor(books: MarketBooks, actors: Actors = {}) {
    this.books = books
    this.actors = actors
    this.nowMs = books.state.timeMs
  }

  get kinds(): string[] {
    return this.log.map((line) => line.split(' ')[1]!)
  }

  /** Until all allocations are over; false: they are not, whatever time passes. */
  end(): boolean {
    for (let round = 0; round < MAX_ROUNDS; round++) {
      if (this.books.running.length === 0) return true
      if (!this.round()) this.nowMs += IDLE_MS
    }
    return false
  }

  /** Each side of each allocation decides once. False: nobody has anything to do. */
  round(): boolean {
    let acted = false
    for (const id of this.books.running) {
      for (const ask of this.#sides()) {
        const allocation = this.books.state.allocations.get(id)
        if (!allocation || allocation.phase.name === 'closed') break
        const [who, action] = ask(id, allocation) ?? []
        if (who === undefined || action === undefined || this.actors.drops?.(who, action, allocation)) continue
        const result = this.books.do(who, action, this.nowMs - this.books.state.timeMs)
        this.log.push(`${who} ${action.kind} ${result}`)
        this.onOperation()
        acted = true
      }
    }
    return acted
  }

  #sides(): readonly ((id: Key, allocation: Allocation) => readonly [string, Action | undefined] | undefined)[] {
    const { mediators = [], bystander } = this.actors
    return [
      (id, allocation) => [this.books.nameOf(allocation.supplier), this.supplier(id, allocation)],
      (id, allocation) => [this.books.nameOf(allocation.customer), this.customer(id, allocation)],
      ...mediators.map(
        (name) => (id: Key, allocation: Allocation) => [name, this.mediator(name, id, allocation)] as const,
      ),
      (id, allocation) => {
        const action = lateStep({ id, allocation, blockTimeMs: this.nowMs })
        return bystander === undefined ? undefined : [bystander, action]
      },
    ]
  }

  supplier(id: Key, allocation: Allocation): Action | undefined {
    const { digest = rightDigest, done = [[0, allocation.jobTasks]] } = this.actors
    const unclaimed = claimableOf(this.books.state, allocation, done)
    const work = { digest, unclaimed, waitedMs: 0, isOver: countOf(done) < allocation.jobTasks }
    return supplierStep(this.#situation(id, allocation, allocation.supplier), work)
  }

  customer(id: Key, allocation: Allocation): Action | undefined {
    const { own = rightDigest, isTrusting = false, isOver = false } = this.actors
    const examined = this.actors.examined ?? this.#examine(id, allocation)
    const known = { examined, digest: own, isTrusting, isOver }
    return customerStep(this.#situation(id, allocation, allocation.customer), known)
  }

  mediator(name: string, id: Key, allocation: Allocation): Action | undefined {
    const { finding = (_, task) => rightDigest(task) } = this.actors
    const { phase } = allocation
    const task = 'position' in phase ? [...tasksIn(phase.window.tasks)][phase.position]! : 0
    const situation = this.#situation(id, allocation, this.books.id(name))
    return mediatorStep(situation, this.books.id(`host of ${name}`), finding(name, task))
  }

  #situation(id: Key, allocation: Allocation, account: Key) {
    return { id, allocation, keys: this.books.keyOf(account), blockTimeMs: this.nowMs }
  }

  /** Asks the supplier for what is tested, and does it again. */
  #examine(id: Key, allocation: Allocation): Examined | undefined {
    const { phase, supplier } = allocation
    if (phase.name !== 'revealed') return undefined
    const tasks = [...tasksIn(phase.window.tasks)]
    const name = windowName(id, allocation)
    const positions = testedPositions(id, allocation)
    const { digest = rightDigest } = this.actors
    const secret = secretOf(this.books.keyOf(supplier), id, 'salts')
    const commitment = commitTo(
      name,
      tasks.map((task) => digest(task)!),
      secret,
    )
    for (const position of positions) {
      const opening = this.actors.opens === false ? undefined : commitment.open(position)
      const isRight =
        opening?.digest === rightDigest(tasks[position]!) && opens(opening, name, phase.window.root, tasks.length)
      if (!isRight) return { kind: 'wrong', position }
    }
    return { kind: 'right', tests: positions.length }
  }
}
