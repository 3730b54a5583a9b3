/**
 * Signs the offers of this host. When one has left the book the ledger refuses all of its account with lower numbers that are not
 * in it, so numbers rise, over all hosts of an account: the clock's milliseconds, and a part by chance, for two with one number
 * are one offer. A clock that is behind does no harm, as a number is above what the ledger refuses anyway; one that is ahead
 * makes others do just that. Where two hosts sign at the same time and the later offer is gone before the earlier is handed in,
 * the earlier is refused: then it is signed anew.
 */
import type { Key } from '../../core/ids.ts'
import { offerId, signOffer, type Terms } from '../offers/offer.ts'
import type { TradingPorts } from './ports.ts'

/** Numbers of one millisecond: they are whole numbers until the year 2109. */
const PER_MS = 2 ** 11

export interface SignedOffer {
  readonly id: Key
  readonly number: number
  readonly bytes: Uint8Array
}

export class OfferSigner {
  readonly #ports: Pick<TradingPorts, 'env' | 'ledger' | 'wallet' | 'keys'>
  #last = 0

  constructor(ports: Pick<TradingPorts, 'env' | 'ledger' | 'wallet' | 'keys'>) {
    this.#ports = ports
  }

  sign(terms: Terms, expiresMs: number): SignedOffer {
    const { env, ledger, wallet, keys } = this.#ports
    const part = env.random.int(PER_MS)
    const refused = ledger.state.spent.get(wallet.account) ?? 0
    const number = Math.max(Math.floor(env.clock.now()) * PER_MS + part, refused + 1 + part, this.#last + 1)
    this.#last = number
    const unsigned = { network: ledger.network, account: wallet.account, number, expiresMs, terms }
    return { id: offerId(unsigned), number, bytes: signOffer(unsigned, keys) }
  }
}
