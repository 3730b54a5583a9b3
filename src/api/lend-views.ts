/** What a host says of its lending, as JSON: amounts are millicredits as decimal strings (DESIGN 1). */
import type { HostLending } from '../lend-host.ts'
import { type Funnel, whyNot } from '../market/lending/funnel.ts'
import { bodyOf, type SettingBody } from '../market/lending/setting.ts'

type View = Awaited<ReturnType<HostLending['view']>>

export interface LendBody
  extends Omit<View, 'setting' | 'given' | 'sandbox' | 'speed' | 'funnel' | 'offering' | 'earnings'> {
  /** In force now. */
  readonly setting: Required<SettingBody>
  /** What of it holds for this run of the host only. */
  readonly given: readonly string[]
  readonly sandbox: NonNullable<View['sandbox']> | null
  readonly speed: NonNullable<View['speed']> | null
  /** Null: the network has no market. */
  readonly market: MarketBody | null
  /** By this host's own copy of the ledger. */
  readonly earnings: { readonly amount: string; readonly payments: number; readonly isAll: boolean }
}

export interface MarketBody extends Omit<Funnel, 'earned'> {
  /** What is offered now, or why nothing, in one line. */
  readonly offer: string
  readonly earned: string
  /** Why nothing came of offers, in words, the most frequent first. */
  readonly whyNot: readonly string[]
}

export function lendBody(view: View): LendBody {
  const { setting, sandbox = null, speed = null, funnel, offering = '', earnings, ...rest } = view
  const market = funnel && { ...funnel, offer: offering, earned: `${funnel.earned}`, whyNot: whyNot(funnel) }
  const earned = { ...earnings, amount: `${earnings.amount}` }
  const full = bodyOf(setting) as Required<SettingBody>
  return { ...rest, setting: full, sandbox, speed, market: market ?? null, earnings: earned }
}
