/**
 * Whether the members' books are what the clients were told: read from the chains on the members' disks, and asked of each running
 * member. What was acknowledged must be there, where it was said to be; what was not may be there, but not twice.
 */

import type { Key } from '../../src/core/ids.ts'
import { auditHome, chainFile } from '../../src/ledger-audit.ts'
import { addressOf } from '../../src/market/ledger/address.ts'
import { openChainDb } from '../../src/market/ledger/chain-db.ts'
import { digestOf } from '../../src/market/ledger/consensus/block.ts'
import { verifyEd25519 } from '../../src/market/ledger/ed25519.ts'
import type { PublicKey } from '../../src/market/ledger/keys.ts'
import type { Place } from '../../src/market/ledger/ledger.ts'
import { decodeRun } from '../../src/market/ledger/messages.ts'
import { decodePayload, payloadDigest } from '../../src/market/ledger/payload.ts'
import { decodeReceiptFile, receiptFileFault } from '../../src/market/ledger/receipt/receipt.ts'
import { decodeOperation, type Operation } from '../../src/market/ledger/state/operation.ts'
import type { Members, Node } from './members.ts'
import type { Payers, Payment } from './payers.ts'

const LIMIT = { maxRuns: 256, maxBytes: 4 * 1024 * 1024 }
const ANSWER_MS = 20_000

export interface Found {
  /** Acknowledged payments that some member does not have, or not where it was said. */
  readonly lost: number
  /** That are in the chain twice, or although their client was told that they are in none. */
  readonly wrong: number
  /** Not acknowledged, and there. */
  readonly silent: number
  readonly height: number
  readonly receipts: number
  /** What else is not as it must be, a line each. */
  readonly faults: readonly string[]
}

export class Books {
  readonly #members: Members
  readonly #payers: Payers
  /** Before the first payment. */
  #opening = new Map<PublicKey, bigint>()
  #receiptsUpTo = 0

  constructor(members: Members, payers: Payers) {
    this.#members = members
    this.#payers = payers
  }

  async open(): Promise<void> {
    for (const account of this.#payers.accounts) this.#opening.set(account, await freeAt(this.#members.up[0]!, account))
  }

  /** When nobody pays. What a client gave up may still come in: then all is looked at again. */
  async check(): Promise<Found> {
    for (;;) {
      const height = await this.#members.caughtUp({ idle: true })
      const faults: string[] = []
      const found = await this.#look(faults)
      if ((await this.#members.caughtUp({ idle: true })) !== height) continue
      return { ...found, receipts: await this.#checkReceipts(faults), faults }
    }
  }

  async #look(faults: string[]): Promise<Omit<Found, 'receipts' | 'faults'>> {
    const { nodes } = this.#members
    const { payments, accounts } = this.#payers
    const chains = nodes.map(({ home }) => blocksOf(home))
    for (let height = 1; height <= Math.max(...chains.map(({ length }) => length)); height++) {
      const digests = new Set(chains.map((chain) => chain[height - 1]?.digest))
      if (digests.size > 1) faults.push(`members have ${digests.size} different blocks at height ${height}`)
    }
    const found = chains.map((chain) => placesIn(chain.map(({ payload }) => payload)))
    const isLost = ({ state, amount, place }: Payment) =>
      state === 'acknowledged' && found.some((places) => !places.get(amount)?.some((one) => isSame(one, place!)))
    const isWrong = ({ state, amount }: Payment) =>
      found.some((places) => (places.get(amount)?.length ?? 0) > (state === 'refused' ? 0 : 1))
    const isThere = ({ amount }: Payment) => found[0]!.has(amount)
    const lost = payments.filter(isLost)
    const wrong = payments.filter(isWrong)
    for (const { amount } of lost) faults.push(`payment ${amount} was acknowledged, and is lost`)
    for (const { amount } of wrong) faults.push(`payment ${amount} is there too often`)

    const there = payments.filter(isThere)
    for (const account of accounts) {
      let free = this.#opening.get(account)!
      for (const { from, to, amount } of there)
        free += (to === account ? amount : 0n) - (from === account ? amount : 0n)
      for (const node of this.#members.up) {
        const held = await freeAt(node, account)
        if (held !== free) faults.push(`member ${node.index + 1} says ${held} of an account that has ${free}`)
      }
    }
    const statuses = await this.#members.statuses()
    const supplies = new Set(statuses.map(({ supply }) => supply))
    if (supplies.size !== 1) faults.push(`members count ${supplies.size} different supplies`)
    const silent = there.filter(({ state }) => state === 'open').length
    return { lost: lost.length, wrong: wrong.length, silent, height: chains[0]!.length }
  }

  /** Of what was acknowledged since the last time: each at one member, in turns. */
  async #checkReceipts(faults: string[]): Promise<number> {
    const { payments } = this.#payers
    const { up } = this.#members
    const fresh = payments.slice(this.#receiptsUpTo).filter(({ state }) => state === 'acknowledged')
    this.#receiptsUpTo = payments.length
    const { network } = await up[0]!.host.ledger.status(patience())
    for (const [turn, { amount, place }] of fresh.entries()) {
      const node = up[turn % up.length]!
      const bytes = await node.host.ledger.receipt(place!, patience()).catch(() => undefined)
      if (!bytes) {
        faults.push(`member ${node.index + 1} has no receipt of payment ${amount}`)
        continue
      }
      const fault = receiptFileFault(bytes, network as Key, verifyEd25519)
      const file = decodeReceiptFile(bytes)
      const paid = 'receipt' in file ? decodeOperation(file.receipt.operation) : undefined
      if (fault || !paid || amountOf(paid) !== amount) {
        faults.push(`the receipt of payment ${amount} is not good: ${fault?.message ?? 'it is for something else'}`)
      }
    }
    return fresh.length
  }
}

/** Every signature, every operation and the supply, as `chorale ledger verify` does. The faults, a line each. */
export async function auditFaults(nodes: readonly Node[]): Promise<string[]> {
  const faults: string[] = []
  for (const { home, index } of nodes) {
    const { fault, held, minted, burnt } = await auditHome(home, () => {})
    if (fault !== undefined) faults.push(`the chain of member ${index + 1}: ${fault}`)
    if (held !== minted - burnt) faults.push(`member ${index + 1} holds ${held} of ${minted - burnt} millicredits`)
  }
  return faults
}

interface StoredBlock {
  readonly digest: string
  readonly payload: Uint8Array
}

/** From height 1 on. */
function blocksOf(home: string): StoredBlock[] {
  const store = openChainDb(chainFile(home))
  try {
    const blocks: StoredBlock[] = []
    for (;;) {
      const runs = store.runs(blocks.length + 1, LIMIT)
      const before = blocks.length
      for (const { bytes, lastHeight } of runs) {
        for (const block of decodeRun(bytes)?.blocks ?? []) {
          if (block.height !== blocks.length + 1 || block.height > lastHeight) continue
          blocks.push({ digest: digestOf(block, payloadDigest), payload: block.payload })
        }
      }
      if (blocks.length === before) return blocks
    }
  } finally {
    store.close()
  }
}

/** Where each amount was paid. */
function placesIn(payloads: readonly Uint8Array[]): Map<bigint, Place[]> {
  const places = new Map<bigint, Place[]>()
  for (const [below, bytes] of payloads.entries()) {
    const { operations, results } = decodePayload(bytes)!
    for (const [index, operation] of operations.entries()) {
      const paid = decodeOperation(operation)
      const amount = typeof paid === 'string' ? undefined : amountOf(paid)
      if (amount === undefined || results[index] !== 'applied') continue
      places.set(amount, [...(places.get(amount) ?? []), { height: below + 1, index }])
    }
  }
  return places
}

/** Undefined: it is no payment. */
function amountOf(operation: Operation | string): bigint | undefined {
  return typeof operation !== 'string' && operation.action.kind === 'transfer'
    ? BigInt(operation.action.amount)
    : undefined
}

function isSame(one: Place, other: Place): boolean {
  return one.height === other.height && one.index === other.index
}

async function freeAt({ host }: Node, account: PublicKey): Promise<bigint> {
  return BigInt((await host!.ledger.account(addressOf(account), patience())).free)
}

function patience() {
  return { signal: AbortSignal.timeout(ANSWER_MS) }
}
