/**
 * The overlay id of a network: the hash of its settings, part of every protocol name, so that two networks never mix
 * (DESIGN 4). The ledger has an id of its own, the hash of its genesis; people are shown these two, and the name.
 */
import { encode } from '../core/cbor.ts'
import { hashKey } from '../core/ids.ts'
import type { Placement } from './placement.ts'

/** What all nodes of one network agree on. Two networks that differ in any of it are two networks. */
export interface NetworkSettings {
  readonly name: string
  /** How ids follow from addresses (DESIGN 4). */
  readonly placement: Placement
  /** Length of successor lists, on Chord's ring. */
  readonly successors?: number | undefined
  /** What the overlay lives in, if that is not Chord's ring. */
  readonly space?: string | undefined
  /** Size of a replica group, owner included. */
  readonly replicas: number
  /** Copies of each block, if they are not as many as usual. */
  readonly copies?: number | undefined
}

/** Major version of the request/response protocol; a peer of another one is of another network. */
export const RPC_VERSION = '1.0.0'

/** First 16 hex digits of the hash of the canonical settings. */
export function networkId(settings: NetworkSettings): string {
  const { name, placement, successors, space, replicas, copies } = settings
  const shape = { ...(successors && { successors }), ...(space && { space }), ...(copies && { copies }) }
  return hashKey(encode({ name, placement, replicas, ...shape })).slice(0, 16)
}

export function rpcProtocol(id: string): string {
  return `/chorale/${id}/rpc/${RPC_VERSION}`
}

/** The bulk lane of the same network. Its version says how blocks are carried. */
export function blockProtocol(id: string): string {
  return `/chorale/${id}/block/1.0.0`
}
