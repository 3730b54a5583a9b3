/**
 * Price slots: four a day, six hours each, in UTC (DeepMarket 2019, PAPERS 8), and the keys of the bulletin board on which the
 * offers of a slot are posted (DESIGN 10). Slots are numbered from 1970 on; the first of every day begins at midnight.
 */
import { encode } from '../../core/cbor.ts'
import { invariant } from '../../core/errors.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import { MAX_BOARD_SHARDS } from '../../core/limits.ts'

export const SLOTS_PER_DAY = 4
export const SLOT_MS = 6 * 3_600_000

/** The number of the slot that a moment lies in. */
export function slotAt(timeMs: number): number {
  return (timeMs - (timeMs % SLOT_MS)) / SLOT_MS
}

export function slotStartMs(slot: number): number {
  return slot * SLOT_MS
}

/** 0 (from midnight on) to 3. */
export function slotOfDay(slot: number): number {
  return slot % SLOTS_PER_DAY
}

/** `00-06`, `06-12`, `12-18`, `18-24`: hours in UTC. */
export function slotName(slotOfDay: number): string {
  const hour = (count: number) => String(count).padStart(2, '0')
  return `${hour(slotOfDay * 6)}-${hour(slotOfDay * 6 + 6)}`
}

/** The slots that a window touches, in order. */
export function slotsOf({ fromMs, untilMs }: { readonly fromMs: number; readonly untilMs: number }): number[] {
  const first = slotAt(fromMs)
  return Array.from({ length: slotAt(untilMs - 1) - first + 1 }, (_, i) => first + i)
}

/** H('board', slot, shard): where offers for a slot are posted. The keys change with the slot, and so do their owners. */
export function boardKey(slot: number, shard: number): Key {
  invariant(Number.isSafeInteger(slot) && slot >= 0, 'a price slot is a number from 0 on')
  invariant(Number.isSafeInteger(shard) && shard >= 0 && shard < MAX_BOARD_SHARDS, 'a board has so many shards')
  return hashKey(encode(['board', slot, shard]))
}

/** The shard that an offer belongs on, 0 to `shards` - 1: all its replicas and all readers agree on it. */
export function shardOf(offer: Key, shards: number): number {
  invariant(Number.isSafeInteger(shards) && shards >= 1 && shards <= MAX_BOARD_SHARDS, 'a board has 1 to 1,024 shards')
  return Number.parseInt(offer.slice(0, 12), 16) % shards
}
