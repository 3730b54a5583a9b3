/**
 * Bankers: hosts with a bond, which stand for the committee, show that they live, and are chosen when an epoch ends
 * (DESIGN 9). Eligible is who stands, has the bond, and gave a sign of life in the epoch that ends, so all members agree
 * on it. Who stands, is not eligible then, and keeps no seat, stands no longer. A bond is whole or none: there is room for
 * so many bankers only, and nobody shall fill it with crumbs.
 *
 * The end of an epoch is an operation, for the reasons that a time-out is one (`escrows.ts`). An epoch that nobody ends goes
 * on, and signs of life still count for it: a network that slept for a day loses no banker.
 */
import { encode } from '../../../core/cbor.ts'
import { hashKey } from '../../../core/ids.ts'
import { MAX_BANKERS } from '../../../core/limits.ts'
import { nextCommittee } from '../committee.ts'
import type { PublicKey } from '../keys.ts'
import { giveBack } from './accounts.ts'
import { EMPTY_PURSE, join, take, total } from './purse.ts'
import type { Refusal } from './refusal.ts'
import { type Banker, newBanker, type Rule, type State, stateRoot, withAccount, withBanker } from './state.ts'

export const bond: Rule<'bond'> = (state, { account, action: { host, amount } }) => {
  if (state.hosts.get(host) !== account) return 'not-your-host'
  const known = state.bankers.get(host)
  if (!known && state.bankers.size >= MAX_BANKERS) return 'too-many-bankers'
  const owner = state.accounts.get(account)!
  const banker = known ?? newBanker(account, state.epoch + 1)
  if (total(banker) + amount < state.settings.bond) return 'bond-too-small'
  const parts = take(owner, amount)
  if (!parts) return 'insufficient'
  const paid = withAccount(state, account, { ...owner, ...parts.rest })
  return withBanker(paid, host, { ...banker, ...join(banker, parts.taken) })
}

export const unbond: Rule<'unbond'> = (state, { account, action: { host, amount } }) => {
  const banker = bankerOf(state, host, account)
  if (typeof banker === 'string') return banker
  const parts = take(banker, amount)
  if (!parts) return 'insufficient'
  const stays = total(parts.rest)
  if (stays > 0n && stays < state.settings.bond) return 'bond-too-small'
  const leavingAtMs = state.timeMs + state.settings.unbondingMs
  return withBanker(state, host, {
    ...banker,
    ...parts.rest,
    leaving: join(banker.leaving, parts.taken),
    leavingAtMs,
  })
}

export const withdraw: Rule<'withdraw'> = (state, { account, action: { host } }) => {
  const banker = bankerOf(state, host, account)
  if (typeof banker === 'string') return banker
  const seated = state.committee.includes(host)
  if (total(banker.leaving) === 0n || state.timeMs < banker.leavingAtMs || seated) return 'still-bonded'
  const back = giveBack(state.accounts.get(account)!, banker.leaving)
  const stays = total(banker) > 0n ? { ...banker, leaving: EMPTY_PURSE, leavingAtMs: 0 } : undefined
  return withBanker(withAccount(state, account, back), host, stays)
}

export const admit: Rule<'admit'> = (state, { account, action: { host } }) => {
  const banker = bankerOf(state, host, account)
  if (typeof banker === 'string') return banker
  if (banker.candidate) return 'is-candidate'
  if (total(banker) < state.settings.bond) return 'bond-too-small'
  return withBanker(state, host, { ...banker, candidate: true, nextBeat: state.epoch + 1 })
}

export const drop: Rule<'drop'> = (state, { account, action: { host } }) => {
  const banker = bankerOf(state, host, account)
  if (typeof banker === 'string') return banker
  if (!banker.candidate) return 'no-candidate'
  return withBanker(state, host, { ...banker, candidate: false })
}

/** Its number has been found to be the present epoch, so none of another epoch comes this far. */
export const heartbeat: Rule<'heartbeat'> = (state, { account, action: { host } }) => {
  const banker = bankerOf(state, host, account)
  if (typeof banker === 'string') return banker
  if (!banker.candidate) return 'no-candidate'
  if (banker.nextBeat > state.epoch) return 'replayed'
  return withBanker(state, host, { ...banker, nextBeat: state.epoch + 1 })
}

export const endEpoch: Rule<'end-epoch'> = (state, { account, action: { host } }) => {
  const banker = host === undefined ? undefined : bankerOf(state, host, account)
  if (typeof banker === 'string') return banker
  const { epoch, settings, timeMs, network } = state
  if (timeMs < state.epochBeganMs + settings.epochMs) return 'epoch-not-over'
  // Whoever proposes the block can try several states, and so choose newcomers. A seed that is fixed before would be no
  // better: its proposer could try it then, and others could make hosts to its measure. A beacon of commit and reveal takes
  // its place on open networks.
  const seed = hashKey(encode(['chorale seats', network, epoch + 1, stateRoot(state)]))
  const eligible: PublicKey[] = []
  const silent: PublicKey[] = []
  for (const [host, banker] of state.bankers.entries()) {
    if (!banker.candidate || total(banker) < settings.bond) continue
    if (banker.nextBeat > epoch) eligible.push(host)
    else if (state.committee.includes(host)) silent.push(host)
  }
  const committee = nextCommittee({ current: state.committee, eligible, silent, cap: settings.committeeCap, seed })
  const standing = new Set([...eligible, ...silent.filter((host) => committee.includes(host))])
  let next = state
  for (const [host, banker] of state.bankers.entries()) {
    const isFined = total(banker) + total(banker.leaving) === 0n
    if (isFined && !committee.includes(host)) next = withBanker(next, host, undefined)
    else if (banker.candidate && !standing.has(host)) next = withBanker(next, host, { ...banker, candidate: false })
  }
  return { ...next, epoch: epoch + 1, epochBeganMs: timeMs, committee }
}

/** The banker on this host, if it is the account's. */
export function bankerOf(state: State, host: PublicKey, account: PublicKey): Banker | Refusal {
  const banker = state.bankers.get(host)
  if (!banker) return 'no-banker'
  return banker.account === account ? banker : 'not-your-host'
}
