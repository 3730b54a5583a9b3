/** What a host offers now, or why it offers nothing, in one line for its user. Pure. */
import { formatCredits } from '../ledger/credits.ts'
import type { Amount } from '../ledger/state/amount.ts'

export interface OfferingFacts {
  readonly account: 'open' | 'not-open' | 'not-linked' | 'others'
  /** Cores that are lent; undefined: nothing is. */
  readonly slots: number | undefined
  readonly speed: 'known' | 'unknown' | 'asked' | 'measuring' | { readonly failed: string; readonly againInMs: number }
  readonly offered: { readonly coresMilli: number; readonly minPrice: Amount; readonly isBooked: boolean } | undefined
  /** Contracts of this host that are open. */
  readonly open: number
  /** For one more contract the account has no deposit. */
  readonly lacks: Amount | undefined
  /** The last offer was dropped for want of a deposit, or could not be made; another one is made after so long. */
  readonly pause: { readonly forMs: number; readonly why: string } | undefined
  /** There are cores to offer. */
  readonly hasFree: boolean
}

export function offeringLine(facts: OfferingFacts): string {
  const { account, slots, speed, offered, open, lacks, pause, hasFree } = facts
  if (account === 'not-open') return 'nothing: the account is not open yet, see chorale ledger status'
  if (account === 'not-linked') return 'nothing yet: this host is not linked to its account'
  if (account === 'others') return 'nothing: this host belongs to another account'
  if (slots === undefined) return 'nothing: this node does not lend now'
  if (speed !== 'known') return `nothing yet: ${speedLine(speed)}`
  if (offered) {
    const what = `${some(offered.coresMilli / 1000, 'core')} from ${formatCredits(offered.minPrice)} credits for a core-hour`
    return `${what}${offered.isBooked ? '' : ', on its way into the book'}`
  }
  const more = open > 0 ? 'nothing more' : 'nothing'
  if (lacks !== undefined)
    return `${more}: the account has too few credits for a deposit, which is ${formatCredits(lacks)} at least`
  if (!hasFree) return open > 0 ? 'nothing more: all of it is sold' : 'nothing: this node lends for too short a time'
  if (pause) return `${more} for ${Math.ceil(pause.forMs / 1000)} s: ${pause.why}`
  return 'nothing yet: an offer is about to be made'
}

function speedLine(speed: Exclude<OfferingFacts['speed'], 'known'>): string {
  if (typeof speed === 'object') {
    return `the machine could not be measured: ${speed.failed}; again in ${Math.ceil(speed.againInMs / 60_000)} min`
  }
  if (speed === 'measuring') return 'the speed of this machine is being measured, in some seconds it is known'
  if (speed === 'asked') return 'the speed of this machine is measured in a moment'
  return (
    'the speed of this machine is not measured; it is when somebody wants work that it could do,' +
    ' or at once by chorale lend show --measure'
  )
}

function some(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
