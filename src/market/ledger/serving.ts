/** What a host tells whoever asks for its finalized chain: runs of blocks, headers of epochs, the genesis, a snapshot. */
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { Sender, Transport } from '../../net/transport.ts'
import type { Chain } from './chain.ts'
import { MAX_ANSWER_RUNS } from './consensus/catch-up.ts'
import type { FinalRun } from './consensus/messages.ts'
import { encodeGenesis } from './genesis.ts'
import {
  AskGenesis,
  AskSnapshot,
  Epochs,
  encodeRun,
  Follow,
  MAX_BULK_BYTES,
  MAX_FETCHED_HEADERS,
  MAX_FETCHED_RUNS,
  MAX_SMALL_BYTES,
  Runs,
  type SnapshotOffer,
} from './messages.ts'
import type { Waiters } from './waiters.ts'

export interface ServingPorts {
  readonly transport: Transport
  readonly chain: Chain
  readonly waiters: Waiters
  /** Cut to what fits into an answer of consensus. */
  runsFrom(height: number): readonly FinalRun[]
  /** What this host has put into the store of blocks. */
  snapshot(): SnapshotOffer | undefined
  /** Throws `wrong-network` when they are of another ledger. */
  require(network: Key, from: Sender): void
}

export function serveChain({ transport, chain, waiters, runsFrom, snapshot, require }: ServingPorts): void {
  const { store } = chain
  transport.handle(Follow, async ({ network, above, waitMs }, { from }) => {
    require(network, from)
    if (chain.tip.height <= above) await waiters.wait(from.peer, above, waitMs)
    const limit = { maxRuns: MAX_ANSWER_RUNS, maxBytes: MAX_SMALL_BYTES }
    const runs = store.runs(above + 1, limit).map(({ bytes }) => bytes)
    const fit = runs.every((bytes) => bytes.length <= MAX_SMALL_BYTES)
    return { height: chain.tip.height, runs: fit ? runs : [] }
  })
  transport.handle(Runs, ({ network, above }, { from }) => {
    require(network, from)
    if (above < store.base) {
      throw new ChoraleError('not-found', `this host keeps the ledger from block ${store.base + 1} on: ask another`)
    }
    const limit = { maxRuns: MAX_FETCHED_RUNS, maxBytes: MAX_BULK_BYTES }
    const runs = store.runs(above + 1, limit).map(({ bytes }) => bytes)
    const tooLong = (runs[0]?.length ?? 0) > MAX_BULK_BYTES
    return { runs: tooLong ? runsFrom(above + 1).map(encodeRun) : runs }
  })
  transport.handle(Epochs, ({ network, from: first }, { from }) => {
    require(network, from)
    let room = MAX_BULK_BYTES
    const headers = store.epochHeaders(first + MAX_FETCHED_HEADERS, first)
    const end = headers.findIndex(({ length }) => {
      room -= length
      return room < 0
    })
    return { headers: end < 0 ? headers : headers.slice(0, end) }
  })
  transport.handle(AskSnapshot, ({ network }, { from }) => {
    require(network, from)
    const latest = snapshot()
    if (!latest) throw new ChoraleError('not-found', 'this host has put no snapshot into the store')
    return latest
  })
  transport.handle(AskGenesis, () => ({ genesis: encodeGenesis(chain.genesis) }))
}
