/** Seeds as they are written on the command line: `7`, `1..20`, `1..3,8`. */
import { ChoraleError } from '../../../src/core/errors.ts'

const MAX_SEED = 2 ** 32
const MAX_SEEDS = 10_000

/**
 * In the order given, each once.
 * @throws ChoraleError `usage`: no numbers, a reversed range, too many.
 */
export function parseSeeds(text: string): number[] {
  const seeds = new Set<number>()
  for (const part of text.split(',')) {
    const [, first, last = first] = /^\s*(\d+)\s*(?:\.\.\s*(\d+)\s*)?$/.exec(part) ?? []
    if (first === undefined) throw refused(text, 'say a number, or a range such as 1..20')
    const from = Number(first)
    const to = Number(last)
    if (to > MAX_SEED) throw refused(text, `a seed is a whole number from 0 to ${MAX_SEED}`)
    if (to < from) throw refused(text, `the range ${from}..${to} is empty; did you mean ${to}..${from}?`)
    if (to - from >= MAX_SEEDS) throw refused(text, `at most ${MAX_SEEDS} seeds`)
    for (let seed = from; seed <= to; seed++) seeds.add(seed)
    if (seeds.size > MAX_SEEDS) throw refused(text, `at most ${MAX_SEEDS} seeds`)
  }
  return [...seeds]
}

function refused(text: string, why: string): ChoraleError {
  return new ChoraleError('usage', `--seeds ${text}: ${why}`)
}

/** What `parseSeeds` reads: runs of three and more as ranges. */
export function formatSeeds(seeds: readonly number[]): string {
  const parts: string[] = []
  for (let i = 0; i < seeds.length; ) {
    let end = i
    while (seeds[end + 1] === seeds[end]! + 1) end++
    if (end - i < 2) end = i
    parts.push(end > i ? `${seeds[i]}..${seeds[end]}` : `${seeds[i]}`)
    i = end + 1
  }
  return parts.join(',')
}
