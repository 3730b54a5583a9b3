/**
 * `npm run nightly` sets CHORALE_NIGHTLY: the same tests, for longer. Properties are tried on more cases here; tests over
 * seeds ask `seeds` how many.
 */
import fc from 'fast-check'

const TIMES = 20
const nightly = Boolean(process.env.CHORALE_NIGHTLY)

if (nightly) fc.configureGlobal({ numRuns: 100 * TIMES })

/** The numbers 1 .. `usual`, or 1 .. 20 times as many at night. */
export function seeds(usual: number): number[] {
  return Array.from({ length: nightly ? usual * TIMES : usual }, (_, i) => i + 1)
}
