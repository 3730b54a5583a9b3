/**
 * What cheating is worth, exactly: the expected value of each strategy of a supplier with friends, against honest work, in
 * units of the window's payment (PAPERS 9: utilities, with the payments of `settlement.ts`). All that friends earn counts:
 * as checkers they say what the supplier says and need not work, as mediators they acquit it, and are paid for it.
 *
 * Friends are drawn as checkers and mediators with the chance of their share, each alone: as from endlessly many hosts.
 */
import { committeeCaptured, majority } from '../sybil.ts'
import { detectionOf, passing } from './formulas.ts'

/** One window, in units of its payment. */
export interface Game {
  readonly tasks: number
  /** Rate times tasks, not rounded. */
  readonly tests: number
  readonly deposit: number
  /** e: what doing the window costs. */
  readonly costShare: number
  /** g. */
  readonly guess: number
  /** s: share of the other hosts that are in league with the supplier. */
  readonly colluders: number
  /** Of a panel. */
  readonly seats: number
  readonly abandonFine: number
}

export type Strategy =
  | { readonly kind: 'honest' }
  /** All is right and done once: friends who check copy it. No check by doing again can see that. */
  | { readonly kind: 'copy' }
  /**
   * So many tasks are made up. If an honest checker sees one, the supplier gives in, or lets a panel decide: always, or
   * when it has seen, as the last to show its nonce, that friends are the majority.
   */
  | { readonly kind: 'skip'; readonly skipped: number; readonly dispute: 'never' | 'always' | 'captured' }
  /** Nothing is done, a root is sent, and nothing is opened when it is tested. */
  | { readonly kind: 'time-out' }
  /** Nothing is done or sent. */
  | { readonly kind: 'abandon' }

/** Expected value to the supplier and its friends. */
export function expectedValue(game: Game, strategy: Strategy): number {
  const { tasks, tests, deposit, costShare, colluders, abandonFine } = game
  const fee = 1 / tasks
  const friendsPay = colluders * tests * fee
  const friendsWork = friendsPay * costShare
  switch (strategy.kind) {
    case 'honest':
      return 1 - costShare + friendsPay - friendsWork
    case 'copy':
      return 1 - costShare + friendsPay
    case 'time-out': {
      const tested = Math.min(1, tests)
      return friendsPay + (1 - tested) - tested * deposit
    }
    case 'abandon':
      return -abandonFine
    case 'skip': {
      const { skipped, dispute } = strategy
      const done = 1 - skipped / tasks
      const blind = passing(game.guess, colluders)
      const seen = detectionOf({ tasks, tests }, skipped, blind)
      const base = friendsPay - costShare * done + (1 - seen)
      if (dispute === 'never') return base - seen * deposit
      const { misled, captured, others } = panelOf(colluders, game.seats)
      // An honest checker pays the panel for each position that it was right about, and nobody believed.
      const spoils = tests * (1 - done) * (1 - blind) * captured * fee
      const caught = seen * (1 - misled)
      const disputed = base + seen * misled + spoils - caught * deposit
      return dispute === 'captured' ? disputed : disputed - caught * game.seats * fee + seen * others * fee
    }
  }
}

interface Panel {
  /** Chance that friends are the majority. */
  readonly misled: number
  /** Their seats then, times that chance. */
  readonly captured: number
  /** Their seats else, times that chance. */
  readonly others: number
}

function panelOf(share: number, seats: number): Panel {
  const needed = majority(seats)
  let captured = 0
  for (let least = 1; least <= seats; least++) captured += committeeCaptured(share, seats, Math.max(least, needed))
  const misled = committeeCaptured(share, seats, needed)
  return { misled, captured, others: share * seats - captured }
}

/** Strategies worth trying, of all that there are: the value is convex in what is skipped, but a search assumes nothing. */
export function strategies(tasks: number): Strategy[] {
  const counts = new Set([1, 2, 3, tasks - 1, tasks])
  for (const share of [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]) counts.add(Math.round(share * tasks))
  const skips = [...counts]
    .filter((skipped) => skipped >= 1 && skipped <= tasks)
    .flatMap((skipped) =>
      (['never', 'always', 'captured'] as const).map((dispute) => ({ kind: 'skip', skipped, dispute }) as const),
    )
  return [...skips, { kind: 'time-out' }, { kind: 'abandon' }]
}

export interface Best {
  readonly strategy: Strategy
  readonly value: number
}

/** The best of the strategies in which something is made up, or nothing comes. */
export function bestCheat(game: Game): Best {
  const all = strategies(game.tasks).map((strategy) => ({ strategy, value: expectedValue(game, strategy) }))
  return all.reduce((best, each) => (each.value > best.value ? each : best))
}

/**
 * What it is worth to a customer with friends to have one of them, drawn as a checker, accuse an honest supplier, in units of
 * the window's payment: it has that back and its friends on the panel are paid, if they are the majority, which it knows
 * before the last nonce is shown; else it gives in, and the bond is gone.
 */
export function accusationValue({ colluders, seats, tasks }: Game, bond: number): number {
  const { misled, captured } = panelOf(colluders, seats)
  return misled + captured / tasks - (1 - misled) * bond
}
