/**
 * Placements: how the id of an overlay node follows from where it is (DESIGN 4). An id is derived by whoever hears of a
 * contact, never claimed.
 *
 *   ip-port    SHA-256(ip | port | slot), the published scheme. For private networks: one address may have
 *              as many ids as it has ports, times slots, all over the circle.
 *   ip-prefix  for open networks. The top 24 bits, an *arc* of the circle, follow from the masked address and one of its
 *              eight slots, as in BitTorrent's BEP 42; the rest from the host's key. So an address has ids in eight short
 *              arcs only, but within these as many as it makes keys, where it likes: `dht/replica-group.ts` counts them
 *              as one.
 *
 * A masked address is an IPv4 address without the higher bits of its first three bytes, so that neighbours are far apart
 * and whole providers are few; or the first 64 bits of an IPv6 address, which is what one customer has.
 */
import { hashKey, KEY_BITS, type Key, keyFromBigint } from '../core/ids.ts'
import { MAX_KNOWN_PEERS } from '../core/limits.ts'
import { CappedMap } from './capped-map.ts'
import { ipPrefix } from './ip.ts'

export const PLACEMENTS = ['ip-port', 'ip-prefix'] as const
export type Placement = (typeof PLACEMENTS)[number]

/** Overlay nodes that one endpoint may have: slots that a contact may name. */
export const MAX_SLOTS = 256

/** The top bits of an id that an address and a slot fix. */
export const PREFIX_BITS = 24
const PREFIX_DIGITS = PREFIX_BITS / 4

/** Slots per masked address (BEP 42). */
export const PREFIX_SLOTS = 8

/** The bits of an IPv4 address that count (BEP 42): the higher ones of each of the first three bytes do not. */
export const IPV4_MASK = 0x030f3fff

export interface Place {
  readonly peer: string
  /** In canonical form. */
  readonly ip: string
  readonly port: number
}

/**
 * The id of the overlay node in this slot of a host. Under `ip-prefix` the host's key and the slot choose one of the
 * eight arcs of its address, so that hosts behind one address spread; and all that a contact says is in the rest, so
 * that two contacts of one id are at one place.
 */
export function idAt({ peer, ip, port }: Place, slot: number, placement: Placement): Key {
  if (placement === 'ip-port') return hashKey(`${ip}|${port}|${slot}`)
  const rest = hashKey(`${peer}|${ip}|${port}|${slot}`)
  const slotOfAddress = (Number.parseInt(hashKey(peer).slice(0, 2), 16) + slot) % PREFIX_SLOTS
  return `${prefixOf(maskedIp(ip), slotOfAddress)}${rest.slice(PREFIX_DIGITS)}` as Key
}

/** The first hex digits of all ids of a masked address in one of its slots, 0 to 7. */
export function prefixOf(masked: string, slotOfAddress: number): string {
  return hashKey(`${masked}|${slotOfAddress}`).slice(0, PREFIX_DIGITS)
}

/** What counts of an address, in canonical form: IPv4 as 8 hex digits, IPv6 as four groups. */
export function maskedIp(ip: string): string {
  if (ip.includes(':')) return ipPrefix(ip)
  const number = ip.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  return (number & IPV4_MASK).toString(16).padStart(8, '0')
}

/** The first key after the arc that an id lies in. */
export function arcEnd(id: Key): Key {
  const shift = BigInt(KEY_BITS - PREFIX_BITS)
  return keyFromBigint((BigInt(`0x${id.slice(0, PREFIX_DIGITS)}`) + 1n) << shift)
}

/**
 * Names of what one party is likely to hold: two addresses that share any of them count as one. The block around it (/24
 * of IPv4, /64 of IPv6), and the masked address, whose arcs it shares with others like it.
 */
export function holdersOf(ip: string): readonly string[] {
  let names = holders.get(ip)
  if (names === undefined) {
    const block = ipPrefix(ip)
    names = ip.includes(':') ? [block] : [block, maskedIp(ip)]
    holders.set(ip, names)
  }
  return names
}

/** Of addresses that came lately: groups are asked for all the time. A function of its argument, so sharing it is safe. */
const holders = new CappedMap<string, readonly string[]>(MAX_KNOWN_PEERS)
