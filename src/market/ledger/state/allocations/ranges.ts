/**
 * Sets of task numbers as ranges, in ascending order, apart from each other: `[from, to)` pairs. Pure.
 */

/** Half open; from < to. Of a list: each begins above the end of the one before. */
export type Range = readonly [from: number, to: number]
export type Ranges = readonly Range[]

/** Are these in order, not empty, apart, and below the number of tasks? */
export function areRanges(ranges: Ranges, tasks: number): boolean {
  let end = -1
  for (const [from, to] of ranges) {
    if (!(from > end && from < to && to <= tasks)) return false
    end = to
  }
  return true
}

export function countOf(ranges: Ranges): number {
  return ranges.reduce((sum, [from, to]) => sum + to - from, 0)
}

export function* tasksIn(ranges: Ranges): Generator<number> {
  for (const [from, to] of ranges) for (let task = from; task < to; task++) yield task
}

/** What is in either. */
export function united(a: Ranges, b: Ranges): Ranges {
  const joined: Range[] = []
  for (const [from, to] of [...a, ...b].sort(([x], [y]) => x - y)) {
    const last = joined.at(-1)
    if (last && from <= last[1]) joined[joined.length - 1] = [last[0], Math.max(last[1], to)]
    else joined.push([from, to])
  }
  return joined
}

/** What is in the first and not in the second. */
export function without(whole: Ranges, part: Ranges): Ranges {
  const left: Range[] = []
  let at = 0
  for (const [begin, end] of whole) {
    let from = begin
    while (at < part.length && part[at]![1] <= begin) at++
    for (let i = at; i < part.length && part[i]![0] < end; i++) {
      if (part[i]![0] > from) left.push([from, part[i]![0]])
      from = Math.max(from, part[i]![1])
    }
    if (from < end) left.push([from, end])
  }
  return left
}

export function common(a: Ranges, b: Ranges): Ranges {
  return without(a, without(a, b))
}

/**
 * Sets on top of each other, as bricks are: what was added so often as there are layers cannot be added again. Each task lies in
 * the lowest layer that was free. Undefined: some task is in all layers.
 */
export function stacked(layers: readonly Ranges[], added: Ranges, height: number): readonly Ranges[] | undefined {
  let rest = added
  const higher: Ranges[] = []
  for (let i = 0; i < height; i++) {
    const layer = layers[i] ?? []
    const doubled = common(rest, layer)
    higher.push(united(layer, rest))
    rest = doubled
  }
  return rest.length > 0 ? undefined : [...higher, ...layers.slice(height)].filter((layer) => layer.length > 0)
}

/** What was added is taken away again, from the top. */
export function unstacked(layers: readonly Ranges[], removed: Ranges): readonly Ranges[] {
  let rest = removed
  const lower = layers.toReversed().map((layer) => {
    const gone = common(layer, rest)
    rest = without(rest, gone)
    return without(layer, gone)
  })
  return lower.reverse().filter((layer) => layer.length > 0)
}
