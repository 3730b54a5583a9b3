/**
 * Which claimed addresses have been confirmed. A peer is where it says when a dial to exactly that place ends at
 * somebody who authenticates as that peer (DESIGN 4). Each claim is tried once and remembered; a failure is tried again
 * after a while, because the fault may have been ours.
 */
import { Type } from 'typebox'
import {
  MAX_CONFIRMED_ADDRESSES,
  MAX_DIAL_BACKS_PER_IP_BURST,
  MAX_DIAL_BACKS_PER_IP_PER_SECOND,
  MAX_DIAL_BACKS_PER_SECOND,
  MAX_KNOWN_PEERS,
} from '../core/limits.ts'
import { CappedMap } from './capped-map.ts'
import type { Address } from './contact.ts'
import type { Counters } from './counters.ts'
import { ipClass } from './ip.ts'
import { defineMessage, record } from './message.ts'
import { TokenBucket } from './token-bucket.ts'

/** A starting host asks: can you reach me at this port, and at what IP do you see me? */
export const DialBack = defineMessage('net.dialback', {
  request: record({ port: Type.Integer({ minimum: 1, maximum: 65_535 }) }),
  reply: record({ ip: Type.String({ minLength: 2, maxLength: 45 }), reachable: Type.Boolean() }),
})

/** After the first failure; twice as long after each further one. */
const FIRST_RETRY_MS = 2_000
const MAX_RETRY_MS = 600_000

type Claim =
  | { readonly state: 'confirmed' }
  | { readonly state: 'pending'; readonly outcome: Promise<boolean>; readonly failures: number }
  | { readonly state: 'refuted'; readonly retryAtMs: number; readonly failures: number }

export interface DialBackOptions {
  /** Resolves when the address was dialled and the peer authenticated. */
  dial(address: Address): Promise<void>
  /** Monotone milliseconds. */
  now(): number
  readonly counters: Counters
}

export class DialBacks {
  readonly #options: DialBackOptions
  readonly #claims = new CappedMap<string, Claim>(MAX_CONFIRMED_ADDRESSES)
  readonly #rate: TokenBucket
  readonly #ratePerIp = new CappedMap<string, TokenBucket>(MAX_KNOWN_PEERS)

  constructor(options: DialBackOptions) {
    this.#options = options
    this.#rate = new TokenBucket(MAX_DIAL_BACKS_PER_SECOND, MAX_DIAL_BACKS_PER_SECOND, options.now())
  }

  confirmed(address: Address): boolean {
    return this.#claims.get(claimName(address))?.state === 'confirmed'
  }

  /** A dial of our own ended there. */
  mark(address: Address): void {
    this.#claims.set(claimName(address), { state: 'confirmed' })
  }

  /** Dials unless the answer is known or on its way. `false` at once when there is no budget: ask again later. */
  confirm(address: Address): boolean | Promise<boolean> {
    const { counters, now } = this.#options
    const name = claimName(address)
    const known = this.#claims.get(name)
    if (known?.state === 'confirmed') return true
    if (known?.state === 'pending') return known.outcome
    if (known && now() < known.retryAtMs) return false
    if (!this.#afford(address.ip)) return false
    counters.dialBacks++
    const failures = known?.failures ?? 0
    const outcome = this.#options.dial(address).then(
      () => {
        this.#claims.set(name, { state: 'confirmed' })
        return true
      },
      () => {
        counters.failedDialBacks++
        const retryAtMs = now() + Math.min(FIRST_RETRY_MS * 2 ** failures, MAX_RETRY_MS)
        this.#claims.set(name, { state: 'refuted', retryAtMs, failures: failures + 1 })
        return false
      },
    )
    this.#claims.set(name, { state: 'pending', outcome, failures })
    return outcome
  }

  /** One IP must not use up the budget of all; loopback may, because it is all ours. */
  #afford(ip: string): boolean {
    const nowMs = this.#options.now()
    if (this.#rate.waitMs(nowMs) > 0) return false
    if (ipClass(ip) !== 'loopback') {
      let own = this.#ratePerIp.get(ip)
      if (!own) {
        own = new TokenBucket(MAX_DIAL_BACKS_PER_IP_PER_SECOND, MAX_DIAL_BACKS_PER_IP_BURST, nowMs)
        this.#ratePerIp.set(ip, own)
      }
      if (own.waitMs(nowMs) > 0) return false
      own.spend(1, nowMs)
    }
    this.#rate.spend(1, nowMs)
    return true
  }
}

function claimName({ peer, ip, port, incarnation }: Address): string {
  return `${peer} ${ip} ${port} ${incarnation}`
}
