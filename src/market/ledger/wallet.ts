/**
 * What a host does for its account: signs operations with the next number, one after the other, and brings them in; opens the
 * account and links the host to it when that has not been done.
 *
 * Other hosts of the same account may do so at the same time. Numbers then collide: one operation is applied, the other is in
 * no block, and is signed anew with the next number. What may still come in is never signed anew, so nothing is paid twice:
 * when the answer fails to come, the caller hears that, and only that.
 *
 * Where both ask for the very same (one sum for one receiver), they sign the same bytes: that is one operation, applied
 * once, and both get its receipt. Nothing in an operation tells hosts of an account apart, and bytes that are known already
 * are what makes it harmless to submit again. Whoever means two payments sees one place in both receipts.
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../../core/errors.ts'
import type { KeyPair, PublicKey } from './keys.ts'
import type { Ledger, Outcome } from './ledger.ts'
import { MEDIATOR_FINE } from './state/allocations/allocation.ts'
import { type Amount, amount, ZERO } from './state/amount.ts'
import { type Action, signersOf, signOperation } from './state/operation.ts'
import { total } from './state/purse.ts'

/** Numbers that may be taken by other hosts of the account, one after the other, before it is given up. */
const MAX_COLLISIONS = 8
/** Between two attempts to settle in: about this, then twice as long, and so on. */
const FIRST_RETRY_MS = 500
const LAST_RETRY_MS = 30_000
/** For one question or operation, when settling in. */
const PATIENCE_MS = 30_000
/** Of a mediator, beyond the bond: below that it is none any more, and a banker loses its seat, for an error of its machine. */
const RESERVE = amount(10n * MEDIATOR_FINE)

export interface WalletOptions {
  readonly env: Env
  readonly ledger: Ledger
  readonly keys: KeyPair
  /** The key of this host, for the link. */
  readonly host: KeyPair
}

export class Wallet {
  readonly account: PublicKey
  readonly host: PublicKey
  readonly #options: WalletOptions
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: WalletOptions) {
    this.#options = options
    this.account = options.keys.publicKey
    this.host = options.host.publicKey
  }

  send(to: PublicKey, sum: Amount, options: { readonly signal: AbortSignal }): Promise<Outcome> {
    return this.act({ kind: 'transfer', to, amount: sum }, options)
  }

  /**
   * Signs and submits, when what was asked before is done. The result says whether it was applied. Rejects as
   * `Ledger.submit` does; after `timeout` the operation may still come in.
   */
  act(action: Action, options: { readonly signal: AbortSignal }): Promise<Outcome> {
    const mine = this.#turn.then(() => {
      options.signal.throwIfAborted()
      return this.#act(action, options)
    })
    this.#turn = mine.catch(() => {}) // whoever asked for it hears of it
    return mine
  }

  async #act(action: Action, options: { readonly signal: AbortSignal }): Promise<Outcome> {
    const { ledger, keys, host } = this.#options
    for (let collisions = 0; ; collisions++) {
      const nonce = action.kind === 'open' ? 0 : ((await ledger.account(this.account, options))?.nonce ?? 0)
      const unsigned = { network: ledger.network, account: this.account, nonce, action }
      const signers = signersOf(unsigned).map((signer) => (signer === host.publicKey ? host : keys))
      const outcome = await ledger.submit(signOperation(unsigned, signers), options)
      const collided = !outcome.receipt && ['replayed', 'nonce-gap'].includes(outcome.result)
      if (!collided || collisions === MAX_COLLISIONS) return outcome
    }
  }

  /** Puts up what this host lacks of a banker's bond, and has it stand for the committee. Resolves with the last outcome. */
  async stand(options: { readonly signal: AbortSignal }): Promise<Outcome> {
    return (await this.#bondUp(options)) ?? this.act({ kind: 'admit', host: this.host }, options)
  }

  /**
   * This host does tasks again when others quarrel, for which it has a bond, too, and some more for fines if the account has it; or
   * does no more. Resolves with the last outcome.
   */
  async volunteer(willing: boolean, options: { readonly signal: AbortSignal }): Promise<Outcome> {
    const refused = willing ? await this.#bondUp(options, RESERVE) : undefined
    return refused ?? this.act({ kind: 'mediate', host: this.host, willing }, options)
  }

  /** `reserve`: beyond the bond, if the account has all of it. Resolves with what was refused; undefined: the bond is whole. */
  async #bondUp(options: { readonly signal: AbortSignal }, reserve = ZERO): Promise<Outcome | undefined> {
    const { ledger } = this.#options
    await ledger.account(this.account, options) // the copy is as new
    const banker = ledger.banker(this.host)
    const known = ledger.state.accounts.get(this.account)
    const missing = ledger.genesis.settings.bond - (banker ? total(banker) : ZERO)
    const most = missing + reserve
    const sum = known && total(known) >= most ? most : missing
    if (sum <= 0n) return undefined
    const bonded = await this.act({ kind: 'bond', host: this.host, amount: amount(sum) }, options)
    return bonded.result === 'applied' || missing <= 0n ? undefined : bonded
  }

  /**
   * This host stands no longer, and gives notice of its bond; later, when the time for that is over and it has no seat, it
   * takes the bond back. Resolves with the last outcome.
   */
  async stepDown(options: { readonly signal: AbortSignal }): Promise<Outcome> {
    const { ledger } = this.#options
    await ledger.account(this.account, options)
    const banker = ledger.banker(this.host)
    const host = this.host
    if (!banker || (!banker.candidate && total(banker) === 0n)) return this.act({ kind: 'withdraw', host }, options)
    if (banker.candidate) {
      const dropped = await this.act({ kind: 'drop', host }, options)
      if (dropped.result !== 'applied' || total(banker) === 0n) return dropped
    }
    return this.act({ kind: 'unbond', host, amount: total(banker) }, options)
  }

  /**
   * Opens the account and links this host to it, whatever of it is missing; tries again until both are final. Whatever
   * was done before a crash is found done. Resolves early, with a warning in the log, when the host belongs to another account.
   */
  async settleIn({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { env } = this.#options
    let pauseMs = FIRST_RETRY_MS
    while (!signal.aborted) {
      try {
        if (await this.#settled(signal)) return
      } catch (error) {
        if (signal.aborted) return
        env.log.debug('not settled in yet', { code: errorCode(error), reason: errorMessage(error) })
        await env.clock.sleep(pauseMs * (0.5 + env.random.next()), { signal }).catch(() => {})
        pauseMs = Math.min(2 * pauseMs, LAST_RETRY_MS)
      }
    }
  }

  /** Takes one step, if one is missing. True: all is done. */
  async #settled(signal: AbortSignal): Promise<boolean> {
    const { env, ledger, host } = this.#options
    using deadline = env.clock.deadline(PATIENCE_MS, signal)
    const known = await ledger.account(this.account, deadline)
    if (known?.hosts.includes(host.publicKey)) return true
    const outcome = await this.act(known ? { kind: 'link', host: host.publicKey } : { kind: 'open' }, deadline)
    if (outcome.result === 'applied') return false
    const owner = ledger.accountOf(host.publicKey)
    if (outcome.result !== 'host-linked' || owner === undefined) throw new ChoraleError('busy', outcome.result)
    if (owner !== this.account) env.log.warn('this host belongs to another account, which gets its wages', { owner })
    return true
  }
}
