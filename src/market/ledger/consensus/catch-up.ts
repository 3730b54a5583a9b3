/**
 * Catching up: what a member that was away is told, and whether a run of finalized blocks that it is told of continues
 * its chain. The finalized chain travels in runs, each of which ends with a finalization: nothing in it must be believed.
 */
import {
  type Block,
  type BlockHeader,
  blockHeaderOf,
  type Digest,
  digestOf,
  digestOfHeader,
  type Tip,
  tipAt,
} from './block.ts'
import type { Committee } from './committee.ts'
import type { Answer, Certificate, Fetch, FinalRun } from './messages.ts'
import { blockIn, type Round } from './round.ts'
import { exitOf, type State } from './state.ts'

/**
 * Payload bytes in one answer, beyond which no further block is begun. With a last block, the certificates and the headers
 * it stays below a frame of the bulk lane.
 */
export const MAX_ANSWER_BYTES = 128 * 1024
/** Runs in one answer, and certificates of views that are not finalized: each 64 signatures at most. */
export const MAX_ANSWER_RUNS = 16
export const MAX_ANSWER_CERTIFICATES = 32

/** Nothing to tell; or the driver must look, for the asker lacks blocks that the state does not keep. */
export type Reply = Answer | 'nothing' | 'serve'

export function answerTo(committee: Committee, state: State, { height, since, block }: Fetch): Reply {
  if (height <= state.finalized.height) {
    const at = state.kept.findIndex(({ blocks }) => blocks[0]!.height <= height && height <= blocks.at(-1)!.height)
    if (at < 0) return 'serve'
    const told = runsFrom(committee, state.kept.slice(at), height)
    // What is not finalized yet follows when nothing that is comes before it.
    if (told.complete) return openAnswer(state, since, block, told)
    return { type: 'answer', runs: told.runs, certificates: [], blocks: [] }
  }
  const answer = openAnswer(state, since, block, { runs: [], bytes: 0 })
  return answer.certificates.length > 0 ? answer : 'nothing'
}

/**
 * As much of these runs, from a height on, as fits into an answer. A run is cut where it does not fit: what comes after
 * goes as headers, which show that what comes before is final. For a driver's store, too.
 */
export function runsFrom(
  committee: Pick<Committee, 'payloadDigest'>,
  runs: Iterable<FinalRun>,
  height: number,
): { readonly runs: readonly FinalRun[]; readonly bytes: number; readonly complete: boolean } {
  const told: FinalRun[] = []
  let bytes = 0
  for (const { blocks, above, certificate } of runs) {
    const wanted = blocks.filter((block) => block.height >= height)
    const fitting: Block[] = []
    for (const block of wanted) {
      if (told.length === MAX_ANSWER_RUNS || bytes > MAX_ANSWER_BYTES) break
      fitting.push(block)
      bytes += block.payload.length
    }
    const rest = wanted.slice(fitting.length).map((block) => blockHeaderOf(block, committee.payloadDigest))
    if (fitting.length > 0) told.push({ blocks: fitting, above: [...rest, ...above], certificate })
    if (rest.length > 0) return { runs: told, bytes, complete: false }
  }
  return { runs: told, bytes, complete: true }
}

/** Certificates and certified blocks of views from `since` on; that of the block that was asked for first. */
function openAnswer(
  state: State,
  since: number,
  wanted: Digest | null,
  { runs, bytes: begun }: { runs: readonly FinalRun[]; bytes: number },
): Answer {
  const certificates: Certificate[] = []
  const blocks: Block[] = []
  let bytes = begun
  const rounds = [...state.rounds.values()]
  const isWanted = ({ certificates }: Round) => wanted !== null && certificates.notarize?.digest === wanted
  const later = rounds.filter((round) => round.view >= since && exitOf(round) !== undefined && !isWanted(round))
  for (const round of [...rounds.filter(isWanted), ...later.sort((a, b) => a.view - b.view)]) {
    if (certificates.length >= MAX_ANSWER_CERTIFICATES) break
    for (const certificate of Object.values(round.certificates)) {
      certificates.push(certificate)
      const block = bytes > MAX_ANSWER_BYTES ? undefined : blockIn(round, certificate.digest)
      if (block === undefined || blocks.includes(block)) continue
      blocks.push(block)
      bytes += block.payload.length
    }
  }
  return { type: 'answer', runs, certificates, blocks }
}

/** The part of a run above the tip. Undefined: it does not continue the chain there, or its certificate is for another. */
export function continuation(
  { payloadDigest }: Pick<Committee, 'payloadDigest'>,
  tip: Tip,
  { blocks, above, certificate }: FinalRun,
): FinalRun | undefined {
  const fresh = blocks.filter(({ height }) => height > tip.height)
  if (fresh.length === 0) return undefined
  let at = tip
  const continues = ({ parent, height, view }: Block | BlockHeader) =>
    parent === at.digest && height === at.height + 1 && view > at.view
  for (const block of fresh) {
    if (!continues(block)) return undefined
    at = tipAt(block, digestOf(block, payloadDigest))
  }
  for (const header of above) {
    if (!continues(header)) return undefined
    at = tipAt(header, digestOfHeader(header))
  }
  const final = certificate.kind === 'finalize' && certificate.digest === at.digest && certificate.view === at.view
  return final ? { blocks: fresh, above, certificate } : undefined
}
