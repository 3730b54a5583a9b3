/** Offers as the book has them: bytes, decoded once, and what has become of them since. */
import type { Key } from '../../../../core/ids.ts'
import type { BuyEntry, SellEntry } from '../../../auction/entries.ts'
import { decodeOffer, type Offer } from '../../../offers/offer.ts'
import type { Booked } from '../state.ts'

/** By object: bytes of an offer never change. */
const decoded = new WeakMap<Uint8Array, Offer>()

/** Undefined: these bytes are no offer. Never throws. */
export function offerIn(bytes: Uint8Array): Offer | undefined {
  const known = decoded.get(bytes)
  if (known) return known
  const offer = decodeOffer(bytes)
  if (typeof offer === 'string') return undefined
  decoded.set(bytes, offer)
  return offer
}

/** As the auction sees it: a buyer's at the price to which it was raised. */
export function entryIn(id: Key, { bytes, sequence, maxPrice, left, placed, pieces }: Booked): SellEntry | BuyEntry {
  const { account, terms, expiresMs } = offerIn(bytes)!
  const entry = { id, account, sequence, expiresMs }
  if (terms.kind === 'sell') return { ...entry, terms, pieces }
  return { ...entry, terms: { ...terms, maxPrice }, left, placed }
}
