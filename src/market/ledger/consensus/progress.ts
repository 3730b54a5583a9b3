/**
 * What a member does as soon as it can: take finalized blocks into the chain, leave the view, vote for its proposal, or
 * propose. Each is tried after every event, until nothing changes.
 */
import { invariant } from '../../../core/errors.ts'
import { type Block, type Digest, digestOf, type Tip, tipAt } from './block.ts'
import { CLOCK_TOLERANCE_MS, leaderOf, MAX_PAYLOAD_BYTES } from './committee.ts'
import type { Draft } from './draft.ts'
import type { Event } from './effects.ts'
import { type FinalRun, type Proposal, statement } from './messages.ts'
import { withoutVotes } from './round.ts'
import {
  BEHIND,
  exitOf,
  firstLack,
  isBusy,
  isUnsettled,
  KEPT_RUNS,
  parentFor,
  pathTo,
  standingOf,
  tipOf,
} from './state.ts'

/** Takes the highest block that is finalized, and here with all its ancestors, into the chain. */
export function deliver(draft: Draft): void {
  const rounds = [...draft.state.rounds.values()].filter(({ certificates }) => certificates.finalize !== undefined)
  for (const { view, certificates } of rounds.sort((a, b) => b.view - a.view)) {
    if (view <= draft.state.finalized.view) break
    const certificate = certificates.finalize!
    const blocks = pathTo(draft.state, certificate.digest)
    if (blocks === undefined) draft.askOnce(firstLack(draft.state))
    else append(draft, { blocks, above: [], certificate })
  }
}

/** The chain grows by a run that continues it; all that is known of the views up to there is forgotten. */
export function append(draft: Draft, run: FinalRun): void {
  const { view } = run.certificate
  const last = run.blocks.at(-1)!
  const finalized = tipAt(last, digestOf(last, draft.committee.payloadDigest))
  const rounds = new Map([...draft.state.rounds].filter(([at]) => at > last.view))
  draft.set({ finalized, rounds, kept: [...draft.state.kept, run].slice(-KEPT_RUNS) })
  draft.effect({ type: 'finalize', run })
  draft.learn(run.certificate) // where it tells of more to come
  if (!isUnsettled(draft.state)) draft.set({ eager: false })
  if (draft.state.view <= view) enter(draft, view + 1)
}

/** On to the next view, if this one or a later one may be left. */
export function leave(draft: Draft): void {
  let last = 0
  for (const view of draft.state.rounds.keys()) last = Math.max(last, view)
  for (let view = last; view >= draft.state.view; view--) {
    const exit = exitOf(draft.state.rounds.get(view))
    if (exit === undefined) continue
    draft.persist(exit)
    draft.send('all', exit)
    const nullified = draft.own(view, 'nullify') !== undefined
    if (exit.kind === 'notarize' && !nullified) draft.vote('finalize', view, exit.digest)
    if (exit.kind !== 'nullify') draft.set({ eager: false })
    enter(draft, view + 1)
  }
}

function enter(draft: Draft, view: number): void {
  const rounds = new Map(draft.state.rounds)
  for (const round of rounds.values()) {
    if (round.view < view - BEHIND) rounds.set(round.view, withoutVotes(round, draft.committee.self))
  }
  draft.set({ view, rounds, building: undefined, outrun: false })
}

/** Looks at the proposal of this view: what it stands on, its time; and asks the driver for the rest. */
export function consider(draft: Draft): void {
  const { state } = draft
  const proposed = state.rounds.get(state.view)?.proposed
  if (proposed === undefined || !draft.hasSay(state.view)) return
  if (proposed.verdict === 'valid') {
    draft.persist(proposed.proposal)
    draft.vote('notarize', state.view, proposed.digest)
  } else if (proposed.verdict === 'waiting') {
    const { block } = proposed.proposal
    const standing = standingOf(state, block.parent)
    const parent = tipOf(state, block.parent)
    const ancestors = pathTo(state, block.parent)
    if (standing !== 'fits' || parent === undefined || ancestors === undefined) {
      draft.askOnce(firstLack(state, standing === 'fits' ? undefined : standing.lacks))
      return
    }
    const fine = follows(block, parent, draft.nowMs)
    draft.put({ ...draft.round(state.view), proposed: { ...proposed, verdict: fine ? 'asked' : 'invalid' } })
    if (fine) draft.effect({ type: 'validate', digest: proposed.digest, block, ancestors })
  }
}

/** Its time is near the clock here; or the parent's, if a committee whose clocks were ahead has left that behind. */
function follows(block: Block, parent: Tip, nowMs: number): boolean {
  const { height, timeMs } = block
  if (height !== parent.height + 1 || timeMs < parent.timeMs || timeMs < nowMs - CLOCK_TOLERANCE_MS) return false
  return timeMs <= Math.max(parent.timeMs, nowMs + CLOCK_TOLERANCE_MS)
}

/** The driver's judgement of a payload. */
export function judge(draft: Draft, digest: Digest, valid: boolean): void {
  for (const round of draft.state.rounds.values()) {
    const { proposed } = round
    if (proposed?.digest !== digest || proposed.verdict !== 'asked') continue
    draft.put({ ...round, proposed: { ...proposed, verdict: valid ? 'valid' : 'invalid' } })
  }
}

/** Asks the driver for a payload, if it is this member's turn and somebody wants a block. */
export function lead(draft: Draft): void {
  const parent = turnOn(draft)
  if (parent === undefined || parent.digest === draft.state.building) return
  const ancestors = pathTo(draft.state, parent.digest)
  if (ancestors === undefined) {
    draft.askOnce(firstLack(draft.state))
    return
  }
  draft.set({ building: parent.digest })
  draft.effect({ type: 'build', view: draft.state.view, parent, ancestors })
}

/** What to propose on, if this member is to propose now. */
function turnOn(draft: Draft): Tip | undefined {
  const { state, committee } = draft
  if (leaderOf(committee, state.view) !== committee.self || !isBusy(state)) return undefined
  if (state.rounds.get(state.view)?.proposed !== undefined || !draft.hasSay(state.view)) return undefined
  const parent = parentFor(state)
  const tip = typeof parent === 'string' ? tipOf(state, parent) : undefined
  if (tip === undefined) draft.askOnce(firstLack(state))
  return tip
}

/** The driver's payload becomes the proposal of this view, if it is still wanted, on that parent. */
export function propose(draft: Draft, { parent: on, timeMs, payload }: Event & { type: 'built' }): void {
  const { committee, state } = draft
  if (state.building !== on) return
  const parent = turnOn(draft)
  if (parent?.digest !== on) {
    // The wish has passed, or there is a later parent: the driver is asked anew when there is a wish.
    draft.set({ building: undefined })
    return
  }
  invariant(payload.length <= MAX_PAYLOAD_BYTES, `a payload of ${payload.length} bytes`)
  invariant(timeMs >= parent.timeMs, 'a block before its parent')
  const block: Block = { height: parent.height + 1, view: state.view, parent: on, timeMs, payload }
  const digest = digestOf(block, committee.payloadDigest)
  const signature = committee.sign(statement(committee, 'propose', state.view, digest))
  const proposal: Proposal = { type: 'proposal', block, signature }
  draft.put({ ...draft.round(state.view), proposed: { proposal, digest, verdict: 'valid' } })
  draft.send('all', proposal)
}
