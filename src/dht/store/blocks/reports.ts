/**
 * The holder's side of repair: it tells the owners of its blocks what it has. A report is sixteen digests; only where
 * the owner knows otherwise, names follow. A report that would say nothing new is sent every few periods only, as a sign
 * of life. Hosts of the replica group and hosts outside it do the same: a copy counts wherever it is.
 */
import type { Env } from '../../../core/env.ts'
import { errorMessage } from '../../../core/errors.ts'
import type { Key } from '../../../core/ids.ts'
import { MAX_BLOCKS_PER_MESSAGE } from '../../../core/limits.ts'
import type { Contact } from '../../../net/contact.ts'
import type { Transport } from '../../../net/transport.ts'
import type { Overlay } from '../../overlay.ts'
import { inParallel } from '../rounds.ts'
import type { Holdings } from './holdings.ts'
import { type BlockItem, ItemSet, itemOf } from './item-set.ts'
import { BlockList, BlockRelease, BlockReport } from './messages.ts'

/** A report that says nothing new is sent after so many periods, spread over half to one and a half. */
export const HEARTBEAT_PERIODS = 4
/** Owners, or lookups, at a time. */
const PARALLEL = 8
/** Lookups of owners in one round; the rest comes in the next. */
const LOOKUPS_PER_ROUND = 512
/** Above this many names a part is compared by its own parts. */
const NAMED_BLOCKS = MAX_BLOCKS_PER_MESSAGE
/** Room is made for copies of the group from here on, and down to there: shares of the store. */
const FULL_SHARE = 0.85
const ROOMY_SHARE = 0.75

export interface ReportParts {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  readonly holdings: Holdings
  readonly periodMs: number
}

interface Reported {
  digests: string
  incarnation: number
  nextMs: number
}

export class Reports {
  readonly counters = { reports: 0, namesSent: 0, released: 0 }
  readonly #parts: ReportParts
  /** Owners of keys that are too far away to be seen, as lookups found them. */
  readonly #learnt = new Map<Key, Contact>()
  /** Keys whose owner is not who it seems from here. */
  readonly #unsure = new Set<Key>()
  readonly #reported = new Map<string, Reported>()
  #byOwner = new Map<string, { owner: Contact; items: ItemSet }>()
  #unknown: Key[] = []
  #sortedVersion = -1
  #stale = true

  constructor(parts: ReportParts) {
    this.#parts = parts
  }

  /** Who owns what may have changed. */
  overlayChanged(): void {
    this.#unsure.clear()
    for (const key of this.#learnt.keys()) if (this.#parts.overlay.holdsReplica(key)) this.#learnt.delete(key)
    this.#stale = true
  }

  /** A host does not own any more what we took for its own. True: that is news. */
  moved(peer: string): boolean {
    for (const [key, owner] of this.#learnt) {
      if (owner.peer !== peer) continue
      this.#learnt.delete(key)
      this.#stale = true
    }
    return this.#stale
  }

  /** One pass. False: somebody did not answer. */
  async round(signal: AbortSignal): Promise<boolean> {
    let complete = true
    for (let pass = 0; pass < 3; pass++) {
      this.#sort()
      if (this.#unknown.length > 0) complete = (await this.#find(signal)) && complete
      this.#sort()
      let moved = false
      await inParallel([...this.#byOwner.values()], PARALLEL, async ({ owner, items }) => {
        try {
          moved = (await this.#report(owner, items, signal)) || moved
        } catch (error) {
          if (signal.aborted) throw error
          this.#parts.env.log.debug('no report to an owner', { owner: owner.peer, error: errorMessage(error) })
          complete = false
          this.#disown(owner, items.values())
        }
      })
      if (!moved) break
    }
    return complete
  }

  /** Drops what is held outside the replica groups, as far as its owners say that there is enough of it without us. */
  async makeRoom(signal: AbortSignal): Promise<void> {
    const { holdings, overlay, transport } = this.#parts
    const { store } = holdings
    if (!holdings.wantsRoom && store.bytes < store.capacityBytes * FULL_SHARE) return
    holdings.wantsRoom = false
    for (const { owner, items } of [...this.#byOwner.values()]) {
      const strays = [...items.values()].map(({ key }) => key).filter((key) => !overlay.holdsReplica(key))
      for (let at = 0; at < strays.length; at += MAX_BLOCKS_PER_MESSAGE) {
        if (store.bytes <= store.capacityBytes * ROOMY_SHARE) return
        const keys = strays.slice(at, at + MAX_BLOCKS_PER_MESSAGE)
        try {
          const { free } = await transport.request(owner, BlockRelease, { keys }, { signal })
          for (const index of new Set(free)) {
            const key = keys[index]
            // An overlay that has changed meanwhile may have made this host a member of the group.
            if (!key || overlay.holdsReplica(key)) continue
            await holdings.delete(key)
            this.counters.released++
          }
        } catch (error) {
          if (signal.aborted) throw error
        }
      }
    }
  }

  /** Before this host leaves: what would be too few elsewhere without our copies is given to its owner. */
  async farewell(give: (owner: Contact, keys: readonly Key[]) => Promise<void>, signal: AbortSignal): Promise<void> {
    await inParallel([...this.#byOwner.values()], PARALLEL, async ({ owner, items }) => {
      const all = [...items.values()].map(({ key }) => key)
      for (let at = 0; at < all.length; at += MAX_BLOCKS_PER_MESSAGE) {
        const keys = all.slice(at, at + MAX_BLOCKS_PER_MESSAGE)
        try {
          const { free } = await this.#parts.transport.request(owner, BlockRelease, { keys }, { signal })
          const enough = new Set(free)
          const needed = keys.filter((_, index) => !enough.has(index))
          if (needed.length > 0) await give(owner, needed)
        } catch (error) {
          if (signal.aborted) throw error
        }
      }
    })
  }

  /** Blocks by owner, sorted anew when something has changed. */
  #sort(): void {
    const { holdings, overlay } = this.#parts
    if (!this.#stale && this.#sortedVersion === holdings.version) return
    this.#stale = false
    this.#sortedVersion = holdings.version
    const before = this.#byOwner
    this.#byOwner = new Map()
    this.#unknown = []
    for (const meta of holdings.store.entries()) {
      const { key } = meta
      if (overlay.owns(key)) {
        this.#learnt.delete(key)
        continue
      }
      const owner = this.#ownerOf(key)
      if (!owner) {
        this.#unknown.push(key)
        continue
      }
      let group = this.#byOwner.get(owner.peer)
      if (!group) this.#byOwner.set(owner.peer, (group = { owner, items: new ItemSet() }))
      const known = before.get(owner.peer)?.items.get(key)
      group.items.set(known?.expiresAtMs === meta.expiresAtMs ? known : itemOf(meta))
    }
    for (const key of this.#learnt.keys()) if (!holdings.store.meta(key)) this.#learnt.delete(key)
    for (const peer of this.#reported.keys()) if (!this.#byOwner.has(peer)) this.#reported.delete(peer)
  }

  #ownerOf(key: Key): Contact | undefined {
    const { overlay, transport } = this.#parts
    const learnt = this.#learnt.get(key)
    if (learnt) return learnt
    const owner = overlay.holdsReplica(key) && !this.#unsure.has(key) ? overlay.replicas(key)[0] : undefined
    return owner?.peer === transport.peer ? undefined : owner
  }

  async #find(signal: AbortSignal): Promise<boolean> {
    const { overlay, transport } = this.#parts
    let complete = this.#unknown.length <= LOOKUPS_PER_ROUND
    await inParallel(this.#unknown.slice(0, LOOKUPS_PER_ROUND), PARALLEL, async (key) => {
      try {
        const { owner } = await overlay.lookup(key, { signal })
        if (owner.peer !== transport.peer) this.#learnt.set(key, owner)
      } catch (error) {
        if (signal.aborted) throw error
        complete = false
      }
    })
    this.#stale = true
    return complete
  }

  /** True: the owner says that some of it is not its own, so there is somebody else to tell. */
  async #report(owner: Contact, items: ItemSet, signal: AbortSignal): Promise<boolean> {
    const { env, periodMs } = this.#parts
    const now = env.clock.now()
    const digests = items.digests('').join()
    const last = this.#reported.get(owner.peer)
    if (last?.digests === digests && last.incarnation === owner.incarnation && now < last.nextMs) return false
    const notMine: BlockItem[] = []
    await this.#compare(owner, items, '', notMine, signal)
    const nextMs = now + periodMs * HEARTBEAT_PERIODS * (0.5 + 0.5 * env.random.next())
    this.#reported.set(owner.peer, { digests, incarnation: owner.incarnation, nextMs })
    this.#disown(owner, notMine)
    return notMine.length > 0
  }

  async #compare(
    owner: Contact,
    items: ItemSet,
    prefix: string,
    notMine: BlockItem[],
    signal: AbortSignal,
  ): Promise<void> {
    const digests = [...items.digests(prefix)]
    this.counters.reports++
    const { differ } = await this.#parts.transport.request(owner, BlockReport, { prefix, digests }, { signal })
    for (const digit of new Set(differ)) {
      const below = prefix + digit.toString(16)
      const part = items.below(below)
      if (part.length > NAMED_BLOCKS) await this.#compare(owner, items, below, notMine, signal)
      else await this.#name(owner, below, part, notMine, signal)
    }
  }

  async #name(
    owner: Contact,
    prefix: string,
    part: readonly BlockItem[],
    notMine: BlockItem[],
    signal: AbortSignal,
  ): Promise<void> {
    const items = part.map(({ key, sizeBytes, expiresAtMs }) => ({ key, sizeBytes, expiresAtMs }))
    this.counters.namesSent += items.length
    const message = { prefix, items }
    const reply = await this.#parts.transport.request(owner, BlockList, message, { signal })
    for (const [index, expiresAtMs] of reply.longer) {
      const item = part[index]
      if (item && expiresAtMs > item.expiresAtMs) await this.#parts.holdings.extend(item.key, expiresAtMs)
    }
    for (const index of reply.notMine) if (part[index]) notMine.push(part[index])
  }

  /** They are somebody else's, or the owner is gone: whom to tell a lookup must say. */
  #disown(owner: Contact, items: Iterable<BlockItem>): void {
    for (const { key } of items) {
      this.#learnt.delete(key)
      this.#unsure.add(key)
      this.#stale = true
    }
    if (this.#stale) this.#reported.delete(owner.peer)
  }
}
