/**
 * Network coordinates: Vivaldi (Dabek, Cox, Kaashoek and Morris, SIGCOMM 2004) with height vectors and the adaptive
 * time step of its section 2.6. A host moves its coordinate a little with every round trip that it measures, so that the
 * distance between two coordinates predicts the round-trip time between hosts that never spoke. Pure: what a host knows of
 * others is `vicinity.ts`.
 *
 * What others claim of themselves is not to be trusted: it is bounded, one sample moves a coordinate by no more than
 * `MAX_MOVE_MS`, and whoever chooses by a prediction measures what it chose (`proximity.ts`).
 */
import { type Static, Type } from 'typebox'
import type { Random } from '../core/env.ts'

export interface Coordinate {
  /** Where the host's way meets the core of the network, ms along each axis. */
  readonly place: readonly [number, number, number]
  /** What the way to the core adds to each round trip, ms: an access link is no part of any geometry. */
  readonly heightMs: number
  /** The relative error that predictions are expected to have, from `MIN_ERROR` to 1: nothing is known yet. */
  readonly error: number
}

/** Along one axis, and of a height. No round trip of use takes longer. */
export const MAX_COORDINATE_MS = 10_000
/** What one sample moves a coordinate by, height included. A usual one moves it by a few ms. */
export const MAX_MOVE_MS = 50
/** A height of 0 could never grow again, for it moves in proportion to itself. */
export const MIN_HEIGHT_MS = 0.1
/** Nobody is surer than this: what claims more would never learn, and pull others with all its might. */
export const MIN_ERROR = 0.02
/** The paper's c_e and c_c: weight of a sample in the error, and in the place. */
const ERROR_GAIN = 0.25
const MOVE_GAIN = 0.25

/** Where every host begins. */
export const ORIGIN: Coordinate = Object.freeze({ place: [0, 0, 0] as const, heightMs: MIN_HEIGHT_MS, error: 1 })

/** Predicted round-trip time between hosts at two coordinates, ms. */
export function predictedMs(a: Coordinate, b: Coordinate): number {
  const [x, y, z] = a.place
  const [u, v, w] = b.place
  return Math.sqrt((x - u) ** 2 + (y - v) ** 2 + (z - w) ** 2) + (a.heightMs + b.heightMs)
}

function within(value: number, low: number, high: number): boolean {
  return value >= low && value <= high // false for NaN
}

function bounded(ms: number): number {
  return clamp(ms, -MAX_COORDINATE_MS, MAX_COORDINATE_MS)
}

/** Finite and within its bounds. */
export function isSane({ place, heightMs, error }: Coordinate): boolean {
  const inBounds = place.every((value) => within(value, -MAX_COORDINATE_MS, MAX_COORDINATE_MS))
  return inBounds && within(heightMs, 0, MAX_COORDINATE_MS) && within(error, 0, 1)
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high)
}

/**
 * The coordinate after a round trip of `rttMs` to a host at `other`: as if a spring of that length pulled or pushed. The
 * surer the other is of its place, and the less sure we are, the farther we move. What makes no sense moves nothing.
 * `random` gives a direction where the two are in one place.
 */
export function moved(own: Coordinate, other: Coordinate, rttMs: number, random: Random): Coordinate {
  if (!isSane(other) || !(rttMs > 0 && rttMs <= MAX_COORDINATE_MS)) return own
  const predicted = predictedMs(own, other)
  const weight = own.error / (own.error + Math.max(other.error, MIN_ERROR))
  const surprise = Math.min(Math.abs(predicted - rttMs) / rttMs, 1)
  const share = ERROR_GAIN * weight
  const error = clamp(surprise * share + own.error * (1 - share), MIN_ERROR, 1)
  const push = clamp(MOVE_GAIN * weight * (rttMs - predicted), -MAX_MOVE_MS, MAX_MOVE_MS)
  // Of the unit vector away from the other, (x - y, hx + hy) / |(x - y, hx + hy)|, as the paper's section 5.4 has it.
  const [x, y, z] = own.place
  let [u, v, w] = [x - other.place[0], y - other.place[1], z - other.place[2]]
  if (Math.sqrt(u * u + v * v + w * w) < 1e-3) {
    u = random.next() - 0.5
    v = random.next() - 0.5
    w = random.next() - 0.5
  }
  const step = push / (Math.sqrt(u * u + v * v + w * w) || 1)
  const place = [bounded(x + step * u), bounded(y + step * v), bounded(z + step * w)] as const
  const rise = (push * (own.heightMs + other.heightMs)) / Math.max(predicted, MIN_HEIGHT_MS)
  return { place, heightMs: clamp(own.heightMs + rise, MIN_HEIGHT_MS, MAX_COORDINATE_MS), error }
}

// ---------------------------------------------------------------------------------------------------------------------
// In messages

/** A tenth of a millisecond: floating-point numbers take nine bytes each in a message, these one to five. */
const UNIT_MS = 0.1
const AXIS = Type.Integer({ minimum: -MAX_COORDINATE_MS / UNIT_MS, maximum: MAX_COORDINATE_MS / UNIT_MS })

/** Three axes and the height in tenths of a millisecond, and the error in hundredths. */
export const CoordinateSchema = Type.Tuple([
  AXIS,
  AXIS,
  AXIS,
  Type.Integer({ minimum: 0, maximum: MAX_COORDINATE_MS / UNIT_MS }),
  Type.Integer({ minimum: 0, maximum: 100 }),
])

export type ToldCoordinate = Static<typeof CoordinateSchema>

export function told({ place: [x, y, z], heightMs, error }: Coordinate): ToldCoordinate {
  const units = (ms: number) => Math.round(ms / UNIT_MS) + 0 // no -0
  return [units(x), units(y), units(z), units(heightMs), Math.round(error * 100)]
}

export function understood([x, y, z, height, error]: ToldCoordinate): Coordinate {
  const ms = (units: number) => units * UNIT_MS
  return { place: [ms(x), ms(y), ms(z)], heightMs: ms(height), error: error / 100 }
}
