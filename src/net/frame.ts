/**
 * Frames of the request/response stream: a 4-byte big-endian length, then dag-cbor of an envelope. An envelope is a
 * tuple that begins with what it is:
 *
 *   [0, version, [ip, port] | null, incarnation]                         hello: the first frame each way, and on change
 *   [1, number, kind, toSlot, fromSlot, toIncarnation, body]             request
 *   [2, number, body]                                                    reply
 *   [3, number, code, message]                                           reply that is an error
 *   [4, leaving]                                                         bye: the sender is about to close
 *
 * Envelopes are checked by hand, bodies against their kind's schema (`message.ts`).
 */
import { decode, encode } from '../core/cbor.ts'
import { ChoraleError } from '../core/errors.ts'
import { MAX_FRAME_BYTES } from '../core/limits.ts'
import { isCanonicalIp } from './ip.ts'

export const HELLO_VERSION = 1

export interface HelloFrame {
  readonly type: 'hello'
  readonly version: number
  readonly address: { readonly ip: string; readonly port: number } | undefined
  readonly incarnation: number
}

export interface RequestFrame {
  readonly type: 'request'
  readonly number: number
  readonly kind: string
  readonly toSlot: number
  readonly fromSlot: number
  readonly toIncarnation: number
  readonly body: unknown
}

export interface ReplyFrame {
  readonly type: 'reply'
  readonly number: number
  readonly body: unknown
}

export interface FailureFrame {
  readonly type: 'failure'
  readonly number: number
  readonly code: string
  readonly message: string
}

export interface ByeFrame {
  readonly type: 'bye'
  /** The whole host goes; otherwise it only makes room. */
  readonly leaving: boolean
}

export type Frame = HelloFrame | RequestFrame | ReplyFrame | FailureFrame | ByeFrame

const PREFIX_BYTES = 4
/** Copying so much costs less than handling one array more. */
const MAX_JOINED_BYTES = 16 * 1024
const MAX_KIND_LENGTH = 64
const MAX_FAILURE_LENGTH = 512

/** With its length prefix. Throws `limit` when it is longer than a frame may be. */
export function encodeFrame(frame: Frame, maxBytes: number = MAX_FRAME_BYTES): Uint8Array {
  const parts = encodeFrameParts(frame, maxBytes)
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
}

/** The same, but a long payload is not copied only to stand behind its length. */
export function encodeFrameParts(frame: Frame, maxBytes: number): Uint8Array[] {
  const payload = encode(envelopeOf(frame))
  const { length } = payload
  if (length > maxBytes) throw new ChoraleError('limit', `a message of ${length} bytes does not fit ${maxBytes}`)
  const isLong = length > MAX_JOINED_BYTES
  const bytes = new Uint8Array(isLong ? PREFIX_BYTES : PREFIX_BYTES + length)
  bytes[1] = length >> 16
  bytes[2] = length >> 8
  bytes[3] = length
  if (isLong) return [bytes, payload]
  bytes.set(payload, PREFIX_BYTES)
  return [bytes]
}

/** Memory that the caller fills to the last byte, so that a megabyte is not first filled with zeros. */
function uncleared(length: number): Uint8Array {
  return length < 4096 ? new Uint8Array(length) : Buffer.allocUnsafeSlow(length)
}

function envelopeOf(frame: Frame): unknown[] {
  switch (frame.type) {
    case 'hello':
      return [0, frame.version, frame.address ? [frame.address.ip, frame.address.port] : null, frame.incarnation]
    case 'request':
      return [1, frame.number, frame.kind, frame.toSlot, frame.fromSlot, frame.toIncarnation, frame.body]
    case 'reply':
      return [2, frame.number, frame.body]
    case 'failure':
      return [3, frame.number, frame.code, frame.message.slice(0, MAX_FAILURE_LENGTH)]
    case 'bye':
      return [4, frame.leaving]
  }
}

/** Without its length prefix. Throws `bad-message`. */
export function decodeFrame(payload: Uint8Array): Frame {
  const frame = frameOf(decode(payload))
  if (!frame) throw new ChoraleError('bad-message', 'not an envelope')
  return frame
}

function frameOf(envelope: unknown): Frame | undefined {
  if (!Array.isArray(envelope)) return undefined
  const [type, first, second, third, fourth, fifth, sixth] = envelope as unknown[]
  const { length } = envelope
  switch (type) {
    case 1:
      if (length !== 7 || !isCount(first) || !isText(second, MAX_KIND_LENGTH)) return undefined
      if (!isSlot(third) || !isSlot(fourth) || !isCount(fifth)) return undefined
      return {
        type: 'request',
        number: first,
        kind: second,
        toSlot: third,
        fromSlot: fourth,
        toIncarnation: fifth,
        body: sixth,
      }
    case 2:
      return length === 3 && isCount(first) ? { type: 'reply', number: first, body: second } : undefined
    case 3:
      if (length !== 4 || !isCount(first) || !isText(second, MAX_KIND_LENGTH)) return undefined
      return isText(third, MAX_FAILURE_LENGTH)
        ? { type: 'failure', number: first, code: second, message: third }
        : undefined
    case 0: {
      if (length !== 4 || !isCount(first) || !isCount(third)) return undefined
      if (second === null) return { type: 'hello', version: first, address: undefined, incarnation: third }
      if (!Array.isArray(second) || second.length !== 2) return undefined
      const [ip, port] = second as unknown[]
      if (!isText(ip, 45) || !isCount(port) || port < 1 || port > 65_535 || !isCanonicalIp(ip)) return undefined
      return { type: 'hello', version: first, address: { ip, port }, incarnation: third }
    }
    case 4:
      return length === 2 && typeof first === 'boolean' ? { type: 'bye', leaving: first } : undefined
    default:
      return undefined
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isSlot(value: unknown): value is number {
  return isCount(value) && value <= 255
}

function isText(value: unknown, maxLength: number): value is string {
  return typeof value === 'string' && value.length <= maxLength
}

/**
 * Cuts a stream of bytes into payloads. Holds at most one frame, and copies a byte at most once however small the
 * pieces are in which it comes. A payload is a view into what was pushed where it came in one piece, a copy otherwise.
 */
export class FrameReader {
  /** A frame whose rest has not come: as long as the frame, or as its prefix while not even that has come. */
  #partial: Uint8Array | undefined
  #filled = 0
  readonly #maxBytes: number

  constructor(maxBytes: number = MAX_FRAME_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** Bytes held back. */
  get buffered(): number {
    return this.#partial?.length ?? 0
  }

  /** Calls `onFrame` once per payload. Throws `limit` at a length that no frame has; the stream is lost then. */
  push(chunk: Uint8Array, onFrame: (payload: Uint8Array) => void): void {
    let offset = this.#partial ? this.#fill(chunk, onFrame) : 0
    while (offset < chunk.length) {
      const available = chunk.length - offset
      const frameBytes = available < PREFIX_BYTES ? PREFIX_BYTES : PREFIX_BYTES + this.#payloadLength(chunk, offset)
      if (available < frameBytes) {
        this.#hold(chunk.subarray(offset), frameBytes)
        return
      }
      onFrame(chunk.subarray(offset + PREFIX_BYTES, offset + frameBytes))
      offset += frameBytes
    }
  }

  #hold(bytes: Uint8Array, frameBytes: number): void {
    const partial = uncleared(frameBytes)
    partial.set(bytes)
    this.#partial = partial
    this.#filled = bytes.length
  }

  /** Adds to the partial frame; returns how many bytes of the chunk it took. */
  #fill(chunk: Uint8Array, onFrame: (payload: Uint8Array) => void): number {
    let offset = 0
    while (this.#partial) {
      const partial = this.#partial
      const taken = Math.min(partial.length - this.#filled, chunk.length - offset)
      partial.set(chunk.subarray(offset, offset + taken), this.#filled)
      this.#filled += taken
      offset += taken
      if (this.#filled < partial.length) break
      const frameBytes = PREFIX_BYTES + this.#payloadLength(partial, 0)
      if (frameBytes > partial.length) {
        this.#hold(partial, frameBytes) // the prefix is complete: now the frame's length is known
      } else {
        this.#partial = undefined
        onFrame(partial.subarray(PREFIX_BYTES))
      }
    }
    return offset
  }

  #payloadLength(bytes: Uint8Array, offset: number): number {
    const length =
      (bytes[offset] as number) * 2 ** 24 +
      (bytes[offset + 1] as number) * 2 ** 16 +
      (bytes[offset + 2] as number) * 2 ** 8 +
      (bytes[offset + 3] as number)
    if (length > this.#maxBytes) {
      throw new ChoraleError('limit', `a frame of ${length} bytes, of at most ${this.#maxBytes}`)
    }
    return length
  }
}
