/**
 * Scenario `sybil --attack committee`: an attacker among the bankers of a ledger. Seats go by the ledger's own lot
 * (`nextCommittee`), epoch by epoch from one founder, drawn among all bankers like the others, until the committee has the
 * seats it may have. How often the attacker has too many of them, over many networks, is held against the formulas that
 * size committees (`committeeRisk`), and against the exact law of drawing without putting back.
 *
 * All bankers stand, and give signs of life. What an attacker gains by waiting for seats that others leave is not in it,
 * nor what a proposer gains who tries many blocks for one lot (docs/ledger.md).
 */
import { ChoraleError } from '../../src/core/errors.ts'
import { hashKey } from '../../src/core/ids.ts'
import { seededRandom } from '../../src/core/random.ts'
import { isCommitteeSize, nextCommittee, quorumOf } from '../../src/market/ledger/committee.ts'
import type { PublicKey } from '../../src/market/ledger/keys.ts'
import { committeeRisk, groupCaptured } from '../../src/market/sybil.ts'

export interface CommitteeOptions {
  /** Bonded bankers, those of the attacker included. */
  bankers: number
  /** Shares of them that are the attacker's. */
  liars: readonly number[]
  /** Of the committee at most: 1, 4, 7, ... */
  seats: readonly number[]
  /** Networks for each share and number of seats. */
  networks: number
  seed: number
}

export const COMMITTEE_DEFAULTS: CommitteeOptions = {
  bankers: 100,
  liars: [0.05, 0.1, 0.2, 0.3],
  seats: [4, 7, 13, 31],
  networks: 2000,
  seed: 1,
}

export interface CommitteeRow {
  readonly liars: number
  readonly seats: number
  readonly tolerated: number
  /** Shares of the networks in which more are liars than it tolerates, and in which they are a quorum. */
  readonly broken: number
  readonly owned: number
  /** By the exact law for so many bankers. */
  readonly brokenExact: number
  readonly ownedExact: number
  /** By `committeeRisk`, as if there were endlessly many bankers. */
  readonly brokenFormula: number
  readonly ownedFormula: number
  /** Standard errors between the simulated share of broken ones and the exact law. */
  readonly errorsOff: number
}

/** Throws `usage` when there are fewer bankers than seats, or no committee has so many. */
export function runSybilCommittee(
  options: CommitteeOptions,
  onProgress: (line: string) => void = () => {},
): { rows: CommitteeRow[]; farthest: number } {
  const { bankers, networks, seed } = options
  for (const seats of options.seats) {
    if (!isCommitteeSize(seats)) throw new ChoraleError('usage', `no committee has ${seats} seats, but 1, 4, 7, ...`)
    if (seats > bankers) throw new ChoraleError('usage', `${bankers} bankers cannot fill ${seats} seats`)
  }
  const rows = options.liars.flatMap((liars) =>
    options.seats.map((seats) => {
      onProgress(`${liars * 100} % of ${bankers} bankers, ${seats} seats: ${networks} networks`)
      return rowOf({ bankers, liars, seats, networks, seed })
    }),
  )
  return { rows, farthest: Math.max(...rows.map(({ errorsOff }) => Math.abs(errorsOff))) }
}

interface Case {
  readonly bankers: number
  readonly liars: number
  readonly seats: number
  readonly networks: number
  readonly seed: number
}

function rowOf(each: Case): CommitteeRow {
  const { bankers, liars, seats, networks } = each
  const count = Math.round(liars * bankers)
  const quorum = quorumOf(seats)
  const tolerated = seats - quorum
  let broken = 0
  let owned = 0
  for (let network = 0; network < networks; network++) {
    const taken = liarsSeated(each, count, network)
    if (taken > tolerated) broken++
    if (taken >= quorum) owned++
  }
  const exact = (needed: number) => groupCaptured(bankers - count, count, seats, needed)
  const [brokenExact, ownedExact] = [exact(tolerated + 1), exact(quorum)]
  const formula = committeeRisk(count / bankers, seats)
  const error = Math.sqrt((brokenExact * (1 - brokenExact)) / networks)
  return {
    liars: count / bankers,
    seats,
    tolerated,
    broken: broken / networks,
    owned: owned / networks,
    brokenExact,
    ownedExact,
    brokenFormula: formula.broken,
    ownedFormula: formula.owned,
    errorsOff: error === 0 ? 0 : (broken / networks - brokenExact) / error,
  }
}

/** Of one network: how many seats of the whole committee the attacker has. */
function liarsSeated({ bankers, seats, seed }: Case, count: number, network: number): number {
  const random = seededRandom(`${seed}/committee/${bankers}/${seats}/${count}/${network}`)
  const eligible = Array.from({ length: bankers }, () => hashKey(random.bytes(32)) as string as PublicKey)
  // The keys are random, so any of them may be the attacker's; the founder is one of all.
  const isLiar = new Set(eligible.slice(0, count))
  let current: readonly PublicKey[] = [eligible[random.int(bankers)]!]
  while (current.length < seats) {
    current = nextCommittee({ current, eligible, silent: [], cap: seats, seed: hashKey(random.bytes(32)) })
  }
  return current.filter((host) => isLiar.has(host)).length
}
