/**
 * What a banker owes the ledger besides its votes: a sign of life of its own host in each epoch, the end of an epoch when
 * its time is over, and what it has found out about bankers that lie. Pure: what is due now.
 */
import type { KeptEvidence } from './chain-store.ts'
import { digestOf } from './consensus/block.ts'
import type { Proposal, Vote } from './consensus/messages.ts'
import type { KeyPair } from './keys.ts'
import { payloadDigest } from './payload.ts'
import { type Action, type SignedSaying, signOperation } from './state/operation.ts'
import type { State } from './state/state.ts'

/** Each seat waits so much longer than the one before it, so that mostly one operation ends an epoch. */
const TURN_MS = 2000

/** Operations that this host should bring in now. Signing is deterministic, so what is due twice is the same twice. */
export function dutiesOf(state: State, host: KeyPair, nowMs: number, evidence: readonly KeptEvidence[]): Uint8Array[] {
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
  for (const { epoch: then, host: liar, evidence: found } of evidence) {
    if (then < (state.bankers.get(liar)?.since ?? Number.POSITIVE_INFINITY)) continue
    const [first, second] = [sayingIn(found.first), sayingIn(found.second)]
    due.push(own({ kind: 'accuse', host: liar, epoch: then, view: found.view, first, second, by: host.publicKey }))
  }
  return due
}

/** What its signer has signed. */
function sayingIn(message: Proposal | Vote): SignedSaying {
  const { signature } = message
  if (message.type === 'vote') return { kind: message.kind, digest: message.digest, signature }
  return { kind: 'propose', digest: digestOf(message.block, payloadDigest), signature }
}
