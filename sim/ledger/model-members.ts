/**
 * The members of the model check (`consensus-model.ts`): what one knows and has said, as a number; what may happen to it;
 * and what becomes of it, by the very step and recovery that members run.
 */
import { encode } from '../../src/core/cbor.ts'
import { type Block, type Digest, digestOf } from '../../src/market/ledger/consensus/block.ts'
import { type Committee, leaderOf, plainDigest } from '../../src/market/ledger/consensus/committee.ts'
import type { Event, LogRecord } from '../../src/market/ledger/consensus/effects.ts'
import { recordsOf, recover } from '../../src/market/ledger/consensus/log.ts'
import type { Certificate, Proposal, VoteKind } from '../../src/market/ledger/consensus/messages.ts'
import { newRound } from '../../src/market/ledger/consensus/round.ts'
import { initialState, type State } from '../../src/market/ledger/consensus/state.ts'
import { step } from '../../src/market/ledger/consensus/step.ts'
import type { ConsensusModel } from './consensus-model.ts'
import { fakeCommittee } from './fake-keys.ts'

/** What one member knows, and has ever said: numbers of votes, and of its proposals. */
export interface Local {
  /** Whose it is: a leader's, or the first of the interchangeable members'. */
  readonly role: number
  readonly state: State
  readonly said: readonly number[]
}

/** A vote of anybody, without who. */
export interface Said {
  readonly kind: VoteKind | 'propose'
  readonly view: number
  readonly digest: Digest | null
  /** That it reaches a member, or a quorum of it. */
  readonly event: number
}

/** Two blocks that the liar makes of one parent: the first one's digest, and the events that they reach a member. */
interface Lie {
  readonly view: number
  readonly digest: Digest
  readonly first: number
  readonly second: number
}

const MEMBERS = 4
/** Local states and events are fewer, so that three states, and a member with an event, make one exact number. */
export const LOCALS = 2 ** 17
export const EVENTS = 2 ** 10

export class ModelMembers {
  readonly #options: ConsensusModel
  readonly #committees: Committee[]
  readonly quorum: number
  /** Honest members: those that lead a view, then the interchangeable ones. */
  readonly #honest: Committee[]
  readonly leaders: number
  readonly #locals: Local[] = []
  /** What is wrong with a local state by itself. */
  readonly wrong: (string | undefined)[] = []
  readonly #codes = new Map<string, number>()
  readonly blocks = new Map<Digest, Block>()
  readonly said: Said[] = []
  readonly #saidCodes = new Map<string, number>()
  /** Names of events by number. */
  readonly #events: string[] = []
  readonly #eventNumbers = new Map<string, number>()
  /** By local state and event: what may become of the member. */
  readonly #steps: (readonly number[] | undefined)[][] = []
  #knownLies: readonly Lie[] = []
  #lieParents = 0

  constructor(options: ConsensusModel) {
    const { views, leader, fault } = options
    this.#options = options
    const quorum = fault === 'quorum' ? Math.floor((2 * MEMBERS) / 3) : undefined
    this.#committees = fakeCommittee({ members: MEMBERS, firstLeader: (leader - 1 + MEMBERS) % MEMBERS, quorum })
    const [any] = this.#committees as [Committee]
    this.quorum = any.quorum
    const leads = (self: number) => Array.from({ length: views }, (_, i) => leaderOf(any, i + 1)).includes(self)
    const honest = this.#committees.slice(0, MEMBERS - 1)
    const leaders = honest.filter(({ self }) => leads(self))
    this.#honest = [...leaders, ...honest.filter(({ self }) => !leads(self))]
    this.leaders = leaders.length
  }

  /** Local states at the beginning. */
  first(): number[] {
    return this.#honest.map(({ base }, i) => {
      return this.#code({ role: Math.min(i, this.leaders), state: wanting(initialState(base)), said: [] })
    })
  }

  get size(): number {
    return this.#locals.length
  }

  describe(move: number): string {
    const who = Math.floor(move / EVENTS)
    const [what, code] = this.#events[move % EVENTS]!.split(' ')
    const said = code === undefined ? undefined : this.said[Number(code)]
    const detail =
      said === undefined ? (code ?? '').slice(0, 6) : `${said.kind} ${said.view} ${said.digest?.slice(0, 6)}`
    return `${who < this.leaders ? `leader ${who}` : `member ${who}`}: ${what} ${detail}`.trimEnd()
  }

  /** How many honest members have said each thing. */
  counts(now: readonly number[]): number[] {
    const counts = this.said.map(() => 0)
    for (const code of now) for (const said of this.#locals[code]!.said) counts[said]!++
    return counts
  }

  /**
   * All that may happen to a member. Whether anything comes of it is seen when it is tried. Of the liar's two blocks on
   * a parent, the one that is remembered is the first.
   */
  possible(now: readonly number[], counts: readonly number[]): number[] {
    const events = ['timer', 'build', 'crash'].map((name) => this.#eventNumber(name))
    for (const [code, { kind, event }] of this.said.entries()) {
      if (kind === 'propose' ? counts[code]! > 0 : counts[code]! + 1 >= this.quorum) events.push(event)
    }
    for (const { view, digest, first, second } of this.#lies()) {
      events.push(first)
      const isSaid = this.said.some((said, code) => said.digest === digest && counts[code]! > 0)
      if (isSaid || now.some((code) => knows(this.#locals[code]!, view, digest))) events.push(second)
    }
    return events
  }

  /** By parent: the liar's blocks in the views that it leads. Found anew when there are new parents. */
  #lies(): readonly Lie[] {
    const parents = [...this.blocks.values()].filter((block) => block.view < this.#options.views)
    if (this.#lieParents === parents.length + 1) return this.#knownLies
    this.#lieParents = parents.length + 1
    const liar = this.#committees.at(-1)!
    const views = Array.from({ length: this.#options.views }, (_, i) => i + 1)
    this.#knownLies = views
      .filter((view) => leaderOf(liar, view) === liar.self)
      .flatMap((view) =>
        [undefined, ...parents.filter((block) => block.view < view)].map((parent) => {
          const [digest, other] = [this.#madeUp(view, parent, 1), this.#madeUp(view, parent, 2)]
          const [first, second] = [this.#eventNumber(`lie ${digest}`), this.#eventNumber(`lie ${other}`)]
          return { view, digest, first, second }
        }),
      )
    return this.#knownLies
  }

  #eventNumber(name: string): number {
    let number = this.#eventNumbers.get(name)
    if (number === undefined) {
      number = this.#events.push(name) - 1
      if (number >= EVENTS) throw new RangeError('more events than the checker can number')
      this.#eventNumbers.set(name, number)
    }
    return number
  }

  #madeUp(view: number, on: Block | undefined, variant: number): Digest {
    const { base } = this.#honest[0]!
    const { height, digest } = on === undefined ? base : { height: on.height, digest: digestOf(on, plainDigest) }
    return this.#known({ height: height + 1, view, parent: digest, timeMs: 0, payload: encode(variant) })
  }

  #known(block: Block): Digest {
    const digest = digestOf(block, plainDigest)
    if (!this.blocks.has(digest)) this.blocks.set(digest, block)
    return digest
  }

  /** Codes of what may become of a member by an event. Empty: it cannot happen. */
  after(code: number, event: number): readonly number[] {
    const known = (this.#steps[code] ??= [])
    return (known[event] ??= this.#outcomes(this.#locals[code]!, this.#events[event]!).map((local) =>
      this.#code(local),
    ))
  }

  #outcomes(local: Local, event: string): Local[] {
    const { role, state } = local
    const committee = this.#honest[role]!
    if (state.view > this.#options.views) return []
    const [what, which] = event.split(' ')
    switch (what) {
      case 'timer':
        return this.#take(committee, { ...local, state: { ...state, timer: 'view' } }, { type: 'timer' })
      case 'build': {
        const { view, building: parent } = state
        if (parent === undefined) return []
        return this.#take(committee, local, { type: 'built', view, parent, timeMs: 0, payload: encode(0) })
      }
      case 'crash':
        return [this.#recovered(committee, local, [])]
      case 'lie':
        return this.#hearProposal(committee, local, which as Digest)
      case 'proposal':
        return this.#hearProposal(committee, local, this.said[Number(which)]!.digest!)
      default:
        return this.#hearCertificate(committee, local, this.said[Number(which)]!)
    }
  }

  #hearProposal(committee: Committee, local: Local, digest: Digest): Local[] {
    const block = this.blocks.get(digest)!
    if (block.view !== local.state.view) return []
    const message: Proposal = { type: 'proposal', block, signature: new Uint8Array() }
    return this.#take(committee, local, { type: 'message', from: 0, message })
  }

  #hearCertificate(committee: Committee, local: Local, { kind, view, digest }: Said): Local[] {
    const members = Array.from({ length: this.quorum }, (_, i) => i)
    const signatures = members.map(() => new Uint8Array())
    const certificate: Certificate = { type: 'certificate', kind: kind as VoteKind, view, digest, members, signatures }
    const blocks = digest === null ? [] : [this.blocks.get(digest)!]
    const before = this.#options.fault === 'finalize-after-nullify' ? forgetful(local, view) : local
    const message = { type: 'answer' as const, runs: [], certificates: [certificate], blocks }
    return this.#take(committee, before, { type: 'message', from: 0, message })
  }

  /** What becomes of a member by a step; and what is left of it if it stops while it writes, before it sends. */
  #take(committee: Committee, local: Local, event: Event): Local[] {
    const { after, torn } = this.#run(committee, local, event)
    return [after, ...torn.map(({ before, records }) => this.#recovered(committee, before, records))]
  }

  /** A step, and those that follow when the driver finds every payload valid; and where it may be torn. */
  #run(committee: Committee, local: Local, event: Event) {
    const torn: { before: Local; records: LogRecord[] }[] = []
    let after = local
    for (const events = [event]; events.length > 0; ) {
      const before = after
      const said = new Set(before.said)
      const { state, effects } = step(committee, before.state, events.shift()!, 0)
      const records = effects.flatMap((effect) => (effect.type === 'persist' ? [effect.record] : []))
      for (let some = 1; some < records.length; some++) torn.push({ before, records: records.slice(0, some) })
      for (const effect of effects) {
        if (effect.type === 'validate') events.push({ type: 'validated', digest: effect.digest, valid: true })
        if (effect.type !== 'send') continue
        if (effect.message.type === 'vote') said.add(this.#saidCode(effect.message))
        if (effect.message.type === 'proposal') {
          const { view } = effect.message.block
          said.add(this.#saidCode({ kind: 'propose', view, digest: this.#known(effect.message.block) }))
        }
      }
      after = { ...before, state, said: [...said].sort((a, b) => a - b) }
    }
    return { after, torn }
  }

  /** After a crash, with these records more in its log than those of its last step. */
  #recovered(committee: Committee, local: Local, records: readonly LogRecord[]): Local {
    const log = this.#options.fault === 'forget' ? [] : [...recordsOf(committee, local.state), ...records]
    const state = wanting(recover(committee, local.state.finalized, log))
    return this.#run(committee, { ...local, state }, { type: 'probe' }).after
  }

  #saidCode({ kind, view, digest }: Omit<Said, 'event'>): number {
    const key = `${kind} ${view} ${digest}`
    let code = this.#saidCodes.get(key)
    if (code === undefined) {
      const event = this.#eventNumber(`${kind === 'propose' ? 'proposal' : 'certificate'} ${this.said.length}`)
      code = this.said.push({ kind, view, digest, event }) - 1
      this.#saidCodes.set(key, code)
    }
    return code
  }

  #code(local: Local): number {
    const kept = { ...local, state: this.#essence(local.state) }
    const key = keyOf(kept)
    let code = this.#codes.get(key)
    if (code === undefined) {
      code = this.#locals.push(kept) - 1
      if (code >= LOCALS) throw new RangeError('more local states than the checker can number')
      this.wrong.push(this.#contradiction(kept))
      this.#codes.set(key, code)
    }
    return code
  }

  /**
   * A state without what makes no difference any more: votes of views that were left (they are in `said`), a proposal on
   * which the member has had its say; and with the blocks that a crash took, for they come with their certificates.
   */
  #essence(state: State): State {
    const { views } = this.#options
    const { base } = this.#honest[0]!
    if (state.view > views) return initialState({ ...base, view: views })
    const rounds = new Map(state.rounds)
    for (const [view, round] of rounds) {
      const { certificates, votes } = round
      const digest = (certificates.finalize ?? certificates.notarize)?.digest
      const body = digest ? { digest, block: this.blocks.get(digest)! } : undefined
      if (view < state.view) rounds.set(view, { ...newRound(view), certificates, body })
      else if (votes.notarize.size + votes.nullify.size > 0) rounds.set(view, { ...round, proposed: undefined })
    }
    return { ...state, rounds }
  }

  /** Has an honest member said two things of which one is allowed? */
  #contradiction(local: Local): string | undefined {
    const said = local.said.map((one) => this.said[one]!)
    for (const a of said) {
      for (const b of said) {
        if (a.view !== b.view || a === b) continue
        if (a.kind === b.kind) return `an honest member says ${a.kind} twice in view ${a.view}`
        if (a.kind === 'finalize' && b.kind === 'nullify') {
          return `an honest member votes to finalize and to nullify in view ${a.view}`
        }
      }
    }
    return undefined
  }
}

function knows({ state }: Local, view: number, digest: Digest): boolean {
  return state.rounds.get(view)?.proposed?.digest === digest
}

function wanting(state: State): State {
  return { ...state, wanted: true }
}

/** A state as text, without who signed what. */
function keyOf({ role, state, said }: Local): string {
  const { view, finalized, building } = state
  const rounds = [...state.rounds.values()]
    .sort((a, b) => a.view - b.view)
    .map(({ view, proposed, votes, certificates: { notarize, nullify, finalize } }) => {
      const own = Object.values(votes).map(({ size }) => size)
      return [view, proposed?.digest, proposed?.verdict, own, notarize?.digest, nullify?.view, finalize?.digest]
    })
  return JSON.stringify([role, view, finalized.digest, building, rounds, said])
}

/** Planted fault: the vote to nullify a view has slipped the member's mind. */
function forgetful(local: Local, view: number): Local {
  const round = local.state.rounds.get(view)
  if (round === undefined) return local
  const rounds = new Map(local.state.rounds).set(view, { ...round, votes: { ...round.votes, nullify: new Map() } })
  return { ...local, state: { ...local.state, rounds } }
}
