/** How a customer wants its work checked, as data: `--verify none | sample | sample=SHARE | replicate=N | auto`. */
import { ChoraleError } from '../../core/errors.ts'
import type { Amount } from '../ledger/state/amount.ts'
import { autoRate, sampleRate, type WindowTerms, type WorkRecord } from './auto.ts'
import { PPM } from './draws.ts'

export type VerifyPolicy =
  /** Nothing is checked, and all is paid. */
  | { readonly kind: 'none' }
  /** So many tests that each supplier which skips this share of its tasks is found with this probability; both ppm. */
  | { readonly kind: 'sample'; readonly share: number; readonly probability: number }
  /** Every task on so many hosts, 2 to `MAX_REPLICAS`; what more than half of them say holds. */
  | { readonly kind: 'replicate'; readonly replicas: number }
  /** As much as the supplier's record and deposit ask for (`auto.ts`). */
  | { readonly kind: 'auto' }

export const MAX_REPLICAS = 16
const DEFAULT_SHARE = 50_000
const PROBABILITY = 950_000

/** Throws `usage`, which says what there is. */
export function parseVerify(text: string): VerifyPolicy {
  const [, kind, , value] = /^([a-z]*)(=(.*))?$/.exec(text) ?? []
  if (value === undefined) {
    if (kind === 'none' || kind === 'auto') return { kind }
    if (kind === 'sample') return { kind, share: DEFAULT_SHARE, probability: PROBABILITY }
  } else if (/^\d{1,3}(\.\d{1,4})?%?$/.test(value) && kind === 'sample') {
    const share = Math.round(Number(value.replace('%', '')) * (value.endsWith('%') ? PPM / 100 : PPM))
    if (share >= 1 && share <= PPM) return { kind, share, probability: PROBABILITY }
  } else if (/^\d{1,2}$/.test(value) && kind === 'replicate') {
    const replicas = Number(value)
    if (replicas >= 2 && replicas <= MAX_REPLICAS) return { kind, replicas }
  }
  const usage = `none, sample, sample=5% (the share of skipped tasks to find), replicate=2..${MAX_REPLICAS} or auto`
  throw new ChoraleError('usage', `cannot verify by "${text}": ${usage}`)
}

/** What `parseVerify` reads back. */
export function formatVerify(policy: VerifyPolicy): string {
  if (policy.kind === 'replicate') return `replicate=${policy.replicas}`
  if (policy.kind === 'sample') return `sample=${Number((policy.share / (PPM / 100)).toFixed(4))}%`
  return policy.kind
}

export interface Plan {
  /** Hosts that do each task. */
  readonly replicas: number
  /** Share of each supplier's tasks that are tested, ppm. */
  readonly rate: number
}

export interface Supplier {
  readonly record: WorkRecord
  /** At stake in a window. */
  readonly deposit: Amount
  /** In all windows of the contract together. */
  readonly tasks: number
}

/** What the policy means for a supplier. Undefined: with so little at stake it cannot be taken (policy `auto`). */
export function planOf(policy: VerifyPolicy, supplier: Supplier, window: WindowTerms): Plan | undefined {
  const { record, deposit, tasks } = supplier
  switch (policy.kind) {
    case 'none':
      return { replicas: 1, rate: 0 }
    case 'replicate':
      return { replicas: policy.replicas, rate: 0 }
    case 'sample':
      return { replicas: 1, rate: sampleRate(policy.share, policy.probability, tasks, window.guess) }
    case 'auto': {
      const rate = autoRate(record, deposit, window)
      return rate === undefined ? undefined : { replicas: 1, rate }
    }
  }
}
