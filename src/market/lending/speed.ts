/**
 * How fast one core of a machine is, in millions of reference operations a second: those of a fixed small program
 * (mapreduce/sandbox/benchmark.ts), in the sandbox, where foreign code runs too. Pure.
 */
import { Type } from 'typebox'
import { type Checker, checker } from '../../core/codec.ts'

export interface Speed {
  /** Whole millions of reference operations a second, on one core: the median of the runs. */
  readonly mips: number
  /** From the slowest to the quickest run. */
  readonly runs: readonly number[]
  readonly measuredAtMs: number
  /** What it was measured on: processor and their number, engine, and level of isolation. */
  readonly machine: string
  readonly engine: string
  readonly level: string
  /** Tasks that ran meanwhile: they take of what is measured. */
  readonly tasksRunning: number
}

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Text = Type.String({ maxLength: 200 })

export const speedSchema: Checker<Speed> = checker(
  Type.Object({
    mips: Count,
    runs: Type.Array(Count, { maxItems: 64 }),
    measuredAtMs: Type.Number(),
    machine: Text,
    engine: Text,
    level: Text,
    tasksRunning: Count,
  }),
)

/** `tookMs`: of each run, at least one; `operations`: of one run. */
export function mipsOf(tookMs: readonly number[], operations: number): Pick<Speed, 'mips' | 'runs'> {
  const runs = tookMs.map((ms) => Math.round(operations / Math.max(1, ms) / 1000)).sort((a, b) => a - b)
  return { mips: runs[Math.floor(runs.length / 2)] ?? 0, runs }
}

/** Where a speed holds. */
export type SpeedPlace = Pick<Speed, 'machine' | 'engine' | 'level'>

export function holdsFor(speed: SpeedPlace, { machine, engine, level }: SpeedPlace): boolean {
  return speed.machine === machine && speed.engine === engine && speed.level === level
}
