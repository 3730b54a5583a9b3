/**
 * Who of the nodes that come first for a key are its replica group: one rule for all overlays. Pure.
 *
 * Under placement `ip-prefix` an address may have as many keys as it makes within its arcs of the circle, and so could be
 * a whole group. So whatever one party is likely to hold (`holdersOf` of net/placement.ts) counts once, as long as there
 * are others: while a group of r is drawn from r parties or more, none of them is more than one member. Where there are
 * fewer, which is so on one machine or behind one address, the places that are left go to those passed over: copies at one
 * party are better than none.
 */
import type { Contact } from '../net/contact.ts'
import { holdersOf, type Placement } from '../net/placement.ts'

/**
 * The first `size` members. `inOrder`: nodes by the overlay's own order for the key, owner first. The owner stays first;
 * a smaller group is the beginning of a larger one.
 */
export function replicaGroup(inOrder: readonly Contact[], size: number, placement: Placement): readonly Contact[] {
  if (placement === 'ip-port') return inOrder.length > size ? inOrder.slice(0, size) : inOrder
  const { group, passedOver } = byHolder(inOrder, size)
  return [...group, ...passedOver.slice(0, size - group.length)]
}

/** Are there members of so many parties among them, or is the group short of others? */
export function hasHolders(inOrder: readonly Contact[], count: number): boolean {
  return byHolder(inOrder, count).group.length === count
}

/** The first of each holder, and the others before the group was full. */
function byHolder(inOrder: readonly Contact[], size: number): { group: Contact[]; passedOver: Contact[] } {
  const group: Contact[] = []
  const passedOver: Contact[] = []
  const counted = new Set<string>()
  for (const contact of inOrder) {
    if (group.length === size) break
    const holders = holdersOf(contact.ip)
    if (holders.some((holder) => counted.has(holder))) {
      passedOver.push(contact)
      continue
    }
    group.push(contact)
    for (const holder of holders) counted.add(holder)
  }
  return { group, passedOver }
}
