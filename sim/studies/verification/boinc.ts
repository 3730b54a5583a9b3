/**
 * BOINC's ways to check results, as its wiki (AdaptiveReplication, version 10) tells them. Replication does every job twice.
 * Adaptive replication keeps, for each host, the number CV of its valid results in a row: a job is replicated when CV < 10,
 * else with probability 1/CV; an invalid result sets CV to 0.
 */
import type { Random } from '../../../src/core/env.ts'

const TRUSTED = 10

export interface Life {
  /** Jobs that were done twice. */
  readonly replicated: number
  /** Wrong results that were found, and that were taken for right. */
  readonly found: number
  readonly accepted: number
}

/** A host that does so many jobs and makes up this share of them, each at random, once it has done `honest` jobs. */
export function adaptiveReplication(jobs: number, skipped: number, honest: number, random: Random): Life {
  let valid = 0
  let replicated = 0
  let found = 0
  let accepted = 0
  for (let job = 0; job < jobs; job++) {
    const isWrong = job >= honest && random.next() < skipped
    const isReplicated = valid < TRUSTED || random.next() < 1 / valid
    if (isReplicated) {
      replicated++
      valid = isWrong ? 0 : valid + 1
      if (isWrong) found++
    } else if (isWrong) accepted++
  }
  return { replicated, found, accepted }
}
