/**
 * What was traded in past price slots, by resource: the data of forecasts. Follows from the rounds in the ledger, so that
 * every host that has followed it for four weeks has the same.
 *
 * A resource is the sandbox level that was asked for: hosts of level `os` also do what asks for `process`, not the other way
 * round, so the two may have different prices. (Memory is no resource of its own: a round has one price for all.)
 */
import type { Entries } from '../auction/entries.ts'
import type { Allocation, Cleared } from '../auction/round.ts'
import type { Level } from '../offers/offer.ts'
import { SLOTS_PER_DAY, slotStartMs } from '../offers/price-slot.ts'

/** Four weeks. */
export const HISTORY_SLOTS = 28 * SLOTS_PER_DAY

export interface SlotRecord {
  readonly slot: number
  readonly resource: Level
  /** What was traded, in MI, and the sum of its price times its work. */
  readonly workMi: bigint
  readonly value: bigint
  /** What was left after the last round: capacity of hosts that would do for the resource, and needs. */
  readonly unsoldMi: bigint
  readonly unservedMi: bigint
}

/** In order of slots, and no more than `HISTORY_SLOTS` of each resource. */
export type History = readonly SlotRecord[]

const RESOURCES: readonly Level[] = ['process', 'os']

/** The history with one more round of a slot, which is the last one or a new one. */
export function withRound(history: History, slot: number, { allocations, rest }: Cleared): History {
  const kept = history.filter((record) => record.slot > slot - HISTORY_SLOTS && record.slot !== slot)
  const now = RESOURCES.map((resource): SlotRecord => {
    const before = history.find((record) => record.slot === slot && record.resource === resource)
    const traded = allocations.filter(({ buy }) => buy.terms.level === resource)
    return {
      slot,
      resource,
      workMi: (before?.workMi ?? 0n) + sum(traded, ({ workMi }) => workMi),
      value: (before?.value ?? 0n) + sum(traded, ({ workMi, price }: Allocation) => workMi * price),
      unsoldMi: unsoldIn(rest, slot, resource),
      unservedMi: unservedIn(rest, slot, resource),
    }
  })
  return [...kept, ...now]
}

/** Capacity that is left in a slot, in MI. */
export function unsoldIn({ sells }: Pick<Entries, 'sells'>, slot: number, resource: Level): bigint {
  const able = sells.filter(({ terms }) => resource === 'process' || terms.level === 'os')
  return sum(able, ({ terms, pieces }) =>
    sum(pieces, ({ fromMs, untilMs, coresMilli }) => {
      const ms = Math.max(0, Math.min(untilMs, slotStartMs(slot + 1)) - Math.max(fromMs, slotStartMs(slot)))
      return (BigInt(terms.speedMips) * BigInt(coresMilli) * BigInt(ms)) / 1_000_000n
    }),
  )
}

/** Of needs that may be met in the slot, all of what is left of them. */
export function unservedIn({ buys }: Pick<Entries, 'buys'>, slot: number, resource: Level): bigint {
  const open = buys.filter(
    ({ terms }) =>
      terms.level === resource && terms.fromMs < slotStartMs(slot + 1) && terms.untilMs > slotStartMs(slot),
  )
  return sum(open, ({ terms, left }) => BigInt(left) * BigInt(terms.taskWorkMi))
}

function sum<T>(items: readonly T[], of: (item: T) => bigint): bigint {
  return items.reduce((total, item) => total + of(item), 0n)
}
