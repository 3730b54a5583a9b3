/**
 * What is too large to travel is kept as a block, and travels as a link to it (DESIGN 7): dag-cbor of a CID. Everything
 * else about it is the same: equal bytes have equal links.
 */
import { CID } from 'multiformats/cid'
import { decode, encode } from '../core/cbor.ts'
import { ChoraleError, errorCode } from '../core/errors.ts'
import type { JobStore } from './ports.ts'

interface Options {
  readonly signal: AbortSignal
}

/** The first bytes of a CID in dag-cbor: tag 42. */
const LINK = [0xd8, 0x2a]

export function isLink(bytes: Uint8Array): boolean {
  return bytes[0] === LINK[0] && bytes[1] === LINK[1]
}

export async function pack(store: JobStore, bytes: Uint8Array, inline: number, options: Options): Promise<Uint8Array> {
  return bytes.length <= inline ? bytes : encode(CID.parse(await store.put(bytes, options)))
}

/**
 * Rejects with `bad-message` when it is a link to nothing, or to more than `most` bytes; with `limit` when what it links to
 * is gone with all its copies; and as the store does.
 */
export async function unpack(store: JobStore, bytes: Uint8Array, most: number, options: Options): Promise<Uint8Array> {
  if (!isLink(bytes)) return bytes
  const cid = CID.asCID(decode(bytes))
  if (!cid) throw new ChoraleError('bad-message', 'a link that is none')
  return kept(store, cid.toString(), most, options)
}

/** Is it that a block that a job has kept was found nowhere? For a while after deaths that may be so of one that is not lost. */
export function isLost(error: unknown): boolean {
  return error instanceof ChoraleError && error.code === 'limit' && errorCode(error.cause) === 'not-found'
}

/** A block that a job has kept. Rejects as `unpack` does. */
export async function kept(store: JobStore, cid: string, most: number, options: Options): Promise<Uint8Array> {
  let bytes: Uint8Array
  try {
    bytes = await store.get(cid, options)
  } catch (error) {
    if (errorCode(error) !== 'not-found') throw error
    const why = `what one of its tasks has left is gone with all its copies (${cid}): submit it again`
    throw new ChoraleError('limit', why, { cause: error })
  }
  if (bytes.length > most)
    throw new ChoraleError('bad-message', `a part of a job has ${bytes.length} bytes, not ${most}`)
  return bytes
}
