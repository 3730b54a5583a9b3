/** What is to be seen of a run at one moment: pure, for the page and the terminal alike. */
import { type Counts, HOP, type Links, LONGEST_LOOKUP_MS, type Lookup, type Run, rowsBefore } from './run.ts'

/** Something that happened to a node a short time ago, and how much of that time is over, 0 .. 1. */
export interface Flash {
  readonly node: number
  readonly age: number
}

/** A message of a lookup: how far it has come on its way, 0 .. 1. One that is lost ends half way. */
export interface Move {
  readonly from: number
  readonly to: number
  readonly done: number
  readonly lost: boolean
}

export interface SeenLookup {
  readonly row: Lookup
  readonly moves: Move[]
  /** 0 while it is under way, then up to 1 when it is seen no more. */
  readonly age: number
}

export interface Scene {
  readonly members: number[]
  readonly joined: Flash[]
  readonly died: Flash[]
  readonly lookups: SeenLookup[]
  readonly counts: Counts
  readonly phase: string
}

/** For how long of virtual time things stay to be seen: joins and deaths `flashMs`, lookups that have ended `lingerMs`. */
export function sceneAt(run: Run, timeMs: number, flashMs: number, lingerMs: number): Scene {
  const members: number[] = []
  const joined: Flash[] = []
  const died: Flash[] = []
  for (const [node, fromMs, toMs] of run.stays) {
    if (fromMs > timeMs) continue
    if (toMs < 0 || toMs > timeMs) {
      members.push(node)
      if (fromMs > 0 && timeMs - fromMs < flashMs) joined.push({ node, age: (timeMs - fromMs) / flashMs })
    } else if (timeMs - toMs < flashMs) died.push({ node, age: (timeMs - toMs) / flashMs })
  }
  const before = run.counts[rowsBefore(run.counts, timeMs + 1) - 1]
  const phase = run.phases[rowsBefore(run.phases, timeMs + 1) - 1]
  return {
    members,
    joined,
    died,
    lookups: lookupsAt(run.lookups, timeMs, lingerMs),
    counts: before ?? [0, 0, 0, 0, 0, 0],
    phase: phase?.[1] ?? '',
  }
}

function lookupsAt(lookups: readonly Lookup[], timeMs: number, lingerMs: number): SeenLookup[] {
  const seen: SeenLookup[] = []
  for (let i = rowsBefore(lookups, timeMs - LONGEST_LOOKUP_MS - lingerMs); i < lookups.length; i++) {
    const row = lookups[i]!
    const [startMs, endMs, , , , hops] = row
    if (startMs > timeMs) break
    const age = endMs < 0 ? 0 : Math.max(0, (timeMs - endMs) / lingerMs)
    if (age >= 1) continue
    const moves: Move[] = []
    let lastMs = startMs
    for (let at = 0; at < hops.length; at += HOP) {
      const leftMs = startMs + hops[at + 2]!
      if (leftMs > timeMs) break
      const lost = hops[at + 3]! < 0
      const arrivesMs = lost ? leftMs + LOST_MS : startMs + hops[at + 3]!
      lastMs = Math.max(lastMs, arrivesMs)
      const done = Math.min((lost ? 0.5 : 1) * ((timeMs - leftMs) / Math.max(arrivesMs - leftMs, 1)), lost ? 0.5 : 1)
      moves.push({ from: hops[at]!, to: hops[at + 1]!, done, lost })
    }
    // Nothing moves any more and no answer ever came: who asked has died.
    if (endMs < 0 && timeMs > lastMs + lingerMs) continue
    seen.push({ row, moves, age })
  }
  return seen
}

/** A message that will not arrive is seen for so long. */
const LOST_MS = 60

/** The links of a run by node, to be asked for any moment. */
export class LinkHistory {
  readonly #rows = new Map<number, Links[]>()

  constructor(links: readonly Links[]) {
    for (const row of links) {
      const rows = this.#rows.get(row[1])
      if (rows === undefined) this.#rows.set(row[1], [row])
      else rows.push(row)
    }
  }

  /** Undefined for a node whose links are not known then. */
  at(node: number, timeMs: number): Links | undefined {
    const rows = this.#rows.get(node)
    return rows?.[rowsBefore(rows, timeMs + 1) - 1]
  }
}
