/**
 * A state of consensus in the making: what a step has changed so far, and its effects. Votes are cast here, so that none
 * is sent without its record.
 */
import { invariant } from '../../../core/errors.ts'
import type { Committee } from './committee.ts'
import type { Effect, LogRecord } from './effects.ts'
import { type Certificate, isQuorum, type Message, statement, type Vote, type VoteKind } from './messages.ts'
import { certified, newRound, type Round, withVote } from './round.ts'
import { firstLack, openParent, type State } from './state.ts'

export class Draft {
  readonly committee: Committee
  readonly nowMs: number
  /** Whom to ask for what turns out to be missing: who told of it. */
  readonly informant: number | 'all'
  state: State
  readonly #records: LogRecord[] = []
  readonly #effects: Effect[] = []

  constructor(committee: Committee, state: State, nowMs: number, informant: number | 'all') {
    this.committee = committee
    this.state = state
    this.nowMs = nowMs
    this.informant = informant
  }

  /** In order, everything to be persisted first. */
  effects(): Effect[] {
    return [...this.#records.map((record): Effect => ({ type: 'persist', record })), ...this.#effects]
  }

  effect(effect: Effect): void {
    this.#effects.push(effect)
  }

  persist(record: LogRecord): void {
    this.#records.push(record)
  }

  send(to: number | 'all', message: Message): void {
    if (to !== this.committee.self && this.committee.members > 1) this.#effects.push({ type: 'send', to, message })
  }

  set(change: Partial<State>): void {
    this.state = { ...this.state, ...change }
  }

  round(view: number): Round {
    return this.state.rounds.get(view) ?? newRound(view)
  }

  /** Replaces a round; reports who has been caught in it. */
  put(round: Round): void {
    const before = this.state.rounds.get(round.view)
    if (round === before) return
    for (const [member, evidence] of round.evidence) {
      if (!before?.evidence.has(member)) this.effect({ type: 'evidence', evidence })
    }
    this.set({ rounds: new Map(this.state.rounds).set(round.view, round) })
  }

  /** This member's own vote. */
  own(view: number, kind: VoteKind): Vote | undefined {
    return this.state.rounds.get(view)?.votes[kind].get(this.committee.self)
  }

  /** May this member still vote for a proposal of a view? */
  hasSay(view: number): boolean {
    if (view <= this.state.silentUntil) return false
    return this.own(view, 'notarize') === undefined && this.own(view, 'nullify') === undefined
  }

  /** Casts a vote, unless the member is to be silent in this view. */
  vote(kind: VoteKind, view: number, digest: Vote['digest']): void {
    const { self, sign } = this.committee
    if (view <= this.state.silentUntil) return
    invariant(this.own(view, kind) === undefined, `a second vote to ${kind} in view ${view}`)
    const against = this.own(view, kind === 'nullify' ? 'finalize' : 'nullify')
    invariant(against === undefined, `a vote to ${kind} after one to ${against?.kind} in view ${view}`)
    const signature = sign(statement(this.committee, kind, view, digest))
    const vote: Vote = { type: 'vote', kind, view, digest, member: self, signature }
    this.persist(vote)
    this.send('all', vote)
    this.count(vote)
  }

  count(vote: Vote): void {
    const round = withVote(this.round(vote.view), vote)
    this.put(round)
    if (round.certificates[vote.kind] !== undefined) return
    const certificate = certified(this.committee, round, vote.kind)
    if (certificate !== undefined) this.learn(certificate)
  }

  learn(certificate: Certificate): void {
    const { kind, view } = certificate
    if (view <= this.state.finalized.view || !isQuorum(this.committee, certificate)) return
    const round = this.round(view)
    if (round.certificates[kind] !== undefined) return
    this.put({ ...round, certificates: { ...round.certificates, [kind]: certificate } })
  }

  ask(to: number | 'all', since = firstLack(this.state)): void {
    this.send(to, { type: 'fetch', height: this.state.finalized.height + 1, since, block: openParent(this.state) })
  }

  /** Asks who told of what is missing; once until there is progress, for then the timer sees to it. */
  askOnce(since: number): void {
    const askedAt = `${this.state.view}/${this.state.finalized.height}`
    if (this.state.askedAt === askedAt) return
    this.set({ askedAt })
    this.ask(this.informant, since)
  }
}
