/**
 * What a banker owes the ledger besides its votes: a sign of life of its own host in each epoch, and the end of an epoch when
 * its time is over. Pure: what is due now.
 */
import type { KeyPair } from './keys.ts'
import { type Action, signOperation } from './state/operation.ts'
import type { State } from './state/state.ts'

/** Each seat waits so much longer than the one before it, so that mostly one operation ends an epoch. */
const TURN_MS = 2000

/** Operations that this host should bring in now. Signing is deterministic, so what is due twice is the same twice. */
export function dutiesOf(state: State, host: KeyPair, nowMs: number): Uint8Array[] {
  const banker = state.bankers.get(host.publicKey)
  if (!banker) return []
  const { network, epoch, committee, epochBeganMs, settings } = state
  const own = (action: Action) => signOperation({ network, account: banker.account, nonce: epoch, action }, [host])
  const due: Uint8Array[] = []
  if (banker.candidate && banker.nextBeat <= epoch) due.push(own({ kind: 'heartbeat', host: host.publicKey }))
  const seat = committee.indexOf(host.publicKey)
  const turn = (seat + epoch) % committee.length
  if (seat >= 0 && nowMs >= epochBeganMs + settings.epochMs + turn * TURN_MS) {
    due.push(own({ kind: 'end-epoch', host: host.publicKey }))
  }
  return due
}
