/** What a member makes of each message. Nothing is done about it here but to remember, and to answer questions. */
import { digestOf } from './block.ts'
import { answerTo, continuation } from './catch-up.ts'
import { leaderOf, MAX_PAYLOAD_BYTES } from './committee.ts'
import type { Draft } from './draft.ts'
import { type Answer, isQuorum, type Message, type Proposal, type Vote } from './messages.ts'
import { append } from './progress.ts'
import { blockIn, withEvidence } from './round.ts'
import { AHEAD, BEHIND, firstLack } from './state.ts'

export function hear(draft: Draft, from: number, message: Message): void {
  switch (message.type) {
    case 'proposal':
      hearProposal(draft, message)
      break
    case 'vote':
      hearVote(draft, message)
      break
    case 'certificate':
      draft.learn(message)
      break
    case 'fetch': {
      const reply = answerTo(draft.committee, draft.state, message)
      if (reply === 'serve') draft.effect({ type: 'serve', to: from, height: message.height })
      else if (reply !== 'nothing') draft.send(from, reply)
      break
    }
    case 'answer':
      hearAnswer(draft, message)
  }
}

/** Is the view one of which proposals and votes are kept? Later ones show that this member may be late. */
function isNear(draft: Draft, view: number): boolean {
  const { view: now, finalized, outrun } = draft.state
  if (view > now && !outrun) draft.set({ outrun: true })
  return view > finalized.view && view >= now - BEHIND && view <= now + AHEAD
}

function hearProposal(draft: Draft, proposal: Proposal): void {
  const { block } = proposal
  if (!isNear(draft, block.view) || block.payload.length > MAX_PAYLOAD_BYTES) return
  const round = draft.round(block.view)
  const digest = digestOf(block, draft.committee.payloadDigest)
  if (round.proposed === undefined) {
    draft.put({ ...round, proposed: { proposal, digest, verdict: 'waiting' } })
  } else if (round.proposed.digest !== digest) {
    draft.put(withEvidence(round, leaderOf(draft.committee, block.view), round.proposed.proposal, proposal))
  }
}

function hearVote(draft: Draft, vote: Vote): void {
  if (vote.member === draft.committee.self || (vote.digest === null) !== (vote.kind === 'nullify')) return
  if (isNear(draft, vote.view)) draft.count(vote)
}

function hearAnswer(draft: Draft, { runs, certificates, blocks }: Answer): void {
  const { committee } = draft
  const { height } = draft.state.finalized
  for (const run of runs) {
    const fresh = isQuorum(committee, run.certificate) && continuation(committee, draft.state.finalized, run)
    if (fresh) append(draft, fresh)
  }
  for (const certificate of certificates) draft.learn(certificate)
  for (const block of blocks) {
    const round = draft.state.rounds.get(block.view)
    const digest = digestOf(block, committee.payloadDigest)
    if (round === undefined || blockIn(round, digest) !== undefined) continue
    const { notarize, finalize } = round.certificates
    if (notarize?.digest === digest || finalize?.digest === digest) draft.put({ ...round, body: { block, digest } })
  }
  // There may be more where that came from. Each such question follows from progress, so they come to an end.
  if (draft.state.finalized.height > height) draft.askOnce(firstLack(draft.state))
}
