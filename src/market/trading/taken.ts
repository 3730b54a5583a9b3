/**
 * When how many cores of this host are sold. The book says what is left of an offer, as pieces (auction/fit.ts), and what they lack
 * after a round is what the allocations of that round have taken. An allocation itself does not say when it is worked for. Pure.
 */
import type { Key } from '../../core/ids.ts'
import type { Piece } from '../auction/fit.ts'

/** Cores in a time; thousandths. */
export type Step = Pick<Piece, 'fromMs' | 'untilMs' | 'coresMilli'>

/** What was sold at once: allocations, and the time that was cut out of the offer for them together. */
export interface Sold {
  readonly allocations: readonly Key[]
  readonly steps: readonly Step[]
}

/** What an offer has less after a round than before it. */
export function soldSteps(before: readonly Piece[], after: readonly Piece[]): Step[] {
  const bounds = [...new Set([...before, ...after].flatMap(({ fromMs, untilMs }) => [fromMs, untilMs]))].sort(
    (a, b) => a - b,
  )
  const steps: Step[] = []
  for (const [i, fromMs] of bounds.slice(0, -1).entries()) {
    const coresMilli = coresAt(before, fromMs) - coresAt(after, fromMs)
    if (coresMilli > 0) steps.push({ fromMs, untilMs: bounds[i + 1]!, coresMilli })
  }
  return steps
}

export function coresAt(steps: readonly Step[], atMs: number): number {
  return steps.reduce(
    (sum, { fromMs, untilMs, coresMilli }) => (fromMs <= atMs && atMs < untilMs ? sum + coresMilli : sum),
    0,
  )
}

/**
 * Cores that are free from now on, and until when as many are. What is late takes its cores until it is over, and so do `unknown` more.
 */
export function freeFrom(
  slots: number,
  sold: readonly Sold[],
  { unknown, nowMs }: { readonly unknown: number; readonly nowMs: number },
): { readonly cores: number; readonly untilMs: number } {
  const late = sold.filter(({ steps }) => steps.every(({ untilMs }) => untilMs <= nowMs))
  const lateMilli = late.reduce((sum, { steps }) => sum + Math.max(0, ...steps.map(({ coresMilli }) => coresMilli)), 0)
  const planned = sold.filter((one) => !late.includes(one)).flatMap(({ steps }) => steps)
  const freeAt = (atMs: number) => slots * 1000 - unknown * 1000 - lateMilli - coresAt(planned, atMs)
  const free = Math.max(0, freeAt(nowMs))
  const less = planned.map(({ fromMs }) => fromMs).filter((atMs) => atMs > nowMs && freeAt(atMs) < free)
  return { cores: Math.floor(free / 1000), untilMs: Math.min(Number.POSITIVE_INFINITY, ...less) }
}
