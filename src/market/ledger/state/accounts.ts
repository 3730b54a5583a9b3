/**
 * Accounts, their hosts and transfers.
 *
 * A new account is granted credits. They can be bonded and put into escrows, but not transferred. *Earned* is
 * what was released or split to an account out of an escrow that another account funded; transfers, grants, refunds and
 * time-outs earn nothing. What is earned is free, and each earned credit frees one granted credit of its earner, now or when
 * that comes back from an escrow or a bond.
 *
 * What this prevents: opening many accounts and sending their grants to one, which costs no work; paying oneself, since
 * payer, payees and arbiter of an escrow are different accounts; freeing credits by refunds.
 * What it does not prevent: one person with two accounts lets each pay the other through an escrow. That frees all
 * granted credits of both for six operations, with nobody's work. The ledger cannot tell it from two small jobs. So the
 * limit on free credits is what an account costs: an invitation on a private network, work and a mint cap on an open one.
 */
import { type Amount, least, MAX_AMOUNT, minus, plus } from './amount.ts'
import { freely, join, type Purse, total } from './purse.ts'
import { type Account, NEW_ACCOUNT, type Rule, withAccount, withHost, withoutHost } from './state.ts'

export const open: Rule<'open'> = (state, { account }) => {
  const { grant, mintCap } = state.settings
  if (state.minted + grant > mintCap) return withAccount(state, account, { ...NEW_ACCOUNT, nonce: 1 })
  const minted = plus(state.minted, grant)
  return withAccount({ ...state, minted }, account, { ...NEW_ACCOUNT, granted: grant, nonce: 1 })
}

export const link: Rule<'link'> = (state, { account, action }) => {
  if (state.hosts.get(action.host) !== undefined) return 'host-linked'
  return withHost(state, action.host, account)
}

export const unlink: Rule<'unlink'> = (state, { account, action }) => {
  if (state.hosts.get(action.host) !== account) return 'not-your-host'
  if (state.bankers.get(action.host)) return 'host-bonded'
  return withoutHost(state, action.host)
}

export const transfer: Rule<'transfer'> = (state, { account, action: { to, amount } }) => {
  const receiver = state.accounts.get(to)
  if (!receiver) return 'no-recipient'
  if (to === account) return 'same-account'
  const sender = state.accounts.get(account)!
  if (total(sender) < amount) return 'insufficient'
  if (sender.free < amount) return 'granted-only'
  const sent = withAccount(state, account, { ...sender, free: minus(sender.free, amount) })
  return withAccount(sent, to, { ...receiver, ...join(receiver, freely(amount)) })
}

/** To an account, out of another's escrow: free, and it frees as much of what was granted. */
export function earn(account: Account, wage: Amount): Account {
  // What is above the cap could free nothing: no account was ever granted as much.
  const earned = least((account.earned + wage) as Amount, MAX_AMOUNT)
  return matched({ ...account, ...join(account, freely(wage)), earned })
}

/** Back to the account that it came from. */
export function giveBack(account: Account, purse: Purse): Account {
  return matched({ ...account, ...join(account, purse) })
}

function matched(account: Account): Account {
  const freed = least(account.earned, account.granted)
  return {
    ...account,
    free: plus(account.free, freed),
    granted: minus(account.granted, freed),
    earned: minus(account.earned, freed),
  }
}
