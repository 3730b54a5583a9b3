/**
 * Sybil analysis: what an attacker gets who makes up identities (Rosen, Levin and Bourgeois 2014, with the corrections
 * of PAPERS 7), and what a node can see of it. Pure formulas, shared by the studies and by the running node.
 *
 * Ids are hashes, so honest ids and those that an attacker can have are independent and uniform on a circle of
 * circumference 1. *Mashing* is to try one port after the other, offline, until an id falls where it is wanted.
 * Throughout: n honest nodes, k identities that the attacker may try or use.
 */
import { ChoraleError } from '../core/errors.ts'
import { IPV4_MASK, MAX_SLOTS, PREFIX_BITS, PREFIX_SLOTS } from '../net/placement.ts'
import { quorumOf } from './ledger/committee.ts'

// Placement ip-port: an id is hash(ip, port) -------------------------------------------------------------------------

/** The ports of one address that the published experiments try: the ephemeral ones of IANA. */
export const EPHEMERAL_PORTS = 16_384

/** The ports that a host may use without privileges. */
export const UNPRIVILEGED_PORTS = 65_535 - 1023

/** Ids that one address may have under it: an endpoint may name each of its slots. The published ones have none. */
export const IDS_PER_ADDRESS = UNPRIVILEGED_PORTS * MAX_SLOTS

/**
 * Probability that one of k ids falls into a gap that covers this share of the circle: 1 - (1 - size)^k, each id
 * misses it alone.
 */
export function gapHitGiven(size: number, identities: number): number {
  check(size >= 0 && size <= 1 && identities >= 0, 'a gap is a share of the circle')
  return identities === 0 ? 0 : -Math.expm1(identities * Math.log1p(-size))
}

/**
 * Probability that one of k ids falls into a given gap between two neighbours: k / (k + n - 1), exactly.
 *
 * Stand at the node where the gap begins, and walk clockwise over the other n - 1 + k ids. All orders are equally
 * likely, and the gap is hit when the first id on the way is the attacker's. Or by the size of the gap, which is
 * Beta(1, n-1): the integral of (1-x)^k (n-1)(1-x)^(n-2) over [0, 1], where all miss, is (n-1) / (k+n-1).
 *
 * By symmetry it is the expected share of the n gaps that are hit, too. The published k/n counts several ids in one
 * gap as several gaps and can exceed 1; 1-(1-1/n)^k takes all gaps for equal.
 */
export function gapHit(nodes: number, identities: number): number {
  check(nodes >= 1 && identities >= 0, 'at least one node, please')
  return identities === 0 ? 0 : identities / (identities + nodes - 1)
}

/**
 * Standard deviation of the share of gaps that are hit, from one network to the next. How many of the k ids lie in
 * each of the n gaps is equally likely to be any of the C(n+k-1, k) ways to write k as a sum, and j gaps are hit in
 * C(n, j) C(k-1, j-1) of these: a hypergeometric law (k draws from n + k - 1 with n marked).
 */
export function gapHitDeviation(nodes: number, identities: number): number {
  const hit = gapHit(nodes, identities)
  const population = nodes + identities - 1
  if (population <= 1 || identities === 0) return 0
  const variance = (nodes * hit * (identities - 1) * (nodes - 1)) / (population * (population - 1))
  return Math.sqrt(variance) / nodes
}

/**
 * Expected number of ids that are tried for one gap, by an attacker who stops at the first hit and gives up after k:
 * (n-1) (H_{n-2+k} - H_{n-2}), with H the harmonic numbers.
 *
 * It tries a (j+1)-th time when the first j missed, which has the probability (n-1) / (n-1+j); the sum of these over
 * j = 0 .. k-1 is it. (Without an end it would be infinite: the mean of 1/x over the gaps.)
 */
export function expectedTries(nodes: number, identities: number): number {
  check(nodes >= 1 && identities >= 0, 'at least one node, please')
  if (nodes === 1) return Math.min(identities, 1)
  return (nodes - 1) * harmonicBetween(nodes - 2, identities)
}

/**
 * Standard deviation of the number of tries, from one attempt to the next. The mean of its square is the sum of 2j+1
 * times the probability of a (j+1)-th try, which comes to 2(n-1)k - (2n-3) E with E the expected tries.
 */
export function triesDeviation(nodes: number, identities: number): number {
  const tries = expectedTries(nodes, identities)
  const square = 2 * (nodes - 1) * identities - (2 * nodes - 3) * tries
  return nodes === 1 ? 0 : Math.sqrt(Math.max(0, square - tries ** 2))
}

/**
 * Expected share of all `bits` x n finger links that k ids capture, which is the published count. Link i of node x
 * points to the first node at or after x + 2^-i of the circle (i = 1 .. bits) and is captured when an id of the
 * attacker lies before that.
 *
 * Seen from the target t = 2^-i ahead of x, the first of the n - 1 + k other ids is the attacker's with k / (k + n -
 * 1), as for a gap, if there is one before the circle closes at x: all lie between x and the target with probability
 * t^(n-1+k). Short links end at the next node, so with many bits nearly all are adjacent gaps, each counted many
 * times.
 */
export function linksHit(nodes: number, identities: number, bits: number): number {
  const others = nodes + identities - 1
  let closed = 0
  for (let i = 1; i <= bits; i++) closed += 2 ** (-i * others)
  return gapHit(nodes, identities) * (1 - closed / bits)
}

/** Fewest ids with which the expected share of gaps that are hit, or of links captured, is at least `share` < 1. */
export function identitiesFor(share: number, nodes: number): number {
  check(share >= 0 && share < 1, 'a share from 0 to less than 1, please')
  const exact = (share * (nodes - 1)) / (1 - share)
  return Math.ceil(exact * (1 - 1e-12)) // a whole number is one in spite of its last bits
}

/** Fewest addresses for that. */
export function ipsFor(share: number, nodes: number, portsPerIp: number = EPHEMERAL_PORTS): number {
  return Math.ceil(identitiesFor(share, nodes) / portsPerIp)
}

/** Sum of 1/(a+1) .. 1/(a+k): by terms while few or large, then psi(a+k+1) - psi(a+1) by its asymptotic series. */
function harmonicBetween(a: number, k: number): number {
  let sum = 0
  let done = 0
  for (; done < k && (k <= 64 || a + done < 32); done++) sum += 1 / (a + done + 1)
  if (done === k) return sum
  const x = a + done + 1
  const y = a + k + 1
  const tail = (z: number) => -1 / (12 * z ** 2) + 1 / (120 * z ** 4) - 1 / (252 * z ** 6)
  return sum + Math.log1p((k - done) / x) + (y - x) / (2 * x * y) + tail(y) - tail(x)
}

// Placement ip-prefix: the top 24 bits of an id come from the address ------------------------------------------------

const ARC = 2 ** -PREFIX_BITS
/** All that there are in IPv4: 2^20. */
const MASKED_ADDRESSES = 2 ** ones(IPV4_MASK)

/**
 * Expected number of masked IPv4 addresses that so many addresses, drawn at random, come to: 2^20 (1 - (1 - 2^-20)^a).
 */
export function maskedAddresses(addresses: number): number {
  return -MASKED_ADDRESSES * Math.expm1(addresses * Math.log1p(-1 / MASKED_ADDRESSES))
}

/** Masked IPv4 addresses of a whole block, /1 to /32: 2^b for the b bits below the block's prefix that count. */
export function maskedInBlock(prefixLength: number): number {
  check(Number.isInteger(prefixLength) && prefixLength >= 1 && prefixLength <= 32, 'a block from /1 to /32, please')
  const below = 2 ** (32 - prefixLength) - 1
  return 2 ** ones(IPV4_MASK & below)
}

/**
 * Arcs of the circle, each 2^-24 of it, in which an attacker with so many masked addresses (for IPv6: networks /64)
 * may have ids: one per address and slot. Within an arc it has as many as it makes keys, where it likes; outside of
 * them none. A network that takes several ids from one arc so lets a single address capture whole replica groups.
 */
export function arcsOf(masked: number): number {
  return masked * PREFIX_SLOTS
}

/**
 * Probability that one who holds so many masked addresses, of all that there are, can hit a given gap between two of n
 * honest nodes: 1 - (1-f)^2 (1-w)^a (n-1)/(n-1+a), with a arcs of width w, and f the share of the addresses that it
 * holds. For IPv6 the share is 0. Good while gaps are long against arcs: up to some 100,000 nodes.
 *
 * It is an arc that hits: one that lies within the gap, or that the honest node at either end is in. One of another
 * address begins in the gap, of size x, or less than w before it: all miss with (1-x-w)^a. The mean over x ~ Beta(1,
 * n-1) is (1-w)^a (n-1)/(n-1+a) but for x/(1-w) instead of x, an error below w. And a node at an end has its id from
 * an address and slot of the attacker, which it shares behind the mask, with f. With one id per arc, where chance has
 * it, an arc is an identity: `gapHit(n, a)`.
 */
export function gapHitByPrefix(nodes: number, masked: number, ofMasked: number = MASKED_ADDRESSES): number {
  check(nodes >= 1 && masked >= 0 && masked <= ofMasked, 'at least one node, and no more addresses than there are')
  if (masked === 0) return 0
  const arcs = arcsOf(masked)
  const missed = (1 - masked / ofMasked) ** 2 * Math.exp(arcs * Math.log1p(-ARC)) * (1 - gapHit(nodes, arcs))
  return 1 - missed
}

function ones(mask: number): number {
  let count = 0
  for (let rest = mask; rest !== 0; rest &= rest - 1) count++
  return count
}

// Density: Sybils crowd ----------------------------------------------------------------------------------------------

/**
 * Probability that a sum of r exponential variables of mean 1 (Erlang, Gamma of shape r) is at most x. Among n honest
 * nodes the gaps, in units of 1/n, are nearly such variables, so n times the span of a node's r successors is about
 * one draw of it: a tiny value says that others crowd there. Terms of one sign, so small values are exact to the last
 * bits.
 */
export function erlangBelow(r: number, x: number): number {
  check(Number.isInteger(r) && r >= 1, 'r is a whole number from 1 on')
  if (x <= 0) return 0
  if (x > r) return 1 - erlangAbove(r, x)
  let term = poisson(r, x)
  let sum = 0
  for (let j = r; term > sum * 1e-17; term *= x / ++j) sum += term
  return sum
}

/** Probability that it is more than x: that a Poisson variable of mean x is below r. */
export function erlangAbove(r: number, x: number): number {
  check(Number.isInteger(r) && r >= 1, 'r is a whole number from 1 on')
  if (x <= r) return 1 - erlangBelow(r, x)
  let term = poisson(r - 1, x)
  let sum = 0
  for (let j = r - 1; j >= 0; term *= j-- / x) sum += term
  return sum
}

/** e^-x x^j / j!, by logarithms: neither power nor factorial fits a number for long. */
function poisson(j: number, x: number): number {
  let log = -x
  for (let i = 1; i <= j; i++) log += Math.log(x / i)
  return Math.exp(log)
}

/**
 * The density test raises an alarm when n times the span of the r successors is below this, which happens to honest
 * neighbours with the probability `falseAlarms`: the quantile of Erlang(r).
 */
export function densityThreshold(r: number, falseAlarms: number): number {
  return erlangQuantile(r, falseAlarms)
}

/** False alarms of the density test where nothing else is said: one honest neighbourhood in ten thousand. */
export const FALSE_ALARMS = 1e-4

/** What a draw of Erlang(r) is at most with this probability. */
function erlangQuantile(r: number, probability: number): number {
  check(probability > 0 && probability < 1, 'a probability between 0 and 1, please')
  let low = 0
  let high = 1
  while (erlangBelow(r, high) < probability) high *= 2
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2
    if (erlangBelow(r, middle) < probability) low = middle
    else high = middle
  }
  return high
}

/** So many members were found within this share of the space, from a point that has nothing to do with their ids. */
export interface Sample {
  readonly members: number
  /** Up to the last of them. */
  readonly share: number
}

export interface SizeEstimate {
  readonly members: number
  /** With 95 %. */
  readonly low: number
  readonly high: number
}

/**
 * Members of an overlay, from samples that do not overlap. Together they are one draw of Erlang(m) / n, with m the members
 * found: (m - 1) / share is n on average. Undefined: they say nothing.
 */
export function sizeFrom(samples: readonly Sample[]): SizeEstimate | undefined {
  const found = samples.reduce((sum, { members }) => sum + members, 0)
  const share = samples.reduce((sum, each) => sum + each.share, 0)
  if (found < 2 || share <= 0) return undefined
  const bound = (probability: number) => erlangQuantile(found, probability) / share
  return { members: (found - 1) / share, low: bound(0.025), high: bound(0.975) }
}

/** Probability that members who are where chance has put them are as close together as those of this sample, or closer. */
export function crowding({ members, share }: Sample, size: number): number {
  return erlangBelow(members, size * share)
}

/**
 * Probability that the test misses an attacker who put ids into `gaps` neighbouring gaps after the victim, so that its
 * r successors are they and at most gaps - 1 honest nodes, and who spread them as far as the gaps reach: n times the
 * span is then Erlang(gaps). With all of them in one gap it is e^-threshold.
 */
export function densityMiss(r: number, falseAlarms: number, gaps = 1): number {
  return erlangAbove(gaps, densityThreshold(r, falseAlarms))
}

// Capture: groups and committees -------------------------------------------------------------------------------------

/** The least that are more than half. */
export function majority(size: number): number {
  return Math.floor(size / 2) + 1
}

/**
 * Probability that at least `needed` of a group of `size` are the attacker's, when the group is drawn from n honest
 * nodes and k identities without putting back: the tail of the hypergeometric law, member by member, all terms
 * positive.
 *
 * A replica group on the ring is such a draw: walking clockwise from the key, all orders of the n + k ids are equally
 * likely. That holds for keys that the attacker chooses, too, with k the ids that it may try: mashing for a key means
 * to use those that come first after it. It does not hold for keys *chosen because* ids lie near.
 */
export function groupCaptured(nodes: number, identities: number, size: number, needed: number): number {
  check(size <= nodes + identities, 'a group is not larger than the network')
  return tail(size, needed, (drawn, taken) => (identities - taken) / (nodes + identities - drawn))
}

/**
 * The same where a group counts the ids of one party once (`dht/replica-group.ts`), for an attacker of so many parties
 * with so many ids each: seen from the key, the next of a party that does not count yet is equally likely any of the ids
 * of these. A single party never has two members. Under `ip-prefix` a party has `PREFIX_SLOTS` arcs, each as good as an id.
 */
export function groupCapturedByParties(
  nodes: number,
  { parties, idsEach }: { parties: number; idsEach: number },
  size: number,
  needed: number,
): number {
  check(size <= nodes + parties, 'a group is not larger than the network')
  return tail(size, needed, (drawn, taken) => {
    const theirs = (parties - taken) * idsEach
    const honest = nodes - (drawn - taken)
    return theirs === 0 ? 0 : theirs / (theirs + honest)
  })
}

/**
 * The same under `ip-prefix` where groups count ids, not parties: the attacker has as many as it likes in each of its arcs,
 * so the first arc takes all places that are left, and is enough if it begins before size - needed + 1 honest nodes.
 */
export function groupCapturedByArcs(nodes: number, arcs: number, size: number, needed: number): number {
  return groupCaptured(nodes, arcs, size - needed + 1, 1)
}

/** The same when each member is the attacker's with probability `share`, as if drawn from endlessly many. */
export function committeeCaptured(share: number, size: number, needed: number): number {
  check(share >= 0 && share <= 1, 'a share from 0 to 1, please')
  return tail(size, needed, () => share)
}

export interface CommitteeRisk {
  readonly seats: number
  /** Liars that it tolerates. */
  readonly tolerated: number
  /** Signatures that bind it. */
  readonly quorum: number
  /** Probability that more are liars than it tolerates: they can stop it, or sign two histories. */
  readonly broken: number
  /** Probability that the liars are a quorum by themselves, who need nobody else. */
  readonly owned: number
}

/** Of a committee of the ledger whose seats went by lot among bankers of whom this share are an attacker's. */
export function committeeRisk(share: number, seats: number): CommitteeRisk {
  const quorum = quorumOf(seats)
  const tolerated = seats - quorum
  const broken = committeeCaptured(share, seats, tolerated + 1)
  return { seats, tolerated, quorum, broken, owned: committeeCaptured(share, seats, quorum) }
}

/** `next`: probability that the attacker has the next member, of those drawn so far it has `taken`. */
function tail(size: number, needed: number, next: (drawn: number, taken: number) => number): number {
  check(Number.isInteger(size) && size >= 1 && Number.isInteger(needed), 'a group has at least one member')
  const chance = new Float64Array(size + 2)
  chance[0] = 1
  for (let drawn = 0; drawn < size; drawn++) {
    for (let taken = drawn; taken >= 0; taken--) {
      const up = chance[taken]! * Math.min(Math.max(next(drawn, taken), 0), 1)
      chance[taken + 1]! += up
      chance[taken]! -= up
    }
  }
  return chance.subarray(Math.max(needed, 0), size + 1).reduce((sum, p) => sum + p, 0)
}

function check(holds: boolean, what: string): void {
  if (!holds) throw new ChoraleError('usage', what)
}
