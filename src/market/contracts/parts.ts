/**
 * Allocations as the node looks them up: those of a contract, for everybody's admission, and those in which this account has a
 * part. Kept along with the ledger's state, for the branches of it that a block has changed.
 */
import type { Key } from '../../core/ids.ts'
import type { PublicKey } from '../ledger/keys.ts'
import { type Allocation, claimId } from '../ledger/state/allocations/allocation.ts'
import { countOf } from '../ledger/state/allocations/ranges.ts'
import type { State } from '../ledger/state/state.ts'
import { Tree } from '../ledger/state/tree.ts'

type Allocations = State['allocations']

interface Entry {
  readonly contract: Key
  readonly allocation: Allocation
}

export interface Self {
  readonly account: PublicKey
  readonly host: PublicKey
}

export interface Changed {
  readonly contracts: ReadonlySet<Key>
  /** Of this account, now or before. */
  readonly own: readonly Key[]
}

export class Parts {
  readonly #self: Self
  #seen: Allocations = Tree.empty()
  readonly #all = new Map<Key, Entry>()
  /** By contract; of all accounts. */
  readonly #byContract = new Map<Key, Map<Key, Allocation>>()
  readonly #own = new Map<Key, Allocation>()

  constructor(self: Self) {
    this.#self = self
  }

  /** As of this state; the first time all of them are looked at. Contracts of which an allocation is not the same any more. */
  update({ allocations }: Pick<State, 'allocations'>): Changed {
    const contracts = new Set<Key>()
    const own: Key[] = []
    for (const id of allocations.changedSince(this.#seen)) {
      const wasOwn = this.#own.has(id)
      contracts.add(this.#set(id, allocations.get(id)))
      if (wasOwn || this.#own.has(id)) own.push(id)
    }
    this.#seen = allocations
    return { contracts, own }
  }

  #set(id: Key, allocation: Allocation | undefined): Key {
    const contract = this.#all.get(id)?.contract ?? claimId(allocation!)
    const others = this.#byContract.get(contract) ?? new Map<Key, Allocation>()
    if (allocation) {
      this.#all.set(id, { contract, allocation })
      this.#byContract.set(contract, others.set(id, allocation))
    } else {
      this.#all.delete(id)
      others.delete(id)
      if (others.size === 0) this.#byContract.delete(contract)
    }
    if (allocation && this.#isOwn(allocation)) this.#own.set(id, allocation)
    else this.#own.delete(id)
    return contract
  }

  #isOwn({ customer, supplier, phase }: Allocation): boolean {
    const { account, host } = this.#self
    if (customer === account || supplier === account) return true
    return 'mediators' in phase && (phase.mediators as readonly PublicKey[]).includes(host)
  }

  /** In which this account has a part. */
  own(): Iterable<readonly [Key, Allocation]> {
    return this.#own
  }

  /** May something of this account's be matched, or wait for it? */
  isActive({ offersOf }: Pick<State, 'offersOf'>): boolean {
    if (offersOf.get(this.#self.account) !== undefined) return true
    return [...this.#own.values()].some(({ phase }) => phase.name !== 'closed')
  }

  get(id: Key): Allocation | undefined {
    return this.#all.get(id)?.allocation
  }

  /** `claimId` of it. */
  contractOf(id: Key): Key | undefined {
    return this.#all.get(id)?.contract
  }

  of(contract: Key): Iterable<readonly [Key, Allocation]> {
    return this.#byContract.get(contract) ?? []
  }
}

/** Does this host do its work? */
export function isMine({ supplier, host }: Allocation, self: Self): boolean {
  return supplier === self.account && host === self.host
}

/** Both have signed, and it is not over. */
export function isOpen({ phase }: Allocation): boolean {
  return phase.name !== 'signing' && phase.name !== 'closed'
}

/** Tasks that are neither paid nor committed to. */
export function tasksLeft({ tasks, paid, phase }: Allocation): number {
  return tasks - paid - ('window' in phase ? countOf(phase.window.tasks) : 0)
}
