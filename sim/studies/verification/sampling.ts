/** What is tested and found: one supplier that commits and is sampled, and one whose record grows under policy `auto`. */
import { hashKey } from '../../../src/core/ids.ts'
import { seededRandom, shuffled } from '../../../src/core/random.ts'
import { amount } from '../../../src/market/ledger/state/amount.ts'
import {
  autoRate,
  depositFor,
  NEW_RECORD,
  NEWCOMER_RATE,
  PROVEN_RATE,
  sampleRate,
  trustRate,
  type WorkRecord,
} from '../../../src/market/verification/auto.ts'
import { commitTo, opens } from '../../../src/market/verification/commitment.ts'
import { Draws, drawPositions, drawTests, PPM } from '../../../src/market/verification/draws.ts'
import { nonceOf, sampleSeed, type WindowName } from '../../../src/market/verification/nonces.ts'
import { recordOfSupplier } from '../../../src/market/verification/settlement.ts'

export interface Sampled {
  /** Nonces that were tried with one root. */
  readonly trials: number
  readonly tests: number
  /** Trials in which a made-up output was tested, opened, and was not what it should be. */
  readonly found: number
}

/** A supplier of one window that makes up this share of its outputs, and commits to all of them. */
export function sampleWindow(tasks: number, share: number, probability: number, trials: number, seed: number): Sampled {
  const label = `verification ${tasks} ${share} ${probability} ${seed}`
  const random = seededRandom(label)
  const name: WindowName = { contract: hashKey(label), supplier: hashKey('supplier'), window: 0 }
  const right = Array.from({ length: tasks }, (_, i) => hashKey(`output ${i}`))
  const skipped = new Set(shuffled([...right.keys()], random).slice(0, Math.round(share * tasks)))
  const digests = right.map((digest, i) => (skipped.has(i) ? hashKey(`made up ${i}`) : digest))
  const commitment = commitTo(name, digests, hashKey(`${label} secret`))
  const rate = sampleRate(Math.round(share * PPM), Math.round(probability * PPM), tasks)
  let tests = 0
  let found = 0
  for (let trial = 0; trial < trials; trial++) {
    const nonce = nonceOf(hashKey(`${label} nonce ${trial}`), 1, 0)
    const draws = new Draws(sampleSeed(name, commitment.root, nonce))
    const positions = drawPositions(draws, drawTests(draws, rate, tasks), tasks)
    // Opening takes milliseconds in so large a tree, so after the first trial by what is known to be under the root.
    const isWrong = positions.map((position) => {
      if (trial > 0) return digests[position] !== right[position]
      const opening = commitment.open(position)
      if (!opens(opening, name, commitment.root, tasks)) throw new Error('an honest opening does not open')
      return opening.digest !== right[position]
    })
    tests += positions.length
    if (isWrong.includes(true)) found++
  }
  return { trials, tests, found }
}

export type Status = 'newcomer' | 'trusted' | 'proven'

export interface Work {
  readonly tasks: number
  readonly tests: number
}

export interface Career {
  readonly suppliers: number
  readonly byStatus: Readonly<Record<Status, Work>>
  /** Tasks that each has done, and tests of all together up to there. */
  readonly course: readonly Work[]
}

/** Honest suppliers under policy `auto`, from the first window on; each puts up what the policy asks for at its record. */
export function career(suppliers: number, tasks: number, windowTasks: number, seed: number): Career {
  const byStatus = { newcomer: { tasks: 0, tests: 0 }, trusted: { tasks: 0, tests: 0 }, proven: { tasks: 0, tests: 0 } }
  const windows = Math.floor(tasks / windowTasks)
  const course = pointsOf(windows).map((window) => ({ tasks: window * windowTasks, tests: 0 }))
  for (let supplier = 0; supplier < suppliers; supplier++) {
    let record = NEW_RECORD
    let { rate, status } = standingOf(record, windowTasks)
    let [tested, point] = [0, 0]
    for (let window = 0; window < windows; window++) {
      const seedOf = hashKey(`career ${seed} ${supplier} ${window}`)
      const tests = drawTests(new Draws(seedOf), rate, windowTasks)
      byStatus[status].tasks += windowTasks
      byStatus[status].tests += tests
      tested += tests
      if (tests > 0) {
        record = recordOfSupplier(record, { kind: 'checked', checks: Array.from({ length: tests }, () => 'agreed') })
        ;({ rate, status } = standingOf(record, windowTasks))
      }
      if (course[point]?.tasks === (window + 1) * windowTasks) course[point++]!.tests += tested
    }
  }
  return { suppliers, byStatus, course }
}

function standingOf(record: WorkRecord, tasks: number): { rate: number; status: Status } {
  const least = trustRate(record)
  const terms = { tasks, payment: amount(1_000_000n) }
  const rate = autoRate(record, depositFor(least, terms)!, terms)!
  return { rate, status: least === NEWCOMER_RATE ? 'newcomer' : least > PROVEN_RATE ? 'trusted' : 'proven' }
}

/** Whole numbers up to the last, eight for each power of ten. */
function pointsOf(last: number): number[] {
  const points = new Set<number>()
  for (let power = 0; 10 ** power <= last; power += 0.125) points.add(Math.round(10 ** power))
  return [...points]
}
