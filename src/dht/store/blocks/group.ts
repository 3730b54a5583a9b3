/**
 * The replica group's side of puts and leases (DESIGN 6): whoever of the group is asked keeps a block and gives it to the
 * others at the same time; a majority that has synced it is an acknowledgement.
 */
import type { Env } from '../../../core/env.ts'
import { ChoraleError, errorCode } from '../../../core/errors.ts'
import type { Key } from '../../../core/ids.ts'
import type { Contact } from '../../../net/contact.ts'
import type { ReplyOf, RequestOf } from '../../../net/message.ts'
import type { Transport } from '../../../net/transport.ts'
import type { Overlay } from '../../overlay.ts'
import { atLeast, majority } from '../quorum.ts'
import { groupHosts } from '../reconcile.ts'
import { Gather } from './gather.ts'
import type { Holdings } from './holdings.ts'
import type { KnownHolders } from './known-holders.ts'
import { BlockExtend, BlockKeep, BlockOffer, type Copy, type Kept, type Named } from './messages.ts'

/** For a replica to sync a block. */
const KEEP_TIMEOUT_MS = 10_000
/** From here on a question whether a host has a block costs less than sending it for nothing. */
const WORTH_ASKING_BYTES = 16 * 1024

/** May the publisher be asked whether it has the block already, if it is of the group itself? */
export function isWorthAsking(bytes: Uint8Array): boolean {
  return bytes.length >= WORTH_ASKING_BYTES
}

export interface GroupParts {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  readonly holdings: Holdings
  readonly known: KnownHolders
  /** Hosts of a replica group. */
  readonly replicas: number
}

export class ReplicaGroup {
  readonly #parts: GroupParts
  readonly #gifts: Gather<Copy, Kept>

  constructor(parts: GroupParts) {
    this.#parts = parts
    this.#gifts = new Gather(async (peer, copies) => {
      const { kept } = await parts.transport.request(peer, BlockKeep, { copies }, { timeoutMs: KEEP_TIMEOUT_MS })
      return kept
    })
  }

  /** The hosts of a key's group as seen from here, owner first. */
  hosts(key: Key): Contact[] {
    return groupHosts(this.#parts.overlay.replicas(key), this.#parts.replicas)
  }

  /** Does this host own the key, or belong to its group? */
  belongs(key: Key): boolean {
    return this.#parts.overlay.owns(key) || this.#parts.overlay.holdsReplica(key)
  }

  /**
   * Keeps a block here and in the rest of the group; `verified`: the bytes are known to be those of the key. Rejects with
   * `not-owner`, `limit`, `bad-message`, `timeout`.
   */
  async put(copy: Copy, verified: boolean): Promise<void> {
    const { transport, holdings } = this.#parts
    const { key } = copy
    if (!this.belongs(key)) throw new ChoraleError('not-owner', 'this host is not of the replica group of the key')
    if (!holdings.meta(key) && !holdings.withinQuota(copy.publisher, copy.bytes.length)) {
      holdings.refused.quota++
      throw new ChoraleError('limit', `${copy.publisher} has used its ${holdings.quotaBytes} bytes at this host`)
    }
    const others = this.hosts(key).filter(({ peer }) => peer !== transport.peer)
    const known = holdings.meta(key) !== undefined
    const refusals: Kept[] = []
    const mayHave = ({ peer }: Contact) => isWorthAsking(copy.bytes) && (known || peer === copy.publisher)
    const votes = [holdings.put(copy, verified), ...others.map((peer) => this.give(peer, copy, mayHave(peer)))]
    const kept = await atLeast(
      majority(others.length + 1),
      votes.map(async (vote) => {
        const outcome = await vote
        if (outcome !== 'kept') refusals.push(outcome)
        return outcome === 'kept'
      }),
    )
    if (kept) return
    if (refusals.includes('bad')) throw new ChoraleError('bad-message', 'the bytes are not those of the key')
    if (refusals.includes('full')) throw new ChoraleError('limit', 'the stores of the replica group are full')
    if (refusals.includes('quota')) throw new ChoraleError('limit', `${copy.publisher} has used its quota`)
    throw new ChoraleError('timeout', 'a majority of the replica group did not confirm')
  }

  /** Gives one copy to a peer; with `ask` only if it lacks it. Never rejects. */
  async give(peer: Contact, copy: Copy, ask: boolean): Promise<Kept> {
    const { env, transport, known, overlay } = this.#parts
    const { key, expiresAtMs, bytes } = copy
    const item: Named = { key, expiresAtMs, sizeBytes: bytes.length }
    try {
      let kept: Kept | undefined
      if (ask) {
        const { held } = await transport.request(peer, BlockOffer, { items: [item] })
        if (held.length > 0) kept = 'kept'
      }
      kept ??= await this.#gifts.add(peer, copy)
      if (kept === 'kept' && overlay.owns(key)) known.gave(peer, item, env.clock.now())
      return kept
    } catch (error) {
      if (errorCode(error) === 'internal') throw error
      return 'failed' // the majority decides; repair comes by later
    }
  }

  /** Longer leases here and at whoever else has the blocks. */
  async extend(items: RequestOf<typeof BlockExtend>['items']): Promise<ReplyOf<typeof BlockExtend>['results']> {
    const { env, transport, holdings, known, overlay } = this.#parts
    const now = env.clock.now()
    const mine = items.map(({ key }) => this.belongs(key))
    const rounded = items.map(({ key, expiresAtMs }) => ({ key, expiresAtMs: holdings.roundedLease(expiresAtMs) }))
    const copies = items.map(() => 0)
    const holders = items.map(() => 0)
    const byPeer = new Map<string, { peer: Contact; indexes: number[] }>()
    for (const [index, { key }] of rounded.entries()) {
      if (!mine[index]) continue
      const others = [...this.hosts(key), ...(overlay.owns(key) ? known.of(key, now) : [])]
      for (const peer of new Map(others.map((other) => [other.peer, other])).values()) {
        if (peer.peer === transport.peer) continue
        const list = byPeer.get(peer.peer) ?? { peer, indexes: [] }
        list.indexes.push(index)
        byPeer.set(peer.peer, list)
      }
    }
    const here = rounded.map(async ({ key, expiresAtMs }, index) => {
      if (!mine[index] || !(await holdings.extend(key, expiresAtMs))) return
      copies[index]!++
      holders[index]!++
    })
    const there = [...byPeer.values()].map(async ({ peer, indexes }) => {
      try {
        const message = { items: indexes.map((index) => rounded[index]!), spread: false }
        const { results } = await transport.request(peer, BlockExtend, message, { timeoutMs: KEEP_TIMEOUT_MS })
        for (const [at, result] of results.entries()) {
          const index = indexes[at]
          if (index === undefined || result !== 'done') continue
          copies[index]!++
          holders[index]!++
        }
      } catch {
        for (const index of indexes) if (this.#knownAt(peer, rounded[index]!.key)) holders[index]!++
      }
    })
    await Promise.all([...here, ...there])
    const need = majority(this.#parts.replicas)
    return rounded.map((_, index) => {
      if (!mine[index]) return 'not-mine'
      if (holders[index] === 0) return 'unknown'
      // Where fewer copies are left than a majority, all of them is what there is to have.
      return copies[index]! >= Math.min(need, holders[index]!) ? 'done' : 'few'
    })
  }

  #knownAt(peer: Contact, key: Key): boolean {
    return this.#parts.known.of(key, this.#parts.env.clock.now()).some((holder) => holder.peer === peer.peer)
  }
}
