/**
 * The round of `src/market/auction/round.ts`, slow and plain: every rule is followed by trying all there is. Nothing of the auction
 * is imported but its types.
 */
import type { BuyEntry, Entries, SellEntry } from '../../../../src/market/auction/entries.ts'
import type { Piece, Taken } from '../../../../src/market/auction/fit.ts'

export interface Trade {
  readonly sell: string
  readonly buy: string
  readonly taken: Taken
}

export interface Reference {
  readonly price: bigint | undefined
  readonly trades: readonly Trade[]
  readonly pieces: ReadonlyMap<string, readonly Piece[]>
}

interface Window {
  readonly fromMs: number
  readonly untilMs: number
  readonly feePpm: number
}

const lanesIn = (piece: Piece) => Math.max(1, Math.floor(piece.coresMilli / 1000))

/** All rectangles that begin where they should; the one with the most tasks, then the shortest, then with the fewest lanes. */
function rectangle(piece: Piece, sell: SellEntry, buy: BuyEntry, window: Window, tasks: number): Taken | undefined {
  const { terms } = buy
  const from = Math.max(piece.fromMs, terms.fromMs, window.fromMs)
  const until = Math.min(piece.untilMs, terms.untilMs, window.untilMs)
  if (until - from < terms.minServiceMs) return undefined
  const lane = Math.min(1000, piece.coresMilli)
  // The first whole millisecond by which a lane has done a task.
  const instructions = BigInt(terms.taskWorkMi) * 1_000_000n
  const perMs = BigInt(sell.terms.speedMips * lane)
  let taskMs = Number(instructions / perMs)
  while (BigInt(taskMs) * perMs < instructions) taskMs++
  let best: { rows: number; lanes: number; tasks: number; ms: number } | undefined
  for (let lanes = 1; lanes <= lanesIn(piece) && lanes * terms.memoryBytes <= piece.memoryBytes; lanes++) {
    for (let rows = 1; rows * taskMs <= until - from; rows++) {
      const one = { rows, lanes, tasks: Math.min(tasks, rows * lanes), ms: Math.max(terms.minServiceMs, rows * taskMs) }
      const isBetter =
        !best ||
        one.tasks > best.tasks ||
        (one.tasks === best.tasks && (one.ms < best.ms || (one.ms === best.ms && one.lanes < best.lanes)))
      if (isBetter) best = one
    }
  }
  if (!best) return undefined
  const atEnd = from > piece.fromMs && until === piece.untilMs
  const start = atEnd ? until - best.ms : from
  return {
    fromMs: start,
    untilMs: start + best.ms,
    coresMilli: best.lanes * lane,
    memoryBytes: best.lanes * terms.memoryBytes,
    tasks: best.tasks,
  }
}

/** Before, beside and after; not what is below a minute, 50 millicores or a byte. */
function cut(piece: Piece, taken: Taken): Piece[] {
  const pieces: Piece[] = [
    { ...piece, untilMs: taken.fromMs },
    {
      fromMs: taken.fromMs,
      untilMs: taken.untilMs,
      coresMilli: piece.coresMilli - taken.coresMilli,
      memoryBytes: piece.memoryBytes - taken.memoryBytes,
    },
    { ...piece, fromMs: taken.untilMs },
  ]
  return pieces.filter((p) => p.untilMs - p.fromMs >= 60_000 && p.coresMilli >= 50 && p.memoryBytes >= 1)
}

function match({ sells, buys }: Entries, window: Window, agreed: bigint | undefined): Omit<Reference, 'price'> {
  const pieces = new Map(sells.map(({ id, pieces }) => [id as string, pieces]))
  const trades: Trade[] = []
  const byPrice = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0)
  const sellers = sells.toSorted((a, b) => byPrice(a.terms.minPrice, b.terms.minPrice) || a.sequence - b.sequence)
  const buyers = buys.toSorted((a, b) => byPrice(b.terms.maxPrice, a.terms.maxPrice) || a.sequence - b.sequence)
  for (const buy of buyers) {
    let { left } = buy
    const has = new Map<string, number>(buy.placed)
    const soon = Math.max(buy.terms.fromMs, window.fromMs) + buy.terms.soonMs
    for (const [untilMs, wholeMemory] of [
      [soon, true],
      [soon, false],
      [window.untilMs, true],
      [window.untilMs, false],
    ] as const) {
      const within = { ...window, untilMs: Math.min(untilMs, window.untilMs) }
      for (const sell of sellers) {
        if (sell.account === buy.account || !accepts(buy, agreed ?? sell.terms.minPrice, window)) continue
        if (sell.terms.minPrice > (agreed ?? sell.terms.minPrice)) continue
        if (buy.terms.level === 'os' && sell.terms.level === 'process') continue
        for (let again = true; again; ) {
          again = false
          const held = pieces.get(sell.id)!
          for (const piece of held) {
            const most = Math.min(left, buy.terms.tasks - (has.get(sell.account) ?? 0))
            if (most === 0) break
            if (wholeMemory && piece.memoryBytes < buy.terms.memoryBytes * lanesIn(piece)) continue
            const taken = rectangle(piece, sell, buy, within, most)
            if (!taken) continue
            trades.push({ sell: sell.id, buy: buy.id, taken })
            pieces.set(
              sell.id,
              held.flatMap((p) => (p === piece ? cut(p, taken) : [p])),
            )
            left -= taken.tasks
            if (buy.terms.replicas > 1) has.set(sell.account, (has.get(sell.account) ?? 0) + taken.tasks)
            again = true
            break
          }
        }
      }
    }
  }
  return { trades, pieces }
}

/** Would the buyer pay this price and the fee on it? */
function accepts({ terms }: BuyEntry, price: bigint, { feePpm }: Window): boolean {
  return price * BigInt(1_000_000 + feePpm) <= terms.maxPrice * 1_000_000n
}

/** The highest seller's price that a buyer accepts. */
function limitOf(buy: BuyEntry, window: Window): bigint {
  let limit = 0n
  while (accepts(buy, limit + 1n, window)) limit++
  return limit
}

/** Tries every price from 0 up to `ceiling`. */
export function referenceRound(entries: Entries, window: Window, ceiling: bigint): Reference {
  const { trades, pieces } = match(entries, window, undefined)
  if (trades.length === 0) return { price: undefined, trades, pieces }
  const sellOf = (id: string) => entries.sells.find((sell) => sell.id === id)!
  const buyOf = (id: string) => entries.buys.find((buy) => buy.id === id)!
  const worthAt = (price: bigint) => {
    let sum = 0n
    for (const { sell, buy, taken } of trades) {
      const { minPrice } = sellOf(sell).terms
      const limit = limitOf(buyOf(buy), window)
      if (price < minPrice || price > limit) continue
      sum += BigInt(taken.tasks * buyOf(buy).terms.taskWorkMi) * (limit - minPrice + 1n)
    }
    return sum
  }
  let best = 0n
  for (let price = 0n; price <= ceiling; price++) if (worthAt(price) > best) best = worthAt(price)
  let from = 0n
  while (worthAt(from) < best) from++
  let until = from
  while (worthAt(until + 1n) === best) until++

  let lowest = from
  let highest = until
  for (const buy of entries.buys) {
    const limit = limitOf(buy, window)
    const got = trades.filter((trade) => trade.buy === buy.id).reduce((sum, { taken }) => sum + taken.tasks, 0)
    const could = (sell: SellEntry, held: readonly Piece[]) =>
      sell.account !== buy.account &&
      sell.terms.minPrice <= limit &&
      !(buy.terms.level === 'os' && sell.terms.level === 'process') &&
      held.some((p) => p.memoryBytes >= buy.terms.memoryBytes && rectangle(p, sell, buy, window, 1))
    const spare = entries.sells.filter((sell) => could(sell, pieces.get(sell.id)!)).map(({ terms }) => terms.minPrice)
    const cheapest = spare.toSorted((a, b) => Number(a - b))[0]
    if (got > 0 && cheapest !== undefined && cheapest >= from && cheapest < highest) highest = cheapest
    const possible = entries.sells.some((sell) => could(sell, sell.pieces))
    if (got < buy.left && possible && limit <= until && limit > lowest) lowest = limit
  }
  const price = (lowest + highest) / 2n
  const sells = entries.sells.filter(({ terms }) => terms.minPrice <= price)
  const buys = entries.buys.filter((buy) => accepts(buy, price, window))
  return { price, ...match({ sells, buys }, window, price) }
}
