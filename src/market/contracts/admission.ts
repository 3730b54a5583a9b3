/**
 * Who may do the tasks of a job that is paid for (DESIGN 7): hosts with an allocation of its contract that both sides have
 * signed, as long as it has tasks left. A host does not give itself more than its customer will soon have paid: what it does
 * beyond that may never be paid. Later passes of a job (a reduce, further rounds) are no part of what was contracted for: the
 * customer's own hosts do them.
 */
import type { Key } from '../../core/ids.ts'
import { MAX_KNOWN_PEERS } from '../../core/limits.ts'
import type { PaidPass } from '../../mapreduce/ports.ts'
import { CappedMap } from '../../net/capped-map.ts'
import { claimableOf, workableTasks } from '../allocation/steps.ts'
import type { PublicKey } from '../ledger/keys.ts'
import { type Allocation, claimId } from '../ledger/state/allocations/allocation.ts'
import { countOf, type Ranges } from '../ledger/state/allocations/ranges.ts'
import type { State } from '../ledger/state/state.ts'
import { isOpen, type Parts, tasksLeft } from './parts.ts'

export interface GatePorts {
  readonly parts: Parts
  readonly host: PublicKey
  peerOf(host: PublicKey): string
  /** The account of the host with this peer id. */
  accountOf(peer: string): PublicKey | undefined
  nowMs(): number
  /** What this host has done of a contract. */
  done(contract: Key): Ranges
}

interface Admitted {
  readonly job: Key
  /** Peers, until when. */
  readonly peers: ReadonlyMap<string, number>
  /** Tasks that this host may still do. */
  room: number
}

/** Kept by contract, so that asking costs nothing. */
export class Gate {
  readonly #ports: GatePorts
  readonly #admitted = new Map<Key, Admitted>()
  readonly #peers = new CappedMap<PublicKey, string>(MAX_KNOWN_PEERS)

  constructor(ports: GatePorts) {
    this.#ports = ports
  }

  admits(contract: Key, peer: string, { job, isFirst }: PaidPass): boolean {
    if (!isFirst) return this.#isOfCustomer(contract, peer, job)
    const admitted = this.#admitted.get(contract)
    const untilMs = admitted?.peers.get(peer)
    if (!admitted || untilMs === undefined || this.#ports.nowMs() > untilMs || admitted.job !== job) return false
    return this.#hasRoomFor(admitted, peer)
  }

  /** May this host do more of it? */
  hasRoom(contract: Key): boolean {
    return (this.#admitted.get(contract)?.room ?? 0) > 0
  }

  /** A contract is known by its customer and its job, so this cannot be made up. */
  #isOfCustomer(contract: Key, peer: string, job: Key): boolean {
    const customer = this.#ports.accountOf(peer)
    return customer !== undefined && claimId({ customer, job }) === contract
  }

  #hasRoomFor(admitted: Admitted, peer: string): boolean {
    return admitted.room > 0 || peer !== this.#peerOf(this.#ports.host)
  }

  /** Of allocations that have changed, or whose claims have. True: somebody is admitted who was not, or no longer. */
  update(contract: Key, state: Pick<State, 'claims'>): boolean {
    const before = this.#admitted.get(contract)
    const peers = new Map<string, number>()
    const own: Allocation[] = []
    let job: Key | undefined
    for (const [, allocation] of this.#ports.parts.of(contract)) {
      if (!isOpen(allocation) || allocation.isEnding || tasksLeft(allocation) <= 0) continue
      const peer = this.#peerOf(allocation.host)
      job = allocation.job
      peers.set(peer, Math.max(peers.get(peer) ?? 0, allocation.untilMs))
      if (allocation.host === this.#ports.host) own.push(allocation)
    }
    const room = own.length === 0 ? 0 : this.#roomOf(contract, own, state)
    if (job === undefined) this.#admitted.delete(contract)
    else this.#admitted.set(contract, { job, peers, room })
    if (!before) return peers.size > 0
    if (peers.size !== before.peers.size || room > 0 !== before.room > 0) return true
    return [...peers].some(([peer, untilMs]) => before.peers.get(peer) !== untilMs)
  }

  /** Of what may be done ahead of the customer what is not done. */
  #roomOf(contract: Key, own: readonly Allocation[], state: Pick<State, 'claims'>): number {
    const ahead = countOf(claimableOf(state, own[0]!, this.#ports.done(contract)))
    const open = own.reduce((sum, one) => sum + (one.tasks - one.paid - tasksLeft(one)), 0)
    return own.reduce((sum, one) => sum + workableTasks(one) - one.paid, 0) - open - ahead
  }

  /** This host has done one more. True: it may do no more for now. */
  spend(contract: Key): boolean {
    const admitted = this.#admitted.get(contract)
    if (!admitted) return false
    admitted.room--
    return admitted.room === 0
  }

  #peerOf(host: PublicKey): string {
    const known = this.#peers.get(host)
    if (known !== undefined) return known
    const peer = this.#ports.peerOf(host)
    this.#peers.set(host, peer)
    return peer
  }
}
