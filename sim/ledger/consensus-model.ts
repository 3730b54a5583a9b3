/**
 * A model checker for the step of consensus: visits *every* state that a committee of four with one liar can reach within a few
 * views, under any order, delay, loss and repetition of messages, timers at any time and crashes at any time, in the middle
 * of writing too, and judges each. It drives the very step and recovery that members run (`src/market/ledger/consensus/`).
 *
 * The liar signs anything and sends it to anybody: two blocks on every parent in each view that it leads, and a vote in
 * every certificate for which it is needed. It needs no state, and what was once sent may arrive at any time, so a state
 * is what each honest member knows and has ever said.
 *
 * What is left out loses no outcome. Votes are delivered q at a time, as the certificate that they make, with its block:
 * fewer than q change nothing in a member but whether it is busy, and here all members always want a block, and may
 * still never propose one, nor ever see a timer run out. Members that lead no view are interchangeable, so states that
 * differ by swapping them are one. What the driver says of a payload is always "valid", for a member that is never told
 * so is one that the proposal has not reached. A member that has left the last view says nothing more that counts, so what
 * it knows is forgotten.
 */
import type { Block } from '../../src/market/ledger/consensus/block.ts'
import { EVENTS, LOCALS, ModelMembers, type Said } from './model-members.ts'

export const CONSENSUS_FAULTS = ['quorum', 'finalize-after-nullify', 'forget'] as const
export type ConsensusFault = (typeof CONSENSUS_FAULTS)[number]

export interface ConsensusModel {
  views: number
  /** Which of the members 0 .. 3 leads view 1; the next views are led by the next. Member 3 lies. */
  leader: number
  /** Plants one: a quorum of 2n/3; a vote to nullify forgotten when it comes to finalizing; the log forgotten at a crash. */
  fault?: ConsensusFault | undefined
  /** Stop after so many states. Default: none. */
  maxStates?: number | undefined
  onProgress?: ((states: number, transitions: number) => void) | undefined
}

export interface ConsensusModelResult {
  states: number
  transitions: number
  /** Different states of single members. */
  locals: number
  /** States in which something may be final. */
  final: number
  violations: number
  /** The first violation: what is wrong, and what happened before it. */
  example: { violation: string; trace: string[] } | undefined
}

export function checkConsensus(options: ConsensusModel): ConsensusModelResult {
  return new ConsensusModelChecker(options).run()
}

class ConsensusModelChecker {
  readonly #options: ConsensusModel
  readonly #members: ModelMembers
  readonly #verdicts = new Map<string, string>()

  constructor(options: ConsensusModel) {
    this.#options = options
    this.#members = new ModelMembers(options)
  }

  run(): ConsensusModelResult {
    const { maxStates = Number.POSITIVE_INFINITY, fault, onProgress } = this.#options
    const members = this.#members
    const { leaders } = members
    const states = [pack(members.first())]
    const seen = new Set(states)
    const parents = [-1]
    const moves = [0]
    let transitions = 0
    let final = 0
    let violations = 0
    let example: ConsensusModelResult['example']
    for (let at = 0; at < states.length && at < maxStates; at++) {
      const now = unpack(states[at]!)
      const counts = members.counts(now)
      const { violation, something } = this.#judge(now, counts)
      if (something) final++
      if (violation !== undefined) {
        violations++
        if (example === undefined) {
          const trace: string[] = []
          for (let k = at; k > 0; k = parents[k]!) trace.unshift(members.describe(moves[k]!))
          example = { violation, trace }
        }
        if (fault !== undefined) break // one is enough to catch a planted fault
        continue
      }
      for (const event of members.possible(now, counts)) {
        for (let i = 0; i < now.length; i++) {
          for (const code of members.after(now[i]!, event)) {
            transitions++
            if (code === now[i]) continue
            const next = now.slice()
            next[i] = code
            const packed = pack([...next.slice(0, leaders), ...next.slice(leaders).sort((a, b) => a - b)])
            if (seen.has(packed)) continue
            seen.add(packed)
            states.push(packed)
            parents.push(at)
            moves.push(i * EVENTS + event)
          }
        }
      }
      if (at % 100_000 === 0) onProgress?.(states.length, transitions)
    }
    return { states: states.length, transitions, locals: members.size, final, violations, example }
  }

  #judge(now: readonly number[], counts: readonly number[]): { violation: string | undefined; something: boolean } {
    for (const code of now) {
      const violation = this.#members.wrong[code]
      if (violation !== undefined) return { violation, something: false }
    }
    const { said, quorum } = this.#members
    const possible = said.filter(({ kind }, i) => kind === 'finalize' && counts[i]! + 1 >= quorum)
    const something = possible.length > 0
    if (!something) return { violation: undefined, something }
    const key = possible.map(({ event }) => event).join()
    let violation = this.#verdicts.get(key)
    if (violation === undefined) this.#verdicts.set(key, (violation = this.#conflict(possible) ?? ''))
    return { violation: violation || undefined, something }
  }

  /** May two blocks be final of which neither is under the other? */
  #conflict(final: readonly Said[]): string | undefined {
    const blocks = final.map(({ digest }) => this.#members.blocks.get(digest!)!)
    for (const block of blocks) {
      for (const other of blocks) {
        if (other.height < block.height || other === block || this.#isUnder(block, other)) continue
        return `two blocks may be final, of views ${block.view} and ${other.view}, on different chains`
      }
    }
    return undefined
  }

  #isUnder(block: Block, other: Block): boolean {
    for (let at: Block | undefined = other; at !== undefined; at = this.#members.blocks.get(at.parent))
      if (at === block) return true
    return false
  }
}

function pack([a, b, c]: readonly number[]): number {
  return (a! * LOCALS + b!) * LOCALS + c!
}

function unpack(packed: number): number[] {
  const above = Math.floor(packed / LOCALS)
  return [Math.floor(above / LOCALS), above % LOCALS, packed % LOCALS]
}
