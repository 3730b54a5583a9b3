/**
 * What a study is: a published table or figure, run again and judged. The runner (`main.ts`) does the units in worker
 * threads, one seed each, in any order; `report` sees them in the order of `units`, so that the same seeds give the same
 * page to the byte.
 */
import type { PlotOptions } from '@observablehq/plot'

export interface StudyOptions {
  /** Never empty. */
  readonly seeds: readonly number[]
  /** Small enough for all studies to end within three minutes on two cores. */
  readonly quick: boolean
}

export interface Study<Unit = unknown, Result = unknown> {
  /** As on the command line. */
  readonly name: string
  /** One line: what is measured. */
  readonly title: string
  /** Paper and section. */
  readonly source: string
  /** The seeds when none are asked for. */
  readonly defaultSeeds: (quick: boolean) => readonly number[]
  /** Why it cannot be run here, in one line that says what to do; undefined when it can. */
  readonly missing?: (() => string | undefined) | undefined
  /** Pieces of work, JSON data, the longest first. */
  units(options: StudyOptions): readonly Unit[]
  /** About how long a unit takes compared with others, for the progress bar. Default 1. */
  weight?(unit: Unit): number
  /** One unit, in a worker thread. Deterministic; the result is JSON data. */
  run(unit: Unit): Result | Promise<Result>
  report(done: readonly Done<Unit, Result>[], options: StudyOptions): Report
}

export interface Done<Unit, Result> {
  readonly unit: Unit
  readonly result: Result
}

export interface Report {
  /** What was published, and what we find. */
  readonly rows: readonly Row[]
  /** Written as CSV: everything that the figures show. */
  readonly tables: readonly Table[]
  readonly figures: readonly Figure[]
  /** A few values by name, for programs: they stand in the JSON line beside the rows. */
  readonly summary?: Readonly<Record<string, number>> | undefined
  /** What a reader should know of how it was measured; plain sentences. */
  readonly notes?: readonly string[] | undefined
}

/**
 * `reproduced`: the published value, within the errors of both. `corrected`: the published value is known to be wrong and
 * ours is what it should be. `differs`: neither, and `why` says what we believe.
 */
export type Verdict = 'reproduced' | 'corrected' | 'differs'

export interface Row {
  /** Unique in the study, with the parameters: `n = 1000, 10^5 tasks, random injection`. */
  readonly name: string
  /** Null: nothing published; then the row is our own result or a target. */
  readonly published: number | null
  readonly ours: number
  /** Half the width of the 95 % confidence interval of `ours`; 0 when it is exact; null when there is only one run. */
  readonly ci95: number | null
  /** Null: nothing published, or only one run, which does not tell its error. */
  readonly verdict: Verdict | null
  /** One sentence; always for `corrected` and `differs`. */
  readonly why?: string | undefined
}

export interface Table {
  /** The file's name without `.csv`. */
  readonly name: string
  readonly columns: readonly string[]
  readonly rows: readonly (readonly (string | number | null)[])[]
}

export interface Figure {
  /** The file's name without `.svg`. */
  readonly name: string
  readonly title: string
  /** One or two sentences: what is to be seen. */
  readonly caption: string
  /** Axes with labels and units, and a legend where there is more than one series. */
  readonly plot: PlotOptions
}
