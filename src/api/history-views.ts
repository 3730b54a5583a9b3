/**
 * An account's history as JSON, newest first; of what the market did, also what the credits were for, as far as the state of this
 * host's copy still tells: it keeps allocations for a day after their end.
 */
import type { HistoryEntry, Ledger } from '../market/ledger/ledger.ts'
import { type EntryBody, entryBody } from './ledger-views.ts'

type State = Ledger['state']
type Allocation = NonNullable<ReturnType<State['allocations']['get']>>
type Account = Allocation['customer']

/** Operations before those that are told that are looked at for the windows they are about. */
export const CONTEXT_ENTRIES = 64

/** What an operation of the market meant for the account. */
export interface AboutBody {
  /** Its part. */
  readonly as: 'customer' | 'supplier' | 'mediator'
  /** As offers name it, not its id: 64 hex digits. */
  readonly job: string
  /** The job's own id; null: this host does not know it. */
  readonly jobId: string | null
  /** That were matched, or paid; null: that is not known here. */
  readonly tasks: number | null
  /** What was earned; null: nothing, or it is not known apart from what came back. */
  readonly wage: string | null
  /** What was locked (below zero), or came back; null as above. */
  readonly locked: string | null
}

export interface HistoryOf {
  readonly account: Account
  readonly state: State
  readonly limit: number
  /** The id of the job that an allocation is of, if it is known. */
  jobOf(allocation: Pick<Allocation, 'customer' | 'job'>): string | undefined
}

/** Of so many entries the first `limit`. */
export function historyBody(
  entries: readonly HistoryEntry[],
  { account, state, limit, jobOf }: HistoryOf,
): EntryBody[] {
  return entries.slice(0, limit).map((entry, i) => {
    const about = aboutOf(entry, entries.slice(i + 1), account, state)
    if (!about) return entryBody(entry)
    const { of, ...rest } = about
    return { ...entryBody(entry), about: { ...rest, jobId: jobOf(of) ?? null } }
  })
}

/** `of`: the allocation, or one of several of a job. */
type About = Omit<AboutBody, 'jobId'> & { readonly of: Allocation }

function aboutOf(
  { operation: { action }, result, effect }: HistoryEntry,
  before: readonly HistoryEntry[],
  account: Account,
  state: State,
): About | undefined {
  if (result !== 'applied') return undefined
  const moved = effect.free + effect.granted
  if (action.kind === 'match') return moved < 0n ? lockedFor(-moved, account, state) : undefined
  if (!('allocation' in action)) return undefined
  const allocation = state.allocations.get(action.allocation)
  if (!allocation) return undefined
  const { customer, supplier, job } = allocation
  if (account === supplier) {
    const sum = moved > 0n ? earned(moved, allocation, windowBefore(before, action.allocation)) : undefined
    return { as: 'supplier', job, of: allocation, ...(sum ?? NOTHING) }
  }
  const back = moved === 0n ? null : `${moved}`
  if (account === customer) return { as: 'customer', job, of: allocation, ...NOTHING, locked: back }
  return { as: 'mediator', job, of: allocation, ...NOTHING, wage: back }
}

const NOTHING = { tasks: null, wage: null, locked: null }

/**
 * The one allocation of the account, or those of one job, whose sums are what was taken. A customer is taken price, bond and the
 * allocators' fee, a supplier its deposit.
 */
function lockedFor(sum: bigint, account: Account, state: State): About | undefined {
  const bought = new Map<string, Allocation[]>()
  const found: About[] = []
  for (const [, each] of state.allocations.entries()) {
    const { customer, supplier, job, deposit, tasks } = each
    if (customer === account) bought.set(job, [...(bought.get(job) ?? []), each])
    if (supplier === account && deposit === sum) {
      found.push({ as: 'supplier', job, of: each, tasks, wage: null, locked: `${-sum}` })
    }
  }
  for (const [job, all] of bought) {
    for (const some of [...all.map((each) => [each]), ...(all.length > 1 ? [all] : [])]) {
      if (some.reduce((total, { price, bond, fee }) => total + price + bond + fee, 0n) !== sum) continue
      const tasks = some.reduce((total, each) => total + each.tasks, 0)
      found.push({ as: 'customer', job, of: all[0]!, tasks, wage: null, locked: `${-sum}` })
    }
  }
  return found.length === 1 ? found[0] : undefined
}

/** How many tasks the window has that was committed to last. */
function windowBefore(before: readonly HistoryEntry[], allocation: string): number | undefined {
  for (const { operation, result } of before) {
    const { action } = operation
    if (action.kind === 'commit' && action.allocation === allocation && result === 'applied') {
      return action.tasks.reduce((sum, [from, to]) => sum + to - from, 0)
    }
  }
  return undefined
}

/** The wage of a window; and the deposit, when that was the last one. A difference of a millicredit is rounding. */
function earned(sum: bigint, { price, tasks, paid, deposit }: Allocation, window: number | undefined) {
  if (window === undefined) return sum === deposit ? { tasks: null, wage: null, locked: `${sum}` } : undefined
  const worth = (count: number) => (price * BigInt(count)) / BigInt(tasks)
  if (sum - worth(window) <= 1n) return { tasks: window, wage: `${sum}`, locked: null }
  const last = worth(paid) - worth(Math.max(0, paid - window))
  if (sum === last + deposit) return { tasks: window, wage: `${last}`, locked: `${deposit}` }
  return sum <= deposit ? { tasks: null, wage: null, locked: `${sum}` } : undefined
}
