/** What the figures of several studies are made of. */
import { dot, lineY, type Markish, ruleX } from '@observablehq/plot'

export interface SeriesPoint {
  /** As in the legend. */
  readonly series: string
  readonly x: number
  readonly y: number
  /** Half of the 95 % confidence interval of y. */
  readonly error: number
}

/** Lines with a dot at each point, and a bar for its interval; `series` to `stroke` and to `symbol`. Sorted by x. */
export function seriesMarks(points: readonly SeriesPoint[]): Markish[] {
  const sorted = [...points].sort((a, b) => a.x - b.x)
  const sure = sorted.filter(({ error }) => error > 0)
  return [
    lineY(sorted, { x: 'x', y: 'y', stroke: 'series' }),
    ruleX(sure, { x: 'x', y1: ({ y, error }) => y - error, y2: ({ y, error }) => y + error, stroke: 'series' }),
    dot(sorted, { x: 'x', y: 'y', stroke: 'series', fill: 'white', symbol: 'series', r: 3.5 }),
  ]
}

/** The domain of `symbol`, so that a series looks the same whatever others there are. */
export function seriesNames(points: readonly { readonly series: string }[]): string[] {
  return [...new Set(points.map(({ series }) => series))]
}

const PUBLISHED = ['#d95f02', '#f2a65a']
const OURS = ['#1b6ca8', '#74b3e0']
const OTHERS = ['#7570b3', '#66a61e', '#e7298a', '#8c6d31', '#777777']

/** The scale `color`: in all figures what was published is orange and ours is blue. */
export function seriesColours(names: readonly string[]): { domain: readonly string[]; range: string[] } {
  const left = { published: [...PUBLISHED], ours: [...OURS], others: [...OTHERS] }
  const kindOf = (name: string) => (/published/.test(name) ? 'published' : /\bours?\b/.test(name) ? 'ours' : 'others')
  return { domain: names, range: names.map((name) => left[kindOf(name)].shift() ?? '#777777') }
}
