/** What is wrong with a state of the model, if anything. */
import { DOWN, LIVE, type LocalStates } from './local-states.ts'

export class Judge {
  readonly #locals: LocalStates
  readonly #n: number
  readonly #r: number

  constructor(locals: LocalStates, ids: number, r: number) {
    this.#locals = locals
    this.#n = ids
    this.#r = r
  }

  /** What is wrong with a state, if anything: Zave's invariant if any member is `mature`, else the one of young rings. */
  verdict(now: Int32Array, matureOf = this.#locals.mature, strongly = false): string | undefined {
    const n = this.#n
    const { skips, hasLive, willHaveLive, ripe } = this.#locals
    const live = matureOf === ripe ? willHaveLive : hasLive
    let members = 0
    let mature = false
    let lonely = -1
    let passed = 0 // bit p: somebody's list passes over p
    for (let i = 0; i < n; i++) {
      const code = now[i]!
      if (code === DOWN) continue
      members++
      if (matureOf[code]) mature = true
      if (lonely < 0 && !live[code]) lonely = i
      passed |= this.#turned(skips[code]!, i)
    }
    if (members > 1 && lonely >= 0) return `member ${lonely} has no live entry`
    if (!mature)
      return this.#connected(now, members, strongly) ? undefined : 'the members of a young ring have lost each other'
    let principals = 0
    for (let p = 0; p < n; p++) if (now[p] !== DOWN && (passed & (1 << p)) === 0) principals++
    return principals >= this.#r + 1 ? undefined : `${principals} principals, ${this.#r + 1} needed`
  }

  /** Bits by distance from i as bits by place. */
  #turned(bits: number, i: number): number {
    return (bits << i) | (bits >>> (this.#n - i))
  }

  #principal(now: Int32Array, p: number): boolean {
    let passed = 0
    for (let k = 0; k < this.#n; k++) if (now[k] !== DOWN) passed |= this.#turned(this.#locals.skips[now[k]!]!, k)
    return now[p] !== DOWN && (passed & (1 << p)) === 0
  }

  /** Do the members hang together by what one of two live members knows of the other? */
  #connected(now: Int32Array, members: number, strongly: boolean): boolean {
    const n = this.#n
    if (strongly) {
      for (let start = 0; start < n; start++) {
        if (now[start] === DOWN) continue
        let reached = 1 << start
        for (let grew = true; grew; ) {
          grew = false
          for (let k = 0; k < n; k++) {
            if ((reached & (1 << k)) === 0) continue
            const known = this.#locals.known[now[k]!]!
            for (let d = 1; d < n; d++) {
              const to = 1 << ((k + d) % n)
              if ((known & (1 << d)) !== 0 && (reached & to) === 0) {
                reached |= to
                grew = true
              }
            }
          }
        }
        let count = 0
        for (let k = 0; k < n; k++) if ((reached & (1 << k)) !== 0) count++
        if (count !== members) return false
      }
      return true
    }
    let reached = 0
    for (let k = 0; k < n && reached === 0; k++) if (now[k] !== DOWN) reached = 1 << k
    for (let grew = true; grew; ) {
      grew = false
      for (let a = 0; a < n; a++) {
        const known = this.#locals.known[now[a]!]!
        for (let d = 1; d < n; d++) {
          if ((known & (1 << d)) === 0) continue
          const edge = (1 << a) | (1 << ((a + d) % n))
          if ((reached & edge) !== 0 && (reached & edge) !== edge) {
            reached |= edge
            grew = true
          }
        }
      }
    }
    let count = 0
    for (let k = 0; k < n; k++) if ((reached & (1 << k)) !== 0) count++
    return count === members
  }

  /** No maintenance step changes anything any more: is it the ring it should be? */
  unfinished(now: Int32Array): string | undefined {
    const n = this.#n
    let members = 0
    for (let p = 0; p < n; p++) if (now[p] !== DOWN) members++
    const small = members <= this.#r + 1
    for (let p = 0; p < n; p++) {
      if (now[p] === DOWN) continue
      const local = this.#locals.at(now[p]!)!
      if (small !== (local.state.mode === 'young'))
        return `at rest with ${members} members, but ${p} is ${local.state.mode}`
      if (members > 1 && !this.#principal(now, p)) return `at rest, but ${p} is left out of somebody's list`
      const wanted = Math.min(members - 1, small ? n : this.#r)
      if (local.state.succ.length !== wanted) return `at rest, but ${p} lists ${local.state.succ.length} of ${wanted}`
      if (members > 1 && local.state.prdc?.incarnation !== LIVE) return `at rest, but ${p} has no predecessor`
    }
    return undefined
  }
}
