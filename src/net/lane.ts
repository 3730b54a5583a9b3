/**
 * The two lanes of a connection (DESIGN 5), each a request/response stream of its own: small messages, and bulk, whose
 * blocks never stand in front of them. What differs between the two is here; the rest is `rpc-stream.ts` for both.
 */
import {
  BULK_FLOOR_BYTES_PER_SECOND,
  MAX_BULK_BUFFER_BYTES,
  MAX_BULK_FRAME_BYTES,
  MAX_BULK_HANDLING_PER_PEER,
  MAX_BULK_HELD_BYTES_PER_PEER,
  MAX_BULK_REQUESTS_PER_PEER,
  MAX_BULK_WRITE_BUFFER_BYTES,
  MAX_FRAME_BYTES,
  MAX_HANDLING_PER_PEER,
  MAX_REQUESTS_PER_PEER,
  MAX_WRITE_BUFFER_BYTES,
} from '../core/limits.ts'
import type { RttSettings } from './rtt.ts'

export interface Lane {
  readonly bulk: boolean
  readonly maxFrameBytes: number
  /** Requests of ours that wait for one peer. */
  readonly maxRequests: number
  /** Of those, bytes written: no more than the peer would hold, so that a peer that has time never has to refuse. */
  readonly maxAskedBytes: number
  /** Requests of one peer in work at once. */
  readonly maxHandling: number
  /** Frames written but not sent, bytes. Above it the peer is taken for one that does not read. */
  readonly maxUnsentBytes: number
  /** From so many unsent bytes on, requests of ours wait to be written, and the peer's to be worked on. */
  readonly fullBytes: number
  /** Requests of the peer that wait for that, bytes; beyond it they are refused. */
  readonly maxHeldBytes: number
  /** Unsent and held bytes of all streams together, above which a stream has at most one answer unsent. */
  readonly maxSharedBytes: number
  /** Longer writes are cut up, so that what another stream has to say finds a gap. */
  readonly pieceBytes: number
  /** A peer that takes nothing for so long is taken for one that does not read. */
  readonly stallMs: number
  /** The slowest line that a peer may have: as long as bytes move at all, a deadline grows to this. */
  readonly floorBytesPerSecond: number
  /** What a deadline grows by at most while the peer shows on the other lane that it lives. */
  readonly besideMs: number
}

export const SMALL_LANE: Lane = Object.freeze({
  bulk: false,
  maxFrameBytes: MAX_FRAME_BYTES,
  maxRequests: MAX_REQUESTS_PER_PEER,
  maxAskedBytes: Number.POSITIVE_INFINITY,
  maxHandling: MAX_HANDLING_PER_PEER,
  maxUnsentBytes: MAX_WRITE_BUFFER_BYTES,
  fullBytes: Number.POSITIVE_INFINITY,
  maxHeldBytes: 0,
  maxSharedBytes: Number.POSITIVE_INFINITY,
  pieceBytes: Number.POSITIVE_INFINITY,
  stallMs: Number.POSITIVE_INFINITY,
  floorBytesPerSecond: Number.POSITIVE_INFINITY,
  // Behind a window of blocks a small answer takes many times its usual time, and its asker must not be buried for it.
  besideMs: 2000,
})

export const BULK_LANE: Lane = Object.freeze({
  bulk: true,
  maxFrameBytes: MAX_BULK_FRAME_BYTES,
  maxRequests: MAX_BULK_REQUESTS_PER_PEER,
  maxAskedBytes: MAX_BULK_HELD_BYTES_PER_PEER,
  maxHandling: MAX_BULK_HANDLING_PER_PEER,
  // Whatever may be answered at once, and as many refusals as nobody who reads them would collect.
  maxUnsentBytes: MAX_BULK_WRITE_BUFFER_BYTES + (MAX_BULK_HANDLING_PER_PEER + 2) * MAX_BULK_FRAME_BYTES,
  fullBytes: MAX_BULK_WRITE_BUFFER_BYTES,
  maxHeldBytes: MAX_BULK_HELD_BYTES_PER_PEER,
  maxSharedBytes: MAX_BULK_BUFFER_BYTES,
  // With Yamux's header and Noise's tag exactly one packet of Noise, whose length is 16 bits.
  pieceBytes: 0xffff - 16 - 12,
  stallMs: 30_000,
  floorBytesPerSecond: BULK_FLOOR_BYTES_PER_SECOND,
  besideMs: 0,
})

/**
 * How long nothing may move while a bulk request waits. The answer may have to be read from a disk, or synced on one and
 * on others' before; so its times say nothing about the line, and the small lane's estimator never sees them.
 */
export const BULK_RTT: RttSettings = Object.freeze({ minMs: 2000, maxMs: 30_000, initialMs: 5000, marginMs: 500 })
