/**
 * When a host makes even what it has to do with another, and how much goes over: gossip averaging (Boyd et al. 2006) of the
 * time for which each has enough to do, over short and long peers. Every exchange brings two hosts to the same figure, so
 * a dozen of them on each host bring all hosts near it, whatever their speeds; nobody needs to know who has most.
 * Synchronous; knows no messages.
 */

/** What a host that asks for tasks says of itself. */
export interface Asker {
  readonly cores: number
  /** How long it has enough to do still, ms. */
  readonly restMs: number
  /** How long a task takes on one of its cores, ms; undefined as long as it has done none. */
  readonly taskMs?: number
}

/** Who has fewer tasks left asks when it is idle. */
const LEAST_TASKS = 1
/** Between two exchanges: such a part of how long the job goes on already, and of what there is to do still. */
const PART = { age: 0.7, rest: 1 / 8 }
/** Who has done so much that this part is left does not wait for that; of the last tasks, so few, more is left. */
const LEFT = { most: 1 / 2, last: 3 / 4 }
const LAST_TASKS = 12
/** Who has so many times as much as another has too much. */
const UNEVEN = 1.25

export class Evening {
  #dueAtMs = 0
  /** What there was to do at the last exchange, or what has come since. */
  #restMs = 0

  /** Is it time for an exchange? Then the next one is due later. `ageMs`: of the oldest job. */
  isDue(nowMs: number, ageMs: number, restMs: number, taskMs: number): boolean {
    if (restMs === 0 || restMs < LEAST_TASKS * taskMs) return false
    this.#restMs = Math.max(this.#restMs, restMs)
    const left = restMs < LAST_TASKS * taskMs ? LEFT.last : LEFT.most
    if (nowMs < this.#dueAtMs && restMs > left * this.#restMs) return false
    this.#dueAtMs = nowMs + Math.max(taskMs, PART.rest * restMs, PART.age * ageMs)
    this.#restMs = restMs
    return true
  }
}

/** Has the one that asks so much more to do than one with `restMs` that some of it should go over? */
export function hasTooMuch({ restMs, taskMs = 0 }: Asker, thanMs: number): boolean {
  return restMs > UNEVEN * thanMs + LEAST_TASKS * taskMs
}

/** How many tasks of one host are another's, so that both have enough to do for as long. At least one for who has none. */
export function fairShare(of: Asker, to: Asker): number {
  const known = of.taskMs ?? to.taskMs ?? 0
  const theirs = (to.taskMs ?? known) / Math.max(1, to.cores)
  const mine = of.cores > 0 ? known / of.cores : theirs
  const share = (of.restMs - to.restMs) / Math.max(0.01, mine + theirs)
  return to.restMs > 0 ? Math.max(0, Math.floor(share)) : Math.ceil(share)
}
