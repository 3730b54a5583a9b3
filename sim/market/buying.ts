/** What a simulated customer and a simulated mediator do: both do tasks again, and say what they found. */
import type { Key } from '../../src/core/ids.ts'
import {
  customerStep,
  type Examined,
  mediatorStep,
  testedPositions,
  windowName,
} from '../../src/market/allocation/steps.ts'
import type { KeyPair, PublicKey } from '../../src/market/ledger/keys.ts'
import {
  type Allocation,
  claimId,
  PATIENCE,
  type PhaseNamed,
} from '../../src/market/ledger/state/allocations/allocation.ts'
import { countOf, tasksIn } from '../../src/market/ledger/state/allocations/ranges.ts'
import { offerIn } from '../../src/market/ledger/state/book/offers.ts'
import type { Action } from '../../src/market/ledger/state/operation.ts'
import type { State } from '../../src/market/ledger/state/state.ts'
import { type Opening, opens } from '../../src/market/verification/commitment.ts'
import type { Conduct } from './cast.ts'
import { type Dispatch, rightDigest, wrongDigest } from './dispatch.ts'

/** Of the time that a customer has to approve, it waits so long for openings. */
const OPENINGS_MS = PATIENCE.approve / 2

/** Work that was begun, and is begun anew when the host was down. */
class Chores {
  #begun = new Map<string, number>()

  forget(): void {
    this.#begun.clear()
  }

  /** When it began with this: now, if it had not. */
  begunMs(name: string, nowMs: number): number {
    const begun = this.#begun.get(name)
    if (begun === undefined) this.#begun.set(name, nowMs)
    return begun ?? nowMs
  }
}

export type Ask = (
  supplier: PublicKey,
  id: Key,
  allocation: Allocation,
  positions: readonly number[],
) => readonly Opening[] | undefined

export class Buying {
  readonly #keys: KeyPair
  readonly #conduct: Conduct
  readonly #dispatch: Dispatch
  readonly #ask: Ask
  readonly #chores = new Chores()
  /** Of jobs that are not all paid. */
  readonly #offers = new Set<Key>()

  constructor(keys: KeyPair, conduct: Conduct, dispatch: Dispatch, ask: Ask) {
    this.#keys = keys
    this.#conduct = conduct
    this.#dispatch = dispatch
    this.#ask = ask
  }

  restart(): void {
    this.#chores.forget()
  }

  offered(offer: Key): void {
    this.#offers.add(offer)
  }

  /** An offer of a job of which nothing is left to be done. */
  withdraw({ book, claims }: State): Action | undefined {
    for (const offer of this.#offers) {
      const booked = book.get(offer)
      if (!booked) continue
      const { account: customer, terms } = offerIn(booked.bytes)!
      if (terms.kind === 'sell') continue
      const { layers, holders } = claims.get(claimId({ customer, job: terms.job }))!
      if (holders === 1 && countOf(layers[terms.replicas - 1] ?? []) === terms.tasks) {
        return { kind: 'withdraw-offer', offer }
      }
    }
    return undefined
  }

  step(id: Key, allocation: Allocation, blockTimeMs: number): Action | undefined {
    const { phase, job, windows } = allocation
    const isOver = blockTimeMs > this.#dispatch.jobs.get(job)!.expiresMs
    const lies = this.#conduct === 'dispute'
    if (this.#conduct === 'vanish' && phase.name !== 'signing') return undefined
    const digest = (task: number) => {
      if (lies) return wrongDigest(job, task)
      const isDone = this.#isDone(`${id} ${windows} ${task}`, this.#dispatch.taskMs(allocation), blockTimeMs)
      return isDone ? rightDigest(job, task) : undefined
    }
    const examined: Examined | undefined = lies
      ? { kind: 'wrong', position: 0 }
      : this.#examine(id, allocation, blockTimeMs)
    const action = customerStep(
      { id, allocation, keys: this.#keys, blockTimeMs },
      { examined, digest, isTrusting: false, isOver },
    )
    return action?.kind === 'reveal' && this.#conduct === 'keep' ? undefined : action
  }

  #isDone(name: string, ms: number, nowMs: number): boolean {
    return nowMs - this.#chores.begunMs(name, nowMs) >= ms
  }

  #examine(id: Key, allocation: Allocation, nowMs: number): Examined | undefined {
    const { phase, job, supplier, windows } = allocation
    if (phase.name !== 'revealed') return undefined
    const positions = testedPositions(id, allocation)
    const [first] = positions
    if (first === undefined) return { kind: 'right', tests: 0 }
    const isDone = this.#isDone(`${id} ${windows}`, positions.length * this.#dispatch.taskMs(allocation), nowMs)
    const openings = isDone ? this.#ask(supplier, id, allocation, positions) : undefined
    if (!openings) return nowMs > phase.deadlineMs - OPENINGS_MS ? { kind: 'wrong', position: first } : undefined
    const tasks = [...tasksIn(phase.window.tasks)]
    const name = windowName(id, allocation)
    const bad = openings.find(
      (opening) =>
        opening.digest !== rightDigest(job, tasks[opening.position]!) ||
        !opens(opening, name, phase.window.root, tasks.length),
    )
    return bad ? { kind: 'wrong', position: bad.position } : { kind: 'right', tests: positions.length }
  }
}

/** What is disputed is done twice. */
const TIMES = 2

export class Mediating {
  readonly #keys: KeyPair
  readonly #host: PublicKey
  readonly #conduct: Conduct
  readonly #dispatch: Dispatch
  readonly #chores = new Chores()

  constructor(keys: KeyPair, host: PublicKey, conduct: Conduct, dispatch: Dispatch) {
    this.#keys = keys
    this.#host = host
    this.#conduct = conduct
    this.#dispatch = dispatch
  }

  restart(): void {
    this.#chores.forget()
  }

  step(id: Key, allocation: Allocation, blockTimeMs: number): Action | undefined {
    const { phase } = allocation
    const finding = 'mediators' in phase ? this.#finding(id, allocation, phase, blockTimeMs) : undefined
    return mediatorStep({ id, allocation, keys: this.#keys, blockTimeMs }, this.#host, finding)
  }

  #finding(
    id: Key,
    allocation: Allocation,
    phase: PhaseNamed<'sealing' | 'unsealing'>,
    nowMs: number,
  ): Key | undefined {
    const { job } = allocation
    const task = [...tasksIn(phase.window.tasks)][phase.position]!
    const right = rightDigest(job, task)
    if (this.#conduct === 'lie') return phase.digest !== right ? phase.digest : wrongDigest(job, task)
    const begunMs = this.#chores.begunMs(id, nowMs)
    return nowMs - begunMs >= TIMES * this.#dispatch.taskMs(allocation) ? right : undefined
  }
}
