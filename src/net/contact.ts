/**
 * Contacts: how to reach an overlay node. Its id is derived from its address, never claimed: how, the network's placement
 * says (DESIGN 4, `placement.ts`).
 */
import type { Key } from '../core/ids.ts'
import { idAt, type Placement } from './placement.ts'

/** One host's advertised endpoint. */
export interface Address {
  /** libp2p peer id, base58. */
  readonly peer: string
  /** IPv4 dotted or IPv6 in canonical form. */
  readonly ip: string
  readonly port: number
  /** Grows with every start of the host, so that a restarted node is not taken for the one that held the state. */
  readonly incarnation: number
}

/** One overlay node at a host. Two contacts are the same node when id and incarnation are equal. */
export interface Contact extends Address {
  /** Index of the virtual node on its host. */
  readonly slot: number
  /** Derived (`idAt`). */
  readonly id: Key
}

/** Nodes say the placement of their network (`Transport.placement`); the usual one is for tools and tests. */
export function contactAt(address: Address, slot: number, placement: Placement = 'ip-port'): Contact {
  const { peer, ip, port, incarnation } = address
  return { peer, ip, port, incarnation, slot, id: idAt(address, slot, placement) }
}

export function sameNode(a: Contact, b: Contact): boolean {
  return a === b || (a.id === b.id && a.incarnation === b.incarnation && a.peer === b.peer)
}
