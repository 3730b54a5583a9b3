/**
 * What a peer may take from us: bytes, milliseconds of our main thread, and requests in work, counted per peer and per
 * prefix (/24, or /64 of IPv6), because peers cost an attacker nothing and addresses do. Budgets outlive connections,
 * so that reconnecting gives no fresh one.
 */
import {
  BULK_LOCAL_BYTES_BURST,
  BULK_LOCAL_BYTES_PER_SECOND,
  BULK_PEER_BYTES_BURST,
  BULK_PEER_BYTES_PER_SECOND,
  BULK_PREFIX_BYTES_BURST,
  BULK_PREFIX_BYTES_PER_SECOND,
  MAX_KNOWN_PEERS,
  PEER_BYTES_BURST,
  PEER_BYTES_PER_SECOND,
  PEER_HANDLER_MS_BURST,
  PEER_HANDLER_MS_PER_SECOND,
  PREFIX_BYTES_BURST,
  PREFIX_BYTES_PER_SECOND,
  PREFIX_HANDLER_MS_BURST,
  PREFIX_HANDLER_MS_PER_SECOND,
} from '../core/limits.ts'
import { CappedMap } from './capped-map.ts'
import { type IpClass, ipClass, ipPrefix } from './ip.ts'
import { type Lane, SMALL_LANE } from './lane.ts'
import { TokenBucket } from './token-bucket.ts'

interface Budget {
  readonly bytes: TokenBucket
  readonly handlerMs: TokenBucket
}

/** Bytes a second on average, and at once. */
type Rate = readonly [perSecond: number, burst: number]

/** The limits of one lane: what comes on the other does not count. */
export class PeerLimits {
  readonly #lane: Lane
  readonly #peers = new CappedMap<string, Budget>(MAX_KNOWN_PEERS)
  readonly #prefixes = new CappedMap<string, Budget>(MAX_KNOWN_PEERS)

  constructor(lane: Lane = SMALL_LANE) {
    this.#lane = lane
  }

  /** The allowance of one connection of a peer. Loopback has no prefix limit: all of it is one machine's own. */
  allowance(peer: string, ip: string, nowMs: number): Allowance {
    const reach = ipClass(ip)
    let own = this.#peers.get(peer)
    if (!own) {
      own = {
        bytes: new TokenBucket(...peerRate(this.#lane, reach), nowMs),
        handlerMs: new TokenBucket(PEER_HANDLER_MS_PER_SECOND, PEER_HANDLER_MS_BURST, nowMs),
      }
      this.#peers.set(peer, own)
    }
    const shared = reach === 'loopback' ? undefined : this.#prefix(ipPrefix(ip), reach, nowMs)
    return new Allowance(own, shared, this.#lane.maxHandling)
  }

  #prefix(prefix: string, reach: IpClass, nowMs: number): Budget {
    let shared = this.#prefixes.get(prefix)
    if (!shared) {
      shared = {
        bytes: new TokenBucket(...prefixRate(this.#lane, reach), nowMs),
        handlerMs: new TokenBucket(PREFIX_HANDLER_MS_PER_SECOND, PREFIX_HANDLER_MS_BURST, nowMs),
      }
      this.#prefixes.set(prefix, shared)
    }
    return shared
  }
}

function peerRate({ bulk }: Lane, reach: IpClass): Rate {
  if (!bulk) return [PEER_BYTES_PER_SECOND, PEER_BYTES_BURST]
  if (reach !== 'public') return [BULK_LOCAL_BYTES_PER_SECOND, BULK_LOCAL_BYTES_BURST]
  return [BULK_PEER_BYTES_PER_SECOND, BULK_PEER_BYTES_BURST]
}

function prefixRate({ bulk }: Lane, reach: IpClass): Rate {
  if (!bulk) return [PREFIX_BYTES_PER_SECOND, PREFIX_BYTES_BURST]
  if (reach !== 'public') return [BULK_LOCAL_BYTES_PER_SECOND, BULK_LOCAL_BYTES_BURST]
  return [BULK_PREFIX_BYTES_PER_SECOND, BULK_PREFIX_BYTES_BURST]
}

export class Allowance {
  readonly #own: Budget
  readonly #shared: Budget | undefined
  readonly #maxHandling: number
  #handling = 0

  constructor(own: Budget, shared: Budget | undefined, maxHandling: number) {
    this.#own = own
    this.#shared = shared
    this.#maxHandling = maxHandling
  }

  /** Bytes came. Returns for how many milliseconds no more should be read. */
  received(bytes: number, nowMs: number): number {
    this.#own.bytes.spend(bytes, nowMs)
    this.#shared?.bytes.spend(bytes, nowMs)
    return Math.max(this.#own.bytes.waitMs(nowMs), this.#shared?.bytes.waitMs(nowMs) ?? 0)
  }

  /** Are as many handlers at work as may be? */
  get busy(): boolean {
    return this.#handling >= this.#maxHandling
  }

  /** May a handler begin? If so, `leave` must be called once it has answered. */
  enter(nowMs: number): boolean {
    if (this.busy) return false
    if (this.#own.handlerMs.waitMs(nowMs) > 0 || (this.#shared?.handlerMs.waitMs(nowMs) ?? 0) > 0) return false
    this.#handling++
    return true
  }

  leave(): void {
    this.#handling--
  }

  /** A handler held the main thread. */
  spent(ms: number, nowMs: number): void {
    this.#own.handlerMs.spend(ms, nowMs)
    this.#shared?.handlerMs.spend(ms, nowMs)
  }
}
