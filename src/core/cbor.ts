/** Values as bytes: canonical dag-cbor, so what is signed is what is sent. */
import * as dagCbor from '@ipld/dag-cbor'
import { ChoraleError, errorMessage } from './errors.ts'

export function encode(value: unknown): Uint8Array {
  return dagCbor.encode(value)
}

/**
 * Throws `bad-message` on what is not dag-cbor. Lengths and integers must be in their shortest form, but keys in another order
 * and whole numbers as floats pass: where one value must have one spelling, encode it again and compare.
 */
export function decode(bytes: Uint8Array): unknown {
  try {
    return dagCbor.decode(bytes)
  } catch (error) {
    throw new ChoraleError('bad-message', `not dag-cbor: ${errorMessage(error)}`, { cause: error })
  }
}
