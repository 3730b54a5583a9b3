/**
 * Why an operation does not apply: a closed list of codes. Only the code is part of the ledger (of a block's operations
 * root, and so of receipts); the sentences are for people and may change.
 */

export const REFUSALS = {
  // The operation as such. These leave the ledger as it is; all others use up the account's number.
  malformed: 'these bytes are no operation',
  'bad-amount': 'an amount is not a whole number of millicredits above zero and below 2^63',
  'wrong-network': 'it was signed for another network',
  'no-account': 'its account has not been opened',
  'account-exists': 'this account has been opened before',
  replayed: 'its number has been used: it is a replay, or another operation was faster',
  'nonce-gap': 'its number is too high: an earlier operation of this account is missing',
  'bad-signature': 'a signature is not that of the key which must sign',

  // Money.
  insufficient: 'there are not enough credits',
  'granted-only': 'there are enough credits, but they were granted, and not as much has been earned yet',
  'same-account': 'sender and receiver are one account',
  'no-recipient': 'an account that it names has not been opened',

  // Hosts.
  'host-linked': 'the host belongs to an account already',
  'not-your-host': 'the host is not linked to this account',
  'host-bonded': 'the host has a bond: withdraw it first',

  // Escrows.
  'no-escrow': 'there is no such escrow: it was never opened, or it is closed',
  'bad-parties': 'payer, payees and arbiter must be different accounts',
  'too-many-escrows': 'its payer has as many open escrows as the ledger takes of one account',
  'bad-deadline': 'the deadline is in the past, or too far ahead',
  'past-deadline': 'the deadline is over: only a time-out can follow',
  'before-deadline': 'the deadline is not over',
  'not-allowed': 'this party may not do that with the escrow',
  'over-funded': 'it would hold more than was agreed',
  'wrong-step': 'it is not the next step: releases go in order',
  'not-payee': 'it names somebody who is no payee of the escrow',

  // Offers.
  'no-offer': 'there is no such offer, or none of these is new and good',
  'bad-price': 'the price is not above what is bid, or too high for an offer',
  'round-not-over': 'the last round of this price slot was only a moment ago',
  'nothing-to-match': 'there are no offers',

  // Allocations.
  'no-allocation': 'there is no such allocation: it was never made, or it is closed',
  'wrong-phase': 'the allocation waits for something else now',
  'bad-tasks': 'these are not tasks of the allocation, or more than it has',
  claimed: 'some of these tasks were done for this job before',
  'too-many-ranges': 'the tasks that were done for this job are in too many pieces',
  'nothing-new': 'it is so already',

  // Bankers.
  'too-many-bankers': 'there are as many bankers as the ledger takes',
  'no-banker': 'the host has no bond',
  'bond-too-small': 'the bond would be smaller than a banker needs',
  'still-bonded': 'nothing was given notice, the time for it is not over, or the host has a seat',
  'is-candidate': 'the host stands for the committee already',
  'no-candidate': 'the host does not stand for the committee',
  'epoch-not-over': 'the epoch is not over',
  'no-proof': 'the two messages do not contradict each other, or the bond does not answer for their epoch',
} as const

export type Refusal = keyof typeof REFUSALS

/** What became of an operation. */
export type Result = 'applied' | Refusal

export function isResult(value: unknown): value is Result {
  return typeof value === 'string' && (value === 'applied' || Object.hasOwn(REFUSALS, value))
}

/** A plain sentence, for people. */
export function sentenceOf(result: Result): string {
  return result === 'applied' ? 'it was applied' : REFUSALS[result]
}
