/**
 * Catching up: what a member that was away is told, and whether a run of finalized blocks that it is told of continues
 * its chain. The finalized chain travels in runs, each of which ends with a finalization: nothing in it must be believed.
 */
import type { Digest, Tip } from './block.ts'
import { digestOf, tipAt } from './block.ts'
import type { Committee } from './committee.ts'
import type { Answer, Certificate, Fetch, FinalRun } from './messages.ts'
import { blockIn } from './round.ts'
import { exitOf, type State } from './state.ts'

/** Payload bytes in one answer, beyond which no further run or block is begun. */
export const MAX_ANSWER_BYTES = 512 * 1024
/** Runs in one answer, and certificates of views that are not finalized: each 64 signatures at most. */
export const MAX_ANSWER_RUNS = 16
export const MAX_ANSWER_CERTIFICATES = 32

/** Nothing to tell; or the driver must look, for the asker lacks blocks that the state does not keep. */
export type Reply = Answer | 'nothing' | 'serve'

export function answerTo(state: State, { height, since }: Fetch): Reply {
  if (height <= state.finalized.height) {
    const at = state.kept.findIndex(({ blocks }) => blocks[0]!.height <= height && height <= blocks.at(-1)!.height)
    return at < 0 ? 'serve' : answerOf(state.kept.slice(at), state, since)
  }
  const answer = answerOf([], state, since)
  return answer.certificates.length > 0 ? answer : 'nothing'
}

/** As many of the runs as fit into an answer; the rest, and what is not finalized yet, when all of them fit. */
function answerOf(runs: readonly FinalRun[], state: State, since: number): Answer {
  const told: FinalRun[] = []
  let bytes = 0
  for (const run of runs) {
    if (told.length === MAX_ANSWER_RUNS || bytes > MAX_ANSWER_BYTES) break
    told.push(run)
    for (const { payload } of run.blocks) bytes += payload.length
  }
  const answer = {
    type: 'answer',
    runs: told,
    certificates: [] as Certificate[],
    blocks: [] as Answer['blocks'][number][],
  }
  const views = told.length < runs.length ? [] : [...state.rounds.keys()].sort((a, b) => a - b)
  for (const view of views) {
    const round = state.rounds.get(view)!
    if (view < since || exitOf(round) === undefined) continue
    for (const certificate of Object.values(round.certificates)) {
      answer.certificates.push(certificate)
      const block = bytes > MAX_ANSWER_BYTES ? undefined : blockIn(round, certificate.digest)
      if (block === undefined || answer.blocks.includes(block)) continue
      answer.blocks.push(block)
      bytes += block.payload.length
    }
    if (answer.certificates.length >= MAX_ANSWER_CERTIFICATES) break
  }
  return answer as Answer
}

/** The part of a run above the tip. Undefined: it does not continue the chain there, or its certificate is for another. */
export function continuation(committee: Committee, tip: Tip, { blocks, certificate }: FinalRun): FinalRun | undefined {
  const fresh = blocks.filter(({ height }) => height > tip.height)
  let at = tip
  for (const block of fresh) {
    if (block.parent !== at.digest || block.height !== at.height + 1 || block.view <= at.view) return undefined
    at = tipAt(block, digestOf(block, committee.payloadDigest))
  }
  const final = certificate.kind === 'finalize' && certificate.digest === (at.digest as Digest)
  return fresh.length > 0 && final && certificate.view === at.view ? { blocks: fresh, certificate } : undefined
}
