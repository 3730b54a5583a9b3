/**
 * The holder's side of repair: it tells the owners of its blocks what it has. Who is told for the first time gets the
 * names; later ones get sixteen digests, and names only where they know otherwise. When nothing changes, owners ask
 * (`Repair`), and a holder speaks only to an owner that has not asked for long. Hosts of the replica group and hosts
 * outside it do the same: a copy counts wherever it is.
 *
 * Which block belongs to which owner is kept from round to round: a round looks only at the blocks that have changed, or,
 * when its owners have, once at all of them.
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
import { BlockItem, ItemSet } from './item-set.ts'
import { BlockList, BlockRelease, BlockReport } from './messages.ts'

/** An owner that has not asked for so many periods is told of itself: it may not know of us. */
export const HEARTBEAT_PERIODS = 10
/** How often owners are told when what they say leads to other owners. */
const PASSES = 3
/** Owners, or lookups, at a time. */
const PARALLEL = 8
/** Blocks whose owners are looked up in one round; the rest comes in the next. */
const FOUND_PER_ROUND = 4096
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

/** The blocks of one owner. */
interface Group {
  owner: Contact
  readonly items: ItemSet
  /** What the owner was last told; undefined: nothing. */
  told: { version: number; incarnation: number; nextMs: number } | undefined
}

export class Reports {
  readonly counters = { reports: 0, namesSent: 0, released: 0 }
  readonly #parts: ReportParts
  readonly #groups = new Map<string, Group>()
  readonly #groupOf = new Map<Key, Group>()
  /** Owners of keys that are too far away to be seen, as lookups found them. */
  readonly #learnt = new Map<Key, Contact>()
  /** Keys whose owner is not who it seems from here. */
  readonly #unsure = new Set<Key>()
  /** Keys that this host owns. */
  readonly #own = new Set<Key>()
  /** Keys whose owner nobody has told yet. */
  readonly #unknown = new Set<Key>()
  /** Keys to be looked at in the next round. */
  #touched = new Set<Key>()
  #stale = false

  constructor(parts: ReportParts) {
    this.#parts = parts
    for (const { key } of parts.holdings.store.entries()) this.#touched.add(key)
  }

  /** Who owns what is kept here has changed. */
  ownersChanged(): void {
    this.#stale = true
  }

  /** A block has come, gone, or got another lease. */
  touch(key: Key): void {
    this.#touched.add(key)
  }

  /** A host does not own any more what we took for its own. True: that is news. */
  moved(peer: string): boolean {
    let news = false
    for (const { key } of this.#groups.get(peer)?.items.values() ?? []) {
      if (!this.#learnt.delete(key)) continue
      this.#touched.add(key)
      news = true
    }
    return news
  }

  /** An owner may be dead: it is told again, and if it does not answer, whoever owns its keys now. True: that is news. */
  doubt(peer: string): boolean {
    const group = this.#groups.get(peer)
    if (!group?.told) return false
    group.told.nextMs = 0
    return true
  }

  /** An owner knows of us; `root` is of what it takes us to have. True: it is wrong, and should be told. */
  audited(peer: string, root: string): boolean {
    const group = this.#groups.get(peer)
    if (!group?.told) return false
    if (group.items.root() === root) group.told.nextMs = this.#heartbeatMs()
    else group.told.nextMs = 0
    return group.told.nextMs === 0
  }

  /** One pass. False: somebody did not answer. */
  async round(signal: AbortSignal): Promise<boolean> {
    let complete = true
    for (let pass = 0; pass < PASSES; pass++) {
      this.#sort()
      if (this.#unknown.size > 0) {
        complete = (await this.#find(signal)) && complete
        this.#sort()
      }
      const now = this.#parts.env.clock.now()
      const untold = [...this.#groups.values()].filter((group) => isDue(group, now))
      if (untold.length === 0) return complete
      let moved = false
      await inParallel(untold, PARALLEL, async (group) => {
        try {
          moved = (await this.#report(group, signal)) || moved
        } catch (error) {
          if (signal.aborted) throw error
          const fields = { owner: group.owner.peer, error: errorMessage(error) }
          this.#parts.env.log.debug('no report to an owner', fields)
          complete = false
          group.told = undefined
          this.#disown([...group.items.values()])
        }
      })
      if (!moved) return complete
    }
    return false
  }

  /** Drops what is held outside the replica groups, as far as its owners say that there is enough of it without us. */
  async makeRoom(signal: AbortSignal): Promise<void> {
    const { holdings, overlay, transport } = this.#parts
    const { store } = holdings
    if (!holdings.wantsRoom && store.bytes < store.capacityBytes * FULL_SHARE) return
    holdings.wantsRoom = false
    for (const { owner, items } of [...this.#groups.values()]) {
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
    await inParallel([...this.#groups.values()], PARALLEL, async ({ owner, items }) => {
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

  /** Gives every block that needs it another look. */
  #sort(): void {
    if (this.#stale) {
      this.#stale = false
      this.#touchMoved()
    }
    if (this.#touched.size === 0) return
    const touched = this.#touched
    this.#touched = new Set()
    for (const key of touched) this.#place(key)
  }

  /** Touches the blocks that are not where they were put: a look at each, so it takes few steps. */
  #touchMoved(): void {
    const { overlay } = this.#parts
    this.#unsure.clear()
    for (const key of this.#learnt.keys()) if (overlay.holdsReplica(key)) this.#learnt.delete(key)
    for (const key of this.#unknown) this.#touched.add(key)
    for (const key of this.#own) if (!overlay.owns(key)) this.#touched.add(key)
    for (const group of this.#groups.values()) {
      for (const { key } of group.items.values()) {
        const owner = overlay.owns(key) ? undefined : this.#ownerOf(key)
        if (owner?.peer !== group.owner.peer) this.#touched.add(key)
        else if (owner.incarnation > group.owner.incarnation) group.owner = owner
      }
    }
  }

  /** Puts a block to those of its owner. */
  #place(key: Key): void {
    const { holdings, overlay } = this.#parts
    const meta = holdings.store.meta(key)
    const before = this.#groupOf.get(key)
    const own = meta !== undefined && overlay.owns(key)
    if (own) this.#own.add(key)
    else this.#own.delete(key)
    if (!meta || own) {
      this.#unknown.delete(key)
      this.#learnt.delete(key)
      this.#unsure.delete(key)
      if (before) this.#take(key, before)
      return
    }
    const owner = this.#ownerOf(key)
    if (!owner) {
      this.#unknown.add(key)
      if (before) this.#take(key, before)
      return
    }
    this.#unknown.delete(key)
    const known = before?.items.get(key)
    const item = known?.expiresAtMs === meta.expiresAtMs ? known : new BlockItem(meta)
    if (before?.owner.peer === owner.peer) {
      if (owner.incarnation > before.owner.incarnation) before.owner = owner
      if (item !== known) before.items.set(item)
      return
    }
    if (before) this.#take(key, before)
    let group = this.#groups.get(owner.peer)
    if (!group) this.#groups.set(owner.peer, (group = { owner, items: new ItemSet(), told: undefined }))
    if (owner.incarnation > group.owner.incarnation) group.owner = owner
    group.items.set(item)
    this.#groupOf.set(key, group)
  }

  #take(key: Key, group: Group): void {
    this.#groupOf.delete(key)
    group.items.delete(key)
    if (group.items.size === 0) this.#groups.delete(group.owner.peer)
  }

  #ownerOf(key: Key): Contact | undefined {
    const { overlay, transport } = this.#parts
    const learnt = this.#learnt.get(key)
    if (learnt) return learnt
    const owner = !this.#unsure.has(key) && overlay.holdsReplica(key) ? overlay.replicas(key)[0] : undefined
    return owner?.peer === transport.peer ? undefined : owner
  }

  /**
   * Looks owners up. Of the unknown keys in their order, those between two of one owner are taken to be its own as well,
   * so that a run of them costs two lookups. That is a guess where regions are no intervals; the owner corrects it.
   */
  async #find(signal: AbortSignal): Promise<boolean> {
    const { overlay, transport } = this.#parts
    const keys = [...this.#unknown].sort().slice(0, FOUND_PER_ROUND)
    let complete = keys.length === this.#unknown.size
    const owners: (Contact | undefined)[] = new Array(keys.length)
    const learn = (index: number, owner: Contact) => {
      owners[index] = owner
      if (owner.peer !== transport.peer) this.#learnt.set(keys[index]!, owner)
      this.#touched.add(keys[index]!)
    }
    const lookUp = async (index: number) => {
      try {
        learn(index, (await overlay.lookup(keys[index]!, { signal })).owner)
      } catch (error) {
        if (signal.aborted) throw error
        complete = false
      }
    }
    const last = keys.length - 1
    await inParallel([...new Set([0, last])], PARALLEL, lookUp)
    for (let runs: [number, number][] = [[0, last]]; runs.length > 0; ) {
      const halves: [number, number][] = []
      const middles: number[] = []
      for (const [from, to] of runs) {
        const owner = owners[from]
        if (to - from < 2) continue
        if (owner && owner.peer === owners[to]?.peer) {
          for (let index = from + 1; index < to; index++) learn(index, owner)
        } else {
          const middle = (from + to) >>> 1
          middles.push(middle)
          halves.push([from, middle], [middle, to])
        }
      }
      await inParallel(middles, PARALLEL, lookUp)
      runs = halves
    }
    return complete
  }

  /** True: the owner says that some of it is not its own, so there is somebody else to tell. */
  async #report(group: Group, signal: AbortSignal): Promise<boolean> {
    const { owner, items } = group
    const { version } = items
    const { incarnation } = owner
    const notMine: BlockItem[] = []
    if (group.told?.incarnation !== incarnation && items.size <= NAMED_BLOCKS) {
      await this.#name(owner, [''], [...items.values()], notMine, signal)
    } else await this.#compare(owner, items, '', notMine, signal)
    group.told = { version, incarnation, nextMs: this.#heartbeatMs() }
    this.#disown(notMine)
    return notMine.length > 0
  }

  #heartbeatMs(): number {
    const { env, periodMs } = this.#parts
    return env.clock.now() + periodMs * HEARTBEAT_PERIODS * (0.8 + 0.2 * env.random.next())
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
    let prefixes: string[] = []
    let named: BlockItem[] = []
    for (const digit of new Set(differ)) {
      const below = prefix + digit.toString(16)
      const part = items.below(below)
      if (part.length > NAMED_BLOCKS) {
        await this.#compare(owner, items, below, notMine, signal)
        continue
      }
      if (named.length + part.length > NAMED_BLOCKS) {
        await this.#name(owner, prefixes, named, notMine, signal)
        prefixes = []
        named = []
      }
      prefixes.push(below)
      named.push(...part)
    }
    if (prefixes.length > 0) await this.#name(owner, prefixes, named, notMine, signal)
  }

  async #name(
    owner: Contact,
    prefixes: readonly string[],
    named: readonly BlockItem[],
    notMine: BlockItem[],
    signal: AbortSignal,
  ): Promise<void> {
    const items = named.map(({ key, sizeBytes, expiresAtMs }) => ({ key, sizeBytes, expiresAtMs }))
    this.counters.namesSent += items.length
    const message = { prefixes: [...prefixes], items }
    const reply = await this.#parts.transport.request(owner, BlockList, message, { signal })
    for (const [index, expiresAtMs] of reply.longer) {
      const item = named[index]
      if (item && expiresAtMs > item.expiresAtMs) await this.#parts.holdings.extend(item.key, expiresAtMs)
    }
    for (const index of reply.notMine) if (named[index]) notMine.push(named[index])
  }

  /** They are somebody else's, or the owner is gone: whom to tell a lookup must say. */
  #disown(items: readonly BlockItem[]): void {
    for (const { key } of items) {
      this.#learnt.delete(key)
      this.#unsure.add(key)
      this.#touched.add(key)
    }
  }
}

/** Has it something to say to its owner? */
function isDue({ owner, items, told }: Group, now: number): boolean {
  return !told || told.version !== items.version || told.incarnation !== owner.incarnation || now >= told.nextMs
}
