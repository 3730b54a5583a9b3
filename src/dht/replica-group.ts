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
  const group = firstOfParties(inOrder, size)
  for (let i = 0; group.length < size && i < inOrder.length; i++) {
    if (!group.includes(inOrder[i]!)) group.push(inOrder[i]!)
  }
  return group
}

/** The first of each party, at most so many of them. */
export function firstOfParties(inOrder: readonly Contact[], most: number): Contact[] {
  const group: Contact[] = []
  const counted: string[] = []
  for (const contact of inOrder) {
    if (group.length === most) break
    const holders = holdersOf(contact.ip)
    if (holders.some((holder) => counted.includes(holder))) continue
    group.push(contact)
    counted.push(...holders)
  }
  return group
}
