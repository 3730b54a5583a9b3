/**
 * What each defence is worth on one ring with an attacker in it: groups that count a party once, and the density test,
 * each on and off. Told from the true ring, and held against the formulas of `src/market/sybil.ts`.
 */
import { arcShare, type Key } from '../../src/core/ids.ts'
import { firstOfParties, replicaGroup } from '../../src/dht/replica-group.ts'
import {
  arcsOf,
  crowding,
  FALSE_ALARMS,
  groupCaptured,
  groupCapturedByArcs,
  groupCapturedByParties,
  majority,
  sizeFrom,
} from '../../src/market/sybil.ts'
import type { Contact } from '../../src/net/contact.ts'
import { type Placement, PREFIX_SLOTS } from '../../src/net/placement.ts'

/** Random keys whose surroundings tell the size of the network. */
const SIZE_SAMPLES = 32

export interface Defences {
  readonly placement: Placement
  /** Do groups count what one party holds once? */
  readonly parties: boolean
  /** Is the density after the key looked at, and a captured group that raises an alarm not counted? */
  readonly density: boolean
  /** Keys that the attacker has a majority of the group of. */
  readonly captured: number
  /** By the formula, where there is one. */
  readonly expected: number | null
}

/** The live ring, and who of it is the attacker's. */
export interface Scene {
  /** By id. */
  readonly ring: readonly Contact[]
  readonly placement: Placement
  readonly replicas: number
  readonly successors: number
  isAttacker(contact: Contact): boolean
}

/** What the formulas need to know of the attacker, and of the honest. */
export interface Odds {
  readonly honest: number
  /** Ids that it may try, under `ip-port`. */
  readonly tried: number
  readonly masked: number
  readonly parties: number
}

/** The replica group that a key truly has, with or without the rule for parties. */
export function trueGroup(scene: Scene, key: Key, parties: boolean): readonly Contact[] {
  const { ring, replicas } = scene
  const start = placeOf(ring, key)
  const inOrder: Contact[] = []
  for (let i = 0; i < ring.length; i++) {
    inOrder.push(ring[(start + i) % ring.length]!)
    if (parties ? firstOfParties(inOrder, replicas).length === replicas : inOrder.length === replicas) break
  }
  return replicaGroup(inOrder, replicas, parties ? 'ip-prefix' : 'ip-port')
}

/** Probability that the attacker has the majority of the group of a key that it may choose. */
export function expectedShare({ placement, replicas }: Scene, parties: boolean, odds: Odds): number {
  const size = Math.min(replicas, odds.honest)
  const needed = majority(size)
  const arcs = arcsOf(odds.masked)
  if (parties) {
    const idsEach = placement === 'ip-prefix' ? PREFIX_SLOTS : odds.tried / odds.parties
    return groupCapturedByParties(odds.honest, { parties: odds.parties, idsEach }, size, needed)
  }
  return placement === 'ip-prefix'
    ? groupCapturedByArcs(odds.honest, arcs, size, needed)
    : groupCaptured(odds.honest, odds.tried, size, needed)
}

/** The table, and how many of the `others`, which the attacker did not choose, raise the alarm all the same. */
export function compareDefences(
  scene: Scene,
  keys: readonly Key[],
  others: readonly Key[],
  odds: Odds,
): { rows: Defences[]; alarms: number } {
  const isCaptured = (key: Key, parties: boolean) => {
    const group = trueGroup(scene, key, parties)
    return group.filter((contact) => scene.isAttacker(contact)).length >= majority(group.length)
  }
  const size = sizeFrom(others.slice(0, SIZE_SAMPLES).map((key) => after(scene, key)))?.members ?? 1
  const alarms = (key: Key) => crowding(after(scene, key), size) < FALSE_ALARMS
  const rows = [false, true].flatMap((parties) => {
    const captured = keys.filter((key) => isCaptured(key, parties))
    const expected = keys.length * expectedShare(scene, parties, odds)
    const unseen = captured.filter((key) => !alarms(key))
    const { placement } = scene
    return [
      { placement, parties, density: false, captured: captured.length, expected: Math.round(expected * 100) / 100 },
      { placement, parties, density: true, captured: unseen.length, expected: null },
    ]
  })
  return { rows, alarms: others.filter(alarms).length }
}

/** What the owner of a key sees after it: itself and its successors. */
function after({ ring, successors }: Scene, key: Key) {
  const members = Math.min(successors + 1, ring.length - 1)
  const last = ring[(placeOf(ring, key) + members - 1) % ring.length]!
  return { members, share: arcShare(key, last.id) }
}

/** Index of the first at or after a key. */
function placeOf(ring: readonly Contact[], key: Key): number {
  let low = 0
  let high = ring.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ring[middle]!.id < key) low = middle + 1
    else high = middle
  }
  return low % ring.length
}
