/**
 * The state of one member, immutable, and what can be read from it. Immutable because recovery, resending and a model
 * check all want to hold on to a state and go on from it twice: a step copies the few maps that it changes and shares
 * the rest.
 *
 * Rounds are kept for views that are not finalized. What strangers can fill is bounded: proposals and votes only of views
 * from `BEHIND` before the current one to `AHEAD` after it, one of each kind per member. Certificates of every view
 * since the last finalized block are kept, for the next proposal may have to build on them; each took a quorum to make.
 */
import type { Block, Digest, Tip } from './block.ts'
import { tipAt } from './block.ts'
import type { Committee } from './committee.ts'
import type { Certificate, FinalRun } from './messages.ts'
import { blockIn, isStirring, type Round } from './round.ts'

/** Views after the current one whose proposals and votes are kept: members are seldom two views apart. */
export const AHEAD = 2
/** Views before it: votes to finalize may still come. */
export const BEHIND = 4
/** Runs of finalized blocks kept for members that lag a little. Older ones are the driver's to serve. */
export const KEPT_RUNS = 32

/** Which timer runs: none; one of the view; or one that waits for a notarized block to be finalized, or for news. */
export type Timer = 'off' | 'view' | 'settle'

export interface State {
  /** From 1. */
  readonly view: number
  readonly finalized: Tip
  /** By view, ascending or not; all above `finalized.view`. */
  readonly rounds: ReadonlyMap<number, Round>
  /** The latest, oldest first. */
  readonly kept: readonly FinalRun[]
  /** The driver has operations that are not in the chain. */
  readonly wanted: boolean
  /** A notarized block has waited too long for its finalization: the member wants another on top of it. */
  readonly eager: boolean
  /** Somebody was heard in a later view. */
  readonly outrun: boolean
  readonly timer: Timer
  /** The parent on which the driver was asked to build in this view. */
  readonly building: Digest | undefined
  /** The view and height at which it last asked for what it lacks: once for each, and then by the timer. */
  readonly askedAt: string
  /** In views up to this one it says nothing: it may have said something there that it has forgotten. */
  readonly silentUntil: number
}

export function initialState(finalized: Tip): State {
  return {
    view: finalized.view + 1,
    finalized,
    rounds: new Map(),
    kept: [],
    wanted: false,
    eager: false,
    outrun: false,
    timer: 'off',
    building: undefined,
    askedAt: '',
    silentUntil: 0,
  }
}

/** The certificate by which a view may be left, if any. A notarization first: it carries a block on. */
export function exitOf(round: Round | undefined): Certificate | undefined {
  const certificates = round?.certificates
  return certificates && (certificates.finalize ?? certificates.notarize ?? certificates.nullify)
}

/** A block that is not finalized. */
export function findBlock(state: State, digest: Digest | null): Block | undefined {
  for (const round of state.rounds.values()) {
    const block = blockIn(round, digest)
    if (block !== undefined) return block
  }
  return undefined
}

/** Blocks from after the finalized tip up to this one. Undefined: some are not here, or it is on another chain. */
export function pathTo(state: State, digest: Digest | null): Block[] | undefined {
  const path: Block[] = []
  for (let at = digest; at !== state.finalized.digest; ) {
    const block = findBlock(state, at)
    if (block === undefined || block.height <= state.finalized.height) return undefined
    path.unshift(block)
    at = block.parent
  }
  return path
}

/**
 * May a block of the current view build on this parent? The rule of the paper: the parent is notarized (or finalized), and
 * every view between it and the block's is nullified. `lacks` is a view of which a certificate is missing to say so. That
 * a view is nullified does not tell that no block of it is notarized, so whoever does not fit may fit yet.
 */
export function standingOf(state: State, parent: Digest): 'fits' | { lacks: number } {
  for (let view = state.view - 1; view > state.finalized.view; view--) {
    const { notarize, nullify, finalize } = state.rounds.get(view)?.certificates ?? {}
    if (notarize?.digest === parent || finalize?.digest === parent) return 'fits'
    if (nullify === undefined) return { lacks: view }
  }
  return parent === state.finalized.digest ? 'fits' : { lacks: state.finalized.view + 1 }
}

/** What the leader of the current view builds on: the latest notarized block that it may. */
export function parentFor(state: State): Digest | { lacks: number } {
  for (let view = state.view - 1; view > state.finalized.view; view--) {
    const { notarize, nullify, finalize } = state.rounds.get(view)?.certificates ?? {}
    const carried = finalize ?? notarize
    if (carried !== undefined) return carried.digest as Digest
    if (nullify === undefined) return { lacks: view }
  }
  return state.finalized.digest
}

/** The tip at a block that is here, or the finalized one. */
export function tipOf(state: State, digest: Digest): Tip | undefined {
  if (digest === state.finalized.digest) return state.finalized
  const block = findBlock(state, digest)
  return block && tipAt(block, digest)
}

/** The parent of the current proposal, while it is open whether anything may stand on it. */
export function openParent(state: State): Digest | null {
  const proposed = state.rounds.get(state.view)?.proposed
  return proposed?.verdict === 'waiting' ? proposed.proposal.block.parent : null
}

/** Does anybody want a block in the current view, as far as this member knows? */
export function isBusy(state: State): boolean {
  return state.wanted || state.eager || isStirring(state.rounds.get(state.view))
}

/** Is a block notarized that is not finalized, or finalized and not here? */
export function isUnsettled(state: State): boolean {
  for (const { certificates } of state.rounds.values()) {
    if (certificates.notarize !== undefined || certificates.finalize !== undefined) return true
  }
  return false
}

/** The first view since the last finalized block of which a certificate, or the notarized block, is not here. */
export function firstLack(state: State, also = state.view): number {
  for (let view = state.finalized.view + 1; view < Math.min(also, state.view); view++) {
    const round = state.rounds.get(view)
    const exit = exitOf(round)
    const notarized = round?.certificates.notarize
    if (exit === undefined || (notarized !== undefined && blockIn(round!, notarized.digest) === undefined)) return view
  }
  return also
}

/**
 * How long the timer of the current view runs. Views that pass by without a block becoming final tell that messages take
 * longer than they should: so after each turn of all leaders it takes twice as long, up to 16 times.
 */
export function patienceMs({ members, viewMs }: Committee, { view, finalized }: State): number {
  const turns = Math.floor((view - finalized.view - 1) / members)
  return viewMs * 2 ** Math.min(turns, 4)
}

export function wantedTimer(committee: Committee, state: State): Timer {
  // Nobody else can want anything, or finalize later, in a committee of one.
  if (isBusy(state)) return 'view'
  return committee.members > 1 && (isUnsettled(state) || state.outrun) ? 'settle' : 'off'
}
