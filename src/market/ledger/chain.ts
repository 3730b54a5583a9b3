/**
 * The finalized chain of this host: its state, its last block, and its store. Runs of blocks come in with the signatures of a
 * quorum (whoever hands one in has checked them), are executed again here, and are kept. Blocks that are not final yet are
 * executed on top of it, each once. The first run stands on the genesis, or on a snapshot of an epoch's end.
 */
import { decode, encode } from '../../core/cbor.ts'
import { ChoraleError, errorCode, invariant } from '../../core/errors.ts'
import { Emitter } from '../../core/events.ts'
import type { Key } from '../../core/ids.ts'
import { type Beginning, beginningAt, tipAfter } from './beginning.ts'
import type { ChainStore, Posting, Snapshot } from './chain-store.ts'
import { committeeDigest } from './committee.ts'
import { type Block, type Digest, digestOf, type Tip, tipAt } from './consensus/block.ts'
import { continuation } from './consensus/catch-up.ts'
import type { FinalRun } from './consensus/messages.ts'
import { type Genesis, networkOf } from './genesis.ts'
import type { PublicKey, Verify } from './keys.ts'
import { decodeRun, encodeRun } from './messages.ts'
import { buildPayload, type Deciding, decodePayload, judgePayload, type Payload, payloadDigest } from './payload.ts'
import { postingWatch } from './postings.ts'
import type { EpochHeader } from './receipt/epochs.ts'
import { type Sealed, sealedIn } from './receipt/header.ts'
import { restoreState, snapshotChunks } from './state/snapshot.ts'
import { genesisState, type State } from './state/state.ts'

/** A snapshot is made when so many blocks came since the last one, and more where there is more to write. */
const SNAPSHOT_BLOCKS = 2000
const SNAPSHOT_BLOCKS_PER_ACCOUNT = 0.01
/** Runs that are read at once when a chain is replayed. */
const REPLAY = { maxRuns: 256, maxBytes: 4 * 1024 * 1024 }

interface Executed {
  readonly state: State
  readonly postings: readonly Posting[]
}

/** A block that is final. */
export interface FinalBlock {
  readonly height: number
  readonly timeMs: number
  readonly payload: Payload
  /** Its header, and what shows that it is final. */
  sealed(): Sealed
}

export class Chain {
  readonly genesis: Genesis
  readonly network: Key
  readonly store: ChainStore
  readonly events = new Emitter<{ block: FinalBlock; epoch: State }>()
  readonly #verify: Verify
  state: State
  /** Its last block; `view` is 0 where an epoch begins. */
  tip: Tip
  /** The last block before this epoch. */
  base: Tip
  #deciding: Deciding
  /** Not final, by digest; and final ones until they are taken over. */
  readonly #ahead = new Map<Digest, Executed & { readonly height: number }>()
  #snapshotHeight = 0
  #snapshotting: Promise<void> | undefined

  /** At the latest snapshot, or at the genesis; `replay` brings it to its end. */
  constructor(genesis: Genesis, store: ChainStore, verify: Verify) {
    this.genesis = genesis
    this.network = networkOf(genesis)
    this.store = store
    this.#verify = verify
    const { state, tip } = genesisOf(genesis)
    this.state = state
    this.tip = this.base = tip
    this.#deciding = decidingIn(state)
  }

  get committee(): readonly PublicKey[] {
    return this.state.committee
  }

  get epoch(): number {
    return this.state.epoch
  }

  /** Where the schedule of leaders begins in this epoch. */
  get firstLeader(): number {
    return Number.parseInt(this.base.digest.slice(0, 8), 16) % this.committee.length
  }

  /** Brings the chain up to what is stored. What is rotten in the store is cut off, with all that follows. */
  replay(): void {
    this.#restore()
    for (;;) {
      const runs = this.store.runs(this.tip.height + 1, REPLAY)
      for (const { bytes } of runs) {
        const run = decodeRun(bytes)
        if (!run || !this.#take(run, 'stored')) {
          this.store.cut(this.tip.height)
          return
        }
      }
      if (runs.length === 0) break
    }
    if (this.store.height > this.tip.height) this.store.cut(this.tip.height)
  }

  /** To the latest snapshot that is that of its block. A chain that stands on one, and has none, is of no use. */
  #restore(): void {
    const { store } = this
    for (let found = store.snapshot(); found; found = store.snapshot(found.height - 1)) {
      try {
        if (found.height !== store.base) {
          if (this.#resume(found)) return
          continue
        }
        this.#stand(beginningAt(this.genesis, this.#baseHeader(), found.chunks))
        return
      } catch (error) {
        if (errorCode(error) !== 'bad-message') throw error
      }
    }
    if (store.base > 0) store.cut(this.tip.height)
  }

  /** False: it is of no block here. */
  #resume({ height, chunks }: Snapshot): boolean {
    const [run] = this.store.runs(height, { maxRuns: 1, maxBytes: 0 })
    const block = run && decodeRun(run.bytes)?.blocks.find((each) => each.height === height)
    const said = block && decodePayload(block.payload)
    if (!said) return false
    this.state = restoreState(this.genesis, said.stateRoot, chunks)
    this.#snapshotHeight = height
    const tip = tipAt(block, digestOf(block, payloadDigest))
    this.base = said.last ? { ...tip, view: 0 } : this.#baseOf(said.epoch)
    this.tip = said.last ? this.base : tip
    this.#deciding = decidingIn(this.state)
    return true
  }

  /** By the last header of the epoch before. */
  #baseOf(epoch: number): Tip {
    const [bytes] = this.store.epochHeaders(epoch, epoch - 1)
    return bytes ? tipAfter(decode(bytes) as EpochHeader) : this.base
  }

  /** The last header below all blocks in the store. */
  #baseHeader(): EpochHeader {
    const headers = this.store.epochHeaders(Number.MAX_SAFE_INTEGER)
    for (let bytes = headers.pop(); bytes; bytes = headers.pop()) {
      const header = decode(bytes) as EpochHeader
      if (header.header.height === this.store.base) return header
    }
    throw new ChoraleError('bad-message', 'the header on which the chain stands is not there')
  }

  #stand({ state, tip }: Beginning): void {
    this.state = state
    this.base = this.tip = tip
    this.#snapshotHeight = tip.height
    this.#deciding = decidingIn(state)
    this.#ahead.clear()
  }

  /**
   * Begins at the end of an epoch, and not at the genesis. The headers, of that epoch and all before it, have been found good.
   * What the chain has is dropped, unless it is as far. False: it is, or has begun otherwise meanwhile. Rejects `bad-message` on chunks that are not the state there, and `io`.
   */
  async begin(headers: readonly EpochHeader[], chunks: readonly Uint8Array[]): Promise<boolean> {
    const beginning = beginningAt(this.genesis, headers.at(-1)!, chunks)
    const { height } = beginning.tip
    if (height <= this.tip.height) return false
    if (this.tip.height > 0) {
      this.store.cut(0)
      this.#stand(genesisOf(this.genesis))
    }
    await this.store.keepSnapshot(height, chunks)
    if (this.tip.height > 0) return false
    this.store.begin(
      height,
      headers.map((header) => encode(header)),
    )
    this.#stand(beginning)
    this.events.emit('epoch', this.state)
    return true
  }

  /**
   * A run whose certificate was checked. False: it does not continue this chain, or there is nothing new in it. Rejects what
   * a committee that keeps to the rules cannot have decided on with `mismatch`.
   */
  append(run: FinalRun): boolean {
    const fresh = continuation({ payloadDigest }, this.tip, run)
    return fresh !== undefined && this.#take(fresh, 'new')
  }

  #take(run: FinalRun, from: 'stored' | 'new'): boolean {
    const { epoch, committee } = this.state
    const taken: { block: Block; executed: Executed }[] = []
    let state = this.state
    for (const block of run.blocks) {
      if (block.parent !== (taken.at(-1) ? digestOf(taken.at(-1)!.block, payloadDigest) : this.tip.digest)) return false
      // What this host has stored had its signatures checked; the root of the state shows the rest.
      const executed = this.#execute(state, block, from === 'stored' ? () => true : this.#verify)
      if (typeof executed === 'string') {
        throw new ChoraleError('mismatch', `the committee made block ${block.height} final, and ${executed}`)
      }
      taken.push({ block, executed })
      state = executed.state
      if (state.epoch !== epoch) break // what follows are fillers
    }
    const { block: last } = taken.at(-1)!
    const ends = state.epoch !== epoch
    if (from === 'new') {
      const postings = taken.flatMap(({ executed }) => executed.postings)
      const seal = ends ? encode({ ...sealedIn(run, taken.length - 1, committee), next: state.committee }) : undefined
      const firstHeight = run.blocks[0]!.height
      this.store.append({ firstHeight, lastHeight: last.height, bytes: encodeRun(run) }, postings, seal)
    }
    this.state = state
    this.tip = tipAt(last, digestOf(last, payloadDigest))
    for (const [digest, { height }] of this.#ahead) if (height <= last.height) this.#ahead.delete(digest)
    if (ends) {
      this.base = this.tip = { ...this.tip, view: 0 }
      this.#deciding = decidingIn(state)
      this.#ahead.clear()
    }
    for (const [index, { block }] of taken.entries()) {
      const { height, timeMs, payload } = block
      let sealed: Sealed | undefined
      const seal = () => (sealed ??= sealedIn(run, index, committee))
      this.events.emit('block', { height, timeMs, payload: decodePayload(payload)!, sealed: seal })
    }
    if (ends) this.events.emit('epoch', state)
    return true
  }

  #execute(before: State, block: Block, verify = this.#verify): Executed | string {
    const digest = digestOf(block, payloadDigest)
    const known = this.#ahead.get(digest)
    if (known) return known
    const postings: Posting[] = []
    const state = judgePayload(before, this.#deciding, block, verify, postingWatch(block.height, postings))
    if (typeof state === 'string') return state
    this.#ahead.set(digest, { state, postings, height: block.height })
    return { state, postings }
  }

  /** After these blocks on top of the chain, oldest first; or why one of them is not valid. */
  stateAfter(ancestors: readonly Block[]): State | string {
    let state = this.state
    for (const block of ancestors) {
      const executed = this.#execute(state, block)
      if (typeof executed === 'string') return executed
      state = executed.state
    }
    return state
  }

  /** A payload on top of a state that `stateAfter` gave. */
  build(before: State, timeMs: number, candidates: Iterable<Uint8Array>): Uint8Array {
    return buildPayload(before, this.#deciding, timeMs, candidates, this.#verify).payload
  }

  /** Has the epoch ended in this state, so that only fillers may follow? */
  isOver(state: State): boolean {
    return state.epoch !== this.#deciding.epoch
  }

  /**
   * Keeps the state, if much has come since the last time and none is being kept; or if it must be kept, after what is being kept.
   * Rejects `io`.
   */
  async keepSnapshot(must = false): Promise<void> {
    const { tip, state } = this
    const due = SNAPSHOT_BLOCKS + state.accounts.size * SNAPSHOT_BLOCKS_PER_ACCOUNT
    const since = tip.height - this.#snapshotHeight
    if (since === 0 || (!must && (this.#snapshotting || since < due))) return
    this.#snapshotHeight = tip.height
    const before = this.#snapshotting
    const kept = (async () => {
      await before?.catch(() => {}) // whoever asked for it hears of it
      await this.store.keepSnapshot(tip.height, snapshotChunks(state))
    })()
    this.#snapshotting = kept
    try {
      await kept
    } finally {
      if (this.#snapshotting === kept) this.#snapshotting = undefined
    }
  }

  /** The run with the block of this height, from the store. */
  runAt(height: number): FinalRun | undefined {
    if (height < 1 || height > this.tip.height) return undefined
    const [run] = this.store.runs(height, { maxRuns: 1, maxBytes: 0 })
    if (!run) return undefined
    const decoded = decodeRun(run.bytes)
    invariant(decoded, `block ${height} cannot be read`)
    return decoded
  }
}

function genesisOf(genesis: Genesis): Beginning {
  const tip = { view: 0, height: 0, digest: networkOf(genesis), timeMs: genesis.createdAtMs }
  return { state: genesisState(genesis), tip }
}

function decidingIn({ epoch, committee }: State): Deciding {
  return { epoch, committee: committeeDigest(committee) }
}
