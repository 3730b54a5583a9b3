/**
 * How much welfare a round could reach at most: work times what it is worth less what it costs, for the best of all
 * allocations that anybody could find, prices aside. A linear relaxation: work may be cut as one likes, a host may
 * turn from job to job at any time, and the memory of a host only bounds each job by itself. So it is a bound from above, exact where
 * none of that matters.
 *
 * The relaxation is a transport of work from hosts to jobs, hour by hour:
 *
 *   source -> (piece of a host, interval of time) -> job -> sink        capacities in MI; cost: the seller's minus the buyer's price
 *                                     '-> (account, job) -^             with replicas: an account does a task once
 *
 * solved by successive shortest paths with potentials (Ahuja, Magnanti and Orlin 1993, 9.7), as long as a path gains.
 */
import type { BuyEntry, Entries, SellEntry } from '../../src/market/auction/entries.ts'
import { floorDiv, lanesOf, type Piece, rectangleIn } from '../../src/market/auction/fit.ts'
import type { PublicKey } from '../../src/market/ledger/keys.ts'

interface Window {
  readonly fromMs: number
  readonly untilMs: number
}

interface Source extends Piece {
  readonly entry: SellEntry
}

/** Millicredits x MI / 3,600,000 would be millicredits; the division is left out, as in `welfareOf`. */
export function mostWelfare({ sells, buys }: Entries, round: Window): number {
  const jobs = buys.filter(({ terms }) => overlapMs(terms, round) > 0)
  const sources = sells.flatMap((entry): Source[] =>
    entry.pieces.flatMap((piece) => (overlapMs(piece, round) > 0 ? { ...piece, ...within(piece, round), entry } : [])),
  )
  const times = [...sources, ...jobs.map(({ terms }) => within(terms, round))].flatMap((w) => [w.fromMs, w.untilMs])
  const cuts = [...new Set(times)].sort((a, b) => a - b)
  const top = Math.max(0, ...jobs.map(({ terms }) => Number(terms.maxPrice)))
  const cells = sources.flatMap((source) =>
    cuts.slice(0, -1).flatMap((fromMs, i) => {
      const cell = { fromMs, untilMs: cuts[i + 1]! }
      return source.fromMs <= cell.fromMs && cell.untilMs <= source.untilMs ? [{ source, cell }] : []
    }),
  )
  const accounts = new Map([...new Set(sources.map(({ entry }) => entry.account))].map((account, i) => [account, i]))
  const sink = 1 + cells.length + jobs.length
  const graph = new Graph(1 + sink + accounts.size * jobs.length)
  const jobNode = (at: number) => 1 + cells.length + at
  const pairNode = (account: PublicKey, at: number) => 1 + sink + accounts.get(account)! * jobs.length + at
  // Costs are shifted by the highest price, so that none is negative.
  for (const [at, { terms, left, placed }] of jobs.entries()) {
    graph.arc(jobNode(at), sink, left * terms.taskWorkMi, top - Number(terms.maxPrice))
    if (terms.replicas === 1) continue
    const has = new Map(placed)
    for (const account of accounts.keys()) {
      const most = (terms.tasks - (has.get(account) ?? 0)) * terms.taskWorkMi
      graph.arc(pairNode(account, at), jobNode(at), most, 0)
    }
  }
  const shares = new Map(sources.map((source) => [source, jobs.map((job) => shareFor(source, job, round))]))
  for (const [i, { source, cell }] of cells.entries()) {
    const { coresMilli, entry } = source
    const most = Math.ceil((coresMilli * entry.terms.speedMips * (cell.untilMs - cell.fromMs)) / 1e6)
    graph.arc(0, 1 + i, most, Number(entry.terms.minPrice))
    for (const [at, { terms }] of jobs.entries()) {
      const share = shares.get(source)![at]!
      if (share === 0 || cell.fromMs < terms.fromMs || cell.untilMs > terms.untilMs) continue
      const to = terms.replicas === 1 ? jobNode(at) : pairNode(entry.account, at)
      graph.arc(1 + i, to, Math.ceil(most * share), 0)
    }
  }
  return graph.mostGain(sink, top)
}

/** How much of the host's cores the job can use: all, or what its memory does for. 0: it is not feasible. */
function shareFor(source: Source, { account, terms }: BuyEntry, round: Window): number {
  const { entry } = source
  if (entry.account === account || entry.terms.minPrice > terms.maxPrice) return 0
  if (terms.level === 'os' && entry.terms.level === 'process') return 0
  if (!rectangleIn(source, entry.terms.speedMips, { ...terms, ...within(terms, round) }, 1)) return 0
  return Math.min(1, floorDiv(source.memoryBytes, terms.memoryBytes) / lanesOf(source))
}

function within(window: Window, round: Window): Window {
  return { fromMs: Math.max(window.fromMs, round.fromMs), untilMs: Math.min(window.untilMs, round.untilMs) }
}

function overlapMs(window: Window, round: Window): number {
  const { fromMs, untilMs } = within(window, round)
  return untilMs - fromMs
}

/** Arcs come in pairs, there and back: that of number e has its other way under e ^ 1. Node 0 is the source. */
class Graph {
  readonly #first: Int32Array
  readonly #next: number[] = []
  readonly #to: number[] = []
  readonly #room: number[] = []
  readonly #cost: number[] = []

  constructor(nodes: number) {
    this.#first = new Int32Array(nodes).fill(-1)
  }

  arc(from: number, to: number, room: number, cost: number): void {
    this.#half(from, to, room, cost)
    this.#half(to, from, 0, -cost)
  }

  #half(from: number, to: number, room: number, cost: number): void {
    this.#next.push(this.#first[from]!)
    this.#to.push(to)
    this.#room.push(room)
    this.#cost.push(cost)
    this.#first[from] = this.#to.length - 1
  }

  /** The sum over all units of `worth` less their cost, with as many units as gain. */
  mostGain(sink: number, worth: number): number {
    const nodes = this.#first.length
    const potential = new Float64Array(nodes)
    const distance = new Float64Array(nodes)
    const via = new Int32Array(nodes)
    let gain = 0
    while (this.#shortest(sink, potential, distance, via)) {
      for (let node = 0; node < nodes; node++) potential[node]! += Math.min(distance[node]!, distance[sink]!)
      const cost = potential[sink]! - potential[0]!
      if (cost >= worth) break
      let units = Number.POSITIVE_INFINITY
      for (let node = sink; node !== 0; node = this.#to[via[node]! ^ 1]!) {
        units = Math.min(units, this.#room[via[node]!]!)
      }
      for (let node = sink; node !== 0; node = this.#to[via[node]! ^ 1]!) {
        this.#room[via[node]!]! -= units
        this.#room[via[node]! ^ 1]! += units
      }
      gain += units * (worth - cost)
    }
    return gain
  }

  /** Dijkstra over reduced costs, which are never negative, until the sink is reached. */
  #shortest(sink: number, potential: Float64Array, distance: Float64Array, via: Int32Array): boolean {
    distance.fill(Number.POSITIVE_INFINITY)
    distance[0] = 0
    const queue = new Queue()
    queue.push(0, 0)
    for (let node = queue.pop(distance); node >= 0; node = queue.pop(distance)) {
      if (node === sink) return true
      for (let arc = this.#first[node]!; arc >= 0; arc = this.#next[arc]!) {
        if (this.#room[arc]! <= 0) continue
        const to = this.#to[arc]!
        const through = distance[node]! + this.#cost[arc]! + potential[node]! - potential[to]!
        if (through >= distance[to]!) continue
        distance[to] = through
        via[to] = arc
        queue.push(to, through)
      }
    }
    return false
  }
}

/** A binary heap of nodes by distance. A node may be in it more than once: only its least distance counts. */
class Queue {
  readonly #nodes: number[] = []
  readonly #keys: number[] = []

  push(node: number, key: number): void {
    let at = this.#nodes.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#keys[parent]! <= key) break
      this.#move(parent, at)
      at = parent
    }
    this.#nodes[at] = node
    this.#keys[at] = key
  }

  /** -1: it is empty. */
  pop(distance: Float64Array): number {
    while (this.#nodes.length > 0) {
      const node = this.#nodes[0]!
      const key = this.#keys[0]!
      this.#sink(this.#nodes.pop()!, this.#keys.pop()!)
      if (key === distance[node]) return node
    }
    return -1
  }

  /** Puts what was last where the first was, and down. */
  #sink(node: number, key: number): void {
    const count = this.#nodes.length
    if (count === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= count) break
      if (child + 1 < count && this.#keys[child + 1]! < this.#keys[child]!) child++
      if (this.#keys[child]! >= key) break
      this.#move(child, at)
      at = child
    }
    this.#nodes[at] = node
    this.#keys[at] = key
  }

  #move(from: number, to: number): void {
    this.#nodes[to] = this.#nodes[from]!
    this.#keys[to] = this.#keys[from]!
  }
}
