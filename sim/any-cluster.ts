/** A cluster of either overlay: what runs on top of it must not know which. */
import type { OverlayNode } from '../src/dht/slots.ts'
import { dealt, spaceNamed } from '../src/vhash/spaces.ts'
import { Cluster } from './cluster.ts'
import type { ClusterNode, OverlayCluster, OverlayClusterOptions } from './overlay-cluster.ts'
import { VHashCluster } from './vhash-cluster.ts'

export type AnyNode = ClusterNode<OverlayNode>
export type AnyCluster = Pick<OverlayCluster<OverlayNode>, keyof OverlayCluster<OverlayNode>>

export interface AnyClusterOptions extends OverlayClusterOptions {
  /** `ring` for Chord, with lists of `successors`; else VHash in that space. Default `ring`. */
  readonly space?: string
  /** Size of replica groups. Default 3. */
  readonly replicas?: number
}

export function clusterIn({ space = 'ring', replicas = 3, ...options }: AnyClusterOptions): AnyCluster {
  if (space === 'ring') return new Cluster({ ...options, settings: { replicas } })
  const named = spaceNamed(space)
  const lived = options.placement === 'ip-prefix' ? dealt(named) : named
  return new VHashCluster({ ...options, settings: { space: lived, replicas } })
}
