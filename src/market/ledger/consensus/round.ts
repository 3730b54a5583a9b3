/**
 * What a member knows of one view: the leader's proposal, votes, certificates, and whom it caught lying. Its own votes
 * are among the votes. At most one proposal and one vote of each kind per member are kept, so a liar fills nothing.
 */
import type { Block, Digest } from './block.ts'
import type { Committee } from './committee.ts'
import type { Certificate, Evidence, Proposal, Vote, VoteKind } from './messages.ts'

/** What became of a proposal: waiting for what it builds on, with the driver, or judged. */
export type Verdict = 'waiting' | 'asked' | 'valid' | 'invalid'

export interface Proposed {
  readonly proposal: Proposal
  readonly digest: Digest
  readonly verdict: Verdict
}

export interface Round {
  readonly view: number
  /** The first one that was seen. */
  readonly proposed: Proposed | undefined
  /** A certified block that is not the proposed one. */
  readonly body: { readonly block: Block; readonly digest: Digest } | undefined
  readonly votes: Readonly<Record<VoteKind, ReadonlyMap<number, Vote>>>
  readonly certificates: Readonly<Partial<Record<VoteKind, Certificate>>>
  /** One per member. */
  readonly evidence: ReadonlyMap<number, Evidence>
}

const NO_VOTES: ReadonlyMap<number, Vote> = new Map()
const NO_EVIDENCE: ReadonlyMap<number, Evidence> = new Map()

export function newRound(view: number): Round {
  const votes = { notarize: NO_VOTES, nullify: NO_VOTES, finalize: NO_VOTES }
  return { view, proposed: undefined, body: undefined, votes, certificates: {}, evidence: NO_EVIDENCE }
}

/** The block with this digest, if it is here. */
export function blockIn(round: Round, digest: Digest | null): Block | undefined {
  if (round.proposed?.digest === digest) return round.proposed.proposal.block
  return round.body?.digest === digest ? round.body.block : undefined
}

/** Has anybody, the member itself included, proposed or voted? */
export function isStirring(round: Round | undefined): boolean {
  if (round === undefined) return false
  const { notarize, nullify, finalize } = round.votes
  return round.proposed !== undefined || notarize.size + nullify.size + finalize.size > 0
}

/** Counts a vote. A second one of that kind for something else, and both of nullify and finalize, are evidence. */
export function withVote(round: Round, vote: Vote): Round {
  const { kind, member } = vote
  const first = round.votes[kind].get(member)
  if (first !== undefined) return first.digest === vote.digest ? round : withEvidence(round, member, first, vote)
  const votes = { ...round.votes, [kind]: new Map(round.votes[kind]).set(member, vote) }
  const counted = { ...round, votes }
  const other = kind === 'nullify' ? 'finalize' : kind === 'finalize' ? 'nullify' : undefined
  const against = other && round.votes[other].get(member)
  return against === undefined ? counted : withEvidence(counted, member, against, vote)
}

export function withEvidence(round: Round, member: number, first: Proposal | Vote, second: Proposal | Vote): Round {
  if (round.evidence.has(member)) return round
  const evidence = new Map(round.evidence).set(member, { member, view: round.view, first, second })
  return { ...round, evidence }
}

/** The certificate that the votes of a kind make, if q are for one thing. */
export function certified(committee: Committee, round: Round, kind: VoteKind): Certificate | undefined {
  const votes = [...round.votes[kind].values()]
  for (const { digest } of votes) {
    const same = votes.filter((vote) => vote.digest === digest).sort((a, b) => a.member - b.member)
    if (same.length < committee.quorum) continue
    const members = same.map(({ member }) => member)
    const signatures = same.map(({ signature }) => signature)
    return { type: 'certificate', kind, view: round.view, digest, members, signatures }
  }
  return undefined
}

/** Without the votes of others and what was reported: what is left of a view that has long passed. */
export function withoutVotes(round: Round, self: number): Round {
  const own = (kind: VoteKind) => {
    const vote = round.votes[kind].get(self)
    return vote === undefined ? NO_VOTES : new Map([[self, vote]])
  }
  const votes = { notarize: own('notarize'), nullify: own('nullify'), finalize: own('finalize') }
  return { ...round, votes, evidence: NO_EVIDENCE }
}
