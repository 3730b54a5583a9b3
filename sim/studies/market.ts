/**
 * Study `market`: a year of price slots with supply and demand that vary. How much of the best possible welfare the double
 * auction reaches, how much is filled, how steady its prices are, against random prices as DeepMarket had them (PAPERS 8) and
 * one price that never changes; whether its books balance; and what a trader gains who does not tell its true price.
 */
import { areaY, dot, lineY, ruleY } from '@observablehq/plot'
import { SLOTS_PER_DAY } from '../../src/market/offers/price-slot.ts'
import { type GainResult, gains } from './market/gains.ts'
import { MARKETS, type Market, type SlotPrices, type YearResult, year } from './market/year.ts'
import { seriesColours, seriesMarks, seriesNames } from './marks.ts'
import { ci95, compared, mean, standardDeviation } from './statistics.ts'
import type { Done, Figure, Report, Row, Study, StudyOptions, Table } from './study.ts'

interface YearUnit {
  readonly kind: 'year'
  readonly seed: number
  readonly days: number
  readonly traders: number
  readonly boundEvery: number
}

interface GainsUnit {
  readonly kind: 'gains'
  readonly seed: number
  readonly traders: number
  readonly alike: boolean
  readonly tried: number
  readonly bound: boolean
}

type Unit = YearUnit | GainsUnit
type Result = YearResult | GainResult

const YEAR = { days: 364, traders: 30, boundEvery: 61 }
const QUICK_YEAR = { days: 28, traders: 12, boundEvery: 9 }
/** Sellers, and as many buyers. */
const SIZES = [10, 20, 40, 80, 160]
const QUICK_SIZES = [10, 20]
/** The bound takes 8 s for 80 sellers and as many buyers, and some 16 times as long for twice as many. */
const LARGEST_BOUND = 80

function units({ seeds, quick }: StudyOptions): Unit[] {
  const sizes = quick ? QUICK_SIZES : SIZES
  const tried = quick ? 8 : 20
  return [
    ...seeds.map((seed): Unit => ({ kind: 'year', seed, ...(quick ? QUICK_YEAR : YEAR) })),
    ...sizes.toReversed().flatMap((traders) =>
      [false, true].flatMap((alike) =>
        seeds.map((seed): Unit => {
          return { kind: 'gains', seed, traders, alike, tried, bound: traders <= LARGEST_BOUND }
        }),
      ),
    ),
  ]
}

function run(unit: Unit): Result {
  return unit.kind === 'year' ? year(unit) : gains(unit)
}

function report(done: readonly Done<Unit, Result>[]): Report {
  const years = done.filter((one): one is Done<YearUnit, YearResult> => one.unit.kind === 'year')
  const tries = done.filter((one): one is Done<GainsUnit, GainResult> => one.unit.kind === 'gains')
  const [first] = years
  return {
    rows: [...(first ? yearRows(years) : []), ...gainRows(tries)],
    tables: [yearTable(years), slotTable(years), gainTable(tries)],
    figures: [...(first ? [priceFigure(first.result.slots)] : []), gainFigure(tries)],
    notes: NOTES,
  }
}

const NOTES = [
  'The optimum is a bound from above by a linear programme, so the true share is higher: work is cut as one likes there, and hosts turn from job to job at any time.',
  'A side: so many sellers, and as many buyers, that come in an average slot. All tell the truth in the year. Each slot has two rounds of the auction at its beginning, and what is left goes on to the next slot where windows do.',
  'Who asks a false price knows all other offers, which nobody does: the best of 13 false prices counts. Sizes and windows are not bent.',
  'Random prices are uniform from a half to twice the middle of median cost and median value, drawn anew for each slot; the one price is that middle. Both give to whoever came first.',
]

function yearRows(years: readonly Done<YearUnit, YearResult>[]): Row[] {
  const { days, traders } = years[0]!.unit
  const each = (value: (result: YearResult) => number) => years.map(({ result }) => value(result))
  const where = `${days} days, ${traders} a side`
  const swings = (market: Market) =>
    compared(
      `${SWING}, ${market}, ${where}`,
      null,
      each((r) => swing(r.slots, market)),
    )
  return [
    compared(
      `welfare over the bound, auction, ${where}`,
      null,
      each((r) => r.reached / r.bound),
    ),
    ...MARKETS.slice(1).map((market) => {
      const shares = each((r) => r.markets[market].welfare / r.markets.auction.welfare)
      return compared(`welfare over that of the auction, ${market}, ${where}`, null, shares)
    }),
    ...MARKETS.map((market) => {
      return compared(
        `share of the wanted work that is placed, ${market}, ${where}`,
        null,
        each((r) => r.markets[market].work / r.wanted),
      )
    }),
    ...MARKETS.slice(0, 2).map(swings),
    compared(
      `prices within the interval forecast a day ahead, auction, ${where}`,
      null,
      each((r) => covered(r.slots)),
    ),
    compared(
      `millicredits paid and not received, auction, ${where}`,
      null,
      each((r) => Number(BigInt(r.paid) - BigInt(r.got))),
    ),
    compared(
      `allocations beyond a trader's own price, auction, ${where}`,
      null,
      each((r) => r.wronged),
    ),
  ]
}

const SWING = 'change of price from one day to the next, standard deviation of its logarithm'

/** At the same time of the day, so that what is usual for the time is no change. */
function swing(slots: readonly SlotPrices[], market: Market): number {
  const changes = slots.flatMap(({ prices }, i) => {
    const before = slots[i - SLOTS_PER_DAY]?.prices[market]
    const now = prices[market]
    return before && now ? [Math.log(now / before)] : []
  })
  return standardDeviation(changes)
}

function covered(slots: readonly SlotPrices[]): number {
  const told = slots.flatMap(({ prices, forecast }) => {
    return prices.auction && forecast ? [forecast[0] <= prices.auction && prices.auction <= forecast[2]] : []
  })
  return told.filter((within) => within).length / told.length
}

const hostsOf = (alike: boolean) => (alike ? 'hosts alike' : 'hosts of all kinds')

function gainRows(tries: readonly Done<GainsUnit, GainResult>[]): Row[] {
  const groups = [...Map.groupBy(tries, ({ unit }) => `${unit.alike} ${unit.traders}`).values()]
  return groups.flatMap((group) => {
    const { traders, alike, bound } = group[0]!.unit
    const where = `${traders} a side, ${hostsOf(alike)}`
    const each = (value: (result: GainResult) => number) => group.map(({ result }) => value(result))
    return [
      ...(bound
        ? [
            compared(
              `welfare over the bound, ${where}`,
              null,
              each((r) => r.welfare / r.mostWelfare!),
            ),
          ]
        : []),
      compared(
        `gain by false prices over that by true ones, ${where}`,
        null,
        each(({ meanShare }) => meanShare),
      ),
      compared(
        `largest gain of one trader over the welfare of all, ${where}`,
        null,
        each(({ largest }) => largest),
      ),
    ]
  })
}

function yearTable(years: readonly Done<YearUnit, YearResult>[]): Table {
  const columns = [
    'seed',
    'market',
    'welfare',
    'work_mi',
    'wanted_mi',
    'price_swing',
    'sampled_welfare',
    'sampled_bound',
  ]
  const rows = years.flatMap(({ unit: { seed }, result }) =>
    MARKETS.map((market) => {
      const { welfare, work } = result.markets[market]
      const sampled = market === 'auction' ? [result.reached, result.bound] : [null, null]
      return [seed, market, welfare, work, result.wanted, swing(result.slots, market), ...sampled]
    }),
  )
  return { name: 'markets', columns, rows }
}

function slotTable(years: readonly Done<YearUnit, YearResult>[]): Table {
  const columns = ['seed', 'slot', 'auction', 'random_price', 'forecast_low', 'forecast_likely', 'forecast_high']
  const rows = years.flatMap(({ unit: { seed }, result }) =>
    result.slots.map(({ slot, prices, forecast }) => {
      return [seed, slot, prices.auction, prices['random prices'], ...(forecast ?? [null, null, null])]
    }),
  )
  return { name: 'prices', columns, rows }
}

function gainTable(tries: readonly Done<GainsUnit, GainResult>[]): Table {
  const columns = ['seed', 'traders', 'hosts', 'gain_share', 'largest_gain', 'welfare', 'bound']
  const rows = tries.map(({ unit: { seed, traders, alike }, result: r }) => {
    return [seed, traders, alike ? 'alike' : 'all kinds', r.meanShare, r.largest, r.welfare, r.mostWelfare]
  })
  return { name: 'gains', columns, rows }
}

/** The last four weeks of the first year. */
function priceFigure(slots: readonly SlotPrices[]): Figure {
  const shown = slots.slice(-28 * SLOTS_PER_DAY)
  const day = ({ slot }: SlotPrices) => (slot - shown[0]!.slot) / SLOTS_PER_DAY
  const names = ['auction, ours', 'random prices']
  const line = (market: Market, series: string) =>
    shown.flatMap((one) => (one.prices[market] === null ? [] : [{ day: day(one), price: one.prices[market], series }]))
  const forecasts = shown.flatMap((one) => {
    return one.forecast ? [{ day: day(one), low: one.forecast[0], high: one.forecast[2] }] : []
  })
  return {
    name: 'market-prices',
    title: 'Four weeks of prices',
    caption:
      'Millicredits for a core-hour of reference speed, by slot. Grey: the interval that was forecast a day ahead, for 8 of 10 prices. The auction follows the time of the day and the demand; random prices follow nothing.',
    plot: {
      width: 900,
      x: { label: 'day' },
      y: { label: 'millicredits for a core-hour', grid: true, zero: true },
      color: { ...seriesColours(names), legend: true },
      marks: [
        ruleY([0]),
        areaY(forecasts, { x: 'day', y1: 'low', y2: 'high', fill: '#cccccc' }),
        dot(line('random prices', names[1]!), { x: 'day', y: 'price', stroke: 'series', r: 2 }),
        lineY(line('auction', names[0]!), { x: 'day', y: 'price', stroke: 'series' }),
      ],
    },
  }
}

function gainFigure(tries: readonly Done<GainsUnit, GainResult>[]): Figure {
  const groups = [...Map.groupBy(tries, ({ unit }) => `${unit.alike} ${unit.traders}`).values()]
  const points = groups.map((group) => {
    const { traders, alike } = group[0]!.unit
    const values = group.map(({ result }) => result.meanShare)
    return { series: `ours, ${hostsOf(alike)}`, x: traders, y: mean(values), error: ci95(values) ?? 0 }
  })
  return {
    name: 'market-gains',
    title: 'What false prices gain',
    caption:
      'The sum of what traders gain more by their best false price, one at a time, over what they gain by the true one. It falls with the number of traders. Bars: 95 %.',
    plot: {
      x: { type: 'log', label: 'sellers, and as many buyers', ticks: SIZES, tickFormat: 'd' },
      y: { label: 'gain over that by true prices', grid: true, zero: true },
      color: { ...seriesColours(seriesNames(points)), legend: true },
      symbol: { domain: seriesNames(points) },
      marks: [ruleY([0]), seriesMarks(points)],
    },
  }
}

export const study: Study<Unit, Result> = {
  name: 'market',
  title: 'a year of the double auction, against random prices, and what false prices gain',
  source: 'DeepMarket 2019; Eisele et al. 2020-22; Rustichini, Satterthwaite and Williams 1994',
  defaultSeeds: (quick) => (quick ? [1, 2] : [1, 2, 3]),
  units,
  weight: (unit) => (unit.kind === 'year' ? (unit.days * unit.traders ** 2) / 1000 : (unit.traders * unit.tried) / 100),
  run,
  report,
}
