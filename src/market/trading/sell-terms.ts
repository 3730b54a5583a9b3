/** What a host offers to sell: pure decisions over what is lent and what of it is taken. */
import { MAX_OFFER_CORES_MILLI, MAX_OFFER_SPEED_MIPS, MAX_PRICE, TASK_MEMORY_BYTES } from '../../core/limits.ts'
import type { PublicKey } from '../ledger/keys.ts'
import type { Amount } from '../ledger/state/amount.ts'
import type { Unfit } from '../lending/funnel.ts'
import type { Lent } from '../lending/lender.ts'
import { type Buy, MIN_SERVICE_MS, type Sell } from '../offers/offer.ts'
import { withoutFee } from '../offers/work.ts'

/** Work that is taken may take so long. */
const WINDOW_MS = 6 * 3_600_000
/** A price that is left to the market is followed when it has moved by more than this share, in percent. */
const FOLLOWED_PERCENT = 20n

/** Undefined: there is nothing, or for too short a time. */
export function sellTerms(
  lent: Lent & { readonly mips: number },
  free: { readonly cores: number; readonly untilMs: number },
  { host, nowMs, minPrice, storeBytes }: { host: PublicKey; nowMs: number; minPrice: Amount; storeBytes: number },
): Sell | undefined {
  const forMs = Math.min(lent.forMs ?? WINDOW_MS, WINDOW_MS, Math.floor(free.untilMs - nowMs))
  if (free.cores < 1 || forMs < 2 * MIN_SERVICE_MS || lent.mips < 1) return undefined
  const fromMs = Math.floor(nowMs)
  const capped = minPrice < 1n ? 1n : minPrice > BigInt(MAX_PRICE) ? BigInt(MAX_PRICE) : minPrice
  return {
    kind: 'sell',
    host,
    coresMilli: Math.min(free.cores * 1000, MAX_OFFER_CORES_MILLI),
    speedMips: Math.min(lent.mips, MAX_OFFER_SPEED_MIPS),
    memoryBytes: free.cores * TASK_MEMORY_BYTES,
    storeBytes,
    level: lent.level,
    fromMs,
    untilMs: fromMs + forMs,
    minPrice: capped as Amount,
  }
}

/** Does an offer say something else than what would be offered now, apart from how much of it is sold and how long? */
export function hasChanged(
  offered: Sell,
  now: Pick<Sell, 'speedMips' | 'level' | 'minPrice'>,
  isAuto: boolean,
): boolean {
  if (offered.speedMips !== now.speedMips || offered.level !== now.level) return true
  if (!isAuto) return offered.minPrice !== now.minPrice
  const moved = now.minPrice > offered.minPrice ? now.minPrice - offered.minPrice : offered.minPrice - now.minPrice
  return moved * 100n > offered.minPrice * FOLLOWED_PERCENT
}

/** Why what is lent does not fit what a buyer wants; undefined: it fits. */
export function unfitOf(lent: Lent, buy: Buy, nowMs: number): Unfit | undefined {
  if (lent.slots < 1) return 'cores'
  if (buy.memoryBytes > lent.slots * TASK_MEMORY_BYTES) return 'memory'
  if (buy.level === 'os' && lent.level !== 'os') return 'level'
  const untilMs = Math.min(buy.untilMs, nowMs + (lent.forMs ?? WINDOW_MS))
  const fromMs = Math.max(buy.fromMs, nowMs)
  if (untilMs - fromMs < buy.minServiceMs) return 'hours'
  if (lent.mips !== undefined && (buy.taskWorkMi * 1000) / lent.mips > untilMs - fromMs) return 'hours'
  return undefined
}

/** Does it pay less than the least that this host asks for? */
export function isPricedOut(buy: Buy, minPrice: Amount, feePpm: number): boolean {
  return withoutFee(buy.maxPrice, feePpm) < minPrice
}
