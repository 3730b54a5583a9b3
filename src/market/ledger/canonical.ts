/**
 * Canonical bytes, strictly. The dag-cbor decoder takes some second spellings (map keys in another order, a whole
 * number as a float); what is decoded here must also encode to the very same bytes, so that a thing has one spelling, one
 * hash and one signature.
 */
import { decode, encode } from '../../core/cbor.ts'

/** The value of these bytes; undefined if they are not canonical dag-cbor. Never throws. */
export function decodeCanonical(bytes: Uint8Array): unknown {
  try {
    const value = decode(bytes)
    return Buffer.compare(encode(value), bytes) === 0 ? value : undefined
  } catch {
    return undefined
  }
}
