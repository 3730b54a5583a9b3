/** Offers for tests of the board. */
import { fakeKeyPair } from '../../../../sim/fake-keys.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import type { KeyPair } from '../../../../src/market/ledger/keys.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { type Sell, signOffer, type UnsignedOffer } from '../../../../src/market/offers/offer.ts'
import { SLOT_MS } from '../../../../src/market/offers/price-slot.ts'

export const network = hashKey('network')
export const HOUR_MS = 3_600_000

export interface Given extends Partial<Omit<UnsignedOffer, 'terms'>>, Partial<Pick<Sell, 'fromMs' | 'untilMs'>> {
  readonly key?: KeyPair
}

/** A sell offer of `who`; its window is the first two price slots and expires with them, unless something else is given. */
export function selling(who: string, number: number, given: Given = {}): Uint8Array {
  const { key = fakeKeyPair(who), fromMs = 0, untilMs = 2 * SLOT_MS, ...envelope } = given
  const terms: Sell = {
    kind: 'sell',
    host: hashKey(`host of ${who}`),
    coresMilli: 4000,
    speedMips: 3000,
    memoryBytes: 2 ** 33,
    storeBytes: 0,
    level: 'os',
    fromMs,
    untilMs,
    minPrice: amount(1200n),
  }
  return signOffer({ network, account: key.publicKey, number, expiresMs: untilMs, terms, ...envelope }, key)
}
