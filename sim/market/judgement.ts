/** What is made of a run of the scenario `market`, when it has ended. */
import type { Key } from '../../src/core/ids.ts'
import { offerIn } from '../../src/market/ledger/state/book/offers.ts'
import type { State } from '../../src/market/ledger/state/state.ts'
import type { LedgerChecker } from '../ledger/ledger-checker.ts'
import type { Schedule } from '../schedule.ts'
import { type Gains, gainsOf } from './accounts.ts'
import type { Conduct } from './cast.ts'
import type { Dispatch, Job } from './dispatch.ts'
import type { MarketChecker, Story } from './market-checker.ts'
import type { MarketNode } from './market-node.ts'

/** Of what honest suppliers commit to. */
const MIN_PAID_SHARE = 0.99

export interface MarketResult {
  jobs: number
  /** All of their tasks were paid. */
  paid: number
  /** What was not paid went back, or was never taken. */
  refunded: number
  /** An allocation of them is open at the end. */
  stuck: number
  supplyConserved: boolean
  /** Tasks paid of those that honest suppliers committed to, and of those that they did. */
  honestPaidShare: number
  honestPaidOfWorked: number
  /** Tasks paid of those that were asked for. */
  paidShare: number
  allocations: number
  disputes: number
  /** Honest suppliers found guilty, and customers fined, of which none should be. */
  honestConvicted: number
  honestFined: number
  /** Allocations that honest suppliers have lost because they were down when they had to sign. */
  honestUnsigned: number
  /** Times that somebody was waited for in vain, by phase. */
  expired: Readonly<Record<string, number>>
  gains: Gains
  /** Is each way to cheat worse than honesty? */
  cheatersLose: { readonly suppliers: boolean; readonly customers: boolean; readonly mediators: boolean }
  operations: number
  /** Of the nodes', by kind and reason. */
  refused: Readonly<Record<string, number>>
  /** Median and 95th percentile of the time from a match to the end of its allocation, in seconds. */
  allocationSeconds: readonly [median: number, p95: number]
  /** The same from a window's commit to its end, where both sides are honest. */
  windowSeconds: readonly [median: number, p95: number]
  bookAtEnd: number
  blocks: number
  epochs: number
  seconds: number
  violations: readonly string[]
  digest: string
}

export interface Ended {
  /** That were to be offered. */
  readonly jobs: number
  /** Is told of what must not be. */
  readonly ledger: LedgerChecker
  readonly market: MarketChecker
  readonly dispatch: Dispatch
  readonly nodes: readonly MarketNode[]
  /** Operations of nodes of which nothing came. */
  readonly refused: ReadonlyMap<string, number>
  readonly schedule: Schedule
}

export function judge({ jobs, ledger, market, dispatch, nodes, refused, schedule }: Ended): MarketResult {
  const byAccount = new Map(nodes.map((node) => [node.account, node]))
  const { state } = ledger
  const all = [...market.stories.values()]
  const conductOf = (account: Key): Conduct => byAccount.get(account)!.part.conduct
  const mine = all.filter(({ terms }) => conductOf(terms.supplier) === 'honest')
  const sum = (stories: readonly Story[], count: (story: Story) => number) =>
    stories.reduce((total, story) => total + count(story), 0)
  const worked = sum(mine, ({ id, terms }) => byAccount.get(terms.supplier)!.supplying!.worked(id))
  const wanted = [...dispatch.jobs.values()]
  const isStuck = ({ id }: Job) => (market.byJob.get(id) ?? []).some(({ endedMs }) => endedMs === undefined)
  const isPaid = ({ id, tasks, replicas }: Job) => market.paidCopies(id) === tasks * replicas
  const stuck = wanted.filter(isStuck).length
  const paid = wanted.filter((job) => !isStuck(job) && isPaid(job)).length
  if (wanted.length < jobs) ledger.wrong(`${jobs - wanted.length} jobs were never offered`)
  if (stuck > 0) ledger.wrong(`${stuck} jobs have allocations that nobody ends`)
  if (stuck === 0 && (state.escrows.size > 0 || holdersOf(state) !== 0)) ledger.wrong('something is held for nobody')
  const honestPaidShare = share(
    sum(mine, (story) => story.paid),
    sum(mine, (story) => story.committed),
  )
  if (honestPaidShare < MIN_PAID_SHARE) ledger.wrong(`honest suppliers are paid for ${honestPaidShare} of their work`)
  const gains = gainsOf(nodes, market.stories, state)
  for (const [conduct, { costRatio }] of Object.entries(gains.customer)) {
    if (costRatio !== undefined && costRatio < 1) ledger.wrong(`customers (${conduct}) pay ${costRatio} of the price`)
  }
  const expired = new Map<string, number>()
  for (const phase of all.flatMap((story) => story.expired)) expired.set(phase, (expired.get(phase) ?? 0) + 1)
  const isHonest = ({ terms }: Story) =>
    conductOf(terms.customer) === 'honest' && conductOf(terms.supplier) === 'honest'
  return {
    jobs: wanted.length,
    paid,
    refunded: wanted.length - paid - stuck,
    stuck,
    supplyConserved: ledger.supplyConserved,
    honestPaidShare,
    honestPaidOfWorked: share(
      sum(mine, (story) => story.paid),
      worked,
    ),
    paidShare: share(
      sum(all, (story) => story.paid),
      wanted.reduce((total, job) => total + job.tasks * job.replicas, 0),
    ),
    allocations: all.length,
    disputes: sum(all, (story) => story.disputes),
    honestConvicted: mine.filter((story) => story.supplierFailed).length,
    honestFined: all.filter((story) => story.customerFined && conductOf(story.terms.customer) === 'honest').length,
    honestUnsigned: mine.filter((story) => story.isUnsigned).length,
    expired: Object.fromEntries([...expired].sort()),
    gains,
    cheatersLose: {
      suppliers: isWorst(gains.supplier, ({ profit }) => profit!),
      customers: isWorst(gains.customer, ({ costRatio }) => (costRatio === undefined ? -Infinity : -costRatio)),
      mediators: isWorst(gains.mediator, ({ credits }) => credits),
    },
    operations: market.operations,
    refused: Object.fromEntries([...refused].sort()),
    allocationSeconds: secondsOf(
      all.flatMap(({ beganMs, endedMs }) => (endedMs === undefined ? [] : endedMs - beganMs)),
    ),
    windowSeconds: secondsOf(all.filter(isHonest).flatMap(({ windowsMs }) => windowsMs)),
    bookAtEnd: state.book.size,
    blocks: ledger.height,
    epochs: ledger.epochs.length,
    seconds: Math.round(schedule.nowMs / 1000),
    violations: ledger.violations,
    digest: schedule.digest,
  }
}

/** Of claims, beyond the offers that hold them: allocations that are open. */
function holdersOf({ claims, book }: State): number {
  let holders = 0
  for (const [, claim] of claims.entries()) holders += claim.holders
  for (const [, { bytes, placed }] of book.entries()) {
    const { terms } = offerIn(bytes)!
    if (terms.kind === 'buy') holders -= 1 + (terms.replicas > 1 ? placed.length : 0)
  }
  return holders
}

/** Is each cheater's figure below that of the honest? */
function isWorst(gains: Gains[keyof Gains], figure: (gain: Gains['supplier'][string]) => number): boolean {
  const { honest, ...cheats } = gains
  return !honest || Object.values(cheats).every((cheat) => figure(cheat) < figure(honest))
}

/** Median and 95th percentile. */
function secondsOf(ms: readonly number[]): [number, number] {
  const sorted = ms.map((each) => Math.round(each / 1000)).sort((a, b) => a - b)
  return [0.5, 0.95].map((part) => sorted[Math.floor(sorted.length * part)] ?? 0) as [number, number]
}

function share(part: number, whole: number): number {
  return whole === 0 ? 1 : Math.round((part / whole) * 1e5) / 1e5
}
