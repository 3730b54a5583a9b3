/** What the nodes of each role and conduct end with, in millicredits, rounded. */
import type { Key } from '../../src/core/ids.ts'
import { total } from '../../src/market/ledger/state/purse.ts'
import type { State } from '../../src/market/ledger/state/state.ts'
import { COST_SHARE } from '../../src/market/verification/auto.ts'
import { PPM } from '../../src/market/verification/draws.ts'
import type { Role } from './cast.ts'
import type { Story } from './market-checker.ts'
import type { MarketNode } from './market-node.ts'

export interface Gain {
  readonly nodes: number
  /** More than it began with, on average. */
  readonly credits: number
  /** Of suppliers: the same less what their work costs at most (`COST_SHARE`). */
  readonly profit?: number
  /** Of customers: what was spent for right results, of what these were to cost. */
  readonly costRatio?: number
}

export type Gains = { readonly [R in Role]: { readonly [conduct: string]: Gain } }

interface Sum {
  nodes: number
  credits: number
  cost: number
  worth: number
}

export function gainsOf(nodes: readonly MarketNode[], stories: ReadonlyMap<Key, Story>, state: State): Gains {
  const bySupplier = Map.groupBy(stories.values(), ({ terms }) => terms.supplier)
  const byCustomer = Map.groupBy(stories.values(), ({ terms }) => terms.customer)
  const sums: Record<Role, Record<string, Sum>> = { supplier: {}, customer: {}, mediator: {} }
  for (const node of nodes) {
    const { role, conduct } = node.part
    const sum = (sums[role][conduct] ??= { nodes: 0, credits: 0, cost: 0, worth: 0 })
    sum.nodes++
    sum.credits += Number(wealthOf(state, node) - state.settings.grant)
    for (const { id, terms } of bySupplier.get(node.account) ?? []) {
      sum.cost += (node.supplying!.worked(id) * Number(terms.price) * COST_SHARE) / terms.tasks / PPM
    }
    for (const { terms, right } of byCustomer.get(node.account) ?? []) {
      sum.worth += (right * Number(terms.price)) / terms.tasks
    }
  }
  const gain = (role: Role, { nodes, credits, cost, worth }: Sum): Gain => ({
    nodes,
    credits: Math.round(credits / nodes),
    ...(role === 'supplier' && { profit: Math.round((credits - cost) / nodes) }),
    ...(role === 'customer' && worth > 0 && { costRatio: Math.round((-1000 * credits) / worth) / 1000 }),
  })
  const gains = (role: Role) =>
    Object.fromEntries(Object.entries(sums[role]).map(([conduct, sum]) => [conduct, gain(role, sum)]))
  return { supplier: gains('supplier'), customer: gains('customer'), mediator: gains('mediator') }
}

function wealthOf(state: State, { account, hostKeys }: MarketNode): bigint {
  const bond = state.bankers.get(hostKeys.publicKey)
  return total(state.accounts.get(account)!) + (bond ? total(bond) : 0n)
}
