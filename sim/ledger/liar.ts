/**
 * A Byzantine member of a simulated committee. It hears all, and by chance signs two blocks for one view, votes for
 * everything and against it to some and not to others, keeps silent, says again what it heard long ago, passes things on
 * late, and forges: votes of others, certificates of too few, answers that do not chain.
 */
import { encode } from '../../src/core/cbor.ts'
import type { Random } from '../../src/core/env.ts'
import { type Block, type Digest, digestOf, type Tip, tipAt } from '../../src/market/ledger/consensus/block.ts'
import { type Committee, leaderOf, plainDigest } from '../../src/market/ledger/consensus/committee.ts'
import { type Message, statement, type VoteKind } from '../../src/market/ledger/consensus/messages.ts'

/** Messages that it remembers to say again. */
const MEMORY = 200

export class Liar {
  readonly #committee: Committee
  readonly #random: Random
  readonly #nowMs: () => number
  readonly #send: (to: number, message: Message, lateMs: number) => void
  readonly #heard: Message[] = []
  readonly #tips: Tip[]
  #latest: Tip
  /** Views and digests on which it has had its say. */
  readonly #done = new Set<string>()
  /** Of this run: some liars mostly keep silent. */
  readonly #zeal: number

  constructor(
    committee: Committee,
    random: Random,
    nowMs: () => number,
    send: (to: number, message: Message, lateMs: number) => void,
  ) {
    this.#nowMs = nowMs
    this.#committee = committee
    this.#random = random
    this.#send = send
    this.#tips = [committee.base]
    this.#latest = committee.base
    this.#zeal = [0, 0.3, 1][random.int(3)]!
  }

  hear(message: Message): void {
    const random = this.#random
    if (this.#heard.length < MEMORY) this.#heard.push(message)
    else this.#heard[random.int(MEMORY)] = message
    if (random.next() >= this.#zeal) return
    if (message.type === 'proposal') {
      const digest = digestOf(message.block, plainDigest)
      const tip = tipAt(message.block, digest)
      this.#tips[random.int(8)] = tip
      if (tip.view > this.#latest.view) this.#latest = tip
      this.#voteOn(message.block.view, digest)
      this.#lead(message.block.view + 1)
    } else if (message.type === 'certificate') {
      this.#lead(message.view + 1)
      if (message.digest !== null) this.#voteOn(message.view, message.digest)
      this.#forge(message.view, message.digest)
    } else if (message.type === 'vote') {
      this.#voteOn(message.view, message.digest)
      this.#lead(message.view)
    }
    if (random.next() < 0.1) this.#some(this.#heard[random.int(this.#heard.length)]!, random.int(2000))
  }

  /** Blocks on any parent that it has heard of; or two on the latest, each with its votes, to one half each. */
  #lead(view: number): void {
    if (leaderOf(this.#committee, view) !== this.#committee.self || !this.#once(`lead ${view}`)) return
    const tips = this.#tips.filter((tip) => tip !== undefined && tip.view < view)
    if (this.#random.next() < 0.7 && this.#latest.view < view) {
      const latest = this.#latest
      const half = new Set(
        Array.from({ length: this.#committee.members }, (_, i) => i).filter((i) => i % 2 === view % 2),
      )
      for (const side of [true, false]) {
        const to = (member: number) => half.has(member) === side
        const digest = this.#propose(
          view,
          latest,
          Math.max(0, latest.timeMs - this.#nowMs()),
          encode([`side ${side} of ${view}`]),
          to,
        )
        this.#once(`vote ${view} ${digest}`)
        for (const kind of ['notarize', 'finalize'] as const) this.#vote(kind, view, digest, to)
      }
      return
    }
    for (const payload of [encode([]), encode([`made up in ${view}`]), new Uint8Array([255])]) {
      if (this.#random.next() < 0.3) continue
      const later = [0, 50, 5000, -5000][this.#random.int(4)]!
      this.#voteOn(view, this.#propose(view, tips[this.#random.int(tips.length)]!, later, payload, this.#chance))
    }
  }

  #propose(view: number, on: Tip, laterMs: number, payload: Uint8Array, to: (member: number) => boolean): Digest {
    const timeMs = this.#nowMs() + laterMs
    const block: Block = { height: on.height + 1, view, parent: on.digest, timeMs, payload }
    const digest = digestOf(block, plainDigest)
    const signature = this.#committee.sign(statement(this.#committee, 'propose', view, digest))
    this.#some({ type: 'proposal', block, signature }, 0, to)
    return digest
  }

  #voteOn(view: number, digest: Digest | null): void {
    if (!this.#once(`vote ${view} ${digest}`)) return
    for (const kind of ['notarize', 'nullify', 'finalize'] as const) {
      const what = kind === 'nullify' ? null : digest
      if ((what === null) === (kind === 'nullify') && this.#random.next() < 0.8)
        this.#vote(kind, view, what, this.#chance)
    }
  }

  #vote(
    kind: VoteKind,
    view: number,
    digest: Digest | null,
    to: (member: number) => boolean,
    member = this.#committee.self,
  ): void {
    const signature = this.#committee.sign(statement(this.#committee, kind, view, digest))
    this.#some({ type: 'vote', kind, view, digest, member, signature }, this.#random.int(2) * this.#random.int(300), to)
  }

  #forge(view: number, digest: Digest | null): void {
    if (!this.#once(`forge ${view}`)) return
    const { self, members, sign } = this.#committee
    this.#vote('nullify', view, null, this.#chance, (self + 1) % members)
    this.#vote('notarize', view + 1000, plainDigest(new Uint8Array([view & 255])), this.#chance)
    const signature = sign(statement(this.#committee, 'finalize', view, digest ?? this.#committee.base.digest))
    const few = [self, self, self, self, self]
    const certificate = {
      type: 'certificate' as const,
      kind: 'finalize' as VoteKind,
      view,
      digest: digest ?? this.#committee.base.digest,
      members: few,
      signatures: few.map(() => signature),
    }
    this.#some(certificate, 0)
    const blocks = this.#heard.flatMap((heard) => (heard.type === 'proposal' ? [heard.block] : [])).slice(0, 3)
    const certificates = this.#heard.filter((heard) => heard.type === 'certificate')
    const runs = certificates.slice(0, 2).map((real) => ({ blocks, above: [], certificate: real }))
    if (blocks.length > 0) this.#some({ type: 'answer', runs, certificates: [certificate], blocks }, 0)
    this.#some({ type: 'fetch', height: 1, since: 1, block: null }, 0)
  }

  #once(what: string): boolean {
    if (this.#done.has(what)) return false
    this.#done.add(what)
    return true
  }

  readonly #chance = (_member: number): boolean => this.#random.next() < 0.6

  #some(message: Message, lateMs: number, to = this.#chance): void {
    for (let member = 0; member < this.#committee.members; member++) {
      if (member !== this.#committee.self && to(member)) this.#send(member, message, lateMs)
    }
  }
}
