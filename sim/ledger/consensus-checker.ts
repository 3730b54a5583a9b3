/** Watches a committee from outside: what its honest members say, and what they take for final. */

import type { Block, Digest, Tip } from '../../src/market/ledger/consensus/block.ts'
import { digestOf, tipAt } from '../../src/market/ledger/consensus/block.ts'
import { plainDigest } from '../../src/market/ledger/consensus/committee.ts'
import type { FinalRun, Message } from '../../src/market/ledger/consensus/messages.ts'

export class ConsensusChecker {
  readonly violations: string[] = []
  /** The one chain, from height 1 on. */
  readonly chain: { block: Block; digest: Digest }[] = []
  readonly #tips: Tip[]
  readonly #quorum: number
  /** By member, view and kind: for what. */
  readonly #said = new Map<string, string>()

  /** The quorum is what the members take for one: a planted smaller one has to show in what becomes final. */
  constructor(base: Tip, members: number, quorum: number) {
    this.#quorum = quorum
    this.#tips = Array.from({ length: members }, () => base)
  }

  /** An honest member has sent something: never two things where one is allowed, crashes or not. */
  sent(member: number, message: Message): void {
    if (message.type === 'proposal') {
      this.#once(member, message.block.view, 'propose', digestOf(message.block, plainDigest))
    } else if (message.type === 'vote') {
      const { kind, view, digest } = message
      this.#once(member, view, kind, String(digest))
      const others = kind === 'nullify' ? ['finalize'] : kind === 'finalize' ? ['nullify'] : []
      for (const other of others) {
        if (this.#said.has(`${member} ${view} ${other}`))
          this.#wrong(`member ${member} votes to ${kind} and to ${other} in view ${view}`)
      }
    }
  }

  #once(member: number, view: number, kind: string, what: string): void {
    const key = `${member} ${view} ${kind}`
    const before = this.#said.get(key)
    if (before !== undefined && before !== what) this.#wrong(`member ${member} says ${kind} twice in view ${view}`)
    this.#said.set(key, what)
  }

  /** An honest member takes blocks for final. Returns those that nobody had before. */
  finalized(member: number, { blocks, certificate }: FinalRun): Block[] {
    const fresh: Block[] = []
    for (const block of blocks) {
      const tip = this.#tips[member]!
      const digest = digestOf(block, plainDigest)
      const at = `member ${member}, height ${block.height}`
      if (block.parent !== tip.digest || block.height !== tip.height + 1)
        this.#wrong(`${at}: does not follow its parent`)
      if (block.timeMs < tip.timeMs) this.#wrong(`${at}: time goes back`)
      if (block.view <= tip.view) this.#wrong(`${at}: views go back`)
      const known = this.chain[block.height - 1]
      if (known === undefined) {
        this.chain[block.height - 1] = { block, digest }
        fresh.push(block)
      } else if (known.digest !== digest) this.#wrong(`${at}: two different blocks are final`)
      this.#tips[member] = tipAt(block, digest)
    }
    if (certificate.digest !== this.#tips[member]!.digest || certificate.kind !== 'finalize') {
      this.#wrong(`member ${member}: a certificate for another block`)
    }
    if (new Set(certificate.members).size < this.#quorum) this.#wrong(`member ${member}: too few votes are final`)
    return fresh
  }

  #wrong(what: string): void {
    this.violations.push(what)
  }
}
