/**
 * The statistics that the studies share: means with their errors, and the verdict on a published value. A verdict is
 * earned by comparing, in units of the combined standard error of both values.
 */
import type { Row, Verdict } from './study.ts'

/** NaN of no values. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

/** Of the sample, over n - 1. NaN of fewer than two values. */
export function standardDeviation(values: readonly number[]): number {
  if (values.length < 2) return Number.NaN
  const centre = mean(values)
  return Math.sqrt(values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1))
}

/** Of the mean; null of fewer than two values, which say nothing about their spread. */
export function standardError(values: readonly number[]): number | null {
  return values.length < 2 ? null : standardDeviation(values) / Math.sqrt(values.length)
}

/** Half the width of the 95 % confidence interval of the mean, by Student's t; null of fewer than two values. */
export function ci95(values: readonly number[]): number | null {
  const error = standardError(values)
  return error === null ? null : error * studentT95(values.length - 1)
}

const T95 = [12.7062, 4.30265, 3.18245, 2.77645]

/**
 * The two-sided 95 % point of Student's t. From 5 degrees of freedom on by the Cornish-Fisher expansion (Abramowitz and
 * Stegun 26.7.5), which is then right to 3e-4.
 */
export function studentT95(degrees: number): number {
  const exact = T95[degrees - 1]
  if (exact !== undefined) return exact
  const z = 1.959964
  const terms = [
    z,
    (z ** 3 + z) / 4,
    (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96,
    (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384,
    (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92_160,
  ]
  return terms.reduce((sum, term, power) => sum + term / degrees ** power, 0)
}

/** Of the difference of values with these independent standard errors. */
export function combinedError(...errors: readonly number[]): number {
  return Math.hypot(...errors)
}

/** The standard error that a value has because it was printed with so many decimals. */
export function roundingError(decimals: number): number {
  return 10 ** -decimals / Math.sqrt(12)
}

export interface Claim {
  readonly published: number
  /** Standard error of the published value, if it is known: of its trials, or `roundingError`. */
  readonly publishedError?: number | undefined
  readonly ours: number
  /** Standard error of ours; 0 when it is exact. Null when it is not known: then nothing is said. */
  readonly error: number | null
  /** What the published value should be, if theory says that it is wrong. */
  readonly corrected?: number | undefined
}

const WITHIN = 3

/**
 * `reproduced` when both values are within three combined standard errors of each other. `corrected` when they are not,
 * but ours is within three of its own from what theory says. Else `differs`.
 */
export function verdictOn({ published, publishedError = 0, ours, error, corrected }: Claim): Verdict | null {
  if (error === null || Number.isNaN(error)) return null
  // What is the same but for the last bits is the same.
  const bits = Math.abs(ours) * 1e-9
  const near = (value: number, spread: number) => Math.abs(ours - value) <= WITHIN * spread + bits
  if (near(published, combinedError(error, publishedError))) return 'reproduced'
  return corrected !== undefined && near(corrected, error) ? 'corrected' : 'differs'
}

export interface Comparison {
  readonly publishedError?: number | undefined
  readonly corrected?: number | undefined
  /** The standard error of ours is at least this, where theory tells it: a few runs may agree by chance. Default 0. */
  readonly leastError?: number | undefined
  /** One sentence, used when the value is not reproduced. */
  readonly why?: string | undefined
}

/** The row of a quantity of which each run (seed) gave one value. */
export function compared(
  name: string,
  published: number | null,
  values: readonly number[],
  { why, leastError = 0, ...claim }: Comparison = {},
): Row {
  const ours = mean(values)
  const spread = standardError(values)
  const error = spread === null ? null : Math.max(spread, leastError)
  const row = { name, published, ours, ci95: error === null ? null : error * studentT95(values.length - 1) }
  if (published === null) return { ...row, verdict: null, why }
  const verdict = verdictOn({ published, ours, error, ...claim })
  return { ...row, verdict, why: verdict === null || verdict === 'reproduced' ? undefined : why }
}
