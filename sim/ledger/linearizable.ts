/**
 * Was a register linearizable (Herlihy and Wing 1990)? The general question is hard to answer; here the order of the writes
 * is known, for it is the ledger's, and every read says which of them it saw last. Then it is enough that no operation
 * that ended before another began is ordered after it.
 */

export interface Access {
  readonly kind: 'write' | 'read'
  /** Of a write: its place among the writes, from 1. Of a read: that of the last write that it saw; 0 before the first. */
  readonly version: number
  readonly beganMs: number
  /** Infinite: nobody has seen it end. */
  readonly endedMs: number
}

/** Undefined: all these accesses may have happened one after the other, each at some moment between its begin and end. */
export function linearityFault(accesses: readonly Access[]): string | undefined {
  const begins = accesses.toSorted((a, b) => a.beganMs - b.beganMs)
  const ends = accesses.toSorted((a, b) => a.endedMs - b.endedMs)
  let latest: Access | undefined
  let ended = 0
  for (const access of begins) {
    for (; ends[ended]!.endedMs < access.beganMs; ended++) {
      if (latest === undefined || ends[ended]!.version > latest.version) latest = ends[ended]!
    }
    if (latest === undefined) continue
    const isLate = access.kind === 'write' ? access.version <= latest.version : access.version < latest.version
    if (isLate) return `${describe(access)} began after ${describe(latest)} had ended`
  }
  return undefined
}

function describe({ kind, version, beganMs, endedMs }: Access): string {
  return `a ${kind} of version ${version} (${beganMs} to ${endedMs} ms)`
}
