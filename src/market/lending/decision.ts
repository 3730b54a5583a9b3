/** Does a host lend at this moment, and if not, why? Pure. */
import type { SandboxState } from '../../mapreduce/sandbox/admission.ts'
import { formatHours, formatMinute, isWithin } from './hours.ts'
import { type IdleState, QUIET_MS, quietCores } from './idle.ts'
import type { LendSetting } from './setting.ts'

export type LendState =
  | 'lending'
  /** By its user, until `lend resume`. */
  | 'paused'
  /** No cores are lent. */
  | 'off'
  /** Outside its hours. */
  | 'closed'
  /** Others use the machine, or have not been quiet for long enough. */
  | 'in-use'
  /** The machine cannot give the level that is asked for. */
  | 'refused'

export interface Decision {
  readonly state: LendState
  /** In words. */
  readonly why: string
}

export interface LendFacts {
  /** Tasks that may be at work at once, when it lends (`slotsOf`). */
  readonly slots: number
  readonly isOpenNetwork: boolean
  /** Since midnight, local time. */
  readonly minute: number
  readonly idle: IdleState
  /** Undefined: it is not known yet. */
  readonly sandbox: SandboxState | undefined
}

export function decide(setting: LendSetting, facts: LendFacts): Decision {
  const { when, level, cores, paused } = setting
  if (facts.slots === 0) {
    const open = cores === null && facts.isOpenNetwork
    const why = open ? 'an open network is lent nothing until --cpu says how much' : '--cpu is 0'
    return { state: 'off', why }
  }
  if (paused) return { state: 'paused', why: 'paused, until chorale lend resume' }
  const walls = level === 'os' ? whyNoWalls(facts.sandbox) : undefined
  if (walls !== undefined) return { state: 'refused', why: walls }
  if (when === 'always') return { state: 'lending', why: 'at all hours' }
  if (when === 'idle') return idleDecision(facts.idle)
  const hours = `${formatHours(when)}, local time`
  if (isWithin(when, facts.minute)) return { state: 'lending', why: `within ${hours}` }
  return { state: 'closed', why: `outside ${hours}: it is ${formatMinute(facts.minute)}` }
}

/** Why the level `os` cannot be had; undefined: it can. */
export function whyNoWalls(sandbox: SandboxState | undefined): string | undefined {
  if (sandbox?.level === 'os') return undefined
  return `--level os cannot be had here: ${sandbox?.why ?? 'how this machine runs foreign code is not known yet'}`
}

function idleDecision({ isIdle, others, last, quietSinceMs }: IdleState): Decision {
  if (others === undefined || !last)
    return { state: 'in-use', why: 'whether others use this machine is being measured' }
  const share = `others take ${others.toFixed(1)} of ${last.cores} cores`
  if (isIdle) return { state: 'lending', why: `this machine is idle: ${share}` }
  const least = `it lends after ${QUIET_MS / 1000} s with at most ${quietCores(last.cores).toFixed(1)}`
  if (quietSinceMs === undefined) return { state: 'in-use', why: `this machine is in use: ${share}; ${least}` }
  const quiet = `quiet for ${Math.round((last.atMs - quietSinceMs) / 1000)} s`
  return { state: 'in-use', why: `this machine has been ${quiet}: ${share}; ${least}` }
}
