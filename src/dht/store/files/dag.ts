/** A DAG's blocks, depth first, each once: the order of CAR files, and what a pin keeps. */
import type { CID } from 'multiformats/cid'
import { CODECS, keyOfCid } from '../../cid.ts'
import type { BlockIo } from './block-io.ts'
import { fetchAhead, type Wanted } from './fetch-ahead.ts'
import { linksOf } from './nodes.ts'

export interface DagBlock {
  readonly cid: CID
  /** Undefined: a leaf that was not asked for. */
  readonly bytes: Uint8Array | undefined
}

export interface DagOptions {
  signal?: AbortSignal | undefined
  /** Fetch raw leaves, which have no links, too. */
  leaves: boolean
  /** Blocks that are left out, by `blockName`; those that were read join them. */
  seen?: Set<string>
}

/** Throws `not-found` at the first block that nobody has, and what `linksOf` throws. */
export async function* walkDag(io: BlockIo, roots: readonly CID[], options: DagOptions): AsyncGenerator<DagBlock> {
  const { signal, leaves, seen = new Set() } = options
  const wanted = (cid: CID): Wanted<undefined> => ({ cid, read: leaves || cid.code !== CODECS.raw, item: undefined })
  for (const root of roots) keyOfCid(root)
  const visit = ({ cid, read }: Wanted<undefined>, bytes: Uint8Array) => {
    const next = read ? linksOf(cid, bytes).map(wanted) : []
    return { output: { cid, bytes: read ? bytes : undefined }, next }
  }
  yield* fetchAhead(io, roots.map(wanted), visit, { signal, seen })
}
