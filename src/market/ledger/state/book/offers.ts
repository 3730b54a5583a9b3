/** Offers as the book has them: bytes, decoded once. */
import { decodeOffer, type Offer } from '../../../offers/offer.ts'

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
