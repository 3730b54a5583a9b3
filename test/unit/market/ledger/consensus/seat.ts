/** One member of a committee of four, to try the step on: what it is told, and what it does. */
import { fakeCommittee, fakeSignature } from '../../../../../sim/ledger/fake-keys.ts'
import { type Block, type Digest, digestOf, type Tip, tipAt } from '../../../../../src/market/ledger/consensus/block.ts'
import { type Committee, leaderOf, plainDigest } from '../../../../../src/market/ledger/consensus/committee.ts'
import type { Effect, Event, LogRecord } from '../../../../../src/market/ledger/consensus/effects.ts'
import { recover } from '../../../../../src/market/ledger/consensus/log.ts'
import {
  type Certificate,
  type Message,
  type Proposal,
  statement,
  type Vote,
  type VoteKind,
} from '../../../../../src/market/ledger/consensus/messages.ts'
import type { State } from '../../../../../src/market/ledger/consensus/state.ts'
import { step } from '../../../../../src/market/ledger/consensus/step.ts'

export const NOW_MS = 1_000_000
/** Member i leads view i + 1, and then every fourth. */
export const COMMITTEES = fakeCommittee({ members: 4, firstLeader: 3 })
export const BASE: Tip = COMMITTEES[0]!.base

export function blockOn(parent: Tip, view: number, payload = Uint8Array.of(view), timeMs = NOW_MS): Block {
  return { height: parent.height + 1, view, parent: parent.digest, timeMs, payload }
}

export const digest = (block: Block): Digest => digestOf(block, plainDigest)
export const tip = (block: Block): Tip => tipAt(block, digest(block))

export function proposal(block: Block): Proposal {
  const [any] = COMMITTEES as [Committee]
  const leader = COMMITTEES[leaderOf(any, block.view)]!
  return { type: 'proposal', block, signature: leader.sign(statement(any, 'propose', block.view, digest(block))) }
}

export function vote(kind: VoteKind, view: number, block: Block | null, member: number): Vote {
  const what = block && digest(block)
  const signature = fakeSignature(member, statement(COMMITTEES[0]!, kind, view, what))
  return { type: 'vote', kind, view, digest: what, member, signature }
}

export function certificate(kind: VoteKind, view: number, block: Block | null, members = [1, 2, 3]): Certificate {
  const votes = members.map((member) => vote(kind, view, block, member))
  const what = block && digest(block)
  return { type: 'certificate', kind, view, digest: what, members, signatures: votes.map(({ signature }) => signature) }
}

export class Seat {
  readonly committee: Committee
  state: State
  /** All that it was to persist, in order. */
  readonly log: LogRecord[]
  nowMs = NOW_MS

  constructor(self = 0, log: readonly LogRecord[] = [], finalized = BASE) {
    this.committee = COMMITTEES[self]!
    this.log = [...log]
    this.state = recover(this.committee, finalized, log)
  }

  /** Effects of the last of these events. Every payload is found valid at once. */
  take(...events: Event[]): readonly Effect[] {
    let last: readonly Effect[] = []
    for (const event of events) {
      const { state, effects } = step(this.committee, this.state, event, this.nowMs)
      this.state = state
      for (const effect of effects) if (effect.type === 'persist') this.log.push(effect.record)
      const asked = effects.find((effect) => effect.type === 'validate')
      last = asked ? [...effects, ...this.take({ type: 'validated', digest: asked.digest, valid: true })] : effects
    }
    return last
  }

  hear(...messages: Message[]): readonly Effect[] {
    return this.take(...messages.map((message): Event => ({ type: 'message', from: 1, message })))
  }

  timer(): readonly Effect[] {
    return this.take({ type: 'timer' })
  }
}

export function sent(effects: readonly Effect[]): Message[] {
  return effects.flatMap((effect) => (effect.type === 'send' ? [effect.message] : []))
}

/** `notarize 3`, ... */
export function votes(effects: readonly Effect[]): string[] {
  return sent(effects).flatMap((message) => (message.type === 'vote' ? [`${message.kind} ${message.view}`] : []))
}
