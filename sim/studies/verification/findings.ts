/** What the study `verification` has found, put together: games by share, participation, formulas, and what targets ask. */

import { amount } from '../../../src/market/ledger/state/amount.ts'
import { committeeCaptured, majority } from '../../../src/market/sybil.ts'
import { accusationValue, bestCheat, expectedValue, type Strategy } from '../../../src/market/verification/cheating.ts'
import { PPM } from '../../../src/market/verification/draws.ts'
import { detectionOf, replicasNeeded, testsToDetect } from '../../../src/market/verification/formulas.ts'
import { PANEL_SEATS } from '../../../src/market/verification/mediation.ts'
import { termsOf } from '../../../src/market/verification/settlement.ts'
import { mean, verdictOn } from '../statistics.ts'
import type { Done, Row } from '../study.ts'
import type { Unit } from '../verification.ts'
import type { Life } from './boinc.ts'
import { type Cell, depositOf, gameOf, type Played, rateOf } from './game.ts'
import type { Career } from './sampling.ts'

/** Of all other hosts, how many are in league with the supplier. */
export const SHARES = [0, 0.1, 0.2, 0.3]

export const CELLS: readonly Cell[] = [
  { tasks: 1, guess: 0 },
  { tasks: 10, guess: 0 },
  { tasks: 100, guess: 0 },
  { tasks: 100, guess: 900_000 },
].flatMap((window) => (['newcomer', 'proven'] as const).map((status) => ({ status, ...window })))

/** What is played: the best of the search, and some of each kind. */
export function strategiesPlayed(cell: Cell, share: number): Strategy[] {
  const { tasks } = cell
  const { strategy: best } = bestCheat(gameOf(cell, share))
  const skips = [...new Set([Math.ceil(tasks / 2), tasks])].flatMap((skipped) =>
    (['captured', 'always'] as const).map((dispute): Strategy => ({ kind: 'skip', skipped, dispute })),
  )
  const all: Strategy[] = [
    { kind: 'honest' },
    best,
    { kind: 'copy' },
    ...skips,
    { kind: 'time-out' },
    { kind: 'abandon' },
  ]
  const names = new Set<string>()
  return all.filter((each) => !names.has(JSON.stringify(each)) && names.add(JSON.stringify(each)))
}

export interface Sample {
  readonly probability: number
  readonly tasks: number
  /** By seed. */
  readonly detected: readonly number[]
  readonly overhead: readonly number[]
  /** Of each seed. */
  readonly trials: number
}

export interface Earned {
  readonly name: string
  /** Per window, in payments. */
  readonly mean: number
  /** Standard errors: of the mean, and of what it is below honest work on the same draws. */
  readonly error: number
  readonly lessError: number
  readonly exact: number
}

export interface PlayedGame {
  readonly cell: Cell
  readonly share: number
  readonly windows: number
  /** Honest work, the best cheat by the search, and others. */
  readonly earned: readonly Earned[]
  readonly exactHonest: number
  readonly exactBest: number
  readonly exactCopy: number
}

export interface Found {
  readonly samples: readonly Sample[]
  readonly careers: readonly Career[]
  readonly honestLives: readonly (readonly Life[])[]
  readonly cheatingLives: readonly (readonly Life[])[]
  readonly turningLives: readonly (readonly Life[])[]
  readonly games: readonly PlayedGame[]
}

/** All seeds of a cell and share together. */
export function gamesOf(done: readonly Done<Unit, Played>[]): PlayedGame[] {
  return SHARES.flatMap((share) =>
    CELLS.map((cell, index): PlayedGame => {
      const runs = done
        .filter(({ unit }) => unit.kind === 'game' && unit.cell === index && unit.share === share)
        .map(({ result }) => result)
      const windows = runs.reduce((sum, run) => sum + run.windows, 0)
      const game = gameOf(cell, share)
      const strategies = strategiesPlayed(cell, share)
      const tallies = strategies.map((_, i) => {
        const total = (key: 'sum' | 'squares' | 'lessSquares') =>
          runs.reduce((sum, run) => sum + run.tallies[i]![key], 0)
        return { sum: total('sum'), squares: total('squares'), lessSquares: total('lessSquares') }
      })
      const honest = tallies[0]!.sum
      const earned = tallies.map(({ sum, squares, lessSquares }, i): Earned => {
        const deviation = (all: number, second: number) =>
          Math.sqrt(Math.max(0, second / windows - (all / windows) ** 2))
        return {
          name: runs[0]!.tallies[i]!.name,
          mean: sum / windows,
          error: deviation(sum, squares) / Math.sqrt(windows),
          lessError: deviation(honest - sum, lessSquares) / Math.sqrt(windows),
          exact: expectedValue(game, strategies[i]!),
        }
      })
      return {
        cell,
        share,
        windows,
        earned,
        exactHonest: earned[0]!.exact,
        exactBest: earned[1]!.exact,
        exactCopy: expectedValue(game, { kind: 'copy' }),
      }
    }),
  )
}

export interface ShareResult {
  readonly share: number
  /** Mean over all cells, in payments. */
  readonly honest: number
  readonly best: number
  /** Half the 95 % interval of their difference. */
  readonly ci95: number
}

export function byShare(games: readonly PlayedGame[]): ShareResult[] {
  return SHARES.map((share) => {
    const cells = games.filter((game) => game.share === share)
    const error = Math.hypot(...cells.map(({ earned }) => earned[1]!.lessError)) / cells.length
    return {
      share,
      honest: mean(cells.map(({ earned }) => earned[0]!.mean)),
      best: mean(cells.map(({ earned }) => earned[1]!.mean)),
      ci95: 1.96 * error,
    }
  })
}

export interface Part {
  readonly status: Cell['status']
  readonly tasks: number
  /** Per window. */
  readonly tests: number
  /** In payments. */
  readonly deposit: number
  /** Credits: the largest payment of a window that one can take on who has 50 credits, with what the panel may cost. */
  readonly largestWindow: number
  /** Share of tasks that an honest supplier may have wrong before a tenth of its pay is lost to fines. */
  readonly errorShare: number
}

const GRANT = 50

/** Where the deposits leave participation. */
export function participation(): Part[] {
  return (['newcomer', 'proven'] as const).flatMap((status) =>
    [1, 3, 10, 30, 100, 300, 1000].map((tasks) => {
      const cell = { status, tasks, guess: 0 }
      const tests = (rateOf(cell) * tasks) / PPM
      const deposit = depositOf(cell)
      return {
        status,
        tasks,
        tests,
        deposit,
        largestWindow: GRANT / (deposit + PANEL_SEATS / tasks),
        errorShare: 0.1 / (tests * (1 + deposit)),
      }
    }),
  )
}

/** Formulas that were published wrong. */
export function formulaRows(): Row[] {
  return [0.1, 0.5].map((failure) => {
    const published = Number((0.01 / failure).toPrecision(6))
    const ours = replicasNeeded(0.99, { failure })!
    return {
      name: `replicas for success .99 where one fails with ${failure}`,
      published,
      ours,
      ci95: 0,
      verdict: verdictOn({
        published,
        ours,
        error: 0,
        corrected: Math.ceil(Math.log(0.01) / Math.log(failure) - 1e-9),
      }),
      why: '(1-P)/p falls as p rises; ln(1-P) / ln p, rounded up, is right.',
    }
  })
}

/**
 * Share of all wrong results that are accepted when work is checked and paid in so many windows, each of which is found with
 * probability p, and the supplier goes after the first: (1-p)/p (1 - (1-p)^W) / W.
 */
export function acceptedShare(windows: number, p: number): number {
  return (((1 - p) / p) * (1 - (1 - p) ** windows)) / windows
}

/** What is tested at 95 % detection keeps out more, the larger the windows. */
export function windowRows({ samples }: Pick<Found, 'samples'>): Row[] {
  const { tasks, overhead } = samples.find(({ probability }) => probability === 0.95)!
  return [1, 12, 120].map((windows) => {
    const window = { tasks: tasks / windows, tests: (mean(overhead) * tasks) / windows }
    const ours = acceptedShare(windows, detectionOf(window, 0.05 * window.tasks))
    const name = `wrong results accepted, 12,000 tasks in ${windows === 1 ? 'one window' : `${windows} windows`}, 0.49 % tested`
    const why = 'What is paid before the supplier is found stays accepted.'
    return { name, published: null, ours, ci95: 0, verdict: null, why }
  })
}

/** Mediators in league, and what a customer has of accusing an honest supplier with their help. */
export function mediationRows(): Row[] {
  const row = (name: string, ours: number, why?: string): Row => ({
    name,
    published: null,
    ours,
    ci95: 0,
    verdict: null,
    why,
  })
  const misled = [0.1, 0.2, 0.3].map((share) =>
    row(
      `panel of ${PANEL_SEATS}: misled with ${Math.round(100 * share)} % in league`,
      committeeCaptured(share, PANEL_SEATS, majority(PANEL_SEATS)),
    ),
  )
  const accusations = CELLS.map((cell) => {
    const terms = termsOf(amount(10n ** 9n), cell.tasks, amount(0n), PANEL_SEATS)
    return accusationValue(gameOf(cell, 0.3), Number(terms.bond) / 1e9)
  })
  const why = 'In payments: the largest, over sizes of windows, at 30 % in league. Below 0: it does not pay.'
  return [...misled, row('worth of a false accusation to a customer, exact', Math.max(...accusations), why)]
}

/** What is asked of the study, by name. */
export function summaryOf({ samples, careers, games }: Found): Record<string, number> {
  const at95 = samples.find(({ probability }) => probability === 0.95)!
  const overhead = (status: 'newcomer' | 'proven') =>
    mean(careers.map(({ byStatus }) => byStatus[status].tests / byStatus[status].tasks))
  const shares = byShare(games)
  return {
    overheadAt95: mean(at95.overhead),
    detectionAt95: mean(at95.detected),
    overheadAt95WithThirtyPercentInLeague: testsToDetect(0.95, 0.05 * 0.7) / at95.tasks,
    newcomerOverhead: overhead('newcomer'),
    provenOverhead: overhead('proven'),
    allocationsPerShare: games[0]!.windows * CELLS.length,
    bestCheatOverHonest: Math.max(...shares.map(({ best, honest }) => best / honest)),
    bestCheatOverHonestUpper95: Math.max(...shares.map(({ best, honest, ci95 }) => (best + ci95) / honest)),
    worstWindowOverHonest: Math.max(...games.map(({ exactBest, exactHonest }) => exactBest / exactHonest)),
  }
}
