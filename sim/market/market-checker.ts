/**
 * Judges a simulated market from outside, by every operation of its ledger: who was paid for what, by rules of its own and not
 * those of the ledger. A task is paid as often as the job has replicas, once to each account; a window what its tasks are worth,
 * once; and what an allocation held is all given back or burnt.
 */
import type { Key } from '../../src/core/ids.ts'
import type { PublicKey } from '../../src/market/ledger/keys.ts'
import type { Allocation } from '../../src/market/ledger/state/allocations/allocation.ts'
import { countOf, type Ranges, tasksIn } from '../../src/market/ledger/state/allocations/ranges.ts'
import type { Watch } from '../../src/market/ledger/state/apply.ts'
import { total } from '../../src/market/ledger/state/purse.ts'
import type { State } from '../../src/market/ledger/state/state.ts'
import type { Dispatch } from './dispatch.ts'

/** What became of an allocation. */
export interface Story {
  readonly id: Key
  readonly terms: Allocation
  readonly beganMs: number
  signedMs: number | undefined
  endedMs: number | undefined
  /** Tasks that were committed to, of these with the right result, and those that were paid. */
  committed: number
  right: number
  paid: number
  readonly paidTasks: Set<number>
  /** Of which time was over, by the name of the phase. */
  readonly expired: string[]
  /** The supplier had not signed by then. */
  isUnsigned: boolean
  /** From each commit to the end of its window, in block time. */
  readonly windowsMs: number[]
  committedMs: number
  disputes: number
  /** Burnt of the customer's. */
  customerFined: boolean
  supplierFailed: boolean
}

export interface MarketWatchPorts {
  readonly dispatch: Dispatch
  /** Does this supplier do this task? */
  isRight(supplier: PublicKey, task: number): boolean
  wrong(what: string): void
}

export class MarketChecker {
  readonly stories = new Map<Key, Story>()
  readonly byJob = new Map<Key, Story[]>()
  /** Open allocations of each account, mediators' too. */
  readonly open = new Map<PublicKey, Set<Key>>()
  operations = 0
  readonly refused = new Map<string, number>()
  readonly #ports: MarketWatchPorts
  /** By job and task: who was paid. */
  readonly #paid = new Map<string, Set<PublicKey>>()
  readonly #paidOfJob = new Map<Key, number>()

  constructor(ports: MarketWatchPorts) {
    this.#ports = ports
  }

  get isAnyOpen(): boolean {
    return this.stories.values().some(({ endedMs }) => endedMs === undefined)
  }

  paidCopies(job: Key): number {
    return this.#paidOfJob.get(job) ?? 0
  }

  readonly tried: Watch = ({ operation, before, after }) => {
    this.operations++
    if (!operation || before.allocations === after.allocations) return
    for (const id of after.allocations.changedSince(before.allocations)) {
      const [was, is] = [openIn(before, id), openIn(after, id)]
      if (was) this.#changed(this.stories.get(id)!, was, is, { before, after, kind: operation.action.kind })
      else if (is) this.#began(id, is, after)
    }
  }

  #began(id: Key, allocation: Allocation, state: State): void {
    this.#ports.dispatch.assign(id, allocation)
    const story: Story = {
      id,
      terms: allocation,
      beganMs: state.timeMs,
      signedMs: undefined,
      endedMs: undefined,
      committed: 0,
      right: 0,
      paid: 0,
      paidTasks: new Set(),
      expired: [],
      isUnsigned: false,
      windowsMs: [],
      committedMs: 0,
      disputes: 0,
      customerFined: false,
      supplierFailed: false,
    }
    this.stories.set(id, story)
    const known = this.byJob.get(allocation.job)
    if (known) known.push(story)
    else this.byJob.set(allocation.job, [story])
    for (const account of [allocation.customer, allocation.supplier]) this.#listed(account).add(id)
  }

  #listed(account: PublicKey): Set<Key> {
    const known = this.open.get(account)
    if (known) return known
    const fresh = new Set<Key>()
    this.open.set(account, fresh)
    return fresh
  }

  #changed(story: Story, was: Allocation, is: Allocation | undefined, at: At): void {
    const { after, kind } = at
    const { phase } = was
    if (kind === 'expire') story.expired.push(phase.name)
    if (phase.name === 'signing' && !is && was.secretAnchor === null) story.isUnsigned = true
    if (kind === 'commit') story.committedMs = after.timeMs
    else if ('window' in phase && !(is && 'window' in is.phase)) story.windowsMs.push(after.timeMs - story.committedMs)
    if (kind === 'dispute') story.disputes++
    if (phase.name === 'signing' && is?.phase.name === 'running') story.signedMs = after.timeMs
    if (kind === 'commit' && is?.phase.name === 'committed') {
      const tasks = [...tasksIn(is.phase.window.tasks)]
      story.committed += tasks.length
      story.right += tasks.filter((task) => this.#ports.isRight(is.supplier, task)).length
    }
    if (is?.phase.name === 'sealing' && phase.name === 'drawing') {
      for (const host of is.phase.mediators) this.#listed(after.hosts.get(host as PublicKey)!).add(story.id)
    }
    const closed = is ? undefined : after.allocations.get(story.id)?.phase
    if (closed?.name === 'closed') {
      story.supplierFailed = closed.outcome === 'cheated'
      story.customerFined = closed.outcome === 'wronged'
    }
    this.#checkPay(story, was, is, at)
    if (is) return
    story.endedMs = after.timeMs
    this.#ports.dispatch.takeBack(story.id, was, story.paidTasks)
    for (const listed of this.open.values()) listed.delete(story.id)
  }

  /** What the supplier has now, and had not before: nothing, or the open window's worth, and at the end what is left of its stake. */
  #checkPay(story: Story, was: Allocation, is: Allocation | undefined, { before, after }: At): void {
    const { price, tasks, supplier, customer, phase } = was
    const change = (id: PublicKey) => total(after.accounts.get(id)!) - total(before.accounts.get(id)!)
    const got = change(supplier)
    const window = 'window' in phase ? countOf(phase.window.tasks) : 0
    const worth = (price * BigInt(story.paid + window)) / BigInt(tasks) - (price * BigInt(story.paid)) / BigInt(tasks)
    const back = is ? 0n : total(was.stake)
    const heldBefore = total(was.escrow) + total(was.stake)
    const heldAfter = is ? total(is.escrow) + total(is.stake) : 0n
    const out = heldBefore - heldAfter
    if (got < 0n || got > worth + back || out < got + change(customer)) {
      this.#ports.wrong(`allocation ${story.id.slice(0, 8)}: its supplier got ${got} for a window worth ${worth}`)
    }
    const isPaid = is ? is.paid > was.paid : worth > 0n && got === worth + back
    if (isPaid) this.#pay(story, was, 'window' in phase ? phase.window.tasks : [])
    if (is && is.paid !== story.paid)
      this.#ports.wrong(`allocation ${story.id.slice(0, 8)} counts ${is.paid} paid tasks`)
  }

  #pay(story: Story, { job, supplier, replicas }: Allocation, ranges: Ranges): void {
    story.paid += countOf(ranges)
    for (const task of tasksIn(ranges)) {
      story.paidTasks.add(task)
      const name = `${job} ${task}`
      const payees = this.#paid.get(name) ?? new Set()
      this.#paid.set(name, payees)
      if (payees.has(supplier) || payees.size >= replicas) this.#ports.wrong(`task ${task} of a job was paid too often`)
      payees.add(supplier)
      this.#paidOfJob.set(job, (this.#paidOfJob.get(job) ?? 0) + 1)
    }
  }
}

/** Undefined: there is none, or it is closed. */
function openIn({ allocations }: State, id: Key): Allocation | undefined {
  const allocation = allocations.get(id)
  return allocation?.phase.name === 'closed' ? undefined : allocation
}

interface At {
  readonly before: State
  readonly after: State
  readonly kind: string
}
