/** What the study `sybil` measures: published values, what the formulas predict, and what each seed gave. */
import {
  arcsOf,
  densityMiss,
  densityThreshold,
  EPHEMERAL_PORTS,
  expectedTries,
  gapHit,
  gapHitByPrefix,
  gapHitDeviation,
  groupCaptured,
  linksHit,
  majority,
  maskedAddresses,
  maskedInBlock,
  triesDeviation,
} from '../../../src/market/sybil.ts'
import { roundingError } from '../statistics.ts'
import type { Done } from '../study.ts'
import { type Addresses, type Captured, type Dense, LINK_BITS, type Tried } from './experiments.ts'

export const GAP_IPS = [1, 5, 19]
/** Published shares of gaps hit, by n, for `GAP_IPS`. */
export const GAPS = [
  { nodes: 5000, published: [0.7748, 0.9444, 0.9834] },
  { nodes: 5_000_000, published: [0.0032654, 0.0161208, 0.058562] },
  { nodes: 20_000_000, published: [0.00081865, 0.0040801, 0.01532465] },
]
export const LINK_IPS = [1, 3, 9]
/** Published shares of all links captured, by n, for `LINK_IPS`. Of small networks each seed makes several. */
export const LINKS = [
  { nodes: 1000, networks: 8, published: [0.94187, 0.97916, 0.99481] },
  { nodes: 10_000, networks: 2, published: [0.61848, 0.83425, 0.9355] },
  { nodes: 100_000, networks: 1, published: [0.14175, 0.32863, 0.59361] },
]
/** Published shares of attempts in which one address hits one gap. */
export const ONE = [
  { nodes: 1000, published: 0.92 },
  { nodes: 5000, published: 0.71 },
  { nodes: 10_000, published: 0.67 },
  { nodes: 100_000, published: 0.13 },
]
/** They are printed to whole hundredths. */
export const PUBLISHED_ATTEMPTS = 100
export const HALF = { nodes: 20_000_000, ips: 1221 }
/** Published misses of the density test, and the decimals they are printed with. */
export const MISSES = [
  { r: 8, published: 0.25, decimals: 2 },
  { r: 16, published: 0.0057, decimals: 4 },
  { r: 20, published: 0.0006, decimals: 4 },
]
export const FALSE_ALARMS = 1e-4
export const DENSITY_NODES = 10_000_000
export const PREFIX_NODES = [1000, 10_000]
export const PREFIX_CASES: readonly Addresses[] = [
  { addresses: 1, block: true },
  { addresses: 256, block: true },
  { addresses: 4096, block: false },
  { addresses: 65_536, block: false },
]
/** Default size of replica groups. */
export const GROUP = 3
export const KEYS = 5000

/** A piece of the study: one seed, one network. */
export type Unit = { readonly seed: number; readonly nodes: number } & (
  | { readonly kind: 'gaps' | 'half' | 'density' }
  | { readonly kind: 'links'; readonly networks: number }
  | { readonly kind: 'one'; readonly attempts: number }
  | { readonly kind: 'prefix'; readonly from: Addresses }
)

export type Result = number | readonly number[] | readonly Captured[] | Tried | readonly Dense[]

export class Results {
  readonly #done: readonly Done<Unit, Result>[]

  constructor(done: readonly Done<Unit, Result>[]) {
    this.#done = done
  }

  /** Of all seeds; empty when it was left out. */
  of<T extends Result>(kind: Unit['kind'], nodes: number, from?: Addresses): readonly T[] {
    const fits = ({ unit }: Done<Unit, Result>) =>
      unit.kind === kind && unit.nodes === nodes && (unit.kind !== 'prefix' || same(unit.from, from))
    return this.#done.filter(fits).map(({ result }) => result as T)
  }
}

const same = (a: Addresses, b: Addresses | undefined) => a.addresses === b?.addresses && a.block === b.block

/** What a formula predicts and the simulation measured, each seed once. */
export interface Quantity {
  readonly name: string
  readonly series: 'gaps' | 'links' | 'groups' | 'one' | 'tries' | 'prefix' | 'alarms' | 'misses' | 'half'
  readonly nodes: number
  /** Addresses of the attacker; or r, for the density test. */
  readonly by: number
  readonly exact: number
  readonly values: readonly number[]
  /** Standard deviation of one value, where theory knows it; else the values must show it. */
  readonly spread?: number
  readonly published?: number
  readonly publishedError?: number
}

export function quantities(results: Results): Quantity[] {
  return [
    ...gapQuantities(results),
    ...linkQuantities(results),
    ...oneGapQuantities(results),
    ...prefixQuantities(results),
    ...densityQuantities(results),
  ]
}

function gapQuantities(results: Results): Quantity[] {
  const gaps = GAPS.flatMap(({ nodes, published }) => {
    const found = results.of<readonly number[]>('gaps', nodes)
    return GAP_IPS.map((ips, i): Quantity => {
      const identities = ips * EPHEMERAL_PORTS
      return {
        name: `gaps hit, n = ${size(nodes)}, ${count(ips, 'IP')}`,
        series: 'gaps',
        nodes,
        by: ips,
        exact: gapHit(nodes, identities),
        values: found.map((shares) => shares[i]!),
        spread: gapHitDeviation(nodes, identities),
        published: published[i]!,
        publishedError: gapHitDeviation(nodes, identities),
      }
    })
  })
  const { nodes, ips } = HALF
  const half: Quantity = {
    name: `gaps hit, n = ${size(nodes)}, ${size(ips)} IPs`,
    series: 'half',
    nodes,
    by: ips,
    exact: gapHit(nodes, ips * EPHEMERAL_PORTS),
    spread: gapHitDeviation(nodes, ips * EPHEMERAL_PORTS),
    values: results.of<number>('half', nodes),
  }
  return [...gaps, half].filter(({ values }) => values.length > 0)
}

function linkQuantities(results: Results): Quantity[] {
  return LINKS.flatMap(({ nodes, networks, published }) => {
    const found = results.of<readonly Captured[]>('links', nodes)
    return LINK_IPS.flatMap((ips, i): Quantity[] => {
      const identities = ips * EPHEMERAL_PORTS
      // Nearly all links are adjacent gaps over again, and spread as these do.
      const deviation = gapHitDeviation(nodes, identities)
      const spread = deviation / Math.sqrt(networks)
      const of = (what: string) => `${what}, n = ${size(nodes)}, ${count(ips, 'IP')}`
      const gaps: Quantity = {
        name: of('gaps hit'),
        series: 'gaps',
        nodes,
        by: ips,
        exact: gapHit(nodes, identities),
        values: found.map((shares) => shares[i]!.gaps),
        spread,
      }
      return [
        ...(ips === 1 ? [gaps] : []),
        {
          name: of('links captured'),
          series: 'links',
          nodes,
          by: ips,
          exact: linksHit(nodes, identities, LINK_BITS),
          values: found.map((shares) => shares[i]!.links),
          spread,
          published: published[i]!,
          publishedError: deviation,
        },
        {
          name: of(`groups of ${GROUP} captured`),
          series: 'groups',
          nodes,
          by: ips,
          exact: groupCaptured(nodes, identities, GROUP, majority(GROUP)),
          values: found.map((shares) => shares[i]!.groups),
        },
      ]
    })
  })
}

function oneGapQuantities(results: Results): Quantity[] {
  return ONE.flatMap(({ nodes, published }): Quantity[] => {
    const found = results.of<Tried>('one', nodes)
    const exact = gapHit(nodes, EPHEMERAL_PORTS)
    const attempts = found[0]?.attempts ?? 0
    const spread = Math.sqrt(exact * (1 - exact))
    const tries = expectedTries(nodes, EPHEMERAL_PORTS)
    const common = { nodes, by: 1 }
    return [
      {
        ...common,
        name: `one gap, n = ${size(nodes)}, 1 IP`,
        series: 'one',
        exact,
        values: found.map(({ hit }) => hit),
        spread: spread / Math.sqrt(attempts),
        published,
        publishedError: spread / Math.sqrt(PUBLISHED_ATTEMPTS),
      },
      {
        ...common,
        name: `ports tried for one gap, n = ${size(nodes)}`,
        series: 'tries',
        exact: tries,
        values: found.map((each) => each.tries),
        spread: triesDeviation(nodes, EPHEMERAL_PORTS) / Math.sqrt(attempts),
        published: Number(digits(tries)),
      },
    ]
  })
}

function prefixQuantities(results: Results): Quantity[] {
  return PREFIX_NODES.flatMap((nodes) =>
    PREFIX_CASES.map((from): Quantity => {
      const { addresses, block } = from
      const who = addresses === 1 ? '1 IP' : block ? 'a /24' : `${size(addresses)} random IPs`
      const masked = block ? maskedInBlock(32 - Math.log2(addresses)) : maskedAddresses(addresses)
      return {
        name: `ip-prefix: gaps hit, n = ${size(nodes)}, ${who}`,
        series: 'prefix',
        nodes,
        by: addresses,
        exact: gapHitByPrefix(nodes, masked),
        spread: gapHitDeviation(nodes, arcsOf(masked)),
        values: results.of<number>('prefix', nodes, from),
      }
    }),
  )
}

function densityQuantities(results: Results): Quantity[] {
  const found = results.of<readonly Dense[]>('density', DENSITY_NODES)
  return MISSES.flatMap(({ r, published, decimals }, i): Quantity[] => {
    const common = { nodes: DENSITY_NODES, by: r }
    const threshold = densityThreshold(r, FALSE_ALARMS)
    const missed = densityMiss(r, FALSE_ALARMS)
    return [
      {
        ...common,
        name: `density test: all Sybils in one gap missed, r = ${r}`,
        series: 'misses',
        exact: missed,
        // Of gaps that add up to 1: their lengths are not independent, which lessens it (Pyke 1965).
        spread: Math.sqrt((missed - missed ** 2 * (1 + threshold ** 2)) / DENSITY_NODES),
        values: found.map((each) => each[i]!.misses),
        published,
        publishedError: roundingError(decimals),
      },
      {
        ...common,
        name: `density test: false alarms, r = ${r}`,
        series: 'alarms',
        exact: FALSE_ALARMS,
        spread: Math.sqrt((FALSE_ALARMS * (1 - FALSE_ALARMS) * r) / DENSITY_NODES),
        values: found.map((each) => each[i]!.alarms),
        published: FALSE_ALARMS,
      },
    ]
  })
}

export function size(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}

export function count(value: number, unit: string): string {
  return `${size(value)} ${unit}${value === 1 ? '' : 's'}`
}

export function digits(value: number): string {
  return value.toPrecision(6)
}
