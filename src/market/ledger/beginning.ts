/**
 * A chain that does not begin at the genesis: it stands on the end of an epoch. The headers of epochs lead there from the
 * genesis (`receipt/epochs.ts`), and the last of them holds the root of the state there, so that this may come from anybody.
 *
 *   genesis -> epoch headers ... -> last header of epoch e --state root--> snapshot
 *                                        ^---- the first block of epoch e + 1
 */
import { ChoraleError } from '../../core/errors.ts'
import { committeeDigest } from './committee.ts'
import type { Tip } from './consensus/block.ts'
import type { Genesis } from './genesis.ts'
import type { EpochHeader } from './receipt/epochs.ts'
import { headerDigest } from './receipt/header.ts'
import { restoreState } from './state/snapshot.ts'
import type { State } from './state/state.ts'

export interface Beginning {
  readonly state: State
  /** On which the next epoch begins. */
  readonly tip: Tip
}

/** After the last header of an epoch, which has been found good. Throws `bad-message` on chunks that are not the state there. */
export function beginningAt(genesis: Genesis, end: EpochHeader, chunks: Iterable<Uint8Array>): Beginning {
  const { stateRoot, height, blockTimeMs, epoch, next } = end.header
  const state = restoreState(genesis, stateRoot, chunks)
  const fits = state.height === height && state.timeMs === blockTimeMs && state.epoch === epoch + 1
  if (!fits || committeeDigest(state.committee) !== next) {
    throw new ChoraleError('bad-message', 'the snapshot is not that of the end of its epoch')
  }
  return { state, tip: tipAfter(end) }
}

/** What the epoch after this one begins on. */
export function tipAfter({ header }: EpochHeader): Tip {
  return { view: 0, height: header.height, digest: headerDigest(header), timeMs: header.blockTimeMs }
}
