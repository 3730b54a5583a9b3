/**
 * Load balancing with Sybils (Rosen 2015-2021, PAPERS 4), in ticks: n hosts with one id each on a circle, T tasks with a key
 * each, a task belongs to the first id at or after its key. Every few ticks the hosts follow a strategy, then hosts leave
 * and join (churn), then every host with work does one task, or as many as it is strong. A host may add ids
 * (Sybils), whose tasks go onto its one stack: the task that came last is done first.
 *
 * Keys are numbers of 53 random bits where the papers hash with SHA-1: only the order on the circle counts, and both are
 * uniform with next to no ties. Everything is in flat arrays, so that a trial takes milliseconds.
 *
 * Messages: a request is one and its answer another. Joining a place that must be looked up takes half the binary logarithm
 * of the ids (each hop is a message), one answer, and the exchange with the successor; what the published
 * strategies leave out is left out: stabilization and fingers of Sybils, the tasks' own way to their owner and back.
 */
import type { Random } from '../../src/core/env.ts'

/**
 * `neighbour` is what the papers describe: a Sybil in the widest gap that the host and its successors leave between them.
 * `neighbour-published` is what their program did: it compared positions in the list of ids instead of ids. All gaps are then
 * equal and the first wins, the one to the host's own successor; and hosts whose successors lie beyond the end of
 * the list find no gap at all, for which their arithmetic gives a place anywhere.
 */
export const STRATEGIES = ['none', 'random', 'neighbour', 'neighbour-published', 'smart', 'invite'] as const
export type Strategy = (typeof STRATEGIES)[number]

export interface SybilCase {
  readonly nodes: number
  readonly tasks: number
  readonly strategy: Strategy
  /** Probability per tick that a host leaves, and that one of those that wait joins; as many wait at first as are in. */
  readonly churn: number
  /** The strategy is followed every so many ticks, first at 0. */
  readonly everyTicks: number
  /** A host wants more work at so many tasks or fewer, as a share of T/n (whole tasks, rounded down). */
  readonly threshold: number
  /** Sybils of a host, and its strength: exactly so, or uniform from 1 to this. */
  readonly strength: number
  readonly hosts: 'equal' | 'uniform'
  /** Tasks that a host does in a tick. */
  readonly work: 'one' | 'strength'
  /** Successors, and predecessors, that a host knows. */
  readonly successors: number
}

export interface Trial {
  /** Ticks / (T/n), or / (T / sum of strengths). */
  readonly factor: number
  readonly ticks: number
  /** Of the loads before the first tick; the lower of two in the middle. */
  readonly median: number
  /** Of those loads, over n. */
  readonly deviation: number
  readonly messages: number
  /** Sybils that were made. */
  readonly sybils: number
  /** Tasks that went from one host to another. */
  readonly moved: number
}

export function sybilTrial(given: SybilCase, random: Random): Trial {
  return new Circle(given, random).run()
}

const NONE = -1

/** Of the random numbers, two make a key. */
function place(random: Random): number {
  return (Math.floor(random.next() * 2 ** 26) * 2 ** 27 + Math.floor(random.next() * 2 ** 27)) * 2 ** -53
}

class Circle {
  readonly #given: SybilCase
  readonly #random: Random
  /** All ids in order, and the host of each. */
  readonly #ids: Float64Array
  readonly #hostOf: Int32Array
  #count = 0
  // By host; a host is in when it has an id.
  readonly #idOf: Float64Array
  readonly #isIn: Uint8Array
  readonly #strength: Int32Array
  readonly #load: Int32Array
  /** Keys of its tasks; of each array the first `load` count. */
  readonly #stack: number[][]
  readonly #sybils: Int32Array
  readonly #sybilIds: Float64Array
  #waiting: number
  #left: number
  readonly #threshold: number
  readonly #ideal: number
  #ticks = 0
  #messages = 0
  #made = 0
  #moved = 0

  constructor(given: SybilCase, random: Random) {
    this.#given = given
    this.#random = random
    const { nodes, tasks, strength } = given
    const hosts = given.churn > 0 ? 2 * nodes : nodes
    this.#ids = new Float64Array(hosts * (1 + strength))
    this.#hostOf = new Int32Array(hosts * (1 + strength))
    this.#idOf = new Float64Array(hosts)
    this.#isIn = new Uint8Array(hosts)
    this.#strength = new Int32Array(hosts)
    this.#load = new Int32Array(hosts)
    this.#stack = Array.from({ length: hosts }, () => [])
    this.#sybils = new Int32Array(hosts)
    this.#sybilIds = new Float64Array(hosts * strength)
    this.#waiting = hosts - nodes
    this.#left = tasks
    this.#threshold = Math.floor((tasks / nodes) * given.threshold)
    const places = Float64Array.from({ length: nodes }, () => place(random)).sort()
    for (let host = 0; host < nodes; host++) this.#enter(host, places[host]!)
    const strong = this.#strength.reduce((sum, value) => sum + value, 0)
    this.#ideal = tasks / (given.work === 'one' ? nodes : strong)
    this.#deal()
  }

  /** Gives each task a key and puts it onto its owner's stack. */
  #deal(): void {
    const { tasks, nodes } = this.#given
    // Where to begin looking for the owner of a key, by the key's first digits.
    const from = Int32Array.from({ length: nodes }, (_, part) => this.#at(part / nodes))
    for (let task = 0; task < tasks; task++) {
      const key = place(this.#random)
      let at = from[Math.floor(key * nodes)]!
      while (at < nodes && this.#ids[at]! < key) at++
      this.#push(this.#hostOf[at % nodes]!, key)
    }
  }

  run(): Trial {
    const loads = this.#load.slice(0, this.#given.nodes).sort()
    const mean = this.#left / loads.length
    const deviation = Math.sqrt(loads.reduce((sum, value) => sum + (value - mean) ** 2, 0) / loads.length)
    const median = loads[(loads.length - 1) >> 1]!
    while (this.#left > 0) this.tick()
    const ticks = this.#ticks
    const cost = { messages: this.#messages, sybils: this.#made, moved: this.#moved }
    return { factor: ticks / this.#ideal, ticks, median, deviation, ...cost }
  }

  tick(): void {
    const { strategy, everyTicks, churn, work } = this.#given
    if (strategy !== 'none' && this.#ticks % everyTicks === 0) {
      for (let host = 0; host < this.#load.length; host++) if (this.#isIn[host] === 1) this.#follow(host)
    }
    if (churn > 0) this.#churn(churn)
    for (let host = 0; host < this.#load.length; host++) {
      if (this.#load[host] === 0) continue
      const done = Math.min(this.#load[host]!, work === 'one' ? 1 : this.#strength[host]!)
      this.#load[host]! -= done
      this.#left -= done
    }
    this.#ticks++
  }

  // --- Strategies ---

  #follow(host: number): void {
    const { strategy } = this.#given
    if (strategy === 'invite') {
      if (this.#load[host]! >= this.#ideal - this.#threshold) this.#invite(host)
    } else if (this.#load[host]! <= this.#threshold && this.#sybils[host]! < this.#strength[host]!) {
      if (strategy === 'random') this.#injectAnywhere(host)
      else if (strategy === 'neighbour') this.#injectIntoWidest(host)
      else if (strategy === 'neighbour-published') this.#injectAsPublished(host)
      else this.#injectBeforeBusiest(host)
    }
    if (this.#load[host] === 0) this.#dropSybils(host)
  }

  #injectAnywhere(host: number): void {
    this.#messages += Math.log2(this.#count) / 2 + 1
    this.#inject(host, place(this.#random))
  }

  #injectIntoWidest(host: number): void {
    const index = this.#at(this.#idOf[host]!)
    let widest = -1
    let from = 0
    for (let step = 0; step < Math.min(this.#given.successors, this.#count - 1); step++) {
      const gap = this.#gapAfter(index + step)
      if (gap > widest) {
        widest = gap
        from = index + step
      }
    }
    this.#injectAfter(host, from)
  }

  #injectAsPublished(host: number): void {
    const index = this.#at(this.#idOf[host]!)
    if (index + 1 + this.#given.successors < this.#count) this.#injectAfter(host, index)
    else this.#injectAnywhere(host)
  }

  #injectBeforeBusiest(host: number): void {
    const index = this.#at(this.#idOf[host]!)
    const { successors } = this.#given
    this.#messages += 2 * successors
    let busiest = NONE
    let most = this.#load[host]!
    for (let at = index + 1; at <= index + successors; at++) {
      const load = this.#load[this.#hostOf[at % this.#count]!]!
      if (load <= most) continue
      most = load
      busiest = at
    }
    if (busiest !== NONE) this.#injectAfter(host, busiest - 1)
  }

  /** The least loaded predecessor that wants work, the farthest of several, helps. */
  #invite(host: number): void {
    const index = this.#at(this.#idOf[host]!)
    const { successors } = this.#given
    this.#messages += 2 * successors
    let helper = NONE
    let least = this.#threshold
    for (let step = 1; step <= successors; step++) {
      const other = this.#hostOf[(index - step + this.#count * successors) % this.#count]!
      if (other === host || this.#load[other]! > least || this.#sybils[other]! >= this.#strength[other]!) continue
      least = this.#load[other]!
      helper = other
    }
    if (helper === NONE) return
    this.#messages += 2
    this.#injectAfter(helper, index - 1 + this.#count)
  }

  /** Somewhere between the id at this index and the next. */
  #injectAfter(host: number, index: number): void {
    const id = this.#ids[index % this.#count]! + this.#gapAfter(index) * this.#random.next()
    this.#inject(host, id < 1 ? id : id - 1)
  }

  // --- Ids ---

  /** Length of the arc from the id at this index to the next. */
  #gapAfter(index: number): number {
    const from = this.#ids[index % this.#count]!
    const to = this.#ids[(index + 1) % this.#count]!
    return to > from ? to - from : to - from + 1
  }

  /** Index of the first id at or after a place; the count when there is none. */
  #at(id: number): number {
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ids[middle]! < id) low = middle + 1
      else high = middle
    }
    return low
  }

  #ownerAt(key: number): number {
    const at = this.#at(key)
    return at === this.#count ? 0 : at
  }

  #insert(id: number, host: number): void {
    const at = this.#at(id)
    this.#ids.copyWithin(at + 1, at, this.#count)
    this.#hostOf.copyWithin(at + 1, at, this.#count)
    this.#ids[at] = id
    this.#hostOf[at] = host
    this.#count++
    if (this.#count > 1) this.#take(host, at)
  }

  #remove(id: number, host: number): void {
    let at = this.#at(id)
    while (this.#hostOf[at] !== host) at++ // two hosts may have the same id
    this.#ids.copyWithin(at, at + 1, this.#count)
    this.#hostOf.copyWithin(at, at + 1, this.#count)
    this.#count--
  }

  #inject(host: number, id: number): void {
    this.#sybilIds[host * this.#given.strength + this.#sybils[host]!++] = id
    this.#insert(id, host)
    this.#messages += 2
    this.#made++
  }

  #dropSybils(host: number): void {
    const first = host * this.#given.strength
    for (let i = this.#sybils[host]! - 1; i >= 0; i--) this.#remove(this.#sybilIds[first + i]!, host)
    this.#messages += 2 * this.#sybils[host]!
    this.#sybils[host] = 0
  }

  // --- Hosts ---

  #enter(host: number, id: number): void {
    const { hosts, strength } = this.#given
    this.#strength[host] = hosts === 'equal' ? strength : 1 + this.#random.int(strength)
    this.#idOf[host] = id
    this.#isIn[host] = 1
    this.#insert(id, host)
  }

  /** Who leaves hands its tasks to their next owners; who joins takes what is now its own. */
  #churn(rate: number): void {
    const leaving: number[] = []
    for (let host = 0; host < this.#load.length; host++) {
      if (this.#isIn[host] === 1 && this.#random.next() < rate) leaving.push(host)
    }
    let joining = 0
    for (let i = 0; i < this.#waiting; i++) {
      if (this.#random.next() >= rate) continue
      joining++
      i++ // as in the published program, which steps over whoever waits behind a host that joins
    }
    if (leaving.length === this.#load.length - this.#waiting) leaving.pop() // tasks need a host
    const orphans: number[] = []
    for (const host of leaving) {
      this.#isIn[host] = 0
      this.#dropSybils(host)
      this.#remove(this.#idOf[host]!, host)
      this.#messages += 2
      for (let i = 0; i < this.#load[host]!; i++) orphans.push(this.#stack[host]![i]!)
      this.#load[host] = 0
    }
    for (const key of orphans) this.#push(this.#hostOf[this.#ownerAt(key)]!, key)
    this.#moved += orphans.length
    for (let host = 0, entered = 0; entered < joining; host++) {
      if (this.#isIn[host] === 1) continue
      this.#messages += Math.log2(this.#count) / 2 + 3
      this.#enter(host, place(this.#random))
      entered++
    }
    this.#waiting += leaving.length - joining
  }

  // --- Tasks ---

  #push(host: number, key: number): void {
    this.#stack[host]![this.#load[host]!++] = key
  }

  /** The id at this index is new: its host takes from the next id's host what lies between the id before and it. */
  #take(to: number, at: number): void {
    const from = this.#hostOf[(at + 1) % this.#count]!
    const load = this.#load[from]!
    if (from === to || load === 0) return
    const after = this.#ids[(at - 1 + this.#count) % this.#count]!
    const upTo = this.#ids[at]!
    const wraps = after >= upTo
    const stack = this.#stack[from]!
    let kept = 0
    for (let i = 0; i < load; i++) {
      const key = stack[i]!
      if (wraps ? key > after || key <= upTo : key > after && key <= upTo) this.#push(to, key)
      else stack[kept++] = key
    }
    this.#load[from] = kept
    this.#moved += load - kept
  }
}
