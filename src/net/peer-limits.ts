/**
 * What a peer may take from us: bytes, milliseconds of our main thread, and requests in work, counted per peer and per
 * prefix (/24, or /64 of IPv6), because peers cost an attacker nothing and addresses do. Budgets outlive connections,
 * so that reconnecting gives no fresh one.
 */
import {
  MAX_HANDLING_PER_PEER,
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
import { ipClass, ipPrefix } from './ip.ts'
import { TokenBucket } from './token-bucket.ts'

interface Budget {
  readonly bytes: TokenBucket
  readonly handlerMs: TokenBucket
}

export class PeerLimits {
  readonly #peers = new CappedMap<string, Budget>(MAX_KNOWN_PEERS)
  readonly #prefixes = new CappedMap<string, Budget>(MAX_KNOWN_PEERS)

  /** The allowance of one connection of a peer. Loopback has no prefix limit: all of it is one machine's own. */
  allowance(peer: string, ip: string, nowMs: number): Allowance {
    let own = this.#peers.get(peer)
    if (!own) {
      own = {
        bytes: new TokenBucket(PEER_BYTES_PER_SECOND, PEER_BYTES_BURST, nowMs),
        handlerMs: new TokenBucket(PEER_HANDLER_MS_PER_SECOND, PEER_HANDLER_MS_BURST, nowMs),
      }
      this.#peers.set(peer, own)
    }
    return new Allowance(own, ipClass(ip) === 'loopback' ? undefined : this.#prefix(ipPrefix(ip), nowMs))
  }

  #prefix(prefix: string, nowMs: number): Budget {
    let shared = this.#prefixes.get(prefix)
    if (!shared) {
      shared = {
        bytes: new TokenBucket(PREFIX_BYTES_PER_SECOND, PREFIX_BYTES_BURST, nowMs),
        handlerMs: new TokenBucket(PREFIX_HANDLER_MS_PER_SECOND, PREFIX_HANDLER_MS_BURST, nowMs),
      }
      this.#prefixes.set(prefix, shared)
    }
    return shared
  }
}

export class Allowance {
  readonly #own: Budget
  readonly #shared: Budget | undefined
  #handling = 0

  constructor(own: Budget, shared: Budget | undefined) {
    this.#own = own
    this.#shared = shared
  }

  /** Bytes came. Returns for how many milliseconds no more should be read. */
  received(bytes: number, nowMs: number): number {
    this.#own.bytes.spend(bytes, nowMs)
    this.#shared?.bytes.spend(bytes, nowMs)
    return Math.max(this.#own.bytes.waitMs(nowMs), this.#shared?.bytes.waitMs(nowMs) ?? 0)
  }

  /** May a handler begin? If so, `leave` must be called once it has answered. */
  enter(nowMs: number): boolean {
    if (this.#handling >= MAX_HANDLING_PER_PEER) return false
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
