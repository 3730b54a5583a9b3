/** Values as bytes: canonical dag-cbor, so what is signed is what is sent. */
import * as dagCbor from '@ipld/dag-cbor'
import { ChoraleError, errorMessage } from './errors.ts'

export function encode(value: unknown): Uint8Array {
  return dagCbor.encode(value)
}

/** Throws `bad-message` on anything that is not canonical dag-cbor. */
export function decode(bytes: Uint8Array): unknown {
  try {
    return dagCbor.decode(bytes)
  } catch (error) {
    throw new ChoraleError('bad-message', `not dag-cbor: ${errorMessage(error)}`, { cause: error })
  }
}
