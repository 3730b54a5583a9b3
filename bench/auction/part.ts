/** The process that `bench/auction.ts` measures: `node part.ts OFFERS RUNS`. Tells its parent what it took. */

import { offersOf } from '../../sim/market/traders.ts'
import { encode } from '../../src/core/cbor.ts'
import { seededRandom } from '../../src/core/random.ts'
import { type BuyEntry, entryOf, isBuy, isSell, type SellEntry } from '../../src/market/auction/entries.ts'
import { clearRound } from '../../src/market/auction/round.ts'
import { decodeOffer, type UnsignedOffer } from '../../src/market/offers/offer.ts'
import { slotStartMs } from '../../src/market/offers/price-slot.ts'
import { quantile, round } from '../measure.ts'

export interface Told {
  readonly roundMs: number
  readonly offersPerSecond: number
  readonly offersPerCpuSecond: number
  readonly allocations: number
  readonly price: string
  readonly decodedPerSecond: number
  readonly bookMB: number
  readonly peakMB: number
}

const SLOT = 80_000
/** Offers that are made up at once, so that what makes them up leaves little behind. */
const BATCH = 500

const [offers, runs] = process.argv.slice(2).map(Number) as [number, number]

/** As it would come: signed by nobody, for who checks signatures has done so before the book. */
function bytesOf({ network, account, number, expiresMs, terms }: UnsignedOffer): Uint8Array {
  return encode({ network, account, number, expiresMs, terms, signature: new Uint8Array(64) })
}

const sells: SellEntry[] = []
const buys: BuyEntry[] = []
function take(bytes: Uint8Array): void {
  const offer = decodeOffer(bytes)
  if (typeof offer === 'string') throw new Error(`no offer: ${offer}`)
  const entry = entryOf(offer, sells.length + buys.length)
  if (isSell(entry)) sells.push(entry)
  else if (isBuy(entry)) buys.push(entry)
}

let decodingMs = 0
const random = seededRandom('bench auction')
for (let from = 0; from < offers; from += BATCH) {
  const count = Math.min(BATCH, offers - from) / 2
  const sellers = Math.ceil(count)
  const crowd = { slot: SLOT, sellers, buyers: Math.max(1, Math.floor(count)), demand: 1, longestSlots: 2 }
  const batch = offersOf(crowd, random, `batch ${from}`).map(bytesOf)
  const startMs = performance.now()
  for (const bytes of batch) take(bytes)
  decodingMs += performance.now() - startMs
}
const held = sells.length + buys.length
const bookMB = round(process.memoryUsage.rss() / 1e6)

const window = { fromMs: slotStartMs(SLOT), untilMs: slotStartMs(SLOT + 1), feePpm: 10_000 }
const timesMs: number[] = []
const cpuMs: number[] = []
let allocations = 0
let price = ''
for (let run = 0; run < runs; run++) {
  const before = process.cpuUsage()
  const startMs = performance.now()
  const cleared = clearRound({ sells, buys }, window)
  timesMs.push(performance.now() - startMs)
  const { user, system } = process.cpuUsage(before)
  cpuMs.push((user + system) / 1000)
  allocations = cleared.allocations.length
  price = String(cleared.price)
}
const median = (values: readonly number[]) =>
  quantile(
    values.toSorted((a, b) => a - b),
    0.5,
  )
const told: Told = {
  roundMs: round(median(timesMs)),
  offersPerSecond: Math.round((held / median(timesMs)) * 1000),
  offersPerCpuSecond: Math.round((held / median(cpuMs)) * 1000),
  allocations,
  price,
  decodedPerSecond: Math.round((held / decodingMs) * 1000),
  bookMB,
  peakMB: round((process.resourceUsage().maxRSS * 1024) / 1e6),
}
process.send!(told, () => process.disconnect())
