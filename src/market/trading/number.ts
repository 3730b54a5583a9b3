/** Offers of this account: numbered by chance, for other hosts of the account make some at the same time. */
import type { Key } from '../../core/ids.ts'
import { offerId, signOffer, type Terms } from '../offers/offer.ts'
import type { TradingPorts } from './ports.ts'

export function signedHere(
  { env, ledger, wallet, keys }: Pick<TradingPorts, 'env' | 'ledger' | 'wallet' | 'keys'>,
  terms: Terms,
  expiresMs: number,
): { readonly id: Key; readonly bytes: Uint8Array } {
  const number = env.random.int(2 ** 26) * 2 ** 27 + env.random.int(2 ** 27)
  const unsigned = { network: ledger.network, account: wallet.account, number, expiresMs, terms }
  return { id: offerId(unsigned), bytes: signOffer(unsigned, keys) }
}
