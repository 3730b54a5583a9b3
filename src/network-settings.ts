/** What the options of a host say of its network (net/network-id.ts): how often things are kept, and in what space. */
import { ChoraleError } from './core/errors.ts'
import { DEFAULT_BLOCK_REPLICAS } from './dht/store/blocks/service.ts'
import { DEFAULT_REPLICAS } from './dht/store/registers.ts'
import type { NetworkSettings } from './net/network-id.ts'
import type { Placement } from './net/placement.ts'

export interface NetworkOptions {
  /** Its name. */
  readonly network: string
  /** `ring`, or a space of VHash. */
  readonly space: string
  /** How ids follow from addresses. Default `ip-port`. */
  readonly placement?: Placement | undefined
  /** On the ring. */
  readonly successors: number
  /** Copies of each block. Default 3, or as many as there is room for. */
  readonly replicas?: number | undefined
}

/** Throws `config` when the ring's successor lists are too short for so many copies. */
export function networkSettings(options: NetworkOptions): NetworkSettings {
  const { network, space, placement = 'ip-port', successors, replicas: wanted } = options
  const most = space === 'ring' ? successors + 1 : Number.POSITIVE_INFINITY
  const copies = wanted ?? Math.min(DEFAULT_BLOCK_REPLICAS, most)
  if (copies > most) {
    throw new ChoraleError('config', `${copies} replicas need ${copies - 1} successors: add --successors ${copies - 1}`)
  }
  return {
    name: network,
    placement,
    ...(space === 'ring' ? { successors } : { space }),
    replicas: Math.min(Math.max(DEFAULT_REPLICAS, copies), most),
    ...(copies !== DEFAULT_BLOCK_REPLICAS && { copies }),
  }
}

/** May anybody join? There, ids follow from address prefixes (DESIGN 4); so far all networks are private. */
export function isOpenNetwork({ placement }: { readonly placement: string }): boolean {
  return placement !== 'ip-port'
}
