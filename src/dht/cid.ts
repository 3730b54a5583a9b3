/** Names of blocks: CIDv1 over SHA-256 with the codecs that files and records need. */
import { hash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { ChoraleError } from '../core/errors.ts'
import { hashKey, type Key, keyFromBytes } from '../core/ids.ts'
import { MAX_BLOCK_BYTES } from '../core/limits.ts'

/** Multicodec codes. */
export const CODECS = { raw: 0x55, 'dag-pb': 0x70, 'dag-cbor': 0x71 } as const
export type Codec = keyof typeof CODECS

const SHA2_256 = 0x12
const DIGEST_BYTES = 32

export function cidOf(codec: Codec, bytes: Uint8Array): CID {
  return CID.createV1(CODECS[codec], Digest.create(SHA2_256, hash('sha256', bytes, 'buffer')))
}

/** Throws `usage` with the name of the codec or hash function that we do not keep. */
export function keyOfCid(cid: CID): Key {
  if (!Object.values(CODECS).includes(cid.code as never)) {
    throw new ChoraleError(
      'usage',
      `${cid} has the codec 0x${cid.code.toString(16)}: only raw, dag-pb and dag-cbor are kept`,
    )
  }
  const { code, digest } = cid.multihash
  if (code !== SHA2_256 || digest.length !== DIGEST_BYTES) {
    throw new ChoraleError('usage', `${cid} has the hash function 0x${code.toString(16)}: only sha2-256 (0x12) is kept`)
  }
  return keyFromBytes(digest)
}

/** Throws `usage` at what is no CID, and as `keyOfCid` does. */
export function parseCid(text: string): CID {
  let cid: CID
  try {
    cid = CID.parse(text)
  } catch (error) {
    throw new ChoraleError('usage', `${JSON.stringify(text)} is not a CID: chorale add prints one`, { cause: error })
  }
  keyOfCid(cid)
  return cid
}

/** The key of a block whose bytes are what its name says. Throws `usage`. */
export function checkedKey(cid: CID, bytes: Uint8Array): Key {
  const key = keyOfCid(cid)
  if (bytes.length > MAX_BLOCK_BYTES) {
    throw new ChoraleError('usage', `${cid} has ${bytes.length} bytes, the most is ${MAX_BLOCK_BYTES}`)
  }
  if (hashKey(bytes) !== key) throw new ChoraleError('usage', `the bytes are not those that ${cid} names`)
  return key
}
