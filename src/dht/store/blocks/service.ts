/**
 * Blocks over an overlay (CFS, Dabek et al. 2001; DESIGN 5, 6): the parts put together, the answers to other hosts, and
 * the port `Blocks`.
 *
 * Promised: a put that was acknowledged is synced at a majority of the replica group, so it survives the death of any
 * minority at once, and after the next repair that of all but one. A block whose lease is over may be gone at any time.
 * Not promised: that a publisher keeps to a quota in an open network, where peer ids cost nothing.
 */
import type { CID } from 'multiformats/cid'
import type { Env } from '../../../core/env.ts'
import { ChoraleError, errorCode, knownCode } from '../../../core/errors.ts'
import type { Key } from '../../../core/ids.ts'
import {
  BLOCK_CACHE_BYTES,
  MAX_BLOCKS_PER_MESSAGE,
  PUBLISHER_SHARE,
  REPAIR_BYTES_BURST,
  REPAIR_BYTES_PER_SECOND,
} from '../../../core/limits.ts'
import type { Transport } from '../../../net/transport.ts'
import type { BlockOptions, BlockStat, BlockStore, Blocks, PutOptions } from '../../blocks.ts'
import { checkedKey, keyOfCid } from '../../cid.ts'
import type { Overlay, Regions } from '../../overlay.ts'
import { atOwner, retryMs, STEP_TIMEOUT_MS, unlessAborted } from '../at-owner.ts'
import { groupHosts } from '../reconcile.ts'
import { inParallel, Rounds } from '../rounds.ts'
import { Answers } from './answers.ts'
import { BlockCache } from './cache.ts'
import { Gather } from './gather.ts'
import { isWorthAsking, ReplicaGroup } from './group.ts'
import { Heat } from './heat.ts'
import { Holdings } from './holdings.ts'
import { KnownHolders } from './known-holders.ts'
import { BlockExtend, BlockPut, type Copy, type Put, type Refusal } from './messages.ts'
import { Reader } from './reader.ts'
import { Repair } from './repair.ts'
import { HEARTBEAT_PERIODS, Reports } from './reports.ts'
import { statOf } from './stat.ts'

export const DEFAULT_BLOCK_REPLICAS = 3
export const DEFAULT_LEASE_MS = 7 * 24 * 3_600_000
/** Between repairs of a quiet overlay. */
export const BLOCK_REPAIR_PERIOD_MS = 60_000
/** After a change: changes come in bursts. Also after a repair that somebody did not answer, times four. */
const REPAIR_SOON_MS = 500
/** From when a block seems to have lost most of its copies until that is believed: holders report after `REPAIR_SOON_MS`. */
const SETTLE_MS = 3_000
/** A block may have one copy too few for so many periods. */
const PATIENCE_PERIODS = 8
/** An owner asks each holder after so many periods whether it is there. */
const AUDIT_PERIODS = 8
/** A holder counts for so many periods after it was heard of. */
const STALE_PERIODS = 1.5 * HEARTBEAT_PERIODS
/** For a put or an extension with all its tries. */
const PUT_DEADLINE_MS = 20_000
/** For a coordinator to have a majority sync a block. */
const PUT_TIMEOUT_MS = 12_000
/** What stopping politely may take: half of what a host has. */
const FAREWELL_MS = 2_000
const PARALLEL = 16

export interface BlocksParts {
  readonly env: Env
  readonly transport: Transport
  readonly overlay: Overlay
  readonly store: BlockStore
  /** Copies of a block. Default 3. The overlay's replica group may be smaller; if it is larger, full hosts are passed over. */
  readonly replicas?: number | undefined
  /** Default 60,000. */
  readonly repairPeriodMs?: number | undefined
  /** How long a block may have one copy too few: most hosts that go come back. Default: 8 repair periods. */
  readonly patienceMs?: number | undefined
  /** Bytes of blocks sent for repair. Default 8 MiB. */
  readonly repairBytesPerSecond?: number | undefined
  /** Bytes of blocks sent for repair at once, after a quiet time. Default 4 MiB. */
  readonly repairBurstBytes?: number | undefined
  /** Default 32 MiB. */
  readonly cacheBytes?: number | undefined
  /** Bytes that one publisher may have here. Default: half of the store. */
  readonly publisherQuotaBytes?: number | undefined
  /** The longest lease that is granted. Default 30 days. */
  readonly maxLeaseMs?: number | undefined
}

export interface BlockStats {
  readonly count: number
  readonly bytes: number
  readonly capacityBytes: number
  readonly cachedBytes: number
  /** No room for a block of the largest size. */
  readonly full: boolean
  /** By name; they only grow. */
  readonly counters: Readonly<Record<string, number>>
}

export interface BlockService extends Blocks {
  /** Begins repair. Messages are answered from creation on. */
  start(): void
  /** Sees for at most 2 s that enough copies are elsewhere, and ends repair. Call it before the overlay leaves. */
  stop(): Promise<void>
  readonly stats: BlockStats
}

export function createBlocks(parts: BlocksParts): BlockService {
  return new OverlayBlocks(parts)
}

class OverlayBlocks implements BlockService {
  readonly #env: Env
  readonly #transport: Transport
  readonly #overlay: Overlay
  readonly #replicas: number
  readonly #holdings: Holdings
  readonly #cache: BlockCache
  readonly #group: ReplicaGroup
  readonly #reader: Reader
  readonly #answers: Answers
  readonly #reports: Reports
  readonly #repair: Repair
  readonly #rounds: Rounds
  readonly #puts: Gather<Put, Refusal>
  #forget: (() => void)[] = []
  #stopped = false
  #cached = 0
  #regions: Regions

  constructor(parts: BlocksParts) {
    const { transport, overlay, store, replicas = DEFAULT_BLOCK_REPLICAS } = parts
    const { repairPeriodMs: periodMs = BLOCK_REPAIR_PERIOD_MS, cacheBytes = BLOCK_CACHE_BYTES } = parts
    const quotaBytes = parts.publisherQuotaBytes ?? Math.floor(store.capacityBytes * PUBLISHER_SHARE)
    const { clock, random, log } = parts.env
    const env = { clock, random: random.fork('blocks'), log: log.child('blocks') }
    const holdings = new Holdings(env, store, quotaBytes, parts.maxLeaseMs)
    const known = new KnownHolders(periodMs * STALE_PERIODS, periodMs * AUDIT_PERIODS)
    const shared = { env, transport, overlay, holdings, known, replicas }
    this.#env = env
    this.#transport = transport
    this.#overlay = overlay
    this.#regions = overlay.regions()
    this.#replicas = replicas
    this.#holdings = holdings
    this.#cache = new BlockCache(cacheBytes)
    this.#group = new ReplicaGroup(shared)
    this.#reader = new Reader({
      env,
      transport,
      overlay,
      holdersOf: (key) => known.of(key, clock.now()),
      hostsOf: (contacts) => groupHosts(contacts, contacts.length),
    })
    this.#reports = new Reports({ env, transport, overlay, holdings, periodMs })
    this.#repair = new Repair({
      ...shared,
      patienceMs: parts.patienceMs ?? periodMs * PATIENCE_PERIODS,
      settleMs: SETTLE_MS,
      bytesPerSecond: parts.repairBytesPerSecond ?? REPAIR_BYTES_PER_SECOND,
      burstBytes: parts.repairBurstBytes ?? REPAIR_BYTES_BURST,
      auditMs: periodMs * AUDIT_PERIODS,
    })
    holdings.onChange = (key) => {
      this.#reports.touch(key)
      this.#repair.touch(key)
    }
    this.#answers = new Answers({
      ...shared,
      group: this.#group,
      cache: this.#cache,
      reader: this.#reader,
      heat: new Heat(env.random.fork('heat')),
      heal: (key) => void this.#heal(key),
      learnt: () => this.#rounds.soon(REPAIR_SOON_MS),
      audited: (peer, root) => {
        if (this.#reports.audited(peer, root)) this.#rounds.soon(REPAIR_SOON_MS)
      },
      moved: (peer) => {
        if (this.#reports.moved(peer)) this.#rounds.soon(REPAIR_SOON_MS)
      },
    })
    this.#rounds = new Rounds(env, periodMs, (signal) => this.#round(signal))
    this.#puts = new Gather(async (owner, puts) => {
      const { refusals } = await transport.request(owner, BlockPut, { puts }, { timeoutMs: PUT_TIMEOUT_MS })
      return refusals
    })
  }

  get stats(): BlockStats {
    const { store, refused, rotten, expired } = this.#holdings
    return {
      count: store.count,
      bytes: store.bytes,
      capacityBytes: store.capacityBytes,
      cachedBytes: this.#cache.bytes,
      full: this.#holdings.isFull,
      counters: {
        ...this.#reader.counters,
        ...this.#answers.counters,
        ...this.#reports.counters,
        ...this.#repair.counters,
        refusedFull: refused.full,
        refusedQuota: refused.quota,
        refusedForeign: refused.notMine,
        refusedBad: refused.bad,
        refusedFailed: refused.failed,
        rotten,
        expired,
        cached: this.#cached,
      },
    }
  }

  start(): void {
    if (this.#stopped || this.#forget.length > 0) return
    this.#forget = [
      this.#overlay.onChange(() => this.#overlayChanged()),
      this.#transport.onPeerDown((peer) => {
        void this.#repair.probe(peer)
        if (this.#reports.doubt(peer)) this.#rounds.soon(REPAIR_SOON_MS)
      }),
    ]
    this.#rounds.start()
  }

  async stop(): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    this.#answers.leaving = true // from here on puts are refused, so that none is acknowledged and then gone
    for (const forget of this.#forget) forget()
    await this.#rounds.stop()
    using farewell = this.#env.clock.deadline(FAREWELL_MS)
    try {
      await this.#reports.round(farewell.signal)
      await this.#reports.farewell((owner, keys) => this.#repair.give(owner, keys, farewell.signal), farewell.signal)
      await this.#repair.round(farewell.signal, true)
    } catch {
      this.#env.log.info('stopped before every block had all its copies')
    }
  }

  async put(cid: CID, bytes: Uint8Array, options: PutOptions = {}): Promise<void> {
    const key = checkedKey(cid, bytes)
    const expiresAtMs = this.#holdings.leaseEnd(options.leaseMs ?? DEFAULT_LEASE_MS)
    const { peer } = this.#transport
    if (isWorthAsking(bytes) && !this.#overlay.owns(key) && this.#group.belongs(key) && !this.#answers.leaving) {
      // Before the owner hears of it, so that it need not send us what we have. A refusal is no matter: it will ask.
      await this.#holdings.put({ key, expiresAtMs, publisher: peer, bytes }, true)
    }
    await atOwner(this.#env, this.#overlay, peer, {
      key,
      deadlineMs: PUT_DEADLINE_MS,
      signal: options.signal,
      here: () => this.#answers.put({ key, expiresAtMs, bytes }, peer, true),
      there: async (owner, signal) => {
        const refusal = await unlessAborted(this.#puts.add(owner, { key, expiresAtMs, bytes }), signal)
        if (refusal) throw new ChoraleError(knownCode(refusal.code), refusal.message)
      },
    })
  }

  async get(cid: CID, options: BlockOptions = {}): Promise<Uint8Array> {
    const key = keyOfCid(cid)
    if (options.signal?.aborted) throw new ChoraleError('aborted', 'given up')
    const own = await this.#holdings.get(key)
    if (own instanceof Uint8Array) return own
    const cached = this.#cache.get(key, this.#env.clock.now())
    if (cached) {
      this.#cached++
      return cached.bytes
    }
    const flight = own === 'rotten' ? this.#heal(key) : this.#fetch(key)
    try {
      return (await (options.signal ? unlessAborted(flight, options.signal) : flight)).bytes
    } catch (error) {
      if (errorCode(error) !== 'not-found') throw error
      const why = 'it was added in another network, its lease is over, or those who have it are away'
      throw new ChoraleError('not-found', `nobody here has ${cid}: ${why}`, { cause: error })
    }
  }

  async extend(cids: readonly CID[], options: PutOptions = {}): Promise<CID[]> {
    const expiresAtMs = this.#holdings.leaseEnd(options.leaseMs ?? DEFAULT_LEASE_MS)
    const pending = new Map(cids.map((cid) => [keyOfCid(cid), cid]))
    const gone: CID[] = []
    using deadline = this.#env.clock.deadline(PUT_DEADLINE_MS, options.signal)
    const { signal } = deadline
    for (let attempt = 0; pending.size > 0; attempt++) {
      if (attempt > 0) await this.#env.clock.sleep(retryMs(this.#env, attempt), { signal })
      await this.#extendOnce(pending, gone, expiresAtMs, attempt > 0, signal)
    }
    return gone
  }

  async stat(cid: CID, options: BlockOptions = {}): Promise<BlockStat> {
    const { keys, route } = await this.#routeOf(cid, options)
    const parts = { transport: this.#transport, env: this.#env, replicas: this.#replicas }
    return statOf(parts, cid, keys, route, this.#answers, options.signal)
  }

  async #routeOf(cid: CID, { signal }: BlockOptions) {
    const keys = keyOfCid(cid)
    return { keys, route: await this.#overlay.lookup(keys, { group: true, signal }) }
  }

  /** One pass over blocks whose leases are not extended yet: those that are, or that nobody has, are taken out. */
  async #extendOnce(
    pending: Map<Key, CID>,
    gone: CID[],
    expiresAtMs: number,
    noCache: boolean,
    signal: AbortSignal,
  ): Promise<void> {
    const batches = new Map<string, Key[][]>()
    const owners = new Map<string, Parameters<Transport['request']>[0]>()
    await inParallel([...pending.keys()], PARALLEL, async (key) => {
      try {
        const { owner } = await this.#overlay.lookup(key, { signal, deadlineMs: STEP_TIMEOUT_MS, noCache })
        owners.set(owner.peer, owner)
        const lists = batches.get(owner.peer) ?? [[]]
        batches.set(owner.peer, lists)
        if (lists.at(-1)!.length === MAX_BLOCKS_PER_MESSAGE) lists.push([])
        lists.at(-1)!.push(key)
      } catch (error) {
        if (signal.aborted) throw error
      }
    })
    const work = [...batches].flatMap(([peer, lists]) => lists.map((keys) => ({ peer, keys })))
    await inParallel(work, PARALLEL, async ({ peer, keys }) => {
      const items = keys.map((key) => ({ key, expiresAtMs }))
      try {
        const results =
          peer === this.#transport.peer
            ? await this.#group.extend(items)
            : (
                await this.#transport.request(
                  owners.get(peer)!,
                  BlockExtend,
                  { items, spread: true },
                  { signal, timeoutMs: PUT_TIMEOUT_MS },
                )
              ).results
        for (const [index, key] of keys.entries()) {
          const cid = pending.get(key)
          if (!cid || (results[index] !== 'done' && results[index] !== 'unknown')) continue
          // A new owner may not have heard of the copies yet: somebody may have it all the same.
          if (results[index] === 'unknown') {
            if (await this.#exists(key, signal)) continue
            gone.push(cid)
          }
          pending.delete(key)
        }
      } catch (error) {
        if (signal.aborted) throw error
      }
    })
  }

  async #exists(key: Key, signal: AbortSignal): Promise<boolean> {
    try {
      await unlessAborted(this.#fetch(key), signal)
      return true
    } catch (error) {
      if (signal.aborted) throw error
      return false
    }
  }

  async #fetch(key: Key): Promise<Copy> {
    const copy = await this.#reader.get(key)
    const { bytes, expiresAtMs, publisher } = copy
    this.#cache.set(key, { bytes, expiresAtMs, publisher })
    return copy
  }

  /** A copy of ours was rotten: the next one comes from another holder. */
  async #heal(key: Key): Promise<Copy> {
    const copy = await this.#reader.get(key)
    if (this.#group.belongs(key)) await this.#holdings.put(copy)
    return copy
  }

  #overlayChanged(): void {
    const { owned, kept } = this.#overlay.regions()
    this.#answers.overlayChanged()
    if (kept !== this.#regions.kept) this.#reports.ownersChanged()
    this.#repair.overlayChanged(owned !== this.#regions.owned)
    this.#regions = { owned, kept }
    this.#rounds.soon(REPAIR_SOON_MS)
  }

  async #round(signal: AbortSignal): Promise<number | undefined> {
    await this.#holdings.expire()
    const complete = this.#overlay.self ? await this.#reports.round(signal) : true
    const dueMs = await this.#repair.round(signal)
    await this.#reports.makeRoom(signal)
    const soonMs = complete ? Number.POSITIVE_INFINITY : REPAIR_SOON_MS * 4
    return Math.min(soonMs, dueMs ?? Number.POSITIVE_INFINITY)
  }
}
