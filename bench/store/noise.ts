/** Pseudo-random bytes, as many as wanted and never held: the same for the same seed, so that whoever reads can compare. */
import { createCipheriv, createHash } from 'node:crypto'

const PIECE_BYTES = 256 * 1024
const ZEROS = new Uint8Array(PIECE_BYTES)

/** The key stream of AES-128 in counter mode: more than a gigabyte a second, so that it takes little of what is measured. */
export function noise(seed: string): (bytes: number) => Buffer {
  const hash = createHash('sha256').update(seed).digest()
  const cipher = createCipheriv('aes-128-ctr', hash.subarray(0, 16), hash.subarray(16))
  return (bytes) => cipher.update(bytes === PIECE_BYTES ? ZEROS : new Uint8Array(bytes))
}

export async function* noiseStream(seed: string, bytes: number): AsyncGenerator<Buffer> {
  const next = noise(seed)
  for (let left = bytes; left > 0; left -= PIECE_BYTES) yield next(Math.min(left, PIECE_BYTES))
}

/** Returns how many bytes came. Throws at the first piece that is not what `noiseStream` gives for the seed. */
export async function compareWithNoise(seed: string, source: AsyncIterable<Uint8Array>): Promise<number> {
  const next = noise(seed)
  let bytes = 0
  for await (const piece of source) {
    if (!next(piece.length).equals(piece)) throw new Error(`other bytes than were added, after ${bytes}`)
    bytes += piece.length
  }
  return bytes
}
