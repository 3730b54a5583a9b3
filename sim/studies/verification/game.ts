/**
 * Windows of work, verified as the ledger will: real draws of tests, checkers and mediators, real verdicts and payments of
 * `src/market/verification/`, between a supplier with friends and everybody else. Every strategy plays the same draws. What it
 * earns is counted for the supplier and all its friends together, less what their work costs.
 */

import type { Random } from '../../../src/core/env.ts'
import { hashKey, type Key } from '../../../src/core/ids.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { type Amount, amount } from '../../../src/market/ledger/state/amount.ts'
import { depositFor, NEWCOMER_RATE, PROVEN_RATE } from '../../../src/market/verification/auto.ts'
import type { Game, Strategy } from '../../../src/market/verification/cheating.ts'
import {
  type Candidate,
  Draws,
  drawHosts,
  drawPositions,
  drawTests,
  type Pool,
  PPM,
  poolOf,
} from '../../../src/market/verification/draws.ts'
import { drawPanel, PANEL_SEATS, type Vote, verdictOf } from '../../../src/market/verification/mediation.ts'
import { panelSeed, sampleSeed, type WindowName } from '../../../src/market/verification/nonces.ts'
import {
  type Check,
  type Outcome,
  settle,
  stakesOf,
  type Terms,
  termsOf,
} from '../../../src/market/verification/settlement.ts'

/** Hosts of the market, each of its own owner and in its own block of addresses. */
const HOSTS = 301
const PAYMENT = amount(1_000_000_000n)
/** e: the largest that is to be deterred. */
export const COST_SHARE = 0.9

export interface Cell {
  readonly status: 'newcomer' | 'proven'
  /** Of a window. */
  readonly tasks: number
  /** Chance to guess an output, ppm. */
  readonly guess: number
}

export function rateOf({ status }: Pick<Cell, 'status'>): number {
  return status === 'newcomer' ? NEWCOMER_RATE : PROVEN_RATE
}

/** The deposit that policy `auto` asks for, in payments. */
export function depositOf(cell: Cell): number {
  return Number(depositAmount(cell)) / Number(PAYMENT)
}

function depositAmount(cell: Cell): Amount {
  return depositFor(rateOf(cell), { ...cell, payment: PAYMENT })!
}

/** The same window, as the exact values see it. */
export function gameOf(cell: Cell, colluders: number): Game {
  const terms = termsOf(PAYMENT, cell.tasks, depositAmount(cell), PANEL_SEATS)
  return {
    tasks: cell.tasks,
    tests: (rateOf(cell) * cell.tasks) / PPM,
    deposit: depositOf(cell),
    costShare: COST_SHARE,
    guess: cell.guess / PPM,
    colluders,
    seats: PANEL_SEATS,
    abandonFine: Number(terms.abandonFine) / Number(PAYMENT),
  }
}

export interface Tally {
  readonly name: string
  /** Of what it earned in each window, in payments. */
  readonly sum: number
  readonly squares: number
  /** Of what it earned less than honest work on the same draws. */
  readonly lessSquares: number
}

export interface Played {
  readonly windows: number
  readonly tallies: readonly Tally[]
}

/** The strategies of which each window is played with all. The first is honest. */
export function play(
  cell: Cell,
  share: number,
  strategies: readonly Strategy[],
  windows: number,
  seed: number,
): Played {
  const market = new Market(cell, share, `verification ${cell.status} ${cell.tasks} ${cell.guess} ${share} ${seed}`)
  const sums = strategies.map(() => ({ sum: 0, squares: 0, lessSquares: 0 }))
  for (let window = 0; window < windows; window++) {
    const drawn = market.draw(window)
    let honest = 0
    for (const [i, strategy] of strategies.entries()) {
      const earned = market.earn(drawn, strategy)
      if (i === 0) honest = earned
      const tally = sums[i]!
      tally.sum += earned
      tally.squares += earned ** 2
      tally.lessSquares += (honest - earned) ** 2
    }
  }
  return { windows, tallies: strategies.map((strategy, i) => ({ name: nameOf(strategy), ...sums[i]! })) }
}

export function nameOf(strategy: Strategy): string {
  if (strategy.kind !== 'skip') return strategy.kind
  return `skip ${strategy.skipped}, dispute ${strategy.dispute}`
}

interface Drawn {
  readonly positions: readonly number[]
  /** By test: is the checker a friend? Does a made-up output pass? */
  readonly friends: readonly boolean[]
  readonly guessed: readonly boolean[]
  readonly panel: () => readonly Candidate[]
}

class Market {
  readonly #cell: Cell
  readonly #terms: Terms
  readonly #pool: Pool
  readonly #friends: ReadonlySet<Key>
  readonly #supplier: Key
  readonly #label: string
  readonly #random: Random

  constructor(cell: Cell, share: number, label: string) {
    this.#cell = cell
    this.#label = label
    this.#random = seededRandom(label)
    this.#terms = termsOf(PAYMENT, cell.tasks, depositAmount(cell), PANEL_SEATS)
    const hosts = Array.from({ length: HOSTS }, (_, i): Candidate => {
      return { host: hashKey(`host ${i}`), account: hashKey(`account ${i}`), prefix: `10.${i >> 8}.${i & 255}` }
    })
    this.#supplier = hosts[0]!.host
    this.#pool = poolOf(hosts)
    const others = this.#random.fork('friends')
    const drawn = hosts.slice(1).map(({ host }) => ({ host, lot: others.next() }))
    const friends = drawn.sort((a, b) => a.lot - b.lot).slice(0, Math.round(share * (HOSTS - 1)))
    this.#friends = new Set(friends.map(({ host }) => host))
  }

  /** What the root and the nonces decide. The root hides which outputs are made up, so that it is the same for all. */
  draw(window: number): Drawn {
    const name: WindowName = { contract: hashKey(this.#label), supplier: this.#supplier, window }
    const secret = (of: string) => hashKey(`${this.#label} ${of} ${window}`)
    const root = secret('root')
    const draws = new Draws(sampleSeed(name, root, secret('nonce')))
    const tests = drawTests(draws, rateOf(this.#cell), this.#cell.tasks)
    const positions = drawPositions(draws, tests, this.#cell.tasks)
    const excludes = ({ host }: Candidate) => host === this.#supplier
    const checkers = drawHosts(draws, this.#pool, { count: tests, excludes })
    const reveals = { customer: secret('customer'), supplier: secret('supplier') }
    return {
      positions,
      friends: checkers.map(({ host }) => this.#friends.has(host)),
      guessed: checkers.map(() => this.#random.next() * PPM < this.#cell.guess),
      panel: () => drawPanel(panelSeed(name, root, reveals, 0), this.#pool, { excludes }),
    }
  }

  /** In payments. */
  earn(drawn: Drawn, strategy: Strategy): number {
    const tests = drawn.positions.length
    const { outcome, friendlySeats } = this.#outcome(drawn, strategy)
    const stakes = stakesOf(this.#terms, tests)
    const payouts = settle(this.#terms, tests, outcome)
    let won = payouts.supplier - stakes.supplier + payouts.mediator * BigInt(friendlySeats)
    let friends = 0
    for (const [i, isFriend] of drawn.friends.entries()) {
      if (!isFriend) continue
      won += payouts.checkers[i]! - stakes.checker
      friends++
    }
    return Number(won) / Number(PAYMENT) - this.#work(strategy, friends)
  }

  /** What the supplier and its friends have spent on working, in payments. */
  #work(strategy: Strategy, friends: number): number {
    const { tasks } = this.#cell
    const isRight = strategy.kind === 'honest' || strategy.kind === 'copy'
    const done = isRight ? tasks : strategy.kind === 'skip' ? tasks - strategy.skipped : 0
    const checked = strategy.kind === 'honest' ? friends : 0 // else they say what the supplier says
    return (COST_SHARE * (done + checked)) / tasks
  }

  #outcome(drawn: Drawn, strategy: Strategy): { outcome: Outcome; friendlySeats: number } {
    const { positions, friends, guessed } = drawn
    if (strategy.kind === 'abandon') return { outcome: { kind: 'abandoned' }, friendlySeats: 0 }
    if (positions.length === 0) return { outcome: { kind: 'unchecked' }, friendlySeats: 0 }
    if (strategy.kind === 'time-out') {
      return { outcome: { kind: 'unopened', answered: positions.map(() => true) }, friendlySeats: 0 }
    }
    const skipped = strategy.kind === 'skip' ? strategy.skipped : 0
    const differs = positions.map((position, i) => position < skipped && !friends[i] && !guessed[i])
    if (strategy.kind !== 'skip' || !differs.includes(true)) {
      return { outcome: { kind: 'checked', checks: positions.map(() => 'agreed') }, friendlySeats: 0 }
    }
    return this.#dispute(drawn, differs, strategy.dispute)
  }

  #dispute(drawn: Drawn, differs: readonly boolean[], dispute: 'never' | 'always' | 'captured') {
    const panel = dispute === 'never' ? [] : drawn.panel()
    const friendlySeats = panel.filter(({ host }) => this.#friends.has(host)).length
    const isHeard = dispute === 'always' || 2 * friendlySeats > panel.length
    const seats = panel.map(({ host }) => host)
    let isSettled = false
    const checks = differs.map((differs, i): Check => {
      if (!differs) return 'agreed'
      if (isSettled) return 'unheard'
      const check = isHeard && panel.length > 0 ? this.#judge(seats, `${drawn.positions[i]}`) : 'conceded'
      isSettled = check !== 'acquitted'
      return check
    })
    return { outcome: { kind: 'checked', checks } as const, friendlySeats }
  }

  /** Honest mediators find what is right, the others what the supplier says. */
  #judge(seats: readonly Key[], position: string): 'acquitted' | 'convicted' {
    const claimed = hashKey(`made up ${position}`)
    const right = hashKey(`right ${position}`)
    const votes = new Map<Key, Vote>(seats.map((seat) => [seat, this.#friends.has(seat) ? claimed : right]))
    const verdict = verdictOf(seats, votes, claimed)
    if (verdict === 'acquitted' || verdict === 'convicted') return verdict
    throw new Error(`a panel of which all vote for one of two has found "${verdict}"`)
  }
}
