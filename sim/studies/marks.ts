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

/** The domain of `color` and of `symbol`, so that a series looks the same whatever others there are. */
export function seriesNames(points: readonly SeriesPoint[]): string[] {
  return [...new Set(points.map(({ series }) => series))]
}
