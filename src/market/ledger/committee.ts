/**
 * Committees (DESIGN 9): their sizes, their quorum, and who sits in the next one. Pure.
 *
 * A committee has n = 3f + 1 seats, in the order of their hosts' keys, and tolerates f liars. It grows and shrinks by one
 * step of three seats at an epoch's end. Who has a seat and is still eligible keeps it, because every change of seats is a
 * hand-over; new and free seats go by lot among the other eligible bankers. So the lot decides who comes in, not who
 * stays: against an adversary that has come in, open networks will need rotation.
 *
 * - Who is *silent* for an epoch keeps its seat until another is eligible for it, or three seats are lost: the quorum holds
 *   without it, and counts on it when it is back. Were the committee smaller without it, f liars might be too many for the
 *   smaller one, or keep it from deciding: one power cut would be enough.
 * - Who is *gone* (stands no longer, or lost its bond) loses its seat. If nobody is eligible for it, it stays vacant. Of 3f
 *   seats 2f + 1 bind, as of 3f + 1, and any two quorums of 3f or 3f - 1 seats share more than f: a vacant seat is
 *   at worst a silent one.
 *
 * The price: of four bankers the second that dies for good halts the ledger for good, of seven the third. A smaller committee
 * would have gone on, and one liar might have been all of it. Who stops keeping books should say so while there is a quorum
 * to hear it: then the seat is vacant, and the others go on, down to one. From ten on three silent ones are a step, and what
 * is tolerated falls by one liar: if f lie, and three others are silent for a whole epoch, they are too many after it.
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
  /** Hosts of all bankers that stand, have a bond, and gave a sign of life in the epoch, in any order. */
  readonly eligible: readonly PublicKey[]
  /** Of the present committee those that stand, have a bond, and gave none. Its others are gone. */
  readonly silent: readonly PublicKey[]
  /** Seats at most. */
  readonly cap: number
  /** Decides the lots. Whoever can choose it can choose newcomers. */
  readonly seed: Key
}

/**
 * The next committee, in the order of keys: one step larger where the eligible fill it, one smaller where they have room in
 * that, else of the present size. A quorum signs the end of the epoch, so when fewer are eligible it is their signs of life
 * that are late, and no seat is lost for it. No more than a step is lost, even if more are gone: the rest of these stay on.
 */
export function nextCommittee({ current, eligible, silent, cap, seed }: CommitteeChoice): PublicKey[] {
  const [able, quiet, seated] = [new Set(eligible), new Set(silent), new Set(current)]
  const whole = Math.ceil((current.length - 1) / STEP) * STEP + 1 // with vacant seats
  const smaller = Math.max(1, whole - STEP)
  const least = Math.max(1, current.length - STEP)
  const available = Math.min(able.size, cap)
  const isGrowing = current.length === whole && available >= whole + STEP
  const isShrinking = available <= smaller && available >= quorumOf(current.length)
  const seats = isGrowing ? whole + STEP : isShrinking ? smaller : whole
  const lots = new Map([...seated, ...able].map((host) => [host, hashKey(`${seed} ${host}`)] as const))
  const classOf = (host: PublicKey) => (able.has(host) ? (seated.has(host) ? 0 : 1) : quiet.has(host) ? 2 : 3)
  return [...lots.keys()]
    .sort((a, b) => classOf(a) - classOf(b) || (lots.get(a)! < lots.get(b)! ? -1 : 1))
    .filter((host, index) => index < least || (index < seats && classOf(host) < 3))
    .sort()
}
