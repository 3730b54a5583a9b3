/**
 * Search for a nonce: the smallest number n for which SHA-256 of `text:n` begins with so many zero bits, as proofs of
 * work have it. Tasks are ranges of numbers; the smaller find of two ranges is kept.
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import { defineJob, type Json } from '../src/mapreduce/define.ts'

/** Numbers per task: about a tenth of a second. */
const RANGE = 2 ** 16
/** Of the numbers that are expected to be needed, so many times as many are searched: e^-8 is the chance to find none. */
const MARGIN = 8

interface Find {
  [name: string]: Json
  nonce: number | null
  digest: string | null
  tried: number
}

export function zeroBits(digest: Uint8Array): number {
  const first = digest.findIndex((byte) => byte !== 0)
  return first < 0 ? 8 * digest.length : 8 * first + Math.clz32(digest[first]!) - 24
}

export default defineJob({
  name: 'search',
  params: { text: 'chorale', bits: 18 },
  split({ bits }) {
    if (!Number.isInteger(bits) || bits < 1 || bits > 32)
      throw new Error(`bits must be a whole number from 1 to 32, not ${bits}`)
    return Math.ceil((MARGIN * 2 ** bits) / RANGE)
  },
  map(task, { params: { text, bits } }): Find {
    for (let nonce = task * RANGE; nonce < (task + 1) * RANGE; nonce++) {
      const digest = sha256(utf8ToBytes(`${text}:${nonce}`))
      if (zeroBits(digest) >= bits) return { nonce, digest: bytesToHex(digest), tried: nonce - task * RANGE + 1 }
    }
    return { nonce: null, digest: null, tried: RANGE }
  },
  reduce(left, right): Find {
    const { nonce, digest } = left.nonce === null ? right : left
    return { nonce, digest, tried: left.tried + right.tried }
  },
})
