/** Judges that watch a cluster from outside; the nodes know nothing of them. */
import { inArc } from '../src/core/ids.ts'
import type { ChordNode } from '../src/dht/chord/node.ts'
import { predecessorAnswered, type RingState, successorAnswered } from '../src/dht/chord/ring.ts'
import { type Contact, sameNode } from '../src/net/contact.ts'
import type { Cluster } from './cluster.ts'
import { Reply } from './exchange.ts'

export interface RingVerdict {
  members: number
  /** Members that no list skips (Zave). */
  principals: number
  /** Members without a live entry in their list. */
  stranded: number
}

/**
 * Zave's invariant, judged on *logical* state: a state query counts as executed when it is answered, so a reply that is
 * still on its way is applied first. Holds when nobody is stranded and there are r + 1 principals (or, in a young ring,
 * when nobody is stranded).
 */
export function judgeRing(cluster: Cluster): RingVerdict {
  const sorted = cluster.sorted()
  const n = sorted.length
  const place = new Map(sorted.map((chord, i) => [chord.self.id as string, i]))
  const live = (contact: Contact) => {
    const at = place.get(contact.id)
    return at !== undefined && sameNode(sorted[at]!.self, contact)
  }
  const answered = answersOnTheirWay(cluster)
  // skipped[i] counts lists that pass over member i, as a difference array around the circle.
  const delta = new Int32Array(n + 1)
  let stranded = 0
  for (let i = 0; i < n; i++) {
    const chord = sorted[i]!
    const state = logicalState(chord, answered.get(chord))
    if (n > 1 && !state.succ.some(live)) stranded++
    let last = i
    for (const contact of state.succ) {
      const at = place.get(contact.id)
      const to = at !== undefined && live(contact) ? at : firstAtOrAfter(sorted, contact.id)
      passOver(delta, n, last, to)
      // A dead entry names nobody, but what lies before it is passed over.
      last = to === at && live(contact) ? to : (to - 1 + n) % n
    }
  }
  let principals = 0
  for (let i = 0, sum = 0; i < n; i++) {
    sum += delta[i]!
    if (sum === 0) principals++
  }
  return { members: n, principals, stranded }
}

/** Counts everybody strictly between two places, clockwise. */
function passOver(delta: Int32Array, n: number, from: number, to: number): void {
  const start = (from + 1) % n
  if (start === to) return
  delta[start]!++
  if (to < start) {
    delta[n]!--
    delta[0]!++
  }
  delta[to]!--
}

function firstAtOrAfter(sorted: readonly ChordNode[], id: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]!.self.id < id) low = middle + 1
    else high = middle
  }
  return low % sorted.length
}

function answersOnTheirWay(cluster: Cluster): Map<ChordNode, { contact: Contact; view: RingState<Contact> }> {
  const nodeAt = new Map(cluster.nodes.map((node) => [node.host, node]))
  const out = new Map<ChordNode, { contact: Contact; view: RingState<Contact> }>()
  for (const event of cluster.schedule.pending()) {
    if (!(event instanceof Reply) || event.exchange.kind.name !== 'chord.stabilize' || !event.live()) continue
    const view = (event.body as { view?: RingState<Contact> } | undefined)?.view
    const node = nodeAt.get(event.exchange.from)
    const chord = node?.overlay.nodes[event.exchange.slot]
    if (view !== undefined && chord !== undefined) {
      out.set(chord, { contact: event.exchange.to, view: { mode: view.mode, succ: view.succ, prdc: view.prdc } })
    }
  }
  return out
}

function logicalState(
  chord: ChordNode,
  answer: { contact: Contact; view: RingState<Contact> } | undefined,
): RingState<Contact> {
  const { state, self, settings } = chord.member
  if (answer === undefined || state.mode === 'young') return state
  const head = state.succ[0]
  return head !== undefined && sameNode(head, answer.contact)
    ? successorAnswered(self, state, answer.contact, answer.view, settings.successors).state
    : predecessorAnswered(self, state, answer.contact, answer.view, settings.successors)
}

/** Is every list and predecessor what it should be? Returns how many members are not in order. */
export function outOfOrder(cluster: Cluster): number {
  const sorted = cluster.sorted()
  const n = sorted.length
  let wrong = 0
  for (let i = 0; i < n; i++) {
    const { state, settings } = sorted[i]!.member
    const young = n <= settings.successors + 1
    const wanted = young ? n - 1 : settings.successors
    const right =
      (state.mode === 'young') === young &&
      state.succ.length === wanted &&
      state.succ.every((contact, k) => sameNode(contact, sorted[(i + 1 + k) % n]!.self)) &&
      (n === 1 || (state.prdc !== undefined && sameNode(state.prdc, sorted[(i + n - 1) % n]!.self)))
    if (!right) wrong++
  }
  return wrong
}

/** How many members claim each key: for a whole ring exactly one. Returns the number of arcs with none, or several. */
export function disputedArcs(cluster: Cluster): number {
  const sorted = cluster.sorted()
  let disputed = 0
  for (const owner of sorted) {
    const key = owner.self.id
    let claims = 0
    for (const chord of sorted) {
      const prdc = chord.member.state.prdc
      if (prdc === undefined ? sorted.length === 1 : inArc(prdc.id, key, chord.self.id)) claims++
    }
    if (claims !== 1) disputed++
  }
  return disputed
}
