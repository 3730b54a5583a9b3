/**
 * Frames between a node and a child process that runs a job's code. Both sides use this file, and the child may read no
 * other, so it imports nothing.
 *
 *   bytes      what
 *   0 - 3      length of the rest, little-endian
 *   4 - 7      length of the head
 *   8 -        head: an object in JSON, then the body: bytes
 */

/** Longer heads are of nobody who keeps to the protocol. */
export const MAX_HEAD_BYTES = 64 * 1024
const LENGTHS_BYTES = 8

export interface Frame {
  readonly head: { readonly [name: string]: unknown }
  /** All of its buffer. */
  readonly body: Uint8Array
}

export function encodeFrame(head: Frame['head'], body: Uint8Array = new Uint8Array(0)): Buffer {
  const text = Buffer.from(JSON.stringify(head))
  const frame = Buffer.allocUnsafe(LENGTHS_BYTES + text.length + body.length)
  frame.writeUInt32LE(4 + text.length + body.length, 0)
  frame.writeUInt32LE(text.length, 4)
  frame.set(text, LENGTHS_BYTES)
  frame.set(body, LENGTHS_BYTES + text.length)
  return frame
}

/** Puts frames together from the pieces in which they arrive. Throws at what is no frame; it is of no use after that. */
export class FrameReader {
  readonly #maxBytes: number
  #pieces: Buffer[] = []
  #bytes = 0
  #wanted = LENGTHS_BYTES

  /** `maxBytes`: of one frame. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** The frames that are whole now. Each is checked before the next is looked at, and before its bytes have come. */
  *push(piece: Buffer): Generator<Frame> {
    this.#pieces.push(piece)
    this.#bytes += piece.length
    while (this.#bytes >= this.#wanted) {
      const all = this.#pieces.length === 1 ? (this.#pieces[0] as Buffer) : Buffer.concat(this.#pieces)
      const length = all.readUInt32LE(0)
      const headBytes = all.readUInt32LE(4)
      if (length > this.#maxBytes - 4 || headBytes > MAX_HEAD_BYTES || headBytes + 4 > length) {
        throw new Error(`no frame: ${length} bytes, of which ${headBytes} are its head`)
      }
      this.#pieces = [all]
      this.#wanted = 4 + length
      if (this.#bytes < this.#wanted) return
      const head: unknown = JSON.parse(all.toString('utf8', LENGTHS_BYTES, LENGTHS_BYTES + headBytes))
      if (typeof head !== 'object' || head === null) throw new Error('no frame: its head is no object')
      const body = new Uint8Array(all.subarray(LENGTHS_BYTES + headBytes, this.#wanted))
      const rest = all.subarray(this.#wanted)
      this.#pieces = rest.length > 0 ? [rest] : []
      this.#bytes = rest.length
      this.#wanted = LENGTHS_BYTES
      yield { head: head as Frame['head'], body }
    }
  }
}
