/** Tables and figures of the study `verification`. */
import { dot, lineY, ruleY } from '@observablehq/plot'
import { detection } from '../../../src/market/verification/formulas.ts'
import { type SeriesPoint, seriesColours, seriesMarks, seriesNames } from '../marks.ts'
import { ci95, mean } from '../statistics.ts'
import type { Figure, Table } from '../study.ts'
import { byShare, type Found, participation, SHARES } from './findings.ts'

const SKIPPED = 0.05

export function tables({ samples, careers, games }: Found): Table[] {
  return [
    {
      name: 'detection',
      columns: ['probability_asked', 'tasks', 'overhead', 'detected', 'detected_ci95'],
      rows: samples.map(({ probability, tasks, overhead, detected }) => [
        probability,
        tasks,
        mean(overhead),
        mean(detected),
        ci95(detected),
      ]),
    },
    {
      name: 'career',
      columns: ['run', 'tasks', 'tests', 'overhead'],
      rows: careers.flatMap(({ course, suppliers }, i) =>
        course.map(({ tasks, tests }) => [i + 1, tasks, tests / suppliers, tests / suppliers / tasks]),
      ),
    },
    {
      name: 'strategies',
      columns: [
        ...['status', 'tasks', 'guess_ppm', 'in_league', 'strategy', 'windows'],
        ...['earned', 'standard_error', 'below_honest', 'its_error', 'exact'],
      ],
      rows: games.flatMap(({ cell, share, windows, earned }) =>
        earned.map(({ name, mean, error, lessError, exact }) => [
          ...[cell.status, cell.tasks, cell.guess, share, name, windows],
          ...[mean, error, earned[0]!.mean - mean, lessError, exact],
        ]),
      ),
    },
    {
      name: 'participation',
      columns: ['status', 'tasks', 'tests', 'deposit_over_payment', 'largest_window_credits', 'error_share'],
      rows: participation().map((part) => [
        part.status,
        part.tasks,
        part.tests,
        part.deposit,
        part.largestWindow,
        part.errorShare,
      ]),
    },
  ]
}

export function figures(found: Found): Figure[] {
  return [overheadFigure(found), careerFigure(found), cheatFigure(found), depositFigure()]
}

const percent = (share: number) => `${Number((100 * share).toPrecision(3))} %`

/** Lines by formula, dots as measured; BOINC as dots. */
function overheadFigure({ samples, honestLives, cheatingLives }: Found): Figure {
  const sizes = [12_000, 1000]
  const curves = sizes.flatMap((tasks) =>
    Array.from({ length: 60 }, (_, i) => 10 ** (i / 25)) // 1 to 229 tests
      .filter((tests) => tests <= tasks)
      .map((tests) => ({
        series: `ours, ${tasks.toLocaleString('en')} tasks`,
        x: tests / tasks,
        y: detection(tests, SKIPPED),
      })),
  )
  const ours = samples.map(({ tasks, overhead, detected }) => ({
    series: `ours, ${tasks.toLocaleString('en')} tasks`,
    x: mean(overhead),
    y: mean(detected),
  }))
  const jobs = samples[0]!.tasks
  const replicated = (lives: Found['honestLives']) => mean(lives.flat().map((life) => life.replicated / jobs))
  const kept = mean(cheatingLives.flat().map(({ accepted, found }) => found / Math.max(1, accepted + found)))
  const others = [
    { series: 'BOINC, replication', x: 1, y: 1 },
    { series: 'BOINC, adaptive, honest host: wrong results kept out', x: replicated(honestLives), y: kept },
    { series: 'BOINC, adaptive, this host: wrong results kept out', x: replicated(cheatingLives), y: kept },
  ]
  const points = [...ours, ...others]
  return {
    name: 'overhead',
    title: 'Overhead, and the chance to find a supplier that skips 5 % of its tasks',
    caption:
      'Tests needed do not depend on the number of tasks. Ours: found before anything is paid, if all tasks are one window, so that no wrong result is accepted. Of BOINC: the share of wrong results that is not accepted.',
    plot: {
      x: { type: 'log', label: 'overhead: tasks done again, over tasks', grid: true, tickFormat: percent },
      y: { label: 'found', grid: true, domain: [0, 1], tickFormat: percent },
      color: { legend: true, ...seriesColours(seriesNames([...curves, ...points])) },
      marks: [
        ruleY([0.95], { strokeDasharray: '4 4' }),
        lineY(curves, { x: 'x', y: 'y', stroke: 'series' }),
        dot(points, { x: 'x', y: 'y', stroke: 'series', fill: 'series', r: 4 }),
      ],
    },
  }
}

function careerFigure({ careers }: Found): Figure {
  const points = (careers[0]?.course ?? []).map(({ tasks }, at): SeriesPoint => {
    const shares = careers.map(({ course, suppliers }) => {
      const [now, before] = [course[at]!, course[at - 1] ?? { tasks: 0, tests: 0 }]
      return (now.tests - before.tests) / suppliers / (now.tasks - before.tasks)
    })
    return { series: 'tested', x: tasks, y: mean(shares), error: ci95(shares) ?? 0 }
  })
  return {
    name: 'career',
    title: 'What of the work of an honest supplier is tested, policy auto',
    caption:
      'Windows of 10 tasks; mean of many suppliers. A newcomer is tested at 9.8 %, and at a tenth of that after 297 tests without a fault.',
    plot: {
      x: { type: 'log', label: 'tasks done', grid: true, tickFormat: '~s' },
      y: { label: 'tested', grid: true, zero: true, tickFormat: percent },
      marks: seriesMarks(points),
    },
  }
}

const KINDS = ['honest', 'copy', 'best', 'skip all', 'time-out', 'abandon'] as const

/** Mean over all cells of what each kind earns, exactly. */
function cheatFigure({ games }: Found): Figure {
  const points = KINDS.flatMap((kind) =>
    SHARES.map((share): SeriesPoint => {
      const values = games
        .filter((game) => game.share === share)
        .map(({ earned, cell }) => {
          const name = kind === 'skip all' ? `skip ${cell.tasks}, dispute captured` : kind
          return kind === 'best' ? earned[1]!.exact : earned.find((each) => each.name === name)!.exact
        })
      const series = kind === 'best' ? 'best cheat' : kind
      return { series, x: 100 * share, y: Math.max(mean(values), FLOOR), error: 0 }
    }),
  ).filter(({ y }) => y > FLOOR)
  const played = byShare(games).flatMap(({ share, honest, best, ci95 }) => [
    { series: 'honest', x: 100 * share, y: honest, error: 0 },
    { series: 'best cheat', x: 100 * share, y: best, error: ci95 },
  ])
  return {
    name: 'cheating',
    title: 'What a supplier and its friends earn by a window, in payments',
    caption: `Lines: expected, mean over newcomers, proven suppliers and sizes of windows; what is below ${FLOOR} is not shown (skip all, time-out). Crosses: as played.`,
    plot: {
      x: { label: 'share of all other hosts in league with the supplier (%)', grid: true },
      y: { label: 'earned, over the payment', grid: true },
      color: { legend: true, domain: seriesNames(points) },
      symbol: { legend: true, domain: seriesNames(points) },
      marks: [
        ruleY([0]),
        ...seriesMarks(points),
        dot(played, { x: 'x', y: 'y', stroke: 'series', symbol: 'times', r: 6 }),
      ],
    },
  }
}

const FLOOR = -0.25

function depositFigure(): Figure {
  const points = participation().map(
    ({ status, tasks, deposit }): SeriesPoint => ({ series: status, x: tasks, y: deposit, error: 0 }),
  )
  return {
    name: 'deposit',
    title: 'Deposit that policy auto asks for, by the size of windows',
    caption: 'In payments of the window. Who is tested less has more at stake; in large windows little is enough.',
    plot: {
      x: { type: 'log', label: 'tasks of a window', grid: true },
      y: { type: 'log', label: 'deposit, over the payment of the window', grid: true, tickFormat: String },
      color: { legend: true },
      symbol: { legend: true, domain: seriesNames(points) },
      marks: seriesMarks(points),
    },
  }
}
