/**
 * Bankers that lie together. Each runs a real ledger, which keeps it up to date, behind an end of the network that lies:
 *
 * - equivocate: a block that one proposes has a twin, with the other operation of everybody who has signed two for one
 *   number; one half of the honest is shown the one and the other half the other, with all the liars' votes for it;
 * - vote for whatever is proposed, and against it, each to some only;
 * - withhold, delay, and say again what was heard long ago;
 * - forge votes of others, certificates of too few, answers that lead nowhere, places on the chain that they are not at.
 *
 * Their messages are well formed: what is not never comes past the codec.
 */
import { encode } from '../../src/core/cbor.ts'
import type { Random } from '../../src/core/env.ts'
import { hashKey, type Key } from '../../src/core/ids.ts'
import { Chain } from '../../src/market/ledger/chain.ts'
import type { StoredRun } from '../../src/market/ledger/chain-store.ts'
import { type Block, type Digest, digestOf } from '../../src/market/ledger/consensus/block.ts'
import {
  type Certificate,
  type Message,
  type Proposal,
  statement,
  type VoteKind,
} from '../../src/market/ledger/consensus/messages.ts'
import type { Genesis } from '../../src/market/ledger/genesis.ts'
import type { KeyPair } from '../../src/market/ledger/keys.ts'
import { decodeRun, decodeSaid } from '../../src/market/ledger/messages.ts'
import { decodePayload, payloadDigest } from '../../src/market/ledger/payload.ts'
import { fakeVerify } from '../fake-keys.ts'
import { MemoryChain } from './memory-chain.ts'

/** Messages that are remembered to be said again, and blocks to build on. */
const MEMORY = 64

export interface Liar {
  /** Its index in the committee. */
  readonly member: number
  readonly key: KeyPair
}

/** Two blocks for one view. */
interface Twins {
  readonly first: Digest
  readonly second: Digest
  readonly proposals: ReadonlyMap<Digest, Uint8Array>
}

export class Conspiracy {
  readonly liars: readonly Liar[]
  readonly random: Random
  /** Of this run: how often they do what they can. */
  readonly zeal: number
  readonly members: number
  /** By its hash, an operation that the same account has signed with the same number. */
  readonly #rivals = new Map<Key, Uint8Array>()
  readonly #chain: Chain
  readonly #blocks = new Map<Digest, Block>()
  readonly #heard: Uint8Array[] = []
  readonly #twins = new Map<Digest, Twins>()

  constructor(genesis: Genesis, liars: readonly Liar[], random: Random) {
    this.liars = liars
    this.random = random
    this.members = genesis.bankers.length
    this.zeal = [0, 0.3, 1][random.int(3)]!
    this.#chain = new Chain(genesis, new MemoryChain(), fakeVerify)
  }

  get epoch(): number {
    return this.#chain.epoch
  }

  get network(): Key {
    return this.#chain.network
  }

  get height(): number {
    return this.#chain.tip.height
  }

  /** A client has signed both. */
  tempt(one: Uint8Array, other: Uint8Array): void {
    this.#rivals.set(hashKey(one), other)
    this.#rivals.set(hashKey(other), one)
  }

  /** One of them takes a run for final. */
  onRun({ bytes }: StoredRun): void {
    const { epoch } = this
    const run = decodeRun(bytes)
    if (run) this.#chain.append(run)
    if (epoch === this.epoch) return
    this.#blocks.clear()
    this.#twins.clear()
  }

  hear(bytes: Uint8Array): Message | undefined {
    if (this.#heard.length < MEMORY) this.#heard.push(bytes)
    else this.#heard[this.random.int(MEMORY)] = bytes
    const message = decodeSaid(bytes)
    if (message?.type === 'proposal') this.#remember(message.block)
    return message
  }

  #remember(block: Block): void {
    this.#blocks.set(digestOf(block, payloadDigest), block)
    if (this.#blocks.size <= MEMORY) return
    const [oldest] = this.#blocks.keys()
    this.#blocks.delete(oldest!)
  }

  /** Something that was said long ago. */
  memory(): Uint8Array | undefined {
    return this.#heard[this.random.int(this.#heard.length)]
  }

  /** The side of a view on which a member is, when there are two. */
  sideOf(view: number, member: number): number {
    return (member + view) % 2
  }

  /** What a liar shows to a member in place of its own block; itself, where it has no twin. */
  shown(liar: Liar, own: Proposal, member: number): Uint8Array {
    this.#remember(own.block)
    const digest = digestOf(own.block, payloadDigest)
    const twins = this.#twins.get(digest) ?? this.#beget(liar, own, digest)
    if (twins === undefined) return encode(own)
    return twins.proposals.get(this.sideOf(own.block.view, member) === 0 ? twins.first : twins.second)!
  }

  /** That for which a member shall see them vote, when they vote for this. */
  votedFor(digest: Digest, view: number, member: number): Digest {
    const twins = this.#twins.get(digest)
    if (twins === undefined) return digest
    return this.sideOf(view, member) === 0 ? twins.first : twins.second
  }

  digestOf(block: Block): Digest {
    return digestOf(block, payloadDigest)
  }

  /** The digest of a block that has a twin, as a member is shown it. Undefined: it has none. */
  twinFor(block: Block, member: number): Digest | undefined {
    const digest = this.digestOf(block)
    return this.hasTwin(digest) ? this.votedFor(digest, block.view, member) : undefined
  }

  hasTwin(digest: Digest): boolean {
    return this.#twins.has(digest)
  }

  #beget(liar: Liar, own: Proposal, digest: Digest): Twins | undefined {
    const { view, parent, height, timeMs, payload } = own.block
    if (this.random.next() >= this.zeal) return undefined
    const operations = decodePayload(payload)?.operations
    const ancestors = this.#ancestors(parent)
    const before = ancestors && this.#chain.stateAfter(ancestors)
    if (operations === undefined || before === undefined || typeof before === 'string') return undefined
    const others = operations.map((bytes) => this.#rivals.get(hashKey(bytes)) ?? bytes)
    const changed = others.some((bytes, i) => bytes !== operations[i]) ? others : operations.slice(1)
    const twin: Block = { height, view, parent, timeMs, payload: this.#chain.build(before, timeMs, changed) }
    const second = digestOf(twin, payloadDigest)
    if (second === digest) return undefined
    this.#remember(twin)
    const { network, epoch } = this.#chain
    const signature = liar.key.sign(statement({ network, epoch }, 'propose', view, second))
    const proposals = new Map([
      [digest, encode(own)],
      [second, encode({ type: 'proposal', block: twin, signature })],
    ])
    const twins = { first: digest, second, proposals }
    this.#twins.set(digest, twins)
    this.#twins.set(second, twins)
    return twins
  }

  #ancestors(parent: Digest): Block[] | undefined {
    const path: Block[] = []
    for (let at = parent; at !== this.#chain.tip.digest; ) {
      const block = this.#blocks.get(at)
      if (!block || block.height <= this.#chain.tip.height) return undefined
      path.unshift(block)
      at = block.parent
    }
    return path
  }

  vote({ member, key }: Liar, kind: VoteKind, view: number, digest: Digest | null): Uint8Array {
    const { network, epoch } = this.#chain
    const signature = key.sign(statement({ network, epoch }, kind, view, digest))
    return encode({ type: 'vote', kind, view, digest, member, signature })
  }

  /** All of them, for and against. */
  votes(kinds: readonly VoteKind[], view: number, digest: Digest): Uint8Array[] {
    return this.liars.flatMap((liar) =>
      kinds.map((kind) => this.vote(liar, kind, view, kind === 'nullify' ? null : digest)),
    )
  }

  /** Something that nobody has signed as it says. */
  forgery(view: number, digest: Digest): Uint8Array {
    const [liar] = this.liars as [Liar]
    const { random } = this
    const vote = decodeSaid(this.vote(liar, 'finalize', view, digest))
    const signature = vote?.type === 'vote' ? vote.signature : new Uint8Array(64)
    const victim = random.int(this.members)
    const seats = Array.from({ length: this.members }, (_, i) => i)
    const few = random.next() < 0.5 ? seats : seats.map(() => liar.member)
    const certificate: Certificate = {
      type: 'certificate',
      kind: 'finalize',
      view,
      digest,
      members: few,
      signatures: few.map(() => signature),
    }
    const block = this.#blocks.get(digest)
    const runs = block ? [{ blocks: [block], above: [], certificate }] : []
    const forgeries: Message[] = [
      { type: 'vote', kind: 'notarize', view, digest, member: victim, signature },
      { type: 'vote', kind: 'nullify', view: view + 1000, digest: null, member: victim, signature },
      certificate,
      { type: 'answer', runs, certificates: [certificate], blocks: block ? [block] : [] },
      { type: 'fetch', height: random.int(this.height + 2), since: random.int(view + 1), block: digest },
    ]
    return encode(forgeries[random.int(forgeries.length)])
  }
}
