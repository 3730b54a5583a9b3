/**
 * What became of the offers to buy that a lender has seen, step by step, and why not. Pure. The market counts here what it
 * does with them; where there is no market, there is nothing to count.
 */
import { type Amount, plus, ZERO } from '../ledger/state/amount.ts'

/** Why an offer does not fit what is lent, in words. */
export const UNFIT = {
  cores: 'wanted more cores than are lent',
  memory: 'wanted more memory than is lent',
  level: 'wanted another level of isolation',
  hours: 'wanted hours in which this host does not lend',
  code: 'was for another engine',
} as const
export type Unfit = keyof typeof UNFIT

export interface Funnel {
  readonly seen: number
  /** Of those seen. */
  readonly fitting: number
  /** Of those that fit: paid less than the least price. */
  readonly pricedOut: number
  /** Of those that fit: matched with this host. */
  readonly won: number
  /** Of those won: the work was checked and found right. */
  readonly verified: number
  readonly earned: Amount
  /** Of those seen and not fitting: the first reason of each. */
  readonly unfit: Readonly<Record<Unfit, number>>
}

export const EMPTY_FUNNEL: Funnel = {
  ...{ seen: 0, fitting: 0, pricedOut: 0, won: 0, verified: 0, earned: ZERO },
  unfit: { cores: 0, memory: 0, level: 0, hours: 0, code: 0 },
}

/** What the market tells of one offer. */
export type OfferEvent =
  | { readonly kind: 'seen'; readonly unfit: Unfit | undefined }
  | { readonly kind: 'pricedOut' | 'won' | 'verified' }
  | { readonly kind: 'earned'; readonly amount: Amount }

export function counted(funnel: Funnel, event: OfferEvent): Funnel {
  if (event.kind === 'earned') return { ...funnel, earned: plus(funnel.earned, event.amount) }
  if (event.kind !== 'seen') return { ...funnel, [event.kind]: funnel[event.kind] + 1 }
  const { seen, fitting, unfit } = funnel
  if (event.unfit === undefined) return { ...funnel, seen: seen + 1, fitting: fitting + 1 }
  return { ...funnel, seen: seen + 1, unfit: { ...unfit, [event.unfit]: unfit[event.unfit] + 1 } }
}

/** Why nothing came of offers, in words, the most frequent first. */
export function whyNot({ unfit, pricedOut }: Funnel): string[] {
  const reasons: Array<[string, number]> = [
    ...Object.entries(UNFIT).map(([name, words]): [string, number] => [words, unfit[name as Unfit]]),
    ['paid less than your least price', pricedOut],
  ]
  const told = reasons.filter(([, count]) => count > 0).sort((a, b) => b[1] - a[1])
  return told.map(([words, count]) => `${count} ${words}`)
}

/** Where a market counts. */
export interface LenderMarket {
  funnel(): Funnel
  /** What this host offers now, or why it offers nothing, in one line. */
  offering(): Promise<string>
}
