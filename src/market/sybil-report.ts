/**
 * What a node can say of Sybils (PAPERS 7; the formulas are those of `sybil.ts`): how large the network is, whether ids crowd
 * around what matters to it, how many parties hold what it sees, what an attacker of some assumed size would have, and what to
 * do about it. Pure: from what a survey has found (`sybil-survey.ts`) to a report.
 *
 * It sees its own surroundings, and a sample. Who answers a survey may lie, so a report without alarms proves nothing; one with
 * alarms tells where to look.
 */
import type { Contact } from '../net/contact.ts'
import { type IpClass, ipClass, ipPrefix } from '../net/ip.ts'
import type { Placement } from '../net/placement.ts'
import { committeeRisk, crowding, FALSE_ALARMS, majority, type Sample, type SizeEstimate, sizeFrom } from './sybil.ts'
import { type Advice, adviceFor } from './sybil-advice.ts'
import { type GroupRisk, groupRisk } from './sybil-risk.ts'

/** A place that was looked at, and who keeps it. */
export interface Surveyed {
  /** What people call it. */
  readonly name: string
  readonly members: readonly Contact[]
  /** Up to the last of them, from a point that has nothing to do with their ids; undefined: not to be told. */
  readonly sample: Sample | undefined
}

export interface Survey {
  readonly placement: Placement
  /** Copies of a block; of a register. */
  readonly copies: number
  readonly replicas: number
  /** Seats that the ledger's committee may have. */
  readonly seatCap: number
  /** This node; undefined: a leaf, which is no member. */
  readonly self: Contact | undefined
  /** All members, where this node knows them all. */
  readonly counted: number | undefined
  /** Around this host's overlay nodes; none for a leaf. */
  readonly near: readonly Surveyed[]
  /** Random keys. */
  readonly random: readonly Surveyed[]
  /** Keys of what this node keeps alive. */
  readonly mine: readonly Surveyed[]
  /** The committee; `at` undefined: nobody tells where it is. */
  readonly seats: ReadonlyArray<{ readonly at: Contact | undefined; readonly around: Surveyed | undefined }>
  /** This node has one of them. */
  readonly seated: boolean
  /** Questions that nobody answered. */
  readonly unanswered: number
}

export interface Density {
  readonly name: string
  readonly members: number
  /** Probability that as many honest nodes are as close together, or closer. */
  readonly chance: number
  readonly alarm: boolean
}

export interface Concentration {
  /** Blocks of addresses, /24 or /64, that hold them; and how many are at the one that holds most. */
  readonly parties: number
  readonly most: number
  /** That block, as the beginning of its addresses; null: there is none. */
  readonly block: string | null
}

export interface SybilReport {
  readonly placement: Placement
  readonly size: SizeEstimate & { readonly exact: boolean }
  readonly density: readonly Density[]
  /** Of all members that were seen, this node too. */
  readonly addresses: Concentration & { readonly seen: number; readonly kind: IpClass | null }
  readonly groups: {
    readonly copies: number
    readonly replicas: number
    /** Groups of what this node keeps alive that were looked at, and those of which one party is the majority. */
    readonly mine: number
    readonly held: number
    readonly risks: readonly GroupRisk[]
  }
  readonly committee: {
    readonly seats: number
    readonly tolerated: number
    readonly seated: boolean
    /** Seats of which somebody could tell where they are. */
    readonly located: number
    readonly concentration: Concentration
    readonly risks: ReadonlyArray<{ readonly liars: number; readonly broken: number; readonly owned: number }>
  }
  readonly unanswered: number
  /** What to do, and why; the gravest first. */
  readonly advice: readonly Advice[]
}

/** Addresses that an attacker may have, and shares of the bankers. */
const ASSUMED_ADDRESSES = [1, 16, 256]
const ASSUMED_LIARS = [0.05, 0.1, 0.2, 0.3]

/** From a survey in which this node has at least itself. */
export function sybilReport(survey: Survey): SybilReport {
  const { placement, copies, replicas, self, counted, near, random, mine, seats, seated, unanswered } = survey
  const around = seats.flatMap((seat) => seat.around ?? [])
  const located = seats.flatMap(({ at }) => at ?? [])
  const heardOf = [...near, ...random, ...mine, ...around].flatMap(({ members }) => members)
  const all = [...(self ? [self] : []), ...heardOf, ...located]
  const seen = [...new Map(all.map((contact) => [contact.peer, contact])).values()]
  const size = sizeOf(survey, seen.length)
  // Where all members are few, each is near each, and being close says nothing.
  const judged = counted === undefined ? [...near, ...around, ...mine] : []
  const density = judged.flatMap((each) => densityOf(each, size.members) ?? [])
  const { tolerated } = committeeRisk(0, Math.max(seats.length, 1))
  const facts = {
    placement,
    size,
    density,
    addresses: { seen: seen.length, kind: seen[0] ? ipClass(seen[0].ip) : null, ...concentration(seen) },
    groups: {
      copies,
      replicas,
      mine: mine.length,
      held: mine.filter(({ members }) => isHeld(members)).length,
      risks: ASSUMED_ADDRESSES.map((addresses) => groupRisk(placement, size.members, addresses, [copies, replicas])),
    },
    committee: {
      seats: seats.length,
      tolerated,
      seated,
      located: located.length,
      concentration: concentration(located),
      risks: ASSUMED_LIARS.map((liars) => ({ liars, ...(seats.length > 0 ? riskOf(liars, seats.length) : NONE) })),
    },
    unanswered,
  }
  return { ...facts, advice: adviceFor(facts, survey.seatCap) }
}

const NONE = { broken: 0, owned: 0 }

function riskOf(liars: number, seats: number) {
  const { broken, owned } = committeeRisk(liars, seats)
  return { broken, owned }
}

/** No fewer than were seen. */
function sizeOf({ counted, near, random }: Survey, seen: number): SybilReport['size'] {
  if (counted !== undefined) return { members: counted, low: counted, high: counted, exact: true }
  const samples = [...near, ...random].flatMap(({ sample }) => sample ?? [])
  const least = Math.max(1, seen)
  const estimate = sizeFrom(samples) ?? { members: least, low: least, high: least }
  return {
    members: Math.max(least, Math.round(estimate.members)),
    low: Math.max(least, Math.floor(estimate.low)),
    high: Math.max(least, Math.ceil(estimate.high)),
    exact: false,
  }
}

function densityOf({ name, sample }: Surveyed, size: number): Density | undefined {
  if (sample === undefined || sample.members < 2) return undefined
  const chance = crowding(sample, size)
  return { name, members: sample.members, chance, alarm: chance < FALSE_ALARMS }
}

function concentration(contacts: readonly Contact[]): Concentration {
  const blocks = new Map<string, number>()
  for (const { ip } of contacts) blocks.set(ipPrefix(ip), (blocks.get(ipPrefix(ip)) ?? 0) + 1)
  let [block, most]: [string | null, number] = [null, 0]
  for (const [each, count] of blocks) if (count > most) [block, most] = [each, count]
  return { parties: blocks.size, most, block }
}

/** Is one party the majority of a group? */
function isHeld(members: readonly Contact[]): boolean {
  return members.length > 1 && concentration(members).most >= majority(members.length)
}
