/**
 * The rules of the ring as pure functions: Chord as corrected by Zave ("Reasoning about Identifier Spaces", 2017), with
 * a *young* mode for rings of at most r + 1 members, which Zave's proof does not cover (DESIGN 6). The model checker
 * (`sim/model.ts`) drives exactly these functions over every reachable state; `maintenance.ts` drives them over the
 * network. A query counts as executed at the moment when the queried node answers.
 *
 *   ring   succ holds the next r members or fewer; Zave's operations replace it.
 *   young  succ holds *every* other member known, clockwise; views are united, never replaced. The ring becomes mature
 *          at a node that knows r + 2 members or more, all of whom are known to know all of them.
 *
 * Two departures from the paper, both checked by the model. A list whose head died is left shorter where Zave pads it
 * with a fictitious dead id: both say the same, "I know nothing past here". And entries carry an incarnation: a member
 * that died and came back under its id is not the one that the old entries name.
 */
import { between } from '../../core/ids.ts'

/** What the rules need of a contact. Equal id and other incarnation: not the same member. */
export interface Entry {
  readonly id: string
  readonly incarnation: number
}

export type Mode = 'young' | 'ring'

/** The part of a node's state that others may ask for. */
export interface RingState<E extends Entry> {
  readonly mode: Mode
  /** Clockwise from self, without self and without duplicates. */
  readonly succ: readonly E[]
  /** Undefined: not known (the node is alone, or its predecessor died). Young nodes: the last of succ. */
  readonly prdc: E | undefined
}

export function same(a: Entry, b: Entry): boolean {
  return a === b || (a.id === b.id && a.incarnation === b.incarnation)
}

/** A network of one. */
export function founded<E extends Entry>(): RingState<E> {
  return { mode: 'young', succ: [], prdc: undefined }
}

/**
 * Unites entries into a clockwise list as seen from self. Of two incarnations of one id the later one stays. Self is
 * left out.
 */
export function united<E extends Entry>(
  self: Entry,
  list: readonly E[],
  more: readonly (E | undefined)[],
): readonly E[] {
  let out: E[] | undefined
  for (const entry of more) {
    if (entry === undefined || entry.id === self.id) continue
    const now: readonly E[] = out ?? list
    let at = 0
    while (at < now.length && between(self.id, now[at]!.id, entry.id)) at++
    const there = now[at]
    if (there !== undefined && there.id === entry.id) {
      if (there.incarnation >= entry.incarnation) continue
      out ??= list.slice()
      out[at] = entry
    } else {
      out ??= list.slice()
      out.splice(at, 0, entry)
    }
  }
  return out ?? list
}

/** Zave's list rule: [head] + tail, at most r, never past self: a ring that small is seen whole. */
function listFrom<E extends Entry>(self: Entry, head: E, tail: readonly E[], r: number): E[] {
  const out = [head]
  for (let i = 0; out.length < r && i < tail.length; i++) {
    const entry = tail[i]!
    // An entry that does not move on clockwise has come around the circle: what follows is not ours to list.
    if (!between(out[out.length - 1]!.id, entry.id, self.id)) break
    out.push(entry)
  }
  return out
}

function young<E extends Entry>(succ: readonly E[]): RingState<E> {
  return { mode: 'young', succ, prdc: succ[succ.length - 1] }
}

// ---------------------------------------------------------------------------------------------------------------------
// Joining

/**
 * Join(self) at member m, whose answer is `state`. Undefined: m is not the place (self is not between m and its
 * successor): look again. A young member takes the joiner into its view when it answers (`met`).
 */
export function joined<E extends Entry>(self: E, m: E, state: RingState<E>, r: number): RingState<E> | undefined {
  const head = state.succ[0]
  // A young member knows all: from it one may enter wherever one belongs.
  if (state.mode === 'young' || head === undefined) return young(united(self, [], [m, ...state.succ]))
  if (!between(m.id, self.id, head.id)) return undefined
  return { mode: 'ring', succ: listFrom(self, head, state.succ.slice(1), r), prdc: m }
}

// ---------------------------------------------------------------------------------------------------------------------
// Ring mode: Zave's operations

export interface AfterSuccessor<E extends Entry> {
  readonly state: RingState<E>
  /** The successor's predecessor is nearer: go on with StabilizeFromPredecessor. Undefined: notify the head. */
  readonly candidate: E | undefined
}

/** StabilizeFromSuccessor, head alive: h answered `answer`. */
export function successorAnswered<E extends Entry>(
  self: E,
  state: RingState<E>,
  h: E,
  answer: RingState<E>,
  r: number,
): AfterSuccessor<E> {
  const around = answer.succ.findIndex((entry) => same(entry, self))
  if (around >= 0 && around < r) {
    // The successor's own r successors come back to us: the ring has r + 1 members or fewer, and we have seen them all.
    return { state: young(united(self, [], [h, ...answer.succ.slice(0, around)])), candidate: undefined }
  }
  const succ = listFrom(self, h, answer.succ, r)
  // Mostly there is no news: the state stays the very same, which is cheap to see and leaves nothing to collect.
  const news = state.mode !== 'ring' || succ.length !== state.succ.length || succ.some((e, i) => e !== state.succ[i])
  const next: RingState<E> = news ? { mode: 'ring', succ, prdc: state.prdc } : state
  const x = answer.prdc
  return { state: next, candidate: x !== undefined && between(self.id, x.id, h.id) ? x : undefined }
}

/** The head of the list, or any other entry, is dead. */
export function dropped<E extends Entry>(state: RingState<E>, dead: Entry): RingState<E> {
  const succ = state.succ.filter((entry) => !same(entry, dead))
  if (state.mode === 'young') return succ.length === state.succ.length ? state : young(succ)
  const prdc = state.prdc !== undefined && same(state.prdc, dead) ? undefined : state.prdc
  return succ.length === state.succ.length && prdc === state.prdc ? state : { mode: 'ring', succ, prdc }
}

/** StabilizeFromPredecessor: x is alive and answered. Unchanged when x is no longer nearer than the head. */
export function predecessorAnswered<E extends Entry>(
  self: E,
  state: RingState<E>,
  x: E,
  answer: RingState<E>,
  r: number,
): RingState<E> {
  const head = state.succ[0]
  if (head !== undefined && !between(self.id, x.id, head.id)) return state
  return { mode: 'ring', succ: listFrom(self, x, answer.succ, r), prdc: state.prdc }
}

export type Rectification = 'adopt' | 'check' | 'ignore'

/** Rectify: p says that it is our predecessor. `check`: adopt it only if the present one is dead. */
export function rectification(self: Entry, state: RingState<Entry>, p: Entry): Rectification {
  if (p.id === self.id) return 'ignore'
  if (state.prdc === undefined || between(state.prdc.id, p.id, self.id)) return 'adopt'
  if (same(state.prdc, p)) return 'ignore'
  // The old incarnation of the same place is dead for certain.
  return state.prdc.id === p.id ? (p.incarnation > state.prdc.incarnation ? 'adopt' : 'ignore') : 'check'
}

export function adopted<E extends Entry>(state: RingState<E>, p: E): RingState<E> {
  return { mode: state.mode, succ: state.succ, prdc: p }
}

// ---------------------------------------------------------------------------------------------------------------------
// Young mode

/** A young node meets others: a joiner, a notifier, or somebody's view. */
export function met<E extends Entry>(self: E, state: RingState<E>, others: readonly (E | undefined)[]): RingState<E> {
  const succ = united(self, state.succ, others)
  return succ === state.succ ? state : young(succ)
}

/** Does a view (list and its holder) know every member of ours? */
export function knowsAll(ours: RingState<Entry>, holder: Entry, view: RingState<Entry>): boolean {
  return ours.succ.every((entry) => same(entry, holder) || view.succ.some((known) => same(known, entry)))
}

/** May a young node become mature once everybody in its view knows all of it? */
export function ripe(state: RingState<Entry>, r: number): boolean {
  return state.mode === 'young' && state.succ.length > r
}

/**
 * Young to ring, when all members of the view have been asked, one after the other, and each was known to know all of
 * the view or to be in ring mode. What they know they cannot forget (only the dead are dropped), and who joins through
 * them learns it too; so nobody's list can skip one of these members any more, and there are at least r + 2 of them.
 */
export function matured<E extends Entry>(state: RingState<E>, r: number): RingState<E> {
  return { mode: 'ring', succ: state.succ.slice(0, r), prdc: state.prdc }
}
