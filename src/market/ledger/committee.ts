/**
 * Committees (DESIGN 9): their sizes, their quorum, and who sits in the next one. Pure.
 *
 * A committee has n = 3f + 1 bankers, in the order of their hosts' keys, and tolerates f liars. It grows and shrinks by one
 * step of three seats at an epoch's end. Who has a seat and is still eligible keeps it, because every change of seats is a
 * hand-over; new and vacant seats go by lot among the other eligible bankers. So the lot decides who comes in, not who
 * stays: against an adversary that has come in, open networks will need rotation.
 */
import { encode } from '../../core/cbor.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import type { PublicKey } from './keys.ts'

/** Seats of one step: one more liar is tolerated. */
export const STEP = 3

export function isCommitteeSize(seats: number): boolean {
  return seats >= 1 && seats % STEP === 1
}

/** Signatures that bind a committee of n: floor(2n/3) + 1. Any two quorums share an honest banker. */
export function quorumOf(seats: number): number {
  return Math.floor((2 * seats) / 3) + 1
}

/** By list, which is never changed: every block names the committee that decides on it. */
const digests = new WeakMap<readonly PublicKey[], Key>()

/** Names a committee in headers. */
export function committeeDigest(committee: readonly PublicKey[]): Key {
  let digest = digests.get(committee)
  if (digest === undefined) {
    digest = hashKey(encode(['chorale committee', ...committee]))
    digests.set(committee, digest)
  }
  return digest
}

export interface CommitteeChoice {
  /** Hosts of the present committee. */
  readonly current: readonly PublicKey[]
  /** Hosts of all bankers with a bond who gave a sign of life in the epoch, in any order. */
  readonly eligible: readonly PublicKey[]
  /** Seats at most. */
  readonly cap: number
  /** Decides the lots. Whoever can choose it can choose newcomers. */
  readonly seed: Key
}

/**
 * The next committee, in the order of keys. It has as many seats as the eligible can fill, but one step more or
 * less than now at most; where even fewer are eligible, the present bankers stay on rather than leave a seat empty, for
 * a committee without a quorum could never choose another.
 */
export function nextCommittee({ current, eligible, cap, seed }: CommitteeChoice): PublicKey[] {
  const seats = nextSize(current.length, Math.min(eligible.length, cap))
  const able = new Set(eligible)
  const seated = new Set(current)
  const lots = new Map([...seated, ...able].map((host) => [host, hashKey(`${seed} ${host}`)] as const))
  const classOf = (host: PublicKey) => (!able.has(host) ? 2 : seated.has(host) ? 0 : 1)
  return [...lots.keys()]
    .sort((a, b) => classOf(a) - classOf(b) || (lots.get(a)! < lots.get(b)! ? -1 : 1))
    .slice(0, seats)
    .sort()
}

function nextSize(now: number, available: number): number {
  const wanted = available < 1 ? 1 : available - ((available - 1) % STEP)
  if (wanted > now) return now + STEP
  return wanted < now ? now - STEP : now
}
