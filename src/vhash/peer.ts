/** A contact at its place in the space. */
import type { Key } from '../core/ids.ts'
import { type Contact, sameNode } from '../net/contact.ts'
import type { Site } from './route.ts'
import type { Point, Space } from './space.ts'

export interface Peer extends Site {
  readonly id: Key
  readonly point: Point
  readonly contact: Contact
}

export function peerAt(space: Space, contact: Contact): Peer {
  return { id: contact.id, point: space.pointOf(contact.id), contact }
}

/** Of two contacts of one id the later start of the host counts. */
export function isNewer(contact: Contact, known: Contact): boolean {
  return contact.incarnation > known.incarnation
}

export function samePeers(a: readonly Peer[], b: readonly Peer[]): boolean {
  return a.length === b.length && a.every((peer, i) => sameNode(peer.contact, b[i]!.contact))
}
