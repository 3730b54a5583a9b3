/**
 * Clients of a simulated ledger: each opens an account, earns from another, pays, reads, signs two operations for one number,
 * and says old ones again. It knows what it has signed and how each ended, and asks the same again, at another host, until
 * it knows. Keys and clocks are its own; hosts die under it.
 */
import type { Env, Random } from '../../src/core/env.ts'
import type { Key } from '../../src/core/ids.ts'
import type { KeyPair, PublicKey } from '../../src/market/ledger/keys.ts'
import type { AccountView, Ledger, Outcome } from '../../src/market/ledger/ledger.ts'
import { amount } from '../../src/market/ledger/state/amount.ts'
import { type Action, escrowId, signOperation } from '../../src/market/ledger/state/operation.ts'
import { fakeKeyPair } from '../fake-keys.ts'
import type { LedgerChecker } from './ledger-checker.ts'

const TRY_MS = 8000
const PAUSE_MS = 200
const WAGE = amount(20_000n)

export interface ClientPorts {
  /** Outlives the hosts. */
  readonly env: Env
  readonly network: Key
  readonly checker: LedgerChecker
  /** Of a host that is up and honest; undefined: there is none now. */
  pickLedger(random: Random): { ledger: Ledger; env: Env } | undefined
  /** An account is about to sign two operations with one number. */
  tempt(one: Uint8Array, other: Uint8Array): void
  /** One more operation. False: there have been enough. */
  begin(): boolean
  /** An operation has ended, final or beaten by another with its number. */
  ended(isFinal: boolean): void
}

export class Client {
  readonly #ports: ClientPorts
  readonly #random: Random
  readonly #key: KeyPair
  #nonce = 0
  readonly #past: Uint8Array[] = []

  constructor(ports: ClientPorts, number: number) {
    this.#ports = ports
    this.#random = ports.env.random.fork(`client ${number}`)
    this.#key = fakeKeyPair(`client ${number}`)
  }

  get id(): PublicKey {
    return this.#key.publicKey
  }

  /** First of all. */
  async open(): Promise<void> {
    await this.#act({ kind: 'open' })
  }

  /** When all have opened: until there were operations enough. */
  async live(others: readonly Client[]): Promise<void> {
    const payee = others[(others.indexOf(this) + 1) % others.length]!.id
    const escrow = escrowId({ network: this.#ports.network, account: this.id, nonce: this.#nonce })
    const deadlineMs = Math.floor(this.#ports.env.clock.now()) + 24 * 3_600_000
    const begun =
      (await this.#act({ kind: 'open-escrow', payees: [payee], arbiter: null, amount: WAGE, deadlineMs })) &&
      (await this.#act({ kind: 'fund', escrow, amount: WAGE })) &&
      (await this.#act({ kind: 'release', escrow, step: 0, to: payee, amount: WAGE }))
    while (begun && (await this.#doSomething(others)));
  }

  /** False: there was enough. */
  async #doSomething(others: readonly Client[]): Promise<boolean> {
    const chance = this.#random.next()
    if (chance < 0.08) return this.#spendTwice(others)
    if (chance < 0.11) return this.#repeat()
    if (chance < 0.2) await this.#read(this.#anyOf(others).id)
    return this.#act(this.#payment(others))
  }

  #payment(others: readonly Client[]): Action {
    const most = this.#random.next() < 0.1 ? 40_000 : 300
    return { kind: 'transfer', to: this.#anyOf(others).id, amount: amount(BigInt(1 + this.#random.int(most))) }
  }

  #anyOf(others: readonly Client[]): Client {
    return others[this.#random.int(others.length)]!
  }

  #sign(action: Action): Uint8Array {
    return signOperation({ network: this.#ports.network, account: this.id, nonce: this.#nonce, action }, [this.#key])
  }

  async #act(action: Action): Promise<boolean> {
    if (!this.#ports.begin()) return false
    const bytes = this.#sign(action)
    await this.#final(bytes)
    this.#nonce++
    this.#past.push(bytes)
    return true
  }

  /** At two hosts at once, under one number: one of them must win, everywhere. */
  async #spendTwice(others: readonly Client[]): Promise<boolean> {
    const { begin, tempt, checker } = this.#ports
    if (!(begin() && begin())) return false
    const [one, other] = [this.#sign(this.#payment(others)), this.#sign(this.#payment(others))]
    if (Buffer.compare(one, other) !== 0) tempt(one, other)
    const outcomes = await Promise.all([this.#final(one), this.#final(other)])
    this.#nonce++
    const won = outcomes.filter(({ receipt }) => receipt !== undefined).length
    if (won !== 1 && Buffer.compare(one, other) !== 0)
      checker.wrong(`${won} of two operations with one number are final`)
    return true
  }

  /** What is in the ledger gives the receipt that it has. */
  async #repeat(): Promise<boolean> {
    const bytes = this.#past[this.#random.int(this.#past.length)]!
    const { receipt } = await this.#outcome(bytes)
    if (receipt === undefined)
      this.#ports.checker.wrong('an operation that is final has no receipt when it is said again')
    return true
  }

  async #final(bytes: Uint8Array): Promise<Outcome> {
    const { env, checker, ended } = this.#ports
    const beganMs = env.clock.now()
    const outcome = await this.#outcome(bytes)
    if (outcome.receipt) checker.onReceipt(outcome.receipt, beganMs, env.clock.now())
    ended(outcome.receipt !== undefined)
    return outcome
  }

  /** In the end. What a host refuses that lags behind is tried elsewhere. */
  async #outcome(bytes: Uint8Array): Promise<Outcome> {
    for (;;) {
      const outcome = await this.#try((ledger, signal) => ledger.submit(bytes, { signal }))
      if (outcome?.receipt || outcome?.result === 'replayed' || outcome?.result === 'account-exists') return outcome
      await this.#ports.env.clock.sleep(this.#random.int(PAUSE_MS))
    }
  }

  async #read(id: PublicKey): Promise<void> {
    const { env, checker } = this.#ports
    const beganMs = env.clock.now()
    const seen = await this.#try(async (ledger, signal): Promise<{ account: AccountView | undefined }> => {
      return { account: await ledger.account(id, { signal }) }
    })
    if (seen) checker.onRead(id, seen.account, beganMs, env.clock.now())
  }

  /** Undefined: it came to nothing, or the host died. */
  async #try<T>(call: (ledger: Ledger, signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    const { env, pickLedger } = this.#ports
    const picked = pickLedger(this.#random)
    if (picked === undefined) return undefined
    using deadline = env.clock.deadline(TRY_MS)
    const { signal } = deadline
    const late = new Promise<undefined>((resolve) => signal.addEventListener('abort', () => resolve(undefined)))
    return await Promise.race([call(picked.ledger, signal).catch(() => undefined), late])
  }
}
