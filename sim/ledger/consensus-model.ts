/**
 * A model checker for the step of consensus: visits *every* state that a committee with one liar can reach within a few
 * views, under any order, delay, loss and repetition of messages, timers at any time and crashes at any time, and judges
 * each. It drives the very step and recovery that members run (`src/market/ledger/consensus/`).
 *
 * The liar signs anything and sends it to anybody: two blocks on every parent in each view that it leads, and a vote in
 * every certificate for which it is needed. It needs no state, and what was once sent may arrive at any time, so a state
 * is what each honest member knows and has ever said.
 *
 * Three reductions, none of which loses an outcome. Votes are delivered q at a time, as the certificate that they make:
 * fewer than q change nothing in a member but whether it is busy, and here a wish may come at any time anyway. Members
 * that lead no view are interchangeable, so states that differ by swapping them are one. What the driver says of a
 * payload is always "valid", for a member that is never told so is one that the proposal has not reached. A certificate
 * comes with its block, as in an answer.
 *
 * All members have seen the same views when one has left the last one: there it stops.
 */
import { encode } from '../../src/core/cbor.ts'
import { type Block, type Digest, digestOf } from '../../src/market/ledger/consensus/block.ts'
import { type Committee, leaderOf, plainDigest } from '../../src/market/ledger/consensus/committee.ts'
import type { Event } from '../../src/market/ledger/consensus/effects.ts'
import { recordsOf, recover } from '../../src/market/ledger/consensus/log.ts'
import type { Certificate, Proposal, Vote, VoteKind } from '../../src/market/ledger/consensus/messages.ts'
import { initialState, type State } from '../../src/market/ledger/consensus/state.ts'
import { step } from '../../src/market/ledger/consensus/step.ts'
import { fakeCommittee } from './fake-keys.ts'

export const CONSENSUS_FAULTS = ['third', 'half', 'finalize-after-nullify', 'forget'] as const
export type ConsensusFault = (typeof CONSENSUS_FAULTS)[number]

export interface ConsensusModel {
  /** The last of them lies. */
  members: number
  views: number
  /** Who leads view 1; the next views are led by the next members. */
  leader: number
  /**
   * Plants one: a quorum of 2n/3 rounded down; of half, and one more; a vote to nullify forgotten when it comes to
   * finalizing; the log forgotten at a crash.
   */
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

/** What one member knows, and has ever said: numbers of votes, and of its proposals. */
interface Local {
  /** Whose it is: a leader's, or the first of the interchangeable members'. */
  readonly role: number
  readonly state: State
  readonly said: readonly number[]
}

/** A vote of anybody, without who. */
interface Said {
  readonly kind: VoteKind | 'propose'
  readonly view: number
  readonly digest: Digest | null
}

export function checkConsensus(options: ConsensusModel): ConsensusModelResult {
  return new ConsensusModelChecker(options).run()
}

class ConsensusModelChecker {
  readonly #options: ConsensusModel
  readonly #committees: Committee[]
  readonly #quorum: number
  /** Honest members: those that lead a view, then the interchangeable ones. */
  readonly #honest: Committee[]
  readonly #leaders: number
  readonly #locals: Local[] = []
  readonly #codes = new Map<string, number>()
  readonly #blocks = new Map<Digest, Block>()
  readonly #said: Said[] = []
  readonly #saidCodes = new Map<string, number>()
  /** What becomes of a member: by local state and event. Negative: nothing. */
  readonly #steps = new Map<string, number>()
  readonly #verdicts = new Map<string, string>()

  constructor(options: ConsensusModel) {
    const { members, views, leader, fault } = options
    this.#options = options
    const quorum = fault === 'third' ? Math.floor((2 * members) / 3) : fault === 'half' ? (members >> 1) + 1 : undefined
    this.#committees = fakeCommittee({ members, firstLeader: (leader - 1 + members) % members, quorum })
    const [any] = this.#committees as [Committee]
    this.#quorum = any.quorum
    const leads = (self: number) => Array.from({ length: views }, (_, i) => leaderOf(any, i + 1)).includes(self)
    const honest = this.#committees.slice(0, members - 1)
    const leaders = honest.filter(({ self }) => leads(self))
    this.#honest = [...leaders, ...honest.filter(({ self }) => !leads(self))]
    this.#leaders = leaders.length
  }

  run(): ConsensusModelResult {
    const { maxStates = Number.POSITIVE_INFINITY, fault, onProgress } = this.#options
    const first = this.#honest.map(({ base }, i) => {
      return this.#code({ role: Math.min(i, this.#leaders), state: initialState(base), said: [] })
    })
    const seen = new Set([first.join()])
    const states = [first]
    const parents = [-1]
    const labels = ['']
    let transitions = 0
    let final = 0
    let violations = 0
    let example: ConsensusModelResult['example']
    for (let at = 0; at < states.length && at < maxStates; at++) {
      const now = states[at]!
      const counts = this.#counts(now)
      const { violation, something } = this.#judge(now, counts)
      if (something) final++
      if (violation !== undefined) {
        violations++
        if (example === undefined) {
          const trace: string[] = []
          for (let k = at; k > 0; k = parents[k]!) trace.unshift(labels[k]!)
          example = { violation, trace }
        }
        if (fault !== undefined) break // one is enough to catch a planted fault
        continue
      }
      for (let i = 0; i < now.length; i++) {
        for (const event of this.#events(counts)) {
          const code = this.#act(now[i]!, event)
          if (code < 0) continue
          transitions++
          if (code === now[i]) continue
          const next = now.slice()
          next[i] = code
          const sorted = [...next.slice(0, this.#leaders), ...next.slice(this.#leaders).sort((a, b) => a - b)]
          const key = sorted.join()
          if (seen.has(key)) continue
          seen.add(key)
          states.push(sorted)
          parents.push(at)
          labels.push(`${i < this.#leaders ? `leader ${i}` : `member ${i}`}: ${event}`)
        }
      }
      if (at % 20_000 === 0) onProgress?.(states.length, transitions)
    }
    return { states: states.length, transitions, locals: this.#locals.length, final, violations, example }
  }

  // Events ---------------------------------------------------------------------------------------------------------

  /** How many honest members have said each thing. */
  #counts(now: readonly number[]): number[] {
    const counts = this.#said.map(() => 0)
    for (const code of now) for (const said of this.#locals[code]!.said) counts[said]!++
    return counts
  }

  /** All that may happen to a member: what is possible for it is seen when it is tried. */
  *#events(counts: readonly number[]): Generator<string> {
    yield 'want'
    yield 'timer'
    yield 'build'
    yield 'crash'
    for (const [code, { kind }] of this.#said.entries()) {
      const enough = kind === 'propose' ? counts[code]! > 0 : counts[code]! + 1 >= this.#quorum
      if (enough) yield `${kind === 'propose' ? 'proposal' : 'certificate'} ${code}`
    }
    const { views } = this.#options
    const liar = this.#committees.at(-1)!
    for (let view = 1; view <= views; view++) {
      if (leaderOf(liar, view) !== liar.self) continue
      const parents = [undefined, ...[...this.#blocks.values()].filter((block) => block.view < view)]
      for (const parent of parents) for (const variant of [1, 2]) yield `lie ${this.#madeUp(view, parent, variant)}`
    }
  }

  #madeUp(view: number, on: Block | undefined, variant: number): Digest {
    const { base } = this.#honest[0]!
    const parent = on === undefined ? base.digest : digestOf(on, plainDigest)
    return this.#known({
      height: on === undefined ? 1 : on.height + 1,
      view,
      parent,
      timeMs: 0,
      payload: encode(variant),
    })
  }

  #known(block: Block): Digest {
    const digest = digestOf(block, plainDigest)
    if (!this.#blocks.has(digest)) this.#blocks.set(digest, block)
    return digest
  }

  /** The code of the member after the event; negative where it cannot happen. */
  #act(code: number, event: string): number {
    const key = `${code} ${event}`
    let after = this.#steps.get(key)
    if (after === undefined) {
      const before = this.#locals[code]!
      const local = this.#after(this.#honest[before.role]!, before, event)
      after = local === undefined ? -1 : this.#code(local)
      this.#steps.set(key, after)
    }
    return after
  }

  #after(committee: Committee, local: Local, event: string): Local | undefined {
    const { state } = local
    const [what, which] = event.split(' ')
    const within = state.view <= this.#options.views
    switch (what) {
      case 'want':
        return within && !state.wanted ? this.#take(committee, local, { type: 'wanted', wanted: true }) : undefined
      case 'timer':
        return within && state.timer !== 'off' ? this.#take(committee, local, { type: 'timer' }) : undefined
      case 'build': {
        if (!within || state.building === undefined) return undefined
        const { view, building: parent } = state
        return this.#take(committee, local, { type: 'built', view, parent, timeMs: 0, payload: encode(0) })
      }
      case 'crash': {
        const records = this.#options.fault === 'forget' ? [] : recordsOf(committee, state)
        return { ...local, state: recover(committee, state.finalized, records) }
      }
      case 'lie':
        return within ? this.#hearProposal(committee, local, which as Digest) : undefined
      case 'proposal':
        return within ? this.#hearProposal(committee, local, this.#said[Number(which)]!.digest!) : undefined
      default:
        return this.#hearCertificate(committee, local, this.#said[Number(which)]!)
    }
  }

  #hearProposal(committee: Committee, local: Local, digest: Digest): Local | undefined {
    const block = this.#blocks.get(digest)!
    if (block.view !== local.state.view) return undefined
    const message: Proposal = { type: 'proposal', block, signature: new Uint8Array() }
    return this.#take(committee, local, { type: 'message', from: 0, message })
  }

  #hearCertificate(committee: Committee, local: Local, { kind, view, digest }: Said): Local {
    const members = Array.from({ length: this.#quorum }, (_, i) => i)
    const signatures = members.map(() => new Uint8Array())
    const certificate: Certificate = { type: 'certificate', kind: kind as VoteKind, view, digest, members, signatures }
    const blocks = digest === null ? [] : [this.#blocks.get(digest)!]
    const before = this.#options.fault === 'finalize-after-nullify' ? forgetful(local, view) : local
    const message = { type: 'answer' as const, runs: [], certificates: [certificate], blocks }
    return this.#take(committee, before, { type: 'message', from: 0, message })
  }

  /** One step, and those that follow when the driver finds every payload valid. */
  #take(committee: Committee, local: Local, event: Event): Local {
    const said = new Set(local.said)
    let { state } = local
    for (const events = [event]; events.length > 0; ) {
      const { state: next, effects } = step(committee, state, events.shift()!, 0)
      state = next
      for (const effect of effects) {
        if (effect.type === 'validate') events.push({ type: 'validated', digest: effect.digest, valid: true })
        if (effect.type !== 'send') continue
        if (effect.message.type === 'vote') said.add(this.#saidCode(effect.message))
        if (effect.message.type === 'proposal') {
          const { view } = effect.message.block
          said.add(this.#saidCode({ kind: 'propose', view, digest: this.#known(effect.message.block) }))
        }
      }
    }
    return { ...local, state, said: [...said].sort((a, b) => a - b) }
  }

  #saidCode({ kind, view, digest }: Said | Vote): number {
    const key = `${kind} ${view} ${digest}`
    let code = this.#saidCodes.get(key)
    if (code === undefined) {
      code = this.#said.push({ kind, view, digest }) - 1
      this.#saidCodes.set(key, code)
    }
    return code
  }

  #code(local: Local): number {
    const key = keyOf(local)
    let code = this.#codes.get(key)
    if (code === undefined) {
      code = this.#locals.push(local) - 1
      this.#codes.set(key, code)
    }
    return code
  }

  // Judgement ------------------------------------------------------------------------------------------------------

  #judge(now: readonly number[], counts: readonly number[]): { violation: string | undefined; something: boolean } {
    for (const code of now) {
      const violation = this.#contradiction(code)
      if (violation !== undefined) return { violation, something: false }
    }
    const possible = this.#said.filter(({ kind }, i) => kind !== 'propose' && counts[i]! + 1 >= this.#quorum)
    const key = possible.map((said) => this.#saidCode(said)).join()
    let violation = this.#verdicts.get(key)
    if (violation === undefined) this.#verdicts.set(key, (violation = this.#conflict(possible) ?? ''))
    return { violation: violation || undefined, something: possible.some(({ kind }) => kind === 'finalize') }
  }

  /** Has an honest member said two things of which one is allowed? */
  #contradiction(code: number): string | undefined {
    const said = this.#locals[code]!.said.map((one) => this.#said[one]!)
    for (const a of said) {
      for (const b of said) {
        if (a.view !== b.view || a === b) continue
        if (a.kind === b.kind) return `an honest member says ${a.kind} twice in view ${a.view}`
        if (a.kind === 'finalize' && b.kind === 'nullify' && this.#options.fault !== 'finalize-after-nullify') {
          return `an honest member votes to finalize and to nullify in view ${a.view}`
        }
      }
    }
    return undefined
  }

  /** Can two things be certified that exclude each other? */
  #conflict(possible: readonly Said[]): string | undefined {
    const final = possible.filter(({ kind }) => kind === 'finalize').map(({ digest }) => this.#blocks.get(digest!)!)
    for (const block of final) {
      for (const other of final) {
        if (other.height < block.height || other === block || this.#isUnder(block, other)) continue
        return `two blocks may be final, of views ${block.view} and ${other.view}, on different chains`
      }
    }
    return undefined
  }

  #isUnder(block: Block, other: Block): boolean {
    for (let at: Block | undefined = other; at !== undefined; at = this.#blocks.get(at.parent))
      if (at === block) return true
    return false
  }
}

/** A state as text, without who signed what. */
function keyOf({ role, state, said }: Local): string {
  const { view, finalized, wanted, eager, outrun, timer, building } = state
  const rounds = [...state.rounds.values()]
    .sort((a, b) => a.view - b.view)
    .map(({ view, proposed, body, votes, certificates }) => {
      const own = Object.values(votes).map((of) => [...of.values()].map(({ digest }) => digest))
      const known = (['notarize', 'nullify', 'finalize'] as const).map((kind) => certificates[kind]?.digest)
      return [view, proposed?.digest, proposed?.verdict, body?.digest, own, known, certificates.nullify !== undefined]
    })
  return JSON.stringify([role, view, finalized.digest, wanted, eager, outrun, timer, building, rounds, said])
}

/** Planted fault: the vote to nullify a view has slipped the member's mind. */
function forgetful(local: Local, view: number): Local {
  const round = local.state.rounds.get(view)
  if (round === undefined) return local
  const rounds = new Map(local.state.rounds).set(view, { ...round, votes: { ...round.votes, nullify: new Map() } })
  return { ...local, state: { ...local.state, rounds } }
}
