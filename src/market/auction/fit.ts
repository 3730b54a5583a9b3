/**
 * What a host can do for a job: the feasibility of a pair of offers (PAPERS 9), and the part of the host that is taken.
 *
 * What is free of a host is a set of *pieces*: cores and memory for a time. A job's need is cut to what a piece can do, which
 * takes a rectangle out of it; what is left of the piece are up to three smaller ones:
 *
 *   cores  +--------+-----------+--------+
 *          |        |  beside   |        |      A task runs on one core, a *lane*, from its beginning to its end. So a piece
 *          | before +-----------+ after  |      does (lanes) x (tasks one after the other on a lane) of them, and the
 *          |        |   taken   |        |      rectangle has as few lanes as will do in the time that it takes.
 *          +--------+-----------+--------+  time
 *
 * Feasible is: the windows overlap for at least the least service time; a task fits into that, at the speed of a lane; the
 * memory does for a lane at least; the level is enough. Prices are no matter of this file.
 */
import { MIN_SERVICE_MS } from '../offers/offer.ts'

/** Thousandths of a core below which a piece is not worth a contract. */
const MIN_PIECE_MILLI = 50

export interface Piece {
  readonly fromMs: number
  readonly untilMs: number
  readonly coresMilli: number
  readonly memoryBytes: number
}

export interface Need {
  readonly fromMs: number
  readonly untilMs: number
  readonly minServiceMs: number
  readonly taskWorkMi: number
  /** Of one task. */
  readonly memoryBytes: number
}

export interface Taken extends Piece {
  readonly tasks: number
}

/** A task on one lane of the piece. */
function taskMsOn({ coresMilli }: Piece, speedMips: number, taskWorkMi: number): number {
  return ceilDiv(taskWorkMi * 1_000_000, speedMips * laneMilliOf(coresMilli))
}

function laneMilliOf(coresMilli: number): number {
  return Math.min(1000, coresMilli)
}

/** Tasks that its cores can do at once. */
export function lanesOf({ coresMilli }: Piece): number {
  return Math.max(1, floorDiv(coresMilli, 1000))
}

/**
 * The rectangle that does as many tasks as it can, at most `tasks` (1 or more): as early as possible, unless that would leave a
 * gap before it and none behind. Undefined: not feasible.
 */
export function rectangleIn(piece: Piece, speedMips: number, need: Need, tasks: number): Taken | undefined {
  const fromMs = Math.max(piece.fromMs, need.fromMs)
  const untilMs = Math.min(piece.untilMs, need.untilMs)
  const spanMs = untilMs - fromMs
  if (spanMs < need.minServiceMs || piece.memoryBytes < need.memoryBytes) return undefined
  const taskMs = taskMsOn(piece, speedMips, need.taskWorkMi)
  const mostRows = floorDiv(spanMs, taskMs)
  if (mostRows === 0) return undefined
  const laneMilli = laneMilliOf(piece.coresMilli)
  const mostLanes = Math.min(lanesOf(piece), floorDiv(piece.memoryBytes, need.memoryBytes))
  // The time of the least service is taken anyway: then rather with fewer lanes.
  const rows = Math.min(mostRows, Math.max(1, ceilDiv(tasks, mostLanes), floorDiv(need.minServiceMs, taskMs)))
  const lanes = Math.min(mostLanes, ceilDiv(tasks, rows))
  const lengthMs = Math.max(need.minServiceMs, rows * taskMs)
  const startMs = fromMs > piece.fromMs && untilMs === piece.untilMs ? untilMs - lengthMs : fromMs
  return {
    fromMs: startMs,
    untilMs: startMs + lengthMs,
    coresMilli: lanes * laneMilli,
    memoryBytes: lanes * need.memoryBytes,
    tasks: Math.min(tasks, lanes * rows),
  }
}

/** What is left of a piece, in order of time. What is too small for any contract is given up. */
export function without(piece: Piece, taken: Piece): Piece[] {
  const before = { ...piece, untilMs: taken.fromMs }
  const beside = {
    fromMs: taken.fromMs,
    untilMs: taken.untilMs,
    coresMilli: piece.coresMilli - taken.coresMilli,
    memoryBytes: piece.memoryBytes - taken.memoryBytes,
  }
  const after = { ...piece, fromMs: taken.untilMs }
  return [before, beside, after].filter(
    ({ fromMs, untilMs, coresMilli, memoryBytes }) =>
      untilMs - fromMs >= MIN_SERVICE_MS && coresMilli >= MIN_PIECE_MILLI && memoryBytes > 0,
  )
}

/** Of whole numbers up to 2^53, exactly. */
export function floorDiv(a: number, b: number): number {
  return (a - (a % b)) / b
}

export function ceilDiv(a: number, b: number): number {
  return floorDiv(a, b) + (a % b > 0 ? 1 : 0)
}
