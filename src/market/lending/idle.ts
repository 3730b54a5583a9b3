/**
 * Is the machine used by others than this host? Decided by the processor time that they take, with a gap between the two
 * bounds, so that it does not go to and fro: their own work comes first at once, and lending begins only when they have been
 * quiet for a while. Pure.
 */

/** What has been spent since some moment, as the system counts it. */
export interface CpuReading {
  readonly atMs: number
  /** Processor time of everybody, ms. */
  readonly busyMs: number
  /** Of this host and the processes that it has started, ms; undefined where the system does not say. */
  readonly ownMs: number | undefined
  /** Processors of the machine. */
  readonly cores: number
}

export interface IdleState {
  readonly isIdle: boolean
  /** Since when others have been quiet; undefined: they are not. */
  readonly quietSinceMs: number | undefined
  /** Cores that others took lately; undefined: it is not known yet. */
  readonly others: number | undefined
  readonly last: CpuReading | undefined
}

export const NOT_WATCHED: IdleState = { isIdle: false, quietSinceMs: undefined, others: undefined, last: undefined }

/**
 * Others are quiet when they take no more than `quiet` of the machine, and at work when they take more than `work`: shares of
 * its cores, and cores at most, because one person's work keeps few cores busy, however many there are.
 */
const SHARE = { quiet: 0.1, work: 0.25 }
const MOST_CORES = { quiet: 0.5, work: 1 }
/** They must have been quiet for so long. */
export const QUIET_MS = 60_000
/** A machine that slept between two readings was not watched. */
const GAP_MS = 30_000

/** What others may take at most, in cores, of a machine with so many, before it is taken for idle. */
export function quietCores(cores: number): number {
  return Math.min(MOST_CORES.quiet, SHARE.quiet * cores)
}

/** After another reading. `ownCores`: what this host takes, in cores, where the system does not say. */
export function watched(state: IdleState, reading: CpuReading, ownCores: number): IdleState {
  const { last } = state
  const elapsedMs = last ? reading.atMs - last.atMs : 0
  if (!last || elapsedMs <= 0 || elapsedMs > GAP_MS) return { ...NOT_WATCHED, last: reading }
  const known = reading.ownMs !== undefined && last.ownMs !== undefined
  const ownMs = known ? reading.ownMs - last.ownMs : ownCores * elapsedMs
  const others = Math.max(0, reading.busyMs - last.busyMs - Math.max(0, ownMs)) / elapsedMs
  const isWork = others > Math.min(MOST_CORES.work, SHARE.work * reading.cores)
  if (isWork || (others > quietCores(reading.cores) && !state.isIdle)) {
    return { isIdle: false, quietSinceMs: undefined, others, last: reading }
  }
  const quietSinceMs = state.quietSinceMs ?? last.atMs
  return { isIdle: state.isIdle || reading.atMs - quietSinceMs >= QUIET_MS, quietSinceMs, others, last: reading }
}
