/**
 * The experiments of the study `sybil`: real ids on a circle, counted. What they find is compared with the formulas of
 * `src/market/sybil.ts`, which none of them uses, but for the threshold of the density test.
 */
import type { Random } from '../../../src/core/env.ts'
import { hashKey } from '../../../src/core/ids.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { densityThreshold, EPHEMERAL_PORTS, majority } from '../../../src/market/sybil.ts'
import { IPV4_MASK, PREFIX_BITS, PREFIX_SLOTS } from '../../../src/net/placement.ts'
import {
  type Ascending,
  Circle,
  clockwise,
  portId,
  randomAscending,
  randomId,
  randomIds,
  randomIp,
  toId,
} from './circle.ts'

/** The ephemeral ports are the highest. */
const FIRST_PORT = 65_536 - EPHEMERAL_PORTS

/** The published count is over ids of 160 bits. */
export const LINK_BITS = 160

/** For each number of addresses: the share of the gaps between n random ids that theirs fall into. */
export function shareOfGaps(nodes: number, ips: readonly number[], seed: number): number[] {
  const sybils = attackers(ips, seededRandom(`addresses/${nodes}/${seed}`))
  return sharesHit(
    nodes,
    randomAscending(nodes, `gaps/${nodes}/${seed}`),
    sybils.map((circle) => circle.ascending()),
  )
}

/** The same for so many ids that hashing them all would take minutes: random ones instead. */
export function shareOfGapsUnhashed(nodes: number, identities: number, seed: number): number {
  const sybils = randomAscending(identities, `many/${seed}`)
  return sharesHit(nodes, randomAscending(nodes, `gaps/${nodes}/${seed}`), [sybils])[0]!
}

/** Each the ids of the first so many of the same addresses. */
function attackers(ips: readonly number[], random: Random): Circle[] {
  const most = Math.max(...ips)
  const all = new Float64Array(most * EPHEMERAL_PORTS)
  for (let i = 0; i < most; i++) {
    const ip = randomIp(random)
    for (let j = 0; j < EPHEMERAL_PORTS; j++) all[i * EPHEMERAL_PORTS + j] = portId(ip, FIRST_PORT + j)
  }
  return ips.map((count) => new Circle(all.slice(0, count * EPHEMERAL_PORTS)))
}

/** Merges honest ids with those of each attacker, and counts the honest gaps that theirs fall into. */
function sharesHit(nodes: number, honest: Ascending, attackers: readonly Ascending[]): number[] {
  const waiting = attackers.map((ids) => ids.next())
  const hits = attackers.map(() => 0)
  /** Lets attackers pass whose ids are before this one. */
  const passed = (a: number, id: number) => {
    if (waiting[a]! >= id) return false
    while (waiting[a]! < id) waiting[a] = attackers[a]!.next()
    return true
  }
  const first = honest.next()
  const beforeFirst = attackers.map((_, a) => passed(a, first))
  for (let i = 1; i < nodes; i++) {
    const id = honest.next()
    for (let a = 0; a < attackers.length; a++) if (passed(a, id)) hits[a]!++
  }
  // The last gap ends at the first id.
  for (let a = 0; a < attackers.length; a++) if (beforeFirst[a] || waiting[a]! < 1) hits[a]!++
  return hits.map((count) => count / nodes)
}

export interface Captured {
  /** Of all finger links. */
  readonly links: number
  /** Of the gaps between neighbours. */
  readonly gaps: number
  /** Of the replica groups (owner and next) of random keys: those with a majority of attackers. */
  readonly groups: number
}

/** For each number of addresses: what they capture of a network of n, on average over so many networks. */
export function captured(
  nodes: number,
  networks: number,
  ips: readonly number[],
  { groupSize, keys }: { groupSize: number; keys: number },
  seed: number,
): Captured[] {
  const random = seededRandom(`links/${nodes}/${seed}`)
  const sums = ips.map(() => ({ links: 0, gaps: 0, groups: 0 }))
  for (let network = 0; network < networks; network++) {
    const honest = new Circle(randomIds(nodes, random))
    for (const [i, sybils] of attackers(ips, random).entries()) {
      const { links, gaps } = linksTo(honest, sybils)
      sums[i]!.links += links / nodes / LINK_BITS / networks
      sums[i]!.gaps += gaps / nodes / networks
      for (let key = 0; key < keys; key++) {
        if (inGroup(randomId(random), groupSize, honest, sybils)) sums[i]!.groups += 1 / keys / networks
      }
    }
  }
  return sums
}

/** How many finger links of the honest nodes end at the attacker's, and how many gaps hold one of these. */
function linksTo(honest: Circle, sybils: Circle): { links: number; gaps: number } {
  let links = 0
  let gaps = 0
  for (let i = 0; i < honest.size; i++) {
    const start = honest.at(i)
    const next = clockwise(start, honest.at(i + 1))
    const sybil = sybils.ahead(start)
    const hit = sybil < next
    if (hit) gaps++
    for (let bit = 1; bit <= LINK_BITS; bit++) {
      const length = 2 ** -bit
      if (length < next && length < sybil) {
        // Nobody lies between the node and this target, nor those of shorter links: they end alike.
        if (hit) links += LINK_BITS - bit + 1
        break
      }
      const target = (start + length) % 1
      if (sybils.ahead(target) < honest.ahead(target)) links++
    }
  }
  return { links, gaps }
}

/** Are most of the first so many ids after the key the attacker's? */
function inGroup(key: number, size: number, honest: Circle, sybils: Circle): boolean {
  let h = honest.rank(key)
  let s = sybils.rank(key)
  const before = s
  for (let i = 0; i < size; i++) {
    if (clockwise(key, sybils.at(s)) < clockwise(key, honest.at(h))) s++
    else h++
  }
  return s - before >= majority(size)
}

export interface Tried {
  readonly attempts: number
  /** Share of the attempts that hit. */
  readonly hit: number
  /** Mean of the ports tried, in all attempts. */
  readonly tries: number
}

/** An address tries its ports on one gap of a network, in turn until one hits; each time another of all three. */
export function tryOneGap(nodes: number, attempts: number, seed: number): Tried {
  const random = seededRandom(`one gap/${nodes}/${seed}`)
  let hits = 0
  let tries = 0
  for (let attempt = 0; attempt < attempts; attempt++) {
    const start = randomId(random)
    let gap = 1
    for (let i = 1; i < nodes; i++) gap = Math.min(gap, clockwise(start, randomId(random)))
    const ip = randomIp(random)
    for (let port = FIRST_PORT; port <= 65_535; port++) {
      tries++
      if (clockwise(start, portId(ip, port)) >= gap) continue
      hits++
      break
    }
  }
  return { attempts, hit: hits / attempts, tries: tries / attempts }
}

/** `block`: the addresses are neighbours, a /24 or a part of it; else they are drawn at random. */
export interface Addresses {
  readonly addresses: number
  readonly block: boolean
}

/**
 * The share of gaps that can be hit under placement `ip-prefix`: those that one of the attacker's arcs touches. Honest
 * nodes have their places by the same rule.
 */
export function shareOfGapsByPrefix(nodes: number, { addresses, block }: Addresses, seed: number): number {
  const random = seededRandom(`prefix/${nodes}/${addresses}/${seed}`)
  const arc = 2 ** -PREFIX_BITS
  const anyone = () => random.int(2 ** 32) & IPV4_MASK
  const ids = new Float64Array(nodes)
  for (let i = 0; i < nodes; i++) ids[i] = prefixOf(anyone(), random.int(PREFIX_SLOTS)) + arc * random.next()
  const honest = new Circle(ids)
  const first = anyone() & ~0xff
  const masked = new Set<number>()
  for (let i = 0; i < addresses; i++) masked.add(block ? first + i : anyone())
  const hit = new Uint8Array(nodes)
  for (const ip of masked) {
    for (let slot = 0; slot < PREFIX_SLOTS; slot++) {
      const start = prefixOf(ip, slot)
      const last = honest.rank((start + arc) % 1) + (start + arc >= 1 ? nodes : 0)
      // Gap i begins at id i; the first one that is touched has begun before the arc.
      for (let i = honest.rank(start) - 1; i < last; i++) hit[(i + nodes) % nodes] = 1
    }
  }
  return hit.reduce((sum, gap) => sum + gap, 0) / nodes
}

/** Where the arc of a masked address and slot begins. */
function prefixOf(masked: number, slot: number): number {
  const bits = 2 ** PREFIX_BITS
  return Math.floor(toId(hashKey(`${masked}|${slot}`)) * bits) / bits
}

export interface Dense {
  /** Share of honest nodes whose honest successors raise the alarm; of every r-th node, so that no two share a gap. */
  readonly alarms: number
  /** Share of the gaps that are so long that r Sybils, spread over one of them, raise none. */
  readonly misses: number
}

/** The density test on a network of n, for each length r of successor lists; but for the gap where the circle closes. */
export function testDensity(nodes: number, rs: readonly number[], falseAlarms: number, seed: number): Dense[] {
  const sorted = randomAscending(nodes, `density/${nodes}/${seed}`)
  let last = sorted.next()
  const tests = rs.map((r) => {
    return { r, threshold: densityThreshold(r, falseAlarms) / nodes, start: last, alarms: 0, misses: 0 }
  })
  for (let i = 1; i < nodes; i++) {
    const id = sorted.next()
    for (const test of tests) {
      if (id - last >= test.threshold) test.misses++
      if (i % test.r > 0) continue
      if (id - test.start < test.threshold) test.alarms++
      test.start = id
    }
    last = id
  }
  return tests.map(({ r, alarms, misses }) => {
    return { alarms: alarms / Math.floor((nodes - 1) / r), misses: misses / (nodes - 1) }
  })
}
