/**
 * Gossip of a VHash overlay without a network under it: plain nodes in an array, cycles in step, calls for messages. Every
 * cycle each node, in random order, exchanges contacts with one of its short peers. It runs the real choice of peers and
 * the real routing rules (`src/vhash`), and counts the contacts that are sent, for they are nearly all of the bytes.
 *
 *   published   PAPERS 5: all that either has, short and long peers, goes both ways; short peers are those of DGVH, and
 *               long peers a random subset of the others.
 *   ours        each sends the other only the short peers that it would choose in the other's place, about 3d + 1 (the idea
 *               of T-Man, Jelasity and Babaoglu 2005); short and long peers are those of the overlays that we run. Beyond
 *               the plane every fourth exchange is deep: it sends one's own exact neighbours, some of which DGVH leaves out.
 */

import type { Random } from '../../src/core/env.ts'
import { hashKey } from '../../src/core/ids.ts'
import { seededRandom, shuffled } from '../../src/core/random.ts'
import { dgvh, type Heuristic, longLimit, padded, shortLimit } from '../../src/vhash/dgvh.ts'
import type { Exact, Exactly } from '../../src/vhash/exact.ts'
import { defaultChoice, longPeers, shortPeers } from '../../src/vhash/peers.ts'
import { closest, nextHop, type Site, searchBegun, searched } from '../../src/vhash/route.ts'
import type { Point } from '../../src/vhash/space.ts'
import type { NamedSpace } from '../../src/vhash/spaces.ts'

/** Of so many cycles the last has deep exchanges. */
const DEEP_EVERY = 4

export interface GraphNode extends Site {
  /** Index in `nodes`. */
  readonly at: number
  short: readonly GraphNode[]
  /** How many of `short` the heuristic accepted (they come first); the others are padding. */
  accepted: number
  long: readonly GraphNode[]
  /** Of `ours`: everybody that can be a neighbour of its cell among all that it has heard of. */
  around: ReadonlySet<GraphNode>
  /** Bit i: node i is no neighbour of its cell. Nobody dies here, so a cell only shrinks, and it never will be. */
  readonly outside: Uint32Array
  /** The last 3d + 1 that it exchanged contacts with, of whom many have it as a peer and not the other way round. */
  recent: readonly GraphNode[]
}

export type GossipRule = 'published' | 'ours'

export interface GossipOptions {
  readonly space: NamedSpace
  readonly nodes: number
  readonly seed: number
  readonly rule: GossipRule
  /** Of `published` only: the midpoint rule or UrDHT's. */
  readonly heuristic?: Heuristic | undefined
  /** Random peers of each node in the beginning. Default 10. */
  readonly firstPeers?: number | undefined
}

export interface Lookup {
  readonly owner: GraphNode
  readonly hops: number
}

interface Distant {
  readonly other: GraphNode
  readonly distance: number
}

/** Distances are right but for this, and this share of them. */
const ROUNDING = 1e-9

export class GossipGraph {
  readonly named: NamedSpace
  readonly nodes: readonly GraphNode[]
  /** Contacts sent in all cycles so far. */
  contactsSent = 0
  /** Of `ours`: how often a node has changed its short peers, or those that greedy routing needs. */
  changes = 0
  readonly #rule: GossipRule
  readonly #heuristic: Heuristic
  readonly #random: Random
  readonly #distances = new Map<GraphNode, readonly Distant[]>()
  #cycles = 0

  constructor(options: GossipOptions) {
    const { space, seed, rule } = options
    const named = { ...space, exact: space.exact && remembering(space.exact) }
    this.named = named
    this.#rule = rule
    this.#heuristic = options.heuristic ?? 'midpoint'
    this.#random = seededRandom(`gossip ${named.name} ${seed}`)
    const nodes: GraphNode[] = []
    for (let at = 0; at < options.nodes; at++) {
      const id = hashKey(`node ${seed} ${at}`)
      nodes.push({
        at,
        id,
        point: named.space.pointOf(id),
        short: [],
        accepted: 0,
        long: [],
        around: new Set(),
        outside: new Uint32Array(Math.ceil(options.nodes / 32)),
        recent: [],
      })
    }
    this.nodes = nodes
    const first = Math.min(options.firstPeers ?? 10, nodes.length - 1)
    for (const node of nodes) {
      const met = new Set<GraphNode>()
      while (met.size < first) {
        const other = nodes[this.#random.int(nodes.length)]!
        if (other !== node) met.add(other)
      }
      this.#choose(node, met)
    }
  }

  /** One cycle: each node exchanges contacts once. */
  cycle(): void {
    this.#cycles++
    const deep = this.#rule === 'ours' && this.#cycles % DEEP_EVERY === 0 && defaultChoice(this.named) !== 'exact'
    for (const node of shuffled(this.nodes, this.#random)) {
      const peers = deep ? [...node.short, ...node.long.slice(0, shortLimit(this.named.dimensions))] : node.short
      const partner = peers[this.#random.int(peers.length)]
      if (partner === undefined) continue
      const sent = this.#toSend(node, partner, deep)
      const answered = this.#toSend(partner, node, deep)
      this.contactsSent += sent.length + answered.length
      this.#learn(node, partner, answered)
      this.#learn(partner, node, sent)
    }
  }

  /** Cycles until nothing has changed for `quiet` of them, at most `most`. */
  settle(quiet: number, most: number): void {
    for (let still = 0, cycle = 0; still < quiet && cycle < most; cycle++) {
      const before = this.changes
      this.cycle()
      still = this.changes > before ? 0 : still + 1
    }
  }

  #toSend(from: GraphNode, to: GraphNode, deep: boolean): readonly GraphNode[] {
    if (this.#rule === 'published') return [...from.short, ...from.long]
    if (deep) return [...from.around].filter((peer) => peer !== to)
    const known = new Set([...from.short, ...from.long, ...from.recent])
    known.delete(to)
    return shortPeers(this.named, to, [...known]).peers
  }

  #learn(node: GraphNode, from: GraphNode, contacts: readonly GraphNode[]): void {
    node.recent = [from, ...node.recent.filter((other) => other !== from)].slice(0, shortLimit(this.named.dimensions))
    const known = new Set([...node.short, ...node.long])
    const before = known.size
    for (const contact of contacts) if (contact !== node) known.add(contact)
    known.add(from)
    if (this.#rule === 'ours' && known.size === before) return
    this.#choose(node, known)
  }

  #choose(node: GraphNode, known: ReadonlySet<GraphNode>): void {
    const candidates = [...known]
    if (this.#rule === 'published') {
      const { peers, accepted, others } = padded(
        dgvh(this.named.space, node, candidates, this.#heuristic),
        this.named.dimensions,
      )
      node.short = peers
      node.accepted = accepted
      const limit = longLimit(this.named.dimensions)
      node.long = others.length <= limit ? others : shuffled(others, this.#random).slice(0, limit)
    } else {
      const among = candidates.filter((peer) => node.around.has(peer) || !isOutside(node, peer))
      const { peers, accepted } = shortPeers(this.named, node, candidates, undefined, among)
      const long = longPeers(this.named, node, candidates, peers, among)
      const around = new Set([...peers, ...long.guides])
      for (const { at } of among.filter((peer) => !around.has(peer))) node.outside[at >> 5]! |= 1 << (at & 31)
      const stays = around.size === node.around.size && [...around].every((peer) => node.around.has(peer))
      if (!stays) this.changes++
      node.short = peers
      node.accepted = accepted
      node.long = long.peers
      node.around = around
    }
  }

  /** Greedy routing over short and long peers; with a horizon wider than 1 it goes on where that is stuck. */
  lookup(from: GraphNode, target: Point, width = 1): Lookup {
    const { space } = this.named
    if (width === 1) {
      let owner = from
      for (let hops = 0; ; hops++) {
        const short = nextHop(space, target, owner, owner.short)
        const next = nextHop(space, target, short ?? owner, owner.long) ?? short
        if (next === undefined) return { owner, hops }
        owner = next
      }
    }
    let search = searchBegun<GraphNode>()
    let at = from
    for (let hops = 0; ; hops++) {
      const step = searched(space, target, width, search, at, [...at.short, ...at.long])
      if (step.next === undefined) return { owner: step.search.horizon[0]!, hops }
      search = step.search
      at = step.next
    }
  }

  /**
   * Is nobody nearer to the target? By the triangle inequality, whoever is nearer to it is no farther from the node than the
   * target is, there and back; so of many nodes few need be looked at.
   */
  isOwner(node: GraphNode, target: Point): boolean {
    const { space } = this.named
    const own = space.distance(target, node.point)
    const within = (space.distance(node.point, target) + own) * (1 + ROUNDING) + ROUNDING
    for (const { other, distance } of this.#aroundOf(node)) {
      if (distance > within) return true
      const its = space.distance(target, other.point)
      if (its < own || (its === own && other.id < node.id)) return false
    }
    return true
  }

  /** All others, nearest first. */
  #aroundOf(node: GraphNode): readonly Distant[] {
    let others = this.#distances.get(node)
    if (others === undefined) {
      others = this.nodes
        .filter((other) => other !== node)
        .map((other) => ({ other, distance: this.named.space.distance(node.point, other.point) }))
        .sort((a, b) => a.distance - b.distance)
      this.#distances.set(node, others)
    }
    return others
  }

  /** Who should own the target. */
  owner(target: Point): GraphNode {
    return closest(this.named.space, target, this.nodes)!
  }
}

function isOutside({ outside }: GraphNode, { at }: GraphNode): boolean {
  return (outside[at >> 5]! & (1 << (at & 31))) !== 0
}

interface Remembered {
  readonly exactly: Exactly
  /** Those that `exactly` says. */
  readonly neighbours: readonly Point[]
  /** All that were looked at: whoever of them is no neighbour never will be. */
  readonly among: ReadonlySet<Point>
}

/** The same in fewer steps: where all neighbours of last time are among the points, only new points are looked at. */
function remembering(exact: Exact): Exact {
  const cells = new WeakMap<Point, Remembered>()
  return (self, points) => {
    const among = new Set(points)
    const last = cells.get(self)
    const fresh = last === undefined ? points : points.filter((point) => !last.among.has(point))
    const stays = last?.neighbours.every((point) => among.has(point))
    let now: Remembered
    if (stays && fresh.length === 0) now = { ...last!, among }
    else if (stays && last?.exactly.joined) {
      now = remembered(last.exactly.joined(fresh), [...last.neighbours, ...fresh], among)
    } else now = remembered(exact(self, points), points, among)
    cells.set(self, now)
    const neighbours = new Set(now.neighbours)
    return { neighbours: points.flatMap((point, i) => (neighbours.has(point) ? [i] : [])) }
  }
}

function remembered(exactly: Exactly, from: readonly Point[], among: ReadonlySet<Point>): Remembered {
  return { exactly, neighbours: exactly.neighbours.map((i) => from[i]!), among }
}
