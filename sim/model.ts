/**
 * A model checker for the ring's rules: visits *every* state that a ring of a few ids can reach, by any interleaving of
 * joins, failures, restarts with a new incarnation and maintenance steps, starting from one member, and judges each.
 * It drives the very functions that the nodes run (`src/dht/chord/ring.ts`); Zave (2017) did the same in Alloy.
 *
 * The state of a member is kept relative to its own id (an entry is a clockwise distance and a bit "dead"), so that
 * states that differ only by a rotation of the circle are one. Steps touch one or two members and are memoized by their
 * local states. When a member dies, every entry that names it turns dead for good: a later incarnation under the same
 * id gets fresh entries. That covers any number of restarts with finitely many states.
 *
 * A step happens when the queried node answers; the asker's new state counts from then on, and a node that waits for a
 * reply refuses to answer (`busy`). So steps are atomic here, and the planted fault `answer-while-busy` shows what
 * happens otherwise.
 *
 * Assumption on failures (Zave's, extended to young rings): no failure leaves a member without a live entry in its
 * list. While anybody is in ring mode, or lists r + 1 others and so may soon be, r + 1 principals remain; while all are
 * young, they hang together by what one knows of the other.
 */
import {
  adopted,
  dropped,
  type Entry,
  founded,
  joined,
  knowsAll,
  matured,
  met,
  predecessorAnswered,
  type RingState,
  rectification,
  ripe,
  successorAnswered,
} from '../src/dht/chord/ring.ts'
import { Judge } from './judge.ts'
import { DEAD, DOWN, LIVE, type Local, LocalStates } from './local-states.ts'
import { PairTable } from './pair-table.ts'
import { StateTable } from './state-table.ts'

export const FAULTS = ['pad-by-repeating', 'join-copies-one', 'answer-while-busy'] as const
export type Fault = (typeof FAULTS)[number]

export interface ModelOptions {
  /** Ids on the circle, 2 .. 7. */
  ids: number
  /** Length of successor lists. */
  r: number
  fault?: Fault | undefined
  /** Stop after so many states. Default: none. */
  maxStates?: number | undefined
  onProgress?: ((states: number, transitions: number) => void) | undefined
}

export interface ModelResult {
  states: number
  transitions: number
  violations: number
  /** States in which only ring mode exists, only young, or both. */
  modes: { ring: number; young: number; mixed: number }
  /** The first violation: what is wrong, and the steps that lead there. */
  example: { violation: string; trace: string[] } | undefined
}

export function checkModel(options: ModelOptions): ModelResult {
  return new Checker(options).run()
}

class Checker {
  readonly #n: number
  readonly #r: number
  readonly #options: ModelOptions
  readonly #locals: LocalStates
  readonly #judge: Judge
  readonly #pairs = new PairTable()
  /** By code: what a member does next. */
  readonly #agendas: Int32Array[] = []
  /** By code: its code after the death of the member at each distance. Negative: not looked at yet. */
  readonly #bereft: Int32Array[] = []
  readonly #table: StateTable
  readonly #after: Int32Array
  #violations = 0
  #example: ModelResult['example']

  constructor(options: ModelOptions) {
    this.#n = options.ids
    this.#r = options.r
    this.#options = options
    this.#locals = new LocalStates(options.ids, options.r)
    this.#judge = new Judge(this.#locals, options.ids, options.r)
    this.#table = new StateTable(options.ids)
    this.#after = new Int32Array(options.ids)
  }

  run(): ModelResult {
    const n = this.#n
    const table = this.#table
    const modes = { ring: 0, young: 0, mixed: 0 }
    const first = new Int32Array(n)
    first[0] = this.#locals.code({ state: founded(), candidate: undefined, knowing: 0, told: undefined })
    table.add(first, -1)
    const now = new Int32Array(n)
    const next = new Int32Array(n)
    let transitions = 0
    for (let at = 0; at < table.size && at < (this.#options.maxStates ?? Number.POSITIVE_INFINITY); at++) {
      table.read(at, now)
      const wrong = this.#judge.verdict(now)
      if (wrong !== undefined) {
        this.#violations++
        this.#example ??= { violation: wrong, trace: this.#trace(at) }
        if (this.#options.fault !== undefined) break // one is enough to catch a planted fault
        continue // what follows from a broken state says nothing
      }
      let ring = 0
      let young = 0
      for (let i = 0; i < n; i++) if (now[i] !== DOWN) this.#locals.mature[now[i]!] ? ring++ : young++
      modes[young === 0 ? 'ring' : ring === 0 ? 'young' : 'mixed']++
      let moved = false
      this.#forEachStep(now, (i, codeI, j, codeJ, repairs) => {
        transitions++
        if (codeI === now[i] && (j < 0 || codeJ === now[j])) return
        if (repairs) moved = true
        for (let k = 0; k < n; k++) next[k] = now[k]!
        next[i] = codeI
        if (j >= 0) next[j] = codeJ
        table.add(next, at)
      })
      for (let i = 0; i < n; i++) {
        const after = now[i] === DOWN ? undefined : this.#withoutMember(now, i)
        if (after === undefined) continue
        transitions++
        table.add(after, at)
      }
      if (!moved) {
        const stuck = this.#judge.unfinished(now)
        if (stuck !== undefined) {
          this.#violations++
          this.#example ??= { violation: stuck, trace: this.#trace(at) }
        }
      }
      if (at % 100_000 === 0) this.#options.onProgress?.(table.size, transitions)
    }
    return { states: table.size, transitions, violations: this.#violations, modes, example: this.#example }
  }

  // Steps -------------------------------------------------------------------------------------------------------------

  /** Calls `step(i, its new code, j, j's new code, is it maintenance?)`; j is -1 where only i changes. */
  #forEachStep(
    now: Int32Array,
    step: (i: number, codeI: number, j: number, codeJ: number, repairs: boolean) => void,
  ): void {
    const n = this.#n
    const pairs = this.#pairs
    for (let i = 0; i < n; i++) {
      const code = now[i]!
      if (code === DOWN) {
        for (let m = 0; m < n; m++) {
          if (now[m] === DOWN) continue
          if (this.#pair(DOWN, actOf('join', (m - i + n) % n), now[m]!)) step(i, pairs.i, m, pairs.j, false)
        }
        continue
      }
      const agenda = this.#agenda(code)
      for (let k = 0; k < agenda.length; k++) {
        const next = agenda[k]!
        if (next < 0) step(i, ~next, -1, DOWN, true)
        else {
          const j = (i + (next >> 3)) % n
          if (this.#pair(code, next, now[j]!)) step(i, pairs.i, j, pairs.j, true)
        }
      }
    }
  }

  /**
   * What the member with this code does next: `actOf` for what it asks of a live member, the complement of its next code
   * for what it does alone.
   */
  #agenda(code: number): Int32Array {
    let known = this.#agendas[code]
    if (known === undefined) {
      const local = this.#locals.at(code)!
      known = this.#agendas[code] = Int32Array.from(this.#steps(local), (step) => {
        return typeof step === 'number' ? step : ~this.#locals.code(step)
      })
    }
    return known
  }

  *#steps(local: Local): Generator<number | Local> {
    const { state, candidate, knowing, told } = local
    const [head] = state.succ
    if (told !== undefined) yield { ...local, told: undefined }
    else if (state.mode === 'young') {
      const next = ripe(state, this.#r) ? [state.succ[knowing]!] : state.succ
      for (const entry of next) yield this.#ask('exchange', local, entry)
    } else if (candidate !== undefined) yield this.#ask('predecessor', local, candidate)
    else if (head !== undefined) {
      yield this.#ask('successor', local, head)
      if (head.incarnation === LIVE) yield this.#ask('notify', local, head)
    }
    if (state.prdc?.incarnation === DEAD && state.mode === 'ring') {
      yield { ...local, state: dropped(state, state.prdc) }
    }
  }

  /** A step with a live member; what becomes of the asker where there is none any more. */
  #ask(action: Action, local: Local, entry: Entry): number | Local {
    if (entry.incarnation === LIVE) return actOf(action, Number(entry.id))
    if (action === 'predecessor') return { ...local, candidate: undefined }
    return { ...local, state: this.#padded(dropped(local.state, entry), local.state), knowing: 0 }
  }

  /** Looks up a step of i with another member; its outcome is in `#pairs` then. False: the step is not taken. */
  #pair(codeI: number, act: number, codeJ: number): boolean {
    const pairs = this.#pairs
    const key = codeI * 64 + act
    if (!pairs.find(key, codeJ)) pairs.add(key, codeJ, this.#act(ACTIONS[act & 7]!, codeI, codeJ, act >> 3))
    return pairs.i >= 0
  }

  #act(action: Action, codeI: number, codeJ: number, distance: number): [number, number] | undefined {
    const r = this.#r
    const self: Entry = { id: '0', incarnation: LIVE }
    const other: Entry = { id: String(distance), incarnation: LIVE }
    const j = this.#locals.at(codeJ)!
    const seen = this.#locals.turned(j.state, distance) // j's state with distances from i
    const answer = j.told === undefined ? seen : this.#locals.turned(j.told, distance)
    const meeting = this.#locals.turned(met(self, j.state, [this.#locals.from(distance)]), 0)
    const withMe: Local =
      meeting === j.state ? j : { ...j, state: meeting, knowing: meeting.succ === j.state.succ ? j.knowing : 0 }
    const fault = this.#options.fault
    const busy = fault === 'answer-while-busy'

    if (action === 'join') {
      if (ripe(answer, r)) return undefined
      let state = joined(self, other, answer, r)
      if (state === undefined) return undefined
      if (fault === 'join-copies-one' && state.mode === 'ring') state = { ...state, succ: state.succ.slice(0, 1) }
      const me: Local = { state, candidate: undefined, knowing: 0, told: undefined }
      return [this.#locals.code(me), answer.mode === 'young' ? this.#locals.code(withMe) : codeJ]
    }

    const i = this.#locals.at(codeI)!
    const before = busy ? i.state : undefined
    if (action === 'successor') {
      const { state, candidate } = successorAnswered(self, i.state, other, answer, r)
      return [this.#locals.code({ state: this.#padded(state, i.state), candidate, knowing: 0, told: before }), codeJ]
    }
    if (action === 'predecessor') {
      const state = predecessorAnswered(self, i.state, other, answer, r)
      return [
        this.#locals.code({ ...i, state: this.#padded(state, i.state), candidate: undefined, told: before }),
        codeJ,
      ]
    }
    if (action === 'notify') {
      if (j.state.mode === 'young') return [codeI, this.#locals.code(withMe)]
      const me = this.#locals.from(distance)
      const verdict = rectification(self, j.state, me)
      const adopts =
        verdict === 'adopt' || (verdict === 'check' && j.state.prdc !== undefined && j.state.prdc.incarnation === DEAD)
      return [codeI, adopts ? this.#locals.code({ ...j, state: adopted(j.state, me) }) : codeJ]
    }
    // exchange: j takes in my view, and answers with what it knows then
    let after = j
    let knows = true
    if (j.state.mode === 'young') {
      const mine = i.state.succ.map((entry) => this.#locals.turn(entry, -distance))
      const state = met(self, j.state, [this.#locals.from(distance), ...mine])
      if (state !== j.state) after = { ...j, state, knowing: 0 }
    } else if (rectification(self, j.state, this.#locals.from(distance)) === 'adopt') {
      after = { ...j, state: adopted(j.state, this.#locals.from(distance)) }
    }
    const told = this.#locals.turned(after.state, distance)
    const enough = after.state.mode === 'ring' && ripe(i.state, r)
    const grown = met(self, i.state, enough ? [other] : [other, ...told.succ, told.prdc])
    if (after.state.mode === 'young') knows = knowsAll(grown, other, told)
    const knowing = knows && ripe(grown, r) && grown === i.state ? i.knowing + 1 : 0
    const mature = knowing > 0 && knowing === grown.succ.length
    const state = mature ? matured(grown, r) : grown
    const me: Local = { ...i, state, candidate: undefined, knowing: mature ? 0 : knowing }
    return [this.#locals.code(me), this.#locals.code(after)]
  }

  /** Planted fault: fill a list that a death has shortened with copies of its last entry. */
  #padded(state: RingState<Entry>, before: RingState<Entry>): RingState<Entry> {
    if (this.#options.fault !== 'pad-by-repeating' || state.mode !== 'ring' || before.mode !== 'ring') return state
    const succ = state.succ.slice()
    while (succ.length > 0 && succ.length < this.#r) succ.push(succ[succ.length - 1]!)
    return { ...state, succ }
  }

  /** The code of a member after the one at `distance` died: its entries for it are dead from now on. */
  #bereaved(code: number, distance: number): number {
    const known = (this.#bereft[code] ??= new Int32Array(this.#n).fill(-1))
    if (known[distance]! < 0) known[distance] = this.#locals.code(this.#mourning(this.#locals.at(code)!, distance))
    return known[distance]!
  }

  #mourning(local: Local, distance: number): Local {
    const id = String(distance)
    const bury = (entry: Entry): Entry => (entry.id === id ? { id, incarnation: DEAD } : entry)
    const state = (s: RingState<Entry>): RingState<Entry> => ({
      mode: s.mode,
      succ: s.succ.map(bury),
      prdc: s.prdc && bury(s.prdc),
    })
    return {
      ...local,
      state: state(local.state),
      candidate: local.candidate && bury(local.candidate),
      told: local.told && state(local.told),
    }
  }

  /** The state after member i has died; undefined where the assumption on failures rules that out. */
  #withoutMember(now: Int32Array, i: number): Int32Array | undefined {
    const n = this.#n
    const after = this.#after
    let members = 0
    for (let k = 0; k < n; k++) {
      const gone = k === i || now[k] === DOWN
      after[k] = gone ? DOWN : this.#bereaved(now[k]!, (i - k + n) % n)
      if (!gone) members++
    }
    const { mature, ripe } = this.#locals
    if (members === 0 || this.#judge.verdict(after, mature, true) !== undefined) return undefined
    return this.#judge.verdict(after, ripe) === undefined ? after : undefined
  }

  #trace(at: number): string[] {
    const out: string[] = []
    const now = new Int32Array(this.#n)
    for (let k = at; k >= 0; k = this.#table.parent(k)) {
      this.#table.read(k, now)
      out.push(this.#describe(now))
    }
    return out.reverse()
  }

  #describe(now: Int32Array): string {
    const name = (i: number, entry: Entry) =>
      `${(i + Number(entry.id)) % this.#n}${entry.incarnation === DEAD ? '†' : ''}`
    return [...now]
      .map((code, i) => {
        const local = this.#locals.at(code)
        if (local === undefined) return `${i}: -`
        const { mode, succ, prdc } = local.state
        const pending = local.candidate === undefined ? '' : ` asks ${name(i, local.candidate)}`
        const told = local.told === undefined ? '' : ` tells ${local.told.succ.map((e) => name(i, e)).join(' ')}`
        return `${i}: ${mode}[${succ.map((e) => name(i, e)).join(' ')}] <${prdc ? name(i, prdc) : '?'}${pending}${told}`
      })
      .join('  ')
  }
}

const ACTIONS = ['join', 'successor', 'predecessor', 'notify', 'exchange'] as const
type Action = (typeof ACTIONS)[number]

/** What is done to the member at a distance, as a number above 0 and below 64. */
function actOf(action: Action, distance: number): number {
  return distance * 8 + ACTIONS.indexOf(action)
}
