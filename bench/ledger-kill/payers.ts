/**
 * Who pays while members are killed. Clients have wallets of their own and pay through a node without a seat, which is not killed
 * with them: each submits its operation, the same bytes again and again, until it is told that it is final. Wanderers share the
 * account that owns the members' homes and pay through any member's control socket; when one is gone they fall back to another,
 * and never learn what became of the payment that it had. No two payments have the same amount, so each can be told from all others.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Random } from '../../src/core/env.ts'
import { addressOf } from '../../src/market/ledger/address.ts'
import { ed25519KeyPair } from '../../src/market/ledger/ed25519.ts'
import type { KeyPair, PublicKey } from '../../src/market/ledger/keys.ts'
import type { Outcome, Place } from '../../src/market/ledger/ledger.ts'
import { amount } from '../../src/market/ledger/state/amount.ts'
import { type Action, escrowId, signOperation } from '../../src/market/ledger/state/operation.ts'
import { type Host, startHost } from '../../src/node.ts'
import { type Members, type Node, OVERLAY } from './members.ts'

/** Between the answer to one payment and the next. */
const PAUSE_MS = 40
/** For an answer from a node. */
const ANSWER_MS = 20_000
const AGAIN_MS = 100
const WAGE = 10n ** 9n
const HOUR_MS = 3_600_000

export interface Payment {
  readonly from: PublicKey
  readonly to: PublicKey
  readonly amount: bigint
  /** `acknowledged`: final, as its client was told. `refused`: in no block, as it was told. `open`: it was told nothing. */
  state: 'open' | 'acknowledged' | 'refused'
  place?: Place
}

export class Payers {
  /** All that were ever asked for, in order. */
  readonly payments: Payment[] = []
  readonly accounts: readonly PublicKey[]
  /** What a client was told that cannot be. */
  readonly faults: string[] = []
  acknowledged = 0
  readonly #members: Members
  readonly #random: Random
  readonly #clients: readonly KeyPair[]
  readonly #ended: AbortController
  readonly #workers: Promise<void>[] = []
  #node: { readonly host: Host; readonly gone: AbortController } | undefined
  #gate: PromiseWithResolvers<void> | undefined = Promise.withResolvers()
  #resting = 0
  #lastMs = 0
  #longestGapMs = 0

  constructor(members: Members, clients: number, random: Random, signal: AbortSignal) {
    this.#members = members
    this.#random = random
    this.#clients = Array.from({ length: clients }, () => ed25519KeyPair(randomBytes(32)))
    this.accounts = [members.wallet.publicKey, ...this.#clients.map(({ publicKey }) => publicKey)]
    this.#ended = new AbortController()
    signal.addEventListener('abort', () => this.#ended.abort(signal.reason), { once: true })
  }

  /** The node that the clients pay through; it joins by whatever member is up. */
  async open(): Promise<void> {
    const { up, root, genesis } = this.#members
    const bootstrap = up.slice(0, 1).map(({ address }) => address!)
    const place = { home: join(root, 'payers'), listen: { ip: '127.0.0.1', port: 0 }, bootstrap, genesis }
    const host = await startHost({ ...place, ...OVERLAY, lendCores: 0 }, { signal: this.#ended.signal })
    this.#node = { host, gone: new AbortController() }
  }

  async close(): Promise<void> {
    const node = this.#node
    this.#node = undefined
    node?.gone.abort(new Error('the node is gone'))
    await node?.host.stop()
  }

  /** Somebody who pays wages, and so makes what everybody was granted free to be sent. */
  async earn(): Promise<void> {
    const sponsor = ed25519KeyPair(randomBytes(32))
    await Promise.all([sponsor, ...this.#clients].map((pair) => this.#settle(pair, 0, { kind: 'open' })))
    const escrow = escrowId({ network: this.#node!.host.books.ledger.network, account: sponsor.publicKey, nonce: 1 })
    const payees = [...this.accounts]
    const all = { escrow, amount: amount(WAGE * BigInt(payees.length)) }
    const terms = { payees, arbiter: null, amount: all.amount, deadlineMs: Date.now() + HOUR_MS }
    await this.#settle(sponsor, 1, { kind: 'open-escrow', ...terms })
    await this.#settle(sponsor, 2, { kind: 'fund', ...all })
    for (const [step, to] of payees.entries()) {
      await this.#settle(sponsor, 3 + step, { kind: 'release', escrow, step, to, amount: amount(WAGE) })
    }
  }

  start(wanderers: number): void {
    this.#workers.push(...this.#clients.map((pair, index) => this.#work(this.#client(pair, index))))
    for (let number = 0; number < wanderers; number++) this.#workers.push(this.#work(this.#wanderer()))
  }

  resume(): void {
    this.#lastMs = performance.now()
    this.#gate?.resolve()
    this.#gate = undefined
  }

  /** Resolves when nobody waits for an answer. */
  async pause(): Promise<void> {
    this.#gate = Promise.withResolvers()
    await this.until('every client has its answer', () => this.#resting === this.#workers.length)
  }

  async end(): Promise<void> {
    this.#ended.abort(new Error('the bench is over'))
    this.#gate?.resolve()
    await Promise.all(this.#workers)
    await this.close()
  }

  /** Resolves when so many more were acknowledged. */
  async more(count: number): Promise<void> {
    const wanted = this.acknowledged + count
    await this.until(`${count} payments are final`, () => this.acknowledged >= wanted)
  }

  /** Not for longer than all clients go on: one that was told what cannot be has given up. */
  async until(what: string, check: () => boolean): Promise<void> {
    await this.#members.until(what, () => {
      const [fault] = this.faults
      if (fault !== undefined) throw new Error(fault)
      return check()
    })
  }

  /** The longest time without an acknowledgement since the last call, while payments were asked for. */
  longestGapMs(): number {
    const longest = Math.max(this.#longestGapMs, performance.now() - this.#lastMs)
    this.#longestGapMs = 0
    this.#lastMs = performance.now()
    return Math.round(longest)
  }

  async #work(pay: () => Promise<void>): Promise<void> {
    const { signal } = this.#ended
    while (!signal.aborted) {
      if (this.#gate) {
        this.#resting++
        await this.#gate.promise
        this.#resting--
        continue
      }
      try {
        await pay()
        await sleep(PAUSE_MS, undefined, { signal })
      } catch (error) {
        if (!signal.aborted) this.faults.push(`a client gave up: ${(error as Error).message}`)
        return
      }
    }
  }

  /** Pays the next client and the wanderers, in turns. */
  #client(pair: KeyPair, index: number): () => Promise<void> {
    let nonce = 1
    return async () => {
      const next = this.accounts[1 + ((index + 1) % this.#clients.length)]!
      const to = nonce % 2 === 0 || next === pair.publicKey ? this.accounts[0]! : next
      const payment = this.#begin(pair.publicKey, to)
      const outcome = await this.#settle(pair, nonce++, { kind: 'transfer', to, amount: amount(payment.amount) })
      const { header, index: place } = outcome.receipt!
      this.#acknowledge(payment, { height: header.height, index: place })
    }
  }

  #wanderer(): () => Promise<void> {
    let at: Node | undefined
    return async () => {
      const { up } = this.#members
      const node = up.find((one) => one === at) ?? up[this.#random.int(Math.max(1, up.length))]
      at = node
      if (!node) return // nobody is up
      const payment = this.#begin(this.accounts[0]!, this.accounts[1]!)
      const asked = { to: addressOf(payment.to), amount: `${payment.amount}` }
      try {
        const { result, place } = await node.host.ledger.send(asked, { signal: this.#patience() })
        if (result === 'applied') this.#acknowledge(payment, place!)
        else if (place) this.faults.push(`payment ${payment.amount} came to nothing: ${result}`)
        else payment.state = 'refused'
      } catch {
        at = undefined // what became of the payment is not known here, nor is it asked for again
      }
    }
  }

  #begin(from: PublicKey, to: PublicKey): Payment {
    const payment: Payment = { from, to, amount: BigInt(this.payments.length + 1), state: 'open' }
    this.payments.push(payment)
    return payment
  }

  #acknowledge(payment: Payment, place: Place): void {
    payment.state = 'acknowledged'
    payment.place = place
    this.acknowledged++
    const nowMs = performance.now()
    this.#longestGapMs = Math.max(this.#longestGapMs, nowMs - this.#lastMs)
    this.#lastMs = nowMs
  }

  /** The same bytes until they are final. Rejects when they come to nothing. */
  async #settle(pair: KeyPair, nonce: number, action: Action): Promise<Outcome> {
    const { signal } = this.#ended
    let operation: Uint8Array | undefined
    for (;;) {
      signal.throwIfAborted()
      const node = this.#node
      let outcome: Outcome | undefined
      try {
        const ledger = node?.host.books.ledger
        operation ??=
          ledger && signOperation({ network: ledger.network, account: pair.publicKey, nonce, action }, [pair])
        outcome = operation && (await ledger?.submit(operation, { signal: this.#patience(node?.gone.signal) }))
      } catch {
        // not final yet: the same again
      }
      if (outcome?.result === 'applied') return outcome
      if (outcome) throw new Error(`a ${action.kind} came to nothing: ${outcome.result}`)
      await sleep(AGAIN_MS, undefined, { signal })
    }
  }

  #patience(gone?: AbortSignal): AbortSignal {
    return AbortSignal.any([this.#ended.signal, AbortSignal.timeout(ANSWER_MS), ...(gone ? [gone] : [])])
  }
}
