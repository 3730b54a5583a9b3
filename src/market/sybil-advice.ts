/** What a report on Sybils comes to, in words: what to do, and why. */
import { percent } from '../core/percent.ts'
import { STEP } from './ledger/committee.ts'
import { committeeRisk } from './sybil.ts'
import type { SybilReport } from './sybil-report.ts'
import { groupRisk } from './sybil-risk.ts'

export interface Advice {
  /** `alarm`: it looks as if somebody crowds; `weak`: an assumed attacker would have too much; `fine`: nothing to do. */
  readonly kind: 'alarm' | 'weak' | 'fine'
  /** One sentence, or two. */
  readonly text: string
}

/** An attacker of so many blocks of addresses should get no more than this share of the groups. */
const BLOCKS = 16
const FEW_GROUPS = 1e-3
const MOST_COPIES = 16
/** With so many liars among the bankers, no more than this share of committees should be broken. */
const LIARS = 0.1
const FEW_COMMITTEES = 0.01

/** The gravest first. `seatCap`: that the committee may have. */
export function adviceFor(report: Omit<SybilReport, 'advice'>, seatCap: number): Advice[] {
  const all = [
    ...crowds(report),
    ...concentrated(report),
    placementAdvice(report),
    ...replicaAdvice(report),
    ...committeeAdvice(report, seatCap),
  ]
  const order = ['alarm', 'weak', 'fine']
  return all.sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind))
}

function crowds({ density }: Omit<SybilReport, 'advice'>): Advice[] {
  const alarms = density.filter(({ alarm }) => alarm)
  if (alarms.length === 0) return []
  const where = alarms.map(({ name }) => name).join(', ')
  const text = `ids crowd at: ${where}; of 10,000 honest neighbourhoods one or none is as dense. Look who they are with chorale ring show, and at their addresses`
  return [{ kind: 'alarm', text }]
}

function concentrated({ addresses, groups, committee }: Omit<SybilReport, 'advice'>): Advice[] {
  // All nodes of one machine, or of one house, are at one block: that says nothing.
  if (addresses.parties <= 1) return []
  const out: Advice[] = []
  const { concentration, tolerated, seats } = committee
  if (seats > 1 && concentration.most > tolerated) {
    const text = `${concentration.most} of ${seats} seats of the committee are at ${concentration.block}, and it tolerates ${tolerated}: have bankers elsewhere stand`
    out.push({ kind: 'weak', text })
  }
  if (groups.held > 0) {
    const text = `of ${groups.held} of ${groups.mine} groups that keep what is yours one block of addresses is the majority`
    out.push({ kind: 'weak', text })
  }
  return out
}

function placementAdvice({ placement, addresses }: Omit<SybilReport, 'advice'>): Advice {
  if (placement === 'ip-prefix') {
    const text = 'one party is never the majority of a group while there are enough others (placement ip-prefix)'
    return { kind: 'fine', text }
  }
  if (addresses.kind === 'public') {
    const text =
      'under placement ip-port one address may have ids wherever it wants, and no number of copies helps: let in only whom you know, or begin anew with chorale network create --placement ip-prefix'
    return { kind: 'weak', text }
  }
  const where = addresses.kind === 'private' ? 'a private network' : 'this machine'
  const text = `placement ip-port is for networks of people who know each other: whoever can reach ${where} can take any key`
  return { kind: 'fine', text }
}

function replicaAdvice({ placement, size, groups }: Omit<SybilReport, 'advice'>): Advice[] {
  if (placement === 'ip-port' || size.members < 2) return []
  const chanceOf = (copies: number) => groupRisk(placement, size.members, BLOCKS, [copies]).captured[0]!.chance
  const now = chanceOf(groups.copies)
  const against = `an attacker at ${BLOCKS} blocks of addresses`
  if (now <= FEW_GROUPS) {
    return [{ kind: 'fine', text: `${groups.copies} copies of each block are enough against ${against}` }]
  }
  for (let copies = groups.copies + 1; copies <= Math.min(MOST_COPIES, size.members); copies++) {
    if (chanceOf(copies) > FEW_GROUPS) continue
    const text = `${against} has the majority of ${percent(now)} of the groups: with ${copies} copies of each block (--replicas ${copies}, in a new network) of ${percent(chanceOf(copies))}`
    return [{ kind: 'weak', text }]
  }
  const text = `${against} has the majority of ${percent(now)} of the groups, and more copies do not help: ${size.members} members are too few to let in strangers`
  return [{ kind: 'weak', text }]
}

function committeeAdvice({ committee }: Omit<SybilReport, 'advice'>, seatCap: number): Advice[] {
  const { seats } = committee
  if (seats === 0) return []
  const now = committeeRisk(LIARS, seats).broken
  const who = `if ${percent(LIARS)} of the bankers lie`
  if (now <= FEW_COMMITTEES) {
    return [{ kind: 'fine', text: `${seats} seats are enough ${who}: more lie than it tolerates with ${percent(now)}` }]
  }
  let enough = seats + ((1 - (seats % STEP) + STEP) % STEP)
  while (committeeRisk(LIARS, enough).broken > FEW_COMMITTEES) enough += STEP
  const most =
    enough <= seatCap ? '' : `, but this network allows ${seatCap}: one with a larger --committee must be made anew`
  const remedy = `with ${enough} seats it is ${percent(committeeRisk(LIARS, enough).broken)}: have more nodes stand (chorale ledger stand)${most}`
  const alone = seats === 1 ? 'one banker decides alone; ' : ''
  return [{ kind: 'weak', text: `${alone}${who} the committee is broken with ${percent(now)}; ${remedy}` }]
}
