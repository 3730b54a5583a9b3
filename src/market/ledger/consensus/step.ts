/**
 * The step of consensus: Simplex (Chan and Pass 2023, "Simplex Consensus: A Simple and Fast Consensus Protocol", section
 * 3) for one epoch's committee, as a pure function. The paper's iteration is a view here, its dummy block a nullification.
 *
 *   leader     proposes one block on the latest notarized one, all views between being nullified
 *   notarize   voted once per view, for the first proposal seen, if it stands on such a parent, its time is right and the
 *              driver finds its payload valid; never after nullify (stricter than the paper, which permits it)
 *   nullify    voted when the view's timer (3 delta, more when views go by in vain) runs out; after notarize too
 *   next view  with q votes of either kind, which are passed on to all; a later view's certificate leads past that view
 *   finalize   voted when a view is left by a notarization, unless nullify was voted in it; so q of each exclude each other
 *   finalized  with q votes to finalize: the block and all its ancestors
 *
 * At rest. While nobody wants a block no timer runs and no view goes by. A member is *busy* in its view when its driver
 * has operations (`wanted`), or when it has heard a proposal or a vote of that view, for then somebody has some. Busy, a
 * leader builds (an empty block too) and everybody's timer runs; so one that has operations gets past a dead leader with
 * its vote to nullify, which makes all others busy. A vote is heard in its view only, so the next one begins at rest if
 * nobody wants more. A member that is not busy, but holds a notarized block that is not finalized, waits as long as a
 * view takes (the votes are on their way), then asks the others and repeats its votes, and then is *eager*: it wants a
 * block on top by itself, whose finalization covers the one below. Each notarized block begins that wait anew. So
 * nothing stays half done, and at good pace no empty block follows the last full one.
 *
 * Forgotten votes. Who has lost its log keeps silent in the views in which it may have voted (`log.ts`).
 *
 * Lost messages. Whoever is still in a view when its timer has run out again repeats its votes and asks all for what it
 * lacks; who knows more answers. Nothing else is repeated.
 */
import { type Committee, leaderOf } from './committee.ts'
import { Draft } from './draft.ts'
import type { Effect, Event } from './effects.ts'
import { hear } from './hearing.ts'
import { consider, deliver, judge, lead, leave, propose } from './progress.ts'
import { BEHIND, patienceMs, type State, wantedTimer } from './state.ts'

export interface Step {
  readonly state: State
  /** In order; everything to be persisted first. */
  readonly effects: readonly Effect[]
}

/** What an event does to a member whose clock says `nowMs` (milliseconds since the epoch). */
export function step(committee: Committee, state: State, event: Event, nowMs: number): Step {
  const draft = new Draft(committee, state, nowMs, event.type === 'message' ? event.from : 'all')
  take(draft, event)
  goOn(draft)
  setTimer(draft, state.view)
  return { state: draft.state, effects: draft.effects() }
}

function take(draft: Draft, event: Event): void {
  switch (event.type) {
    case 'message':
      hear(draft, event.from, event.message)
      break
    case 'wanted':
      draft.set({ wanted: event.wanted })
      break
    case 'timer':
      runOut(draft)
      break
    case 'built':
      if (event.view === draft.state.view) propose(draft, event)
      break
    case 'validated':
      judge(draft, event.digest, event.valid)
      break
    case 'probe':
      repeat(draft)
      draft.ask('all')
  }
}

/** Does all that has become possible. */
function goOn(draft: Draft): void {
  for (let before: State | undefined; before !== draft.state; ) {
    before = draft.state
    deliver(draft)
    leave(draft)
    consider(draft)
    lead(draft)
  }
}

/** A timer begins when it is first needed, and anew in each view. */
function setTimer(draft: Draft, viewBefore: number): void {
  const { state, committee } = draft
  const timer = wantedTimer(committee, state)
  if (timer === state.timer && (timer === 'off' || state.view === viewBefore)) return
  draft.set({ timer })
  draft.effect({ type: 'timer', ms: timer === 'off' ? undefined : patienceMs(committee, state) })
}

/** The timer has run out: nullify, or say it again. Not busy: find out what became of the notarized block. */
function runOut(draft: Draft): void {
  const { view, timer, silentUntil } = draft.state
  if (timer === 'off') return
  draft.set({ timer: 'off' })
  if (timer === 'view' && view > silentUntil && draft.own(view, 'nullify') === undefined) {
    draft.vote('nullify', view, null)
    return
  }
  repeat(draft)
  draft.ask('all')
  const notarized = [...draft.state.rounds.values()].some(({ certificates }) => certificates.notarize !== undefined)
  if (timer === 'settle') draft.set({ outrun: false, eager: notarized })
}

/** What was said in this view and may have been lost, and the votes to finalize of the views before. */
function repeat(draft: Draft): void {
  const { view, rounds } = draft.state
  const { self } = draft.committee
  const own = leaderOf(draft.committee, view) === self ? rounds.get(view)?.proposed : undefined
  if (own !== undefined) draft.send('all', own.proposal)
  for (let at = view - BEHIND; at <= view; at++) {
    for (const kind of at < view ? (['finalize'] as const) : (['notarize', 'nullify'] as const)) {
      const vote = draft.own(at, kind)
      if (vote !== undefined) draft.send('all', vote)
    }
  }
}
