/**
 * A chain store in memory, for the simulator: at a crash it loses any number of the runs that were not synced, and where it
 * began, if that was not.
 */
import { decode, encode } from '../../src/core/cbor.ts'
import type { Random } from '../../src/core/env.ts'
import { invariant } from '../../src/core/errors.ts'
import type { ChainStore, KeptEvidence, Posting, Snapshot, StoredRun } from '../../src/market/ledger/chain-store.ts'
import type { Evidence } from '../../src/market/ledger/consensus/messages.ts'
import type { PublicKey } from '../../src/market/ledger/keys.ts'
import type { Place } from '../../src/market/ledger/ledger.ts'

interface Kept extends StoredRun {
  readonly postings: readonly Posting[]
  readonly epochHeader: Uint8Array | undefined
}

export class MemoryChain implements ChainStore {
  #runs: Kept[] = []
  /** Oldest first. */
  #byAccount = new Map<PublicKey, Posting[]>()
  #synced = 0
  base = 0
  #baseHeaders: readonly Uint8Array[] = []
  #isBaseSynced = false
  readonly #snapshots = new Map<number, readonly Uint8Array[]>()
  readonly #evidence = new Map<string, Uint8Array>()

  get height(): number {
    return this.#runs.at(-1)?.lastHeight ?? this.base
  }

  begin(base: number, epochHeaders: readonly Uint8Array[]): void {
    invariant(this.height === 0, `a chain that has ${this.height} blocks cannot begin at ${base}`)
    this.base = base
    this.#baseHeaders = epochHeaders
    this.#isBaseSynced = false
  }

  /** What a machine that lost power finds. */
  crash(random: Random): void {
    if (this.base > 0 && !this.#isBaseSynced && random.int(2) === 0) this.cut(0)
    this.#keep(this.#runs.slice(0, this.#runs.length - random.int(this.#runs.length - this.#synced + 1)))
  }

  append(run: StoredRun, postings: readonly Posting[], epochHeader: Uint8Array | undefined): void {
    this.#runs.push({ ...run, postings, epochHeader })
    this.#index(postings)
  }

  cut(height: number): void {
    const left = height < this.base ? 0 : height
    this.#keep(this.#runs.filter(({ lastHeight }) => lastHeight <= left))
    this.#synced = Math.min(this.#synced, this.#runs.length)
    for (const each of this.#snapshots.keys()) if (each > left) this.#snapshots.delete(each)
    if (left >= this.base) return
    this.base = 0
    this.#baseHeaders = []
  }

  #keep(runs: Kept[]): void {
    if (runs.length === this.#runs.length) return
    this.#runs = runs
    this.#byAccount = new Map()
    for (const { postings } of runs) this.#index(postings)
  }

  #index(postings: readonly Posting[]): void {
    for (const posting of postings) {
      const known = this.#byAccount.get(posting.account)
      if (known) known.push(posting)
      else this.#byAccount.set(posting.account, [posting])
    }
  }

  runs(height: number, { maxRuns, maxBytes }: { maxRuns: number; maxBytes: number }): StoredRun[] {
    const found: StoredRun[] = []
    if (height <= this.base) return found
    let bytes = 0
    for (let at = this.#indexOf(height); at < this.#runs.length && found.length < maxRuns; at++) {
      bytes += this.#runs[at]!.bytes.length
      if (found.length > 0 && bytes > maxBytes) break
      found.push(this.#runs[at]!)
    }
    return found
  }

  /** Of the run with this height. */
  #indexOf(height: number): number {
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#runs[middle]!.lastHeight < height) low = middle + 1
      else high = middle
    }
    return low
  }

  postings(account: PublicKey, { limit, before }: { limit: number; before?: Place | undefined }): Posting[] {
    return (this.#byAccount.get(account) ?? [])
      .toReversed()
      .filter((posting) => !before || isBefore(posting, before))
      .slice(0, limit)
  }

  askedWith(account: PublicKey, nonce: number): Place[] {
    return (this.#byAccount.get(account) ?? []).filter((posting) => posting.nonce === nonce).toReversed()
  }

  epochHeaders(until: number, from = 0): Uint8Array[] {
    return [...this.#baseHeaders, ...this.#runs.flatMap(({ epochHeader }) => epochHeader ?? [])].slice(from, until)
  }

  async keepSnapshot(height: number, chunks: Iterable<Uint8Array>): Promise<void> {
    const whole = [...chunks]
    const lastEnd = this.#runs.findLast(({ epochHeader }) => epochHeader)?.lastHeight
    for (const each of this.#snapshots.keys()) if (each !== this.base && each !== lastEnd) this.#snapshots.delete(each)
    this.#snapshots.set(height, whole)
  }

  snapshot(until = this.height): Snapshot | undefined {
    const height = Math.max(-1, ...[...this.#snapshots.keys()].filter((each) => each <= Math.min(until, this.height)))
    const chunks = this.#snapshots.get(height)
    return chunks && { height, chunks }
  }

  keepEvidence(epoch: number, host: PublicKey, evidence: Evidence): void {
    const name = `${epoch} ${host}`
    if (!this.#evidence.has(name)) this.#evidence.set(name, encode({ epoch, host, evidence }))
  }

  evidence(): KeptEvidence[] {
    return [...this.#evidence.values()].map((bytes) => decode(bytes) as KeptEvidence)
  }

  sync(): boolean {
    this.#synced = this.#runs.length
    this.#isBaseSynced = true
    return true
  }

  close(): void {}
}

function isBefore(a: Place, b: Place): boolean {
  return a.height < b.height || (a.height === b.height && a.index < b.index)
}
