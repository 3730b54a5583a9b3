/**
 * The write-ahead log of a member: its votes, the proposals they were for, and the certificates by which it left views.
 * A record is at most one block, or q signatures. Every record is synced before what depends on it is sent, so a log
 * that was torn off anywhere is one of a member that has said no more than that.
 *
 * Certificates are there because votes alone can deadlock: one that has voted to finalize never votes to nullify, so if
 * the notarization that it saw were forgotten by all, with votes in it of members that are gone, its view might never end.
 *
 * A log that was damaged elsewhere than at its end is another matter: votes may be forgotten that were sent. Its member
 * begins a new log with a `silence`: first without end, so it only follows the chain; and, when a quorum of the others has
 * shown which views they have left (by a certificate), up to the highest of these and two more. It cannot have been
 * further: it entered its last view W with the votes of a quorum in W - 1, and an honest one of these is among those that
 * were asked. That one has been in W - 1, so it has a certificate of W - 2 to show; whether it has since left W - 1 is not
 * known. Only members count that can show by what they came to their view, and have passed their own silence if they had
 * one: others may have voted in W - 1 and not know it.
 *
 * Records of views up to the last block that the driver has stored for good may be dropped: nothing is voted on there any
 * more. `recordsOf` is what must be kept, so a driver cuts its log by writing that to a new one.
 */
import { digestOf, type Tip } from './block.ts'
import type { Committee } from './committee.ts'
import { leaderOf } from './committee.ts'
import type { LogRecord, Silence } from './effects.ts'
import { certified, newRound, type Round } from './round.ts'
import { initialState, type State } from './state.ts'

/**
 * A member after a crash: `finalized` is the last block that the driver has stored with its certificate (else the
 * committee's base), records are in the order in which they were written. Give it a `probe` as its first event.
 */
export function recover(committee: Committee, finalized: Tip, records: readonly LogRecord[]): State {
  const state = initialState(finalized)
  const rounds = new Map<number, Round>()
  let { view, silentUntil } = state
  for (const record of records) {
    if (record.type === 'silence') {
      silentUntil = record.view
      continue
    }
    const at = record.type === 'proposal' ? record.block.view : record.view
    if (at <= finalized.view) continue
    rounds.set(at, withRecord(committee, rounds.get(at) ?? newRound(at), record))
    view = Math.max(view, hasLeft(record) ? at + 1 : at)
  }
  for (const [at, round] of rounds) rounds.set(at, withCertificates(committee, round))
  return { ...state, rounds, view, silentUntil }
}

/** In a committee of one the member's own votes are a quorum, and nobody repeats them. */
function withCertificates(committee: Committee, round: Round): Round {
  const certificates = { ...round.certificates }
  for (const kind of ['notarize', 'nullify', 'finalize'] as const) {
    const certificate = certificates[kind] ?? certified(committee, round, kind)
    if (certificate) certificates[kind] = certificate
  }
  return { ...round, certificates }
}

/** Is it one that a member writes when it leaves the view? */
function hasLeft(record: LogRecord): boolean {
  return record.type === 'certificate' || (record.type === 'vote' && record.kind === 'finalize')
}

function withRecord(committee: Committee, round: Round, record: Exclude<LogRecord, Silence>): Round {
  if (record.type === 'certificate') {
    return { ...round, certificates: { ...round.certificates, [record.kind]: record } }
  }
  if (record.type === 'vote') {
    const votes = { ...round.votes, [record.kind]: new Map([[record.member, record]]) }
    return { ...round, votes }
  }
  // Its own it knows to be valid. Another's, if the vote for it was torn off, is judged again.
  const own = leaderOf(committee, round.view) === committee.self
  const digest = digestOf(record.block, committee.payloadDigest)
  return { ...round, proposed: { proposal: record, digest, verdict: own ? 'valid' : 'waiting' } }
}

/** The shortest log from which a member with this state may recover. */
export function recordsOf(committee: Committee, state: State): LogRecord[] {
  const { self } = committee
  const views = [...state.rounds.keys()].sort((a, b) => a - b)
  // Should the chain lose its end, this member may not speak again where it has forgotten what it said.
  const silentUntil = Math.max(state.silentUntil, state.finalized.view)
  const silence: LogRecord[] = silentUntil > 0 ? [{ type: 'silence', view: silentUntil }] : []
  const said = views.flatMap((view) => {
    const { proposed, votes, certificates } = state.rounds.get(view)!
    const records: LogRecord[] = []
    const notarized = votes.notarize.get(self)
    if (proposed !== undefined && (notarized !== undefined || leaderOf(committee, view) === self)) {
      records.push(proposed.proposal)
    }
    for (const kind of ['notarize', 'nullify', 'finalize'] as const) {
      const vote = votes[kind].get(self)
      if (vote !== undefined) records.push(vote)
    }
    return [...records, ...Object.values(certificates)]
  })
  return [...silence, ...said]
}
