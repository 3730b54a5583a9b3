/** The market's operations as text for people: what was done, and what the credits were for. */
import type { EntryBody } from '../api/ledger-views.ts'
import { formatCredits } from '../market/ledger/credits.ts'
import * as format from './format.ts'

type Action = EntryBody['action']
type About = NonNullable<EntryBody['about']>

/** Before the operation by which it ended. */
const LAST = 'last step'

const OF_ALLOCATION: Readonly<Record<string, (action: Action) => string>> = {
  sign: () => 'contract signed',
  commit: ({ tasks, window }) => `${format.some(countOf(tasks), 'task')} committed to as window ${window}`,
  reveal: () => 'told which tasks of a window are tested',
  approve: ({ tests }) => `a window of work approved, ${format.some(Number(tests), 'task')} done again`,
  challenge: ({ position }) => `task ${position} of a window challenged`,
  show: () => 'a challenged task shown',
  dispute: () => 'a result disputed',
  draw: () => 'part of the draw of mediators told',
  seal: () => "a mediator's finding sealed",
  verdict: ({ finding }) =>
    `a mediator's finding told: ${finding === 'unstable' ? 'no two runs agree' : short(finding)}`,
  end: () => 'contract ended',
  expire: () => 'a deadline of a contract over',
}

/** Undefined: it is none of the market's. */
export function tradeSentence(action: Action): string | undefined {
  const { kind, allocation } = action
  switch (kind) {
    case 'hand-in':
      return `${format.some(listOf(action.offers).length, 'offer')} handed in`
    case 'match':
      return `offers matched for ${slotText(Number(action.slot))}`
    case 'withdraw-offer':
      return `offer ${short(action.offer)} taken back`
    case 'raise-offer':
      return `offer ${short(action.offer)} raised to ${formatCredits(BigInt(`${action.maxPrice}`))} credits for a core-hour`
    case 'mediate':
      return `host ${short(action.host)} ${action.willing ? 'volunteers as a mediator' : 'is no mediator any more'}`
    default: {
      const words = OF_ALLOCATION[kind]
      return words && allocation !== undefined ? `${words(action)}, allocation ${short(allocation)}` : undefined
    }
  }
}

/** Why the account has more or less; undefined: it has neither, or the operation says it. */
export function tradeEffect(entry: EntryBody, mine: string): string | undefined {
  const { action, about, by, result } = entry
  const moved = BigInt(entry.free) + BigInt(entry.granted)
  if (moved === 0n || result !== 'applied' || tradeSentence(action) === undefined) return undefined
  if (action.kind === 'match') {
    if (moved > 0n) return "allocator's fee"
    if (!about) return 'locked for what was matched: price, bond and fee of own jobs, deposits for own work'
    const what = about.as === 'customer' ? 'price, bond and fee' : 'deposit'
    return `locked as ${what} for ${format.some(about.tasks ?? 0, 'task')} of job ${jobName(about)}`
  }
  if (about?.as === 'mediator') return `fee as a mediator for job ${jobName(about)}`
  if (about?.as === 'customer')
    return `contract of job ${jobName(about)} over, bond and what was not earned back; ${LAST}`
  if (about) return supplied(about)
  // The state has forgotten the allocation: the operation alone tells.
  if (action.kind === 'approve')
    return by === mine ? `a contract over, bond and what was not earned back; ${LAST}` : 'wage'
  return 'wage, or what was locked comes back'
}

function supplied(about: About): string {
  const { tasks, wage, locked } = about
  const of = `of job ${jobName(about)}`
  if (wage === null) return locked === null ? `wage, or deposit back, ${of}` : `deposit back, ${of}`
  const back = locked === null ? '' : `, and the deposit of ${formatCredits(BigInt(locked))} back`
  const amount = locked === null ? '' : ` of ${formatCredits(BigInt(wage))}`
  return `wage${amount} for ${format.some(tasks ?? 0, 'task')} ${of}${back}`
}

/** `2026-01-31 06-12 UTC`; a test holds it against offers/price-slot.ts, which is not loaded for that. */
export function slotText(slot: number): string {
  const at = format.instant(slot * 6 * 3_600_000)
  const hour = at.slice(11, 13)
  return `${at.slice(0, 10)} ${hour}-${`${Number(hour) + 6}`.padStart(2, '0')} UTC`
}

function countOf(ranges: unknown): number {
  return (listOf(ranges) as Array<readonly [number, number]>).reduce((sum, [from, to]) => sum + to - from, 0)
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** As `job show` takes it, else as the ledger names it. */
function jobName({ job, jobId }: About): string {
  return jobId === null ? short(job) : format.shortId(jobId)
}

function short(id: unknown): string {
  return `${id}`.slice(0, 12)
}
