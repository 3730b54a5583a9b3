/**
 * Clusters points: k-means (Lloyd 1982) in rounds. A line of the input is a point: numbers with commas or spaces between
 * them. The first round takes the first k points as centers; each other one assigns every point to its nearest
 * center, and moves each center to the mean of its points, until none moves further than `tolerance`.
 */
import { defineJob } from '../src/mapreduce/define.ts'

/** The first k points of a part of the input. */
interface First {
  [name: string]: number[][] | number
  readonly points: number[][]
  readonly k: number
}

/** Of each cluster: how many points, their sum, and the sum of their squared distances from the center. */
interface Clusters {
  [name: string]: number[] | number[][]
  readonly counts: number[]
  readonly sums: number[][]
  readonly costs: number[]
}

interface State {
  [name: string]: number[][] | boolean
  readonly centers: number[][]
  /** The centers stay: what is still wanted is what they come to. */
  readonly final: boolean
}

export default defineJob({
  name: 'kmeans',
  params: { k: 8, rounds: 100, tolerance: 1e-6 },
  input: 'lines',
  map(_task, { input, params: { k }, state }): First | Clusters {
    if (!Number.isInteger(k) || k < 1 || k > 1000) throw new Error(`k must be a whole number from 1 to 1000, not ${k}`)
    const { centers } = (state ?? {}) as Partial<State>
    if (!centers) {
      const points: number[][] = []
      for (const point of pointsOf(input)) if (points.push(point) === k) break
      return { points, k }
    }
    const counts = centers.map(() => 0)
    const costs = centers.map(() => 0)
    const sums = centers.map((center) => center.map(() => 0))
    for (const point of pointsOf(input)) {
      const { nearest, distance } = nearestOf(centers, point)
      counts[nearest]! += 1
      costs[nearest]! += distance
      const sum = sums[nearest]!
      for (let i = 0; i < sum.length; i++) sum[i]! += point[i]!
    }
    return { counts, sums, costs }
  },
  reduce(left: First | Clusters, right: First | Clusters): First | Clusters {
    if (isFirst(left) && isFirst(right)) {
      return { points: [...left.points, ...right.points].slice(0, left.k), k: left.k }
    }
    if (isFirst(left) || isFirst(right)) throw new Error('results of two rounds')
    return {
      counts: left.counts.map((count, i) => count + right.counts[i]!),
      costs: left.costs.map((cost, i) => cost + right.costs[i]!),
      sums: left.sums.map((sum, i) => sum.map((value, j) => value + right.sums[i]![j]!)),
    }
  },
  next(total: First | Clusters, { params: { k, rounds, tolerance }, round, state }): State | undefined {
    if (isFirst(total)) {
      if (total.points.length < k) throw new Error(`the input has ${total.points.length} points, fewer than k = ${k}`)
      return { centers: total.points, final: rounds === 0 }
    }
    const { centers, final } = state as State
    if (final) return undefined
    const moved = centers.map((center, i) => meanOf(total, i) ?? center)
    const furthest = Math.max(...moved.map((center, i) => Math.sqrt(squared(center, centers[i]!))))
    return { centers: moved, final: furthest <= tolerance || round >= rounds }
  },
  finish(total: First | Clusters, { state, round }) {
    if (isFirst(total)) return { points: total.points.length }
    const cost = total.costs.reduce((sum, value) => sum + value, 0)
    return { centers: (state as State).centers, sizes: total.counts, cost, rounds: round }
  },
})

function isFirst(total: First | Clusters): total is First {
  return 'points' in total
}

function meanOf({ counts, sums }: Clusters, cluster: number): number[] | undefined {
  const count = counts[cluster]!
  return count === 0 ? undefined : sums[cluster]!.map((sum) => sum / count)
}

function nearestOf(centers: readonly number[][], point: readonly number[]): { nearest: number; distance: number } {
  let nearest = 0
  let distance = Number.POSITIVE_INFINITY
  for (let i = 0; i < centers.length; i++) {
    const other = squared(centers[i]!, point)
    if (other < distance) {
      nearest = i
      distance = other
    }
  }
  return { nearest, distance }
}

function squared(a: readonly number[], b: readonly number[]): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) {
    const difference = a[i]! - b[i]!
    sum += difference * difference
  }
  return sum
}

function* pointsOf(text: string): Generator<number[]> {
  let width: number | undefined
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue
    const point = line
      .trim()
      .split(/[\s,]+/)
      .map(Number)
    width ??= point.length
    if (point.length !== width || !point.every(Number.isFinite))
      throw new Error(`not a point of ${width} numbers: ${line.slice(0, 80)}`)
    yield point
  }
}
