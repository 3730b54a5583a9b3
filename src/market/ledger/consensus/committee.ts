/**
 * The committee of one epoch and the settings of its consensus. A new epoch is a new instance with another committee,
 * whose `base` is the last block of the one before.
 */
import { invariant } from '../../../core/errors.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { MAX_COMMITTEE } from '../../../core/limits.ts'
import { quorumOf } from '../committee.ts'
import type { Digest, Tip } from './block.ts'

/** How far a block's time may be from a voter's clock, either way. DESIGN 9. */
export const CLOCK_TOLERANCE_MS = 2000
/** A payload: with its block it fits into one frame of the bulk lane. */
export const MAX_PAYLOAD_BYTES = 512 * 1024

export interface Settings {
  /** The hash of the network's genesis: part of everything that is signed, so two networks never mix. */
  readonly network: Key
  readonly epoch: number
  /** 1 to 64. Member i is the i-th key of the epoch's committee. */
  readonly members: number
  readonly self: number
  /**
   * Turns the schedule of leaders; derived from the epoch's seed. Round robin is enough: the paper's proof of agreement
   * holds for any schedule that all members agree on, and with turns at most f leaders in a row are faulty, where
   * chance (which the paper takes, against an adversary that chooses whom to corrupt meanwhile) gives no such bound.
   */
  readonly firstLeader: number
  /** What the epoch's chain begins with: view 0, the height and time of the last block before it. */
  readonly base: Tip
  /** How long a view may take: three times the bound on a message's delay (the paper's delta). */
  readonly viewMs: number
  /** The digest that stands for a payload in its block's header, as a Merkle root of operations. Total: never throws. */
  readonly payloadDigest: (payload: Uint8Array) => Digest
  /** Signs with the key of member `self`. Deterministic, as Ed25519 is: a pure function as far as the step can see. */
  readonly sign: (statement: Uint8Array) => Uint8Array
}

export interface Committee extends Settings {
  readonly quorum: number
}

export function committeeOf(settings: Settings): Committee {
  const { members, self } = settings
  invariant(Number.isInteger(members) && members >= 1 && members <= MAX_COMMITTEE, `a committee of ${members}`)
  invariant(Number.isInteger(self) && self >= 0 && self < members, `member ${self} of ${members}`)
  return { ...settings, quorum: quorumOf(members) }
}

export function leaderOf(committee: Committee, view: number): number {
  return (view + committee.firstLeader) % committee.members
}

/** SHA-256 of the bytes: the usual `payloadDigest` where nobody needs to prove a part of a payload. */
export const plainDigest = (payload: Uint8Array): Digest => hashKey(payload)
