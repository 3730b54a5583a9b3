/**
 * Whether this host's clock agrees with the committee's. A quorum votes for a block only if its time is near their clocks
 * (`consensus/progress.ts`); so when a proposal that came in was far from the clock here and became final all the same, it is
 * the clock here that is off. A proposal may also have been long on its way, so it takes two in a row that tell the same.
 */
import { CappedMap } from '../../net/capped-map.ts'
import type { Block } from './consensus/block.ts'
import { CLOCK_TOLERANCE_MS } from './consensus/committee.ts'

/** Proposals that may become final yet. */
const MAX_HEARD = 16

export class ClockCheck {
  /** By the view of its block: how far the clock here was ahead of the block's time. */
  readonly #heard = new CappedMap<number, { readonly timeMs: number; readonly aheadMs: number }>(MAX_HEARD)
  #lastAheadMs = 0
  /** How far this clock is ahead of the committee's, negative when it is behind; undefined: near enough. */
  offMs: number | undefined

  /** A proposal came in. */
  heard({ view, timeMs }: Block, nowMs: number): void {
    if (!this.#heard.get(view)) this.#heard.set(view, { timeMs, aheadMs: nowMs - timeMs })
  }

  /** A block became final. */
  final({ view, timeMs }: Block): void {
    const heard = this.#heard.get(view)
    if (heard?.timeMs !== timeMs) return
    const { aheadMs } = heard
    const isFar = Math.abs(aheadMs) > CLOCK_TOLERANCE_MS
    const isSame = Math.abs(aheadMs - this.#lastAheadMs) <= CLOCK_TOLERANCE_MS
    if (!isFar) this.offMs = undefined
    else if (isSame) this.offMs = aheadMs
    this.#lastAheadMs = aheadMs
  }
}

/** The line that users see. */
export function clockLine(offMs: number): string {
  const seconds = Math.round(Math.abs(offMs) / 1000)
  const way = offMs > 0 ? 'ahead of' : 'behind'
  return `the clock of this host is some ${seconds} s ${way} the other bankers': set it right, for they do not vote together`
}
