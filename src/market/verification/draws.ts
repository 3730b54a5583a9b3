/**
 * Draws that all hosts agree on: whole numbers out of a seed, by SHA-256 over a counter, without bias (numbers beyond the
 * last whole multiple are thrown away). A seed is only as good as where it comes from: `nonces.ts`.
 *
 * Draws are without putting back: of m positions n, each set of n as likely as any other (Floyd, in Bentley 1987); of
 * hosts, at most so many from one block of addresses, each block as likely as any other, however many hosts are in it.
 */
import { hash } from 'node:crypto'
import { ChoraleError, invariant } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { PublicKey } from '../ledger/keys.ts'

const WORD = 2 ** 32
const WORDS_PER_HASH = 8

/** Shares in whole numbers: parts per million. */
export const PPM = 1_000_000

export class Draws {
  readonly #seed: Key
  #block: Buffer | undefined
  #word = 0

  constructor(seed: Key) {
    this.#seed = seed
  }

  #next(): number {
    const at = this.#word % WORDS_PER_HASH
    if (at === 0) this.#block = hash('sha256', `chorale draw ${this.#seed} ${this.#word / WORDS_PER_HASH}`, 'buffer')
    this.#word++
    return this.#block!.readUInt32BE(4 * at)
  }

  /** Uniform in 0 .. n-1, for n from 1 to 2^32. */
  below(n: number): number {
    invariant(Number.isInteger(n) && n >= 1 && n <= WORD, 'a draw is from 1 to 2^32 numbers')
    const limit = WORD - (WORD % n)
    let word = this.#next()
    while (word >= limit) word = this.#next()
    return word % n
  }
}

/** Of 0 .. tasks-1 so many, ascending. Throws `usage` when there are fewer tasks than tests. */
export function drawPositions(draws: Draws, tests: number, tasks: number): number[] {
  if (!(Number.isInteger(tests) && Number.isInteger(tasks) && tests >= 0 && tests <= tasks)) {
    throw new ChoraleError('usage', `${tests} of ${tasks} tasks cannot be tested`)
  }
  const drawn = new Set<number>()
  for (let last = tasks - tests; last < tasks; last++) {
    const position = draws.below(last + 1)
    drawn.add(drawn.has(position) ? last : position)
  }
  return [...drawn].sort((a, b) => a - b)
}

/**
 * Tests of a window at this rate (ppm): the whole part, and one more with the chance of the rest, so that small windows are
 * tested as much as large ones and nobody can tell which.
 */
export function drawTests(draws: Draws, rate: number, tasks: number): number {
  const exact = rate * tasks
  invariant(Number.isSafeInteger(exact) && rate >= 0 && rate <= PPM, 'a rate is 0 to 1,000,000 ppm')
  const more = draws.below(PPM) < exact % PPM ? 1 : 0
  return Math.floor(exact / PPM) + more
}

// Hosts --------------------------------------------------------------------------------------------------------------

export interface Candidate {
  readonly host: PublicKey
  /** Who owns it. Of one owner no two are drawn. */
  readonly account: PublicKey
  /** The block of its address, as `ipPrefix` of net/ip.ts has it. */
  readonly prefix: string
}

/** Candidates by prefix, in an order that does not depend on theirs. Made once, drawn from often. */
export type Pool = ReadonlyArray<readonly Candidate[]>

export function poolOf(candidates: readonly Candidate[]): Pool {
  const byPrefix = new Map<string, Candidate[]>()
  for (const candidate of candidates) {
    const block = byPrefix.get(candidate.prefix)
    if (block) block.push(candidate)
    else byPrefix.set(candidate.prefix, [candidate])
  }
  const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  return [...byPrefix].sort(([a], [b]) => byText(a, b)).map(([, block]) => block.sort((a, b) => byText(a.host, b.host)))
}

export interface HostDraw {
  readonly count: number
  /** From one block of addresses at most. Default 1; more where all hosts are in one house. */
  readonly perPrefix?: number
  /** Who may not be drawn: the parties, their neighbours. */
  readonly excludes: (candidate: Candidate) => boolean
}

/**
 * So many hosts, or as many as there are, in the order of the draw. A second host of a block comes only after every block
 * had its turn.
 */
export function drawHosts(draws: Draws, pool: Pool, { count, perPrefix = 1, excludes }: HostDraw): Candidate[] {
  const drawn: Candidate[] = []
  const owners = new Set<PublicKey>()
  for (let turn = 0; turn < perPrefix && drawn.length < count; turn++) {
    const before = drawn.length
    for (const block of shuffledLazily(draws, pool)) {
      if (drawn.length === count) break
      const free = block.filter((candidate) => !owners.has(candidate.account) && !excludes(candidate))
      if (free.length === 0) continue
      const candidate = free[draws.below(free.length)]!
      drawn.push(candidate)
      owners.add(candidate.account)
    }
    if (drawn.length === before) break
  }
  return drawn
}

/** Fisher-Yates, as far as it is asked for. */
function* shuffledLazily<T>(draws: Draws, items: readonly T[]): Generator<T> {
  const moved = new Map<number, number>()
  for (let left = items.length; left > 0; left--) {
    const at = draws.below(left)
    yield items[moved.get(at) ?? at]!
    moved.set(at, moved.get(left - 1) ?? left - 1)
  }
}
