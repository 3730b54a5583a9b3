/**
 * How many different hosts have worked: a k-minimum-values sketch (Bar-Yossef et al. 2002). Exact up to k hosts, within
 * about 6 % beyond. Merging is a union, so it flows up the segment tree and merges in the job record without counting
 * anybody twice.
 */
import { hashKey } from '../core/ids.ts'

/** 32-bit hashes, ascending, the k smallest. */
export type Sketch = readonly number[]

export const SKETCH_SIZE = 256

export function sketchOf(name: string): Sketch {
  return [Number.parseInt(hashKey(name).slice(0, 8), 16)]
}

export function mergeSketches(a: Sketch, b: Sketch): Sketch {
  if (b.length === 0 || a === b) return a
  if (a.length === 0) return b
  const merged: number[] = []
  for (let i = 0, j = 0; (i < a.length || j < b.length) && merged.length < SKETCH_SIZE; ) {
    const x = a[i] ?? Number.POSITIVE_INFINITY
    const y = b[j] ?? Number.POSITIVE_INFINITY
    merged.push(Math.min(x, y))
    if (x <= y) i++
    if (y <= x) j++
  }
  return merged
}

export function countSketch(sketch: Sketch): number {
  if (sketch.length < SKETCH_SIZE) return sketch.length
  return Math.round((SKETCH_SIZE - 1) / ((sketch[SKETCH_SIZE - 1] as number) / 2 ** 32))
}
