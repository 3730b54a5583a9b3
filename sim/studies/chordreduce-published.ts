/**
 * What was published of ChordReduce (Rosen et al. 2013/14, PAPERS 3): seconds for a Monte Carlo pi on small cloud machines, each
 * the average of an unknown number of runs; and models of them, fitted by least squares.
 */

export const WORKERS = [1, 10, 20, 30, 40] as const

/** Samples, as a power of ten, and seconds by number of workers; one worker at 10^9 is extrapolated. */
export const SPEED: readonly { readonly power: number; readonly seconds: readonly (number | null)[] }[] = [
  { power: 7, seconds: [44.81, 115.78, 235.48, 361.49, null] },
  { power: 8, seconds: [431.17, 131.05, 86.8, 106.91, 191.9] },
  { power: 9, seconds: [4382, 1082.1, 483.21, 430.78, 686.43] },
]

/** Speed-ups as printed: power, workers, factor. */
export const PRINTED_SPEED_UPS = [
  [8, 20, 4.97],
  [9, 20, 9.07],
  [9, 30, 10.17],
  [9, 40, 6.38],
] as const

export const PRINTED_K = 36.489

export interface ChurnRow {
  /** Per cent of the nodes that leave, and come, per second. */
  readonly percent: number
  readonly seconds: number
  /** As printed: against no churn. */
  readonly factor: number
}

/** 40 nodes, 10^8 samples. `.0775` is printed `.00775`. */
export const CHURN: readonly ChurnRow[] = [
  { percent: 0.8, seconds: 191.25, factor: 2.15 },
  { percent: 0.4, seconds: 329.2, factor: 1.25 },
  { percent: 0.025, seconds: 431.86, factor: 0.95 },
  { percent: 0.0775, seconds: 445.47, factor: 0.92 },
  { percent: 0.0025, seconds: 331.8, factor: 1.24 },
]
export const WITHOUT_CHURN = 411.57
/** It stands in the table, but every factor there is against 411.57. */
export const WITHOUT_CHURN_AS_PRINTED = 441.57

export interface Point {
  readonly workers: number
  readonly seconds: number
}

export function pointsOf(power: number): Point[] {
  const { seconds } = SPEED.find((row) => row.power === power)!
  return WORKERS.flatMap((workers, i) => (seconds[i] === null ? [] : [{ workers, seconds: seconds[i]! }]))
}

/** T_n = T_1/n + weight * shape(n). */
export interface Model {
  readonly name: string
  readonly shape: (workers: number) => number
}

export const LOGARITHMIC: Model = { name: 'T_1/n + k log2 n', shape: Math.log2 }
export const LINEAR: Model = { name: 'T_1/n + c n', shape: (n) => n }

export interface Fit {
  readonly weight: number
  /** Root mean square of the residuals, in seconds. */
  readonly residual: number
}

/** Least squares over the points with more than one worker; the point with one gives T_1. */
export function fit(model: Model, rows: readonly (readonly Point[])[]): Fit {
  const overheads = rows.flatMap((points) => {
    const alone = points.find(({ workers }) => workers === 1)!.seconds
    return points
      .filter(({ workers }) => workers > 1)
      .map(({ workers, seconds }) => ({ shape: model.shape(workers), overhead: seconds - alone / workers }))
  })
  const weight =
    overheads.reduce((sum, { shape, overhead }) => sum + shape * overhead, 0) /
    overheads.reduce((sum, { shape }) => sum + shape ** 2, 0)
  const squares = overheads.map(({ shape, overhead }) => (overhead - weight * shape) ** 2)
  return { weight, residual: Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / squares.length) }
}

/** The mean over all points of what k would be for each alone, which is how the printed k came about. */
export function meanK(rows: readonly (readonly Point[])[]): number {
  const each = rows.flatMap((points) => {
    const alone = points.find(({ workers }) => workers === 1)!.seconds
    return points
      .filter(({ workers }) => workers > 1)
      .map(({ workers, seconds }) => (seconds - alone / workers) / Math.log2(workers))
  })
  return each.reduce((sum, k) => sum + k, 0) / each.length
}
