/**
 * Looking past crowds, under placement `ip-prefix`: an address may put more nodes into one arc of the circle than a
 * successor list is long. Whoever has them for its successors then knows nobody else to keep replicas, and asks who
 * comes after the arc; it is known where that ends. The ring's own lists stay as they are.
 */
import { between } from '../../core/ids.ts'
import { arcEnd } from '../../net/placement.ts'
import { meansDead } from '../asking.ts'
import { lookup } from '../lookups.ts'
import { firstOfParties } from '../replica-group.ts'
import type { Member } from './member.ts'

/** Arcs that are looked past, one after the other. */
const MAX_ARCS = 8
/** Where that was not enough, there may be no others: the network of one house. */
const PATIENCE_MS = 30_000
const DEADLINE_MS = 3000

/** Finds members of as many parties as a replica group has, where the successor list has fewer. Never rejects. */
export async function lookPast(member: Member): Promise<void> {
  const { self, state, settings, transport, env } = member
  if (transport.placement !== 'ip-prefix' || state.mode === 'young') return
  const wanted = settings.replicas
  const near = [self, ...state.succ]
  if (firstOfParties(near, wanted).length === wanted) {
    member.beyond = []
    return
  }
  if (env.clock.now() < member.looksPastAtMs) return
  try {
    const known = [...near]
    for (let arcs = 0; arcs < MAX_ARCS && firstOfParties(known, wanted).length < wanted; arcs++) {
      const before = known.length
      const key = arcEnd(known.at(-1)!.id)
      const { replicas } = await lookup(member, key, { deadlineMs: DEADLINE_MS, group: true })
      for (const contact of replicas) {
        // Who does not come after the last one has come around the circle.
        if (between(known.at(-1)!.id, contact.id, self.id)) known.push(contact)
      }
      if (known.length === before) break
    }
    const others = firstOfParties(known, wanted)
    if (others.length < wanted) member.looksPastAtMs = env.clock.now() + PATIENCE_MS
    if (member.state.succ.at(-1)?.id === state.succ.at(-1)?.id) {
      member.beyond = others.filter((contact) => !near.includes(contact))
    }
  } catch (error) {
    meansDead(error) // throws our own bugs; the next round tries again
  }
}
