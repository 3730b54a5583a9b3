/**
 * Study `verification`: what it costs to verify work, what is found by it, and whether cheating pays (Eisele et al. 2020-22,
 * corrected in PAPERS 9), against BOINC's replication and adaptive replication. Cheats are searched for by their exact
 * expected values (`src/market/verification/cheating.ts`); the best ones and some of each kind are played, with the draws,
 * verdicts and payments that the ledger will use.
 */
import { seededRandom } from '../../src/core/random.ts'
import { detectionOf } from '../../src/market/verification/formulas.ts'
import { compared, mean } from './statistics.ts'
import type { Done, Report, Row, Study, StudyOptions } from './study.ts'
import { adaptiveReplication, type Life } from './verification/boinc.ts'
import { figures, tables } from './verification/figures.ts'
import {
  byShare,
  CELLS,
  type Found,
  formulaRows,
  gamesOf,
  mediationRows,
  participation,
  SHARES,
  strategiesPlayed,
  summaryOf,
  windowRows,
} from './verification/findings.ts'
import { type Played, play } from './verification/game.ts'
import { type Career, career, type Sampled, sampleWindow } from './verification/sampling.ts'

export type Unit =
  | { readonly kind: 'sample'; readonly probability: number; readonly trials: number; readonly seed: number }
  | { readonly kind: 'career'; readonly suppliers: number; readonly seed: number }
  | {
      readonly kind: 'boinc'
      readonly skipped: number
      readonly honest: number
      readonly hosts: number
      readonly seed: number
    }
  | {
      readonly kind: 'game'
      readonly cell: number
      readonly share: number
      readonly windows: number
      readonly seed: number
    }

export type Result = Sampled | Career | readonly Life[] | Played

/** Of a supplier, as in the target; 5 % of them are made up. */
const TASKS = 12_000
const SKIPPED = 0.05
const PROBABILITIES = [0.5, 0.8, 0.9, 0.95, 0.99, 0.999]
/** Some 16,000 make a supplier a proven one. */
const CAREER_TASKS = 40_000
const CAREER_WINDOW = 10

function units({ seeds, quick }: StudyOptions): Unit[] {
  const windows = quick ? 500 : 20_000
  const games = seeds.flatMap((seed) =>
    SHARES.flatMap((share) => CELLS.map((_, cell): Unit => ({ kind: 'game', cell, share, windows, seed }))),
  )
  const others = seeds.flatMap((seed): Unit[] => [
    ...PROBABILITIES.map((probability): Unit => ({ kind: 'sample', probability, trials: quick ? 500 : 10_000, seed })),
    { kind: 'career', suppliers: quick ? 20 : 200, seed },
    ...[
      { skipped: 0, honest: 0 },
      { skipped: SKIPPED, honest: 0 },
      { skipped: 1, honest: 1000 },
    ].map((each): Unit => ({ kind: 'boinc', ...each, hosts: quick ? 20 : 100, seed })),
  ])
  return [...games, ...others].sort((a, b) => weight(b) - weight(a))
}

/** Milliseconds, about. */
function weight(unit: Unit): number {
  if (unit.kind === 'game') return unit.windows * (CELLS[unit.cell]!.tasks === 100 ? 0.15 : 0.06)
  if (unit.kind === 'sample') return 500 + unit.trials * 0.1
  return unit.kind === 'career' ? unit.suppliers * 40 : unit.hosts
}

function run(unit: Unit): Result {
  switch (unit.kind) {
    case 'sample':
      return sampleWindow(TASKS, SKIPPED, unit.probability, unit.trials, unit.seed)
    case 'career':
      return career(unit.suppliers, CAREER_TASKS, CAREER_WINDOW, unit.seed)
    case 'boinc': {
      const random = seededRandom(`boinc ${unit.skipped} ${unit.honest} ${unit.seed}`)
      return Array.from({ length: unit.hosts }, () => adaptiveReplication(TASKS, unit.skipped, unit.honest, random))
    }
    case 'game': {
      const cell = CELLS[unit.cell]!
      return play(cell, unit.share, strategiesPlayed(cell, unit.share), unit.windows, unit.seed)
    }
  }
}

function report(done: readonly Done<Unit, Result>[], { quick }: StudyOptions): Report {
  const found: Found = {
    samples: PROBABILITIES.map((probability) => {
      const runs = of(done, (unit) => unit.kind === 'sample' && unit.probability === probability) as Sampled[]
      return {
        probability,
        tasks: TASKS,
        detected: runs.map(({ found, trials }) => found / trials),
        overhead: runs.map(({ tests, trials }) => tests / trials / TASKS),
        trials: runs[0]!.trials,
      }
    }),
    careers: of(done, (unit) => unit.kind === 'career') as Career[],
    honestLives: livesOf(done, 0),
    cheatingLives: livesOf(done, SKIPPED),
    turningLives: livesOf(done, 1),
    games: gamesOf(done as readonly Done<Unit, Played>[]),
  }
  const summary = summaryOf(found)
  return {
    rows: [
      ...samplingRows(found),
      ...windowRows(found),
      ...boincRows(found),
      ...careerRows(found),
      ...gameRows(found),
      ...mediationRows(),
      ...formulaRows(),
    ],
    tables: tables(found),
    figures: figures(found),
    summary,
    notes: [
      `Overhead: work done again, over the work that was asked for; of BOINC as a share of all work, as published.`,
      'Sampling: one root over 12,000 outputs of which 600 are made up; each trial is another nonce of the customer.',
      `Windows played: ${found.games[0]!.windows} of each kind for each share of hosts in league with the supplier; e = 0.9. ` +
        'What friends of the supplier are paid and save as checkers and mediators counts as its own.',
      'Friends who check may copy what a friend has worked out: the outputs are right, and no check by doing again can see ' +
        'that the work was done once. It is no cheat here, and what it is worth is in a row of its own.',
      ...(quick ? ['Quick: few windows, so that single rows say little.'] : []),
    ],
  }
}

function of(done: readonly Done<Unit, Result>[], want: (unit: Unit) => boolean): Result[] {
  return done.filter(({ unit }) => want(unit)).map(({ result }) => result)
}

/** By seed. */
function livesOf(done: readonly Done<Unit, Result>[], skipped: number): readonly (readonly Life[])[] {
  return of(done, (unit) => unit.kind === 'boinc' && unit.skipped === skipped) as (readonly Life[])[]
}

function samplingRows({ samples }: Found): Row[] {
  const at95 = samples.find(({ probability }) => probability === 0.95)!
  return [
    compared('overhead at 95 % detection, 12,000 tasks, 5 % skipped', null, at95.overhead, { why: 'Target: 0.005.' }),
    ...samples.map(({ probability, detected, overhead, trials }) => {
      const exact = detectionOf({ tasks: TASKS, tests: mean(overhead) * TASKS }, SKIPPED * TASKS)
      return compared(`detected with tests for ${probability}`, probability, detected, {
        corrected: exact,
        leastError: Math.sqrt((exact * (1 - exact)) / (trials * detected.length)),
        why: 'Tests are whole, and none is made twice: so a little more is found than was asked for.',
      })
    }),
  ]
}

function boincRows({ honestLives, cheatingLives, turningLives }: Found): Row[] {
  const bySeed = (lives: readonly (readonly Life[])[], value: (life: Life) => number) =>
    lives.map((each) => mean(each.map(value)))
  const ofAll = ({ replicated }: Life) => replicated / (TASKS + replicated)
  const wrong = ({ accepted, found }: Life) => accepted / Math.max(1, accepted + found)
  return [
    {
      name: 'BOINC, replication: share of all work',
      published: 0.5,
      ours: TASKS / (2 * TASKS),
      ci95: 0,
      verdict: 'reproduced',
    },
    compared('BOINC, adaptive: share of all work, 5 % wrong results', 0.075, bySeed(cheatingLives, ofAll), {
      publishedError: 0.05 / Math.sqrt(12), // "perhaps only 5% or 10%"
      why: 'Published as 5 % or 10 %, for hosts that are not described.',
    }),
    compared('BOINC, adaptive: share of all work, honest host', null, bySeed(honestLives, ofAll), {
      why: 'Of 12,000 jobs; about the square root of twice their number is done again.',
    }),
    compared('BOINC, adaptive: wrong results accepted, 5 % wrong', null, bySeed(cheatingLives, wrong), {
      why: 'What is found later does not undo what was accepted.',
    }),
    compared(
      'BOINC, adaptive: results made up after 1,000 honest ones, accepted before one is found',
      null,
      bySeed(turningLives, ({ accepted }) => accepted),
    ),
  ]
}

function careerRows({ careers }: Found): Row[] {
  const overhead = (status: 'newcomer' | 'proven') =>
    careers.map(({ byStatus }) => byStatus[status].tests / byStatus[status].tasks)
  return [
    compared('auto: overhead of a newcomer', null, overhead('newcomer'), { why: 'Target: 0.1.' }),
    compared('auto: overhead of a proven supplier', null, overhead('proven'), { why: 'Target: 0.01.' }),
    compared(
      'auto: tasks until a supplier has proven itself',
      null,
      careers.map(({ byStatus, suppliers }) => (byStatus.newcomer.tasks + byStatus.trusted.tasks) / suppliers),
    ),
    ...participation()
      .filter(({ tasks }) => tasks === 1 || tasks === 100)
      .map(({ status, tasks, deposit }) => ({
        name: `auto: deposit over payment, ${status}, windows of ${tasks}`,
        published: null,
        ours: deposit,
        ci95: 0,
        verdict: null,
      })),
  ]
}

function gameRows({ games }: Found): Row[] {
  const worst = Math.max(...games.map(({ exactBest, exactHonest }) => exactBest / exactHonest))
  return [
    ...byShare(games).map(({ share, best, honest, ci95 }) => ({
      name: `best cheat over honest work, ${Math.round(100 * share)} % in league`,
      published: null,
      ours: best / honest,
      ci95: ci95 / honest,
      verdict: null,
      why: 'Mean over newcomers and proven suppliers and all sizes of windows. Below 1: cheating earns less.',
    })),
    {
      name: 'best cheat over honest work, worst window, exact',
      published: null,
      ours: worst,
      ci95: 0,
      verdict: null,
      why: 'One made-up task in a large window, with 30 % of all hosts in league.',
    },
    {
      name: 'friends who copy what a friend worked out, over honest work, exact',
      published: null,
      ours: Math.max(...games.map(({ exactCopy, exactHonest }) => exactCopy / exactHonest)),
      ci95: 0,
      verdict: null,
      why: 'Newcomers, 30 % in league: work is done once and paid twice, and all outputs are right.',
    },
  ]
}

export const study: Study<Unit, Result> = {
  name: 'verification',
  title: 'what verification costs and finds, and whether cheating pays, against BOINC',
  source: 'Eisele et al. 2020-22; Anderson 2020 (BOINC)',
  defaultSeeds: (quick) => (quick ? [1, 2] : [1, 2, 3, 4, 5]),
  units,
  weight,
  run,
  report,
}
