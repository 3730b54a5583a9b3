/** The overlay that a host runs: Chord's ring, or a Voronoi overlay in another space; and what there is to see of it. */
import type { Env } from './core/env.ts'
import { ChoraleError } from './core/errors.ts'
import { arcShare, type Key } from './core/ids.ts'
import { ChordHost } from './dht/chord/host.ts'
import type { Contact } from './net/contact.ts'
import type { Transport } from './net/transport.ts'
import { VHashHost } from './vhash/host.ts'
import { ballVolume } from './vhash/next-hop.ts'
import { dealt, spaceNamed } from './vhash/spaces.ts'

export type OverlayHost = ChordHost | VHashHost

export interface OverlayHostOptions {
  readonly env: Env
  readonly transport: Transport
  /** `ring`, or a space of `vhash/spaces.ts` that may be lived in. */
  readonly space: string
  readonly slots: number
  readonly replicas: number
  /** Of the ring. */
  readonly successors: number
}

/** Throws `usage` when there is no such space, or it serves studies only. */
export function createOverlay({ space, slots, replicas, successors, ...ports }: OverlayHostOptions): OverlayHost {
  if (space === 'ring') return new ChordHost({ ...ports, slots, settings: { successors, replicas } })
  const named = spaceNamed(space)
  if (!named.live) throw new ChoraleError('usage', `no overlay lives in the space ${space}: try ring or torus2`)
  const lived = ports.transport.placement === 'ip-prefix' ? dealt(named) : named
  return new VHashHost({ ...ports, slots, settings: { space: lived, replicas } })
}

/** What a host sees of its overlay. */
export type RingView = ChordView | VoronoiView

export interface ChordView {
  readonly overlay: 'chord'
  readonly space: 'ring'
  readonly mode: 'young' | 'ring'
  readonly nodes: readonly ChordPlace[]
}

export interface ChordPlace {
  readonly id: string
  readonly slot: number
  readonly predecessor: PeerPlace | undefined
  readonly successors: readonly PeerPlace[]
  readonly fingers: number
  /** Estimated members of the overlay, from the density of the successor list; exact while young. */
  readonly sizeEstimate: number
}

export interface VoronoiView {
  readonly overlay: 'vhash'
  /** As `torus2`. */
  readonly space: string
  readonly nodes: readonly VoronoiPlace[]
}

export interface VoronoiPlace {
  readonly id: string
  readonly slot: number
  readonly point: readonly number[]
  /** Nearest first. */
  readonly short: readonly PeerPlace[]
  /** Neighbours of neighbours that are known. */
  readonly long: number
  /** Members of the overlay: all that are known, while they know of nobody else; else estimated from their density. */
  readonly sizeEstimate: number
  readonly knowsAll: boolean
}

export interface PeerPlace {
  readonly id: string
  readonly peer: string
  readonly address: string
}

export function overlayView(overlay: OverlayHost): RingView {
  if (overlay instanceof ChordHost) {
    return {
      overlay: 'chord',
      space: 'ring',
      mode: overlay.nodes[0]?.member.state.mode ?? 'young',
      nodes: overlay.nodes.map(({ self, member }) => ({
        id: self.id,
        slot: self.slot,
        predecessor: member.state.prdc && place(member.state.prdc),
        successors: member.state.succ.map(place),
        fingers: member.fingers.list().length,
        sizeEstimate: member.sizeEstimate(),
      })),
    }
  }
  return {
    overlay: 'vhash',
    space: overlay.space,
    nodes: overlay.nodes.map(({ self, member }) => ({
      id: self.id,
      slot: self.slot,
      point: member.place.point,
      short: member.around.short.map(({ contact }) => place(contact)),
      long: member.around.known.length - member.around.near.length,
      ...member.size(),
    })),
  }
}

/**
 * Who is around one of a host's overlay nodes, and the share of the space up to the farthest of them. On the ring each side by
 * itself: a crowd on one would hide behind the other.
 */
export interface Surroundings {
  readonly slot: number
  readonly side: 'after' | 'before' | 'around'
  readonly members: readonly Contact[]
  readonly share: number
}

export function surroundings(overlay: OverlayHost): Surroundings[] {
  if (overlay instanceof ChordHost) {
    return overlay.nodes.flatMap(({ self, member }) => {
      const { slot } = self
      const { succ, mode } = member.state
      const preds = mode === 'young' ? [] : member.preds // who are successors too
      const [first, last] = [preds.at(-1), succ.at(-1)]
      return [
        ...(last ? [{ slot, side: 'after' as const, members: succ, share: arcShare(self.id, last.id) }] : []),
        ...(first ? [{ slot, side: 'before' as const, members: preds, share: arcShare(first.id, self.id) }] : []),
      ]
    })
  }
  return overlay.nodes.flatMap(({ self, member }) => {
    const members = member.around.near.map(({ contact }) => contact)
    const share = members.length / member.density()
    return members.length === 0 ? [] : [{ slot: self.slot, side: 'around' as const, members, share }]
  })
}

/** Members of the overlay, where this host knows them all. */
export function countedMembers(overlay: OverlayHost): number | undefined {
  if (overlay instanceof ChordHost) {
    const member = overlay.nodes[0]?.member
    return member?.state.mode === 'young' ? member.state.succ.length + 1 : undefined
  }
  const size = overlay.nodes[0]?.member.size()
  return size?.knowsAll ? size.sizeEstimate : undefined
}

/** The share of the space that is as near to a key as this contact, or nearer: clockwise on the ring. */
export function shareTo(overlay: OverlayHost, key: Key, contact: Contact): number {
  if (overlay instanceof ChordHost) return arcShare(key, contact.id)
  const { space, dimensions } = overlay.named
  return Math.min(1, ballVolume(dimensions, space.distance(space.pointOf(key), space.pointOf(contact.id))))
}

function place(contact: Contact): PeerPlace {
  return { id: contact.id, peer: contact.peer, address: placeName(contact) }
}

export function placeName({ ip, port }: { readonly ip: string; readonly port: number }): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}
