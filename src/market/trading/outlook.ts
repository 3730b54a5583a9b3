/**
 * What prices are to be expected, from what the ledger's state remembers of its rounds. Pure. A round has one price for both
 * levels of isolation, so a slot counts for both.
 */
import { type Amount, amount, ZERO } from '../ledger/state/amount.ts'
import type { State } from '../ledger/state/state.ts'
import type { Level } from '../offers/offer.ts'
import { SLOT_MS, slotAt, slotStartMs } from '../offers/price-slot.ts'
import { type Forecast, forecast } from '../prices/forecast.ts'
import { type SlotRecord, unservedIn, unsoldIn } from '../prices/history.ts'
import { liveEntries } from './in-book.ts'
import type { PriceView } from './market.ts'

/** Slots that prices are told for, the present one included. */
export const SLOTS_AHEAD = 8
/** Asked for a core-hour of reference speed as long as nothing was ever traded: 10 credits. */
export const FIRST_PRICE = 10_000n as Amount
/** Who leaves its price to the market asks for this share of the likely one, in percent, and never for less than the floor. */
const AUTO_PERCENT = 80n
const FLOOR_PRICE = 100n
const RESOURCES: readonly Level[] = ['process', 'os']
/** Of tasks, lost with a host, before anything is known: one in twenty. */
const PRIOR = { lost: 1, tries: 20 }

/** Of the slots in which anything was traded, and of what is offered and wanted now. The latest last. */
export function historyOf(state: State, nowMs: number): SlotRecord[] {
  const present = slotAt(nowMs)
  const book = liveEntries(state, nowMs)
  const traded = new Map([...state.trades.entries()].map(([, trade]) => [trade.slot, trade]))
  const slots = new Set([...traded.keys(), ...Array.from({ length: SLOTS_AHEAD }, (_, i) => present + i)])
  return [...slots]
    .sort((a, b) => a - b)
    .flatMap((slot) =>
      RESOURCES.map((resource): SlotRecord => {
        const { workMi, wages } = traded.get(slot) ?? { workMi: ZERO, wages: ZERO }
        const isOpen = slot >= present
        return {
          slot,
          resource,
          workMi,
          value: wages * 3_600_000n,
          unsoldMi: isOpen ? unsoldIn(book, slot, resource) : 0n,
          unservedMi: isOpen ? unservedIn(book, slot, resource) : 0n,
        }
      }),
    )
}

export function pricesOf(state: State, nowMs: number): PriceView {
  const history = historyOf(state, nowMs)
  const present = slotAt(nowMs)
  const slots = Array.from({ length: SLOTS_AHEAD }, (_, i) => {
    const slot = present + i
    const of = (level: Level) => forecast(history, level, slot)
    return {
      slot,
      fromMs: slotStartMs(slot),
      untilMs: slotStartMs(slot) + SLOT_MS,
      forecast: { process: of('process'), os: of('os') },
    }
  })
  const last = [...state.trades.entries()]
    .map(([, { slot, atMs, price }]) => ({ slot, atMs, price }))
    .filter(({ price }) => price > 0n)
    .sort((a, b) => a.atMs - b.atMs)
    .at(-1)
  return { atMs: nowMs, slots, last }
}

/** By trades; without any by what hosts ask for that are there, or by what they will ask for. */
export function outlookOf(
  state: State,
  nowMs: number,
  level: Level,
  slot: number,
): Forecast & { readonly isGuess: boolean } {
  const known = forecast(historyOf(state, nowMs), level, slot)
  const book = liveEntries(state, nowMs)
  const asked = book.sells
    .filter(({ terms }) => level === 'process' || terms.level === 'os')
    .map(({ terms }) => terms.minPrice as bigint)
    .sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  if (known) {
    // Nobody sells for less than is asked for now, whatever was paid before.
    const least = slot === slotAt(nowMs) ? (asked[0] ?? 0n) : 0n
    const likely = known.likely > least ? known.likely : least
    const high = known.high > 2n * least ? known.high : 2n * least
    return { ...known, likely, high, isGuess: false }
  }
  const low = asked[0] ?? FIRST_PRICE
  const likely = asked[Math.floor(asked.length / 2)] ?? FIRST_PRICE
  return {
    slot,
    resource: level,
    low,
    likely,
    high: likely * 2n,
    slots: 0,
    errors: 0,
    supplyMi: Number(unsoldIn(book, slot, level)),
    demandMi: Number(unservedIn(book, slot, level)),
    isGuess: true,
  }
}

/** What a host asks for that leaves it to the market. */
export function autoPrice(state: State, nowMs: number, level: Level): Amount {
  const known = forecast(historyOf(state, nowMs), level, slotAt(nowMs))
  if (!known) return FIRST_PRICE
  const price = (known.likely * AUTO_PERCENT) / 100n
  return amount(price > FLOOR_PRICE ? price : FLOOR_PRICE)
}

/** The share of attempts that is lost, as the records of all suppliers have it. */
export function failureOf({ records }: Pick<State, 'records'>): number {
  let { lost, tries } = PRIOR
  for (const [, record] of records.entries()) {
    const { paid, failed, deserted } = record
    lost += failed + deserted
    tries += paid + failed + deserted
  }
  return lost / tries
}
