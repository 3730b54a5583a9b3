/** Judges that watch a VHash cluster from outside; the nodes know nothing of them. */
import type { Random } from '../src/core/env.ts'
import { hashKey, type Key } from '../src/core/ids.ts'
import { sameNode } from '../src/net/contact.ts'
import type { VHashCluster } from './vhash-cluster.ts'

/**
 * Members whose short peers are not what they should be: one that is a neighbour of its cell is missing, or one that is
 * listed is dead.
 */
export function misplaced(cluster: VHashCluster): number {
  const places = cluster.places()
  const live = new Map(places.map((place) => [place.id, place.contact]))
  let wrong = 0
  for (const { member } of cluster.sorted()) {
    const { short, known } = member.around
    const ids = new Set(short.map(({ id }) => id))
    const complete = cluster.neighboursAmong(member.place, places).every(({ id }) => ids.has(id))
    const alive = known.every(({ id, contact }) => {
      const there = live.get(id)
      return there !== undefined && sameNode(there, contact)
    })
    if (!complete || !alive) wrong++
  }
  return wrong
}

export interface Claims {
  /** Keys that nobody claims, or several, or one that is not the nearest. */
  disputed: number
  /** Keys whose owner does not see the true replica group. */
  groups: number
}

/** Asks everybody about random keys. */
export function judgeClaims(cluster: VHashCluster, random: Random, count: number, replicas: number): Claims {
  let disputed = 0
  let groups = 0
  for (let i = 0; i < count; i++) {
    const key: Key = hashKey(`${random.next()}`)
    const right = cluster.nearestTo(key, replicas)
    const owner = right[0]!
    const claims = cluster.sorted().filter((node) => node.owns(key))
    if (claims.length !== 1 || claims[0] !== owner) disputed++
    else {
      const group = owner.replicas(key)
      if (group.length !== right.length || !group.every((c, k) => sameNode(c, right[k]!.self))) groups++
    }
  }
  return { disputed, groups }
}
