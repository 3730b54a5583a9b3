/** The genesis of a network's ledger, from members of its overlay: for a host that has none yet, or makes sure of its own. */
import { ChoraleError } from '../../core/errors.ts'
import type { Contact } from '../../net/contact.ts'
import type { Transport } from '../../net/transport.ts'
import { decodeGenesis, type Genesis } from './genesis.ts'
import type { FetchGenesis } from './ledger.ts'
import { AskGenesis } from './messages.ts'

/** `members`: whom to ask, in this order; called again for each fetch. */
export function genesisFetcher(transport: Transport, members: () => readonly Contact[]): FetchGenesis {
  return async ({ signal, fits }) => {
    let other: Genesis | undefined
    let silent = 0
    for (const member of members()) {
      if (member.peer === transport.peer) continue
      try {
        const { genesis: bytes } = await transport.request(member, AskGenesis, {}, { signal })
        const genesis = decodeGenesis(bytes)
        if (fits(genesis)) return genesis
        other ??= genesis
      } catch {
        silent++ // or it tells what is none; the next may know it
        if (signal.aborted) break
      }
    }
    if (other && silent === 0) return other
    const line = other
      ? 'some members of the overlay are silent, and the others tell the genesis of another ledger'
      : 'no member of the overlay has told the genesis of its ledger'
    throw new ChoraleError('unreachable', line)
  }
}
