/**
 * The local states of members that the model checker has met, each with a number: what one member knows, its ids as
 * clockwise distances from itself, and what the judge needs to know of it.
 */
import type { Entry, RingState } from '../src/dht/chord/ring.ts'

/** A member's state, ids as clockwise distances from itself. */
export interface Local {
  state: RingState<Entry>
  /** StabilizeFromPredecessor is due with this candidate. */
  candidate: Entry | undefined
  /** Young and ripe: so many of its members, from the first on, are known to know all that this one knows. */
  knowing: number
  /** Only with fault `answer-while-busy`: what it tells others until the reply is applied. */
  told: RingState<Entry> | undefined
}

export const DOWN = 0
export const LIVE = 1
export const DEAD = 0

export class LocalStates {
  readonly #n: number
  readonly #r: number
  readonly #ids: string[]
  readonly #all: (Local | undefined)[] = [undefined]
  readonly #codes = new Map<string, number>()
  /** By code. Bit d: the list passes over the member at distance d. */
  readonly skips: number[] = [0]
  readonly hasLive: boolean[] = [false]
  /** Among the entries that it would keep if it matured now. */
  readonly willHaveLive: boolean[] = [false]
  /** Bit d: it has a live entry for the member at distance d. */
  readonly known: number[] = [0]
  readonly mature: boolean[] = [false]
  /** Mature, or may become so at any time. */
  readonly ripe: boolean[] = [false]

  constructor(ids: number, r: number) {
    this.#n = ids
    this.#r = r
    this.#ids = Array.from({ length: ids }, (_, i) => String(i))
  }

  at(code: number): Local | undefined {
    return this.#all[code]
  }

  from(distance: number): Entry {
    return { id: this.#ids[(this.#n - distance) % this.#n]!, incarnation: LIVE }
  }

  turn(entry: Entry, by: number): Entry {
    return { id: this.#ids[(Number(entry.id) + by + 2 * this.#n) % this.#n]!, incarnation: entry.incarnation }
  }

  turned(state: RingState<Entry>, by: number): RingState<Entry> {
    if (by === 0) return state
    return {
      mode: state.mode,
      succ: state.succ.map((entry) => this.turn(entry, by)),
      prdc: state.prdc && this.turn(state.prdc, by),
    }
  }

  /** The number of a local state; the same state has the same number. */
  code(given: Local): number {
    const local = this.#unburdened(given)
    const text = (entry: Entry | undefined) => (entry === undefined ? '-' : `${entry.id}${entry.incarnation}`)
    const all = (state: RingState<Entry>) => `${state.mode}${state.succ.map(text).join(',')}<${text(state.prdc)}`
    const key = `${all(local.state)}|${text(local.candidate)}|${local.knowing}|${local.told ? all(local.told) : ''}`
    let code = this.#codes.get(key)
    if (code === undefined) {
      code = this.#all.push(local) - 1
      this.#codes.set(key, code)
      this.skips.push(this.#skipped(local.state))
      this.hasLive.push(local.state.succ.some((entry) => entry.incarnation === LIVE))
      this.willHaveLive.push(local.state.succ.slice(0, this.#r).some((entry) => entry.incarnation === LIVE))
      this.known.push(
        local.state.succ.reduce((bits, e) => (e.incarnation === LIVE ? bits | (1 << Number(e.id)) : bits), 0),
      )
      this.mature.push(local.state.mode === 'ring')
      this.ripe.push(local.state.mode === 'ring' || local.state.succ.length > this.#r)
    }
    return code
  }

  /**
   * A young member that has a dead entry which never acknowledged cannot mature before it has dropped it and asked
   * everybody again, and will then drop all its dead. It does so at once here: that leaves out no list that others could
   * come to rely on, and keeps the states few.
   */
  #unburdened(local: Local): Local {
    const { state, knowing } = local
    if (state.mode === 'ring' || state.succ.every((entry, at) => entry.incarnation === LIVE || at < knowing))
      return local
    const succ = state.succ.filter((entry) => entry.incarnation === LIVE)
    return { ...local, state: { mode: 'young', succ, prdc: succ[succ.length - 1] }, knowing: 0 }
  }

  /** Bit d: the list passes over the member at distance d. A dead entry under its id does not count as naming it. */
  #skipped(state: RingState<Entry>): number {
    let bits = 0
    for (let p = 1; p < this.#n; p++) {
      let last = 0
      for (const entry of state.succ) {
        const at = Number(entry.id)
        if (at === p && entry.incarnation === DEAD) continue
        // A step that does not go forward has gone around the circle, over everybody on the way.
        if (at > last ? last < p && p < at : p > last || p < at) bits |= 1 << p
        last = at
      }
      if (state.mode === 'young' && last < p) bits |= 1 << p
    }
    return bits
  }
}
