/**
 * Looking past crowds, under placement `ip-prefix`: an address may put more nodes into one arc of the circle than a
 * successor list is long. Whoever has them for its successors then knows nobody else to keep replicas, and asks who
 * comes after the arc; it is known where that ends. The ring's own lists stay as they are.
 */
import { between } from '../../core/ids.ts'
import type { Contact } from '../../net/contact.ts'
import { arcEnd } from '../../net/placement.ts'
import { meansDead } from '../asking.ts'
import { lookup } from '../lookups.ts'
import { hasHolders } from '../replica-group.ts'
import type { Member } from './member.ts'

/** Arcs that are looked past, one after the other. */
const MAX_ARCS = 8
const DEADLINE_MS = 3000

/** Finds members of as many parties as a replica group has, where the successor list has fewer. Never rejects. */
export async function lookPast(member: Member): Promise<void> {
  const { self, state, settings, transport } = member
  if (transport.placement !== 'ip-prefix' || state.mode === 'young') return
  const known = [self, ...state.succ]
  const beyond: Contact[] = []
  try {
    for (let arcs = 0; arcs < MAX_ARCS && !hasHolders([...known, ...beyond], settings.replicas); arcs++) {
      const last = beyond.at(-1) ?? known.at(-1)!
      const { replicas } = await lookup(member, arcEnd(last.id), { deadlineMs: DEADLINE_MS, group: true })
      const before = beyond.length
      for (const contact of replicas) {
        // Who does not come after the last one has come around the circle.
        if (between((beyond.at(-1) ?? last).id, contact.id, self.id)) beyond.push(contact)
      }
      if (beyond.length === before) break
    }
    if (member.state.succ.at(-1)?.id === state.succ.at(-1)?.id) member.beyond = beyond
  } catch (error) {
    meansDead(error) // throws our own bugs; the next round tries again
  }
}
