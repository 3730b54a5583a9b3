/** The genesis of a network's ledger, from members of its overlay: for a host that has none yet. */
import { ChoraleError } from '../../core/errors.ts'
import type { Contact } from '../../net/contact.ts'
import type { Transport } from '../../net/transport.ts'
import type { FetchGenesis } from './ledger.ts'
import { AskGenesis } from './messages.ts'

/** `members`: whom to ask, in this order; called again for each fetch. */
export function genesisFetcher(transport: Transport, members: () => readonly Contact[]): FetchGenesis {
  return async ({ signal }) => {
    for (const member of members()) {
      if (member.peer === transport.peer) continue
      try {
        return (await transport.request(member, AskGenesis, {}, { signal })).genesis
      } catch {
        if (signal.aborted) break // the next may know it
      }
    }
    throw new ChoraleError('unreachable', 'no member of the overlay has told the genesis of its ledger')
  }
}
