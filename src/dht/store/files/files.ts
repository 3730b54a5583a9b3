/**
 * Files over blocks: UnixFS in and out, directories, CAR files. Everything streams; what is held is bounded by the
 * windows of puts and gets. What is read may have been made by anybody: see nodes.ts for what is checked.
 */
import type { CID } from 'multiformats/cid'
import { type Added, type AddOptions, addFile, addTree, type TreeSource } from './add.ts'
import type { BlockIo } from './block-io.ts'
import { type CarOptions, exportCar, type Imported, importCar } from './car.ts'
import { type CatOptions, catFile } from './cat.ts'
import { walkDag } from './dag.ts'
import { type Entry, listDirectory, type ReadOptions, resolve, type TreeEntry, walkTree } from './directory.ts'
import { joinLeaves, type Leaf, leavesOf } from './leaves.ts'
import { parseRef } from './names.ts'

/** A CID, or text: `CID`, `CID/path/in/it`, also with `/ipfs/` or `ipfs://` in front. */
export type Ref = CID | string

/**
 * Errors, besides those of the blocks themselves (`not-found`, `timeout`, `no-route`, `limit`, `aborted`): `usage` for
 * what is impossible (no CID, a codec or hash function that is not kept, cat of a directory, an unsafe name), `not-found`
 * for a path that is not there, `bad-message` for data that contradicts itself, `limit` for what is beyond a cap.
 */
export class Files {
  readonly #io: BlockIo

  constructor(io: BlockIo) {
    this.#io = io
  }

  /**
   * Puts a file. Its CID is that of `ipfs add --cid-version=1`, with `lines` another. Resolves when every block is safe.
   * The pieces of the source belong to the blocks from then on: they must not be changed. Rejects with `usage` at a line
   * above 1 MiB when `lines` is set.
   */
  addFile(source: AsyncIterable<Uint8Array>, options?: AddOptions): Promise<Added> {
    return addFile(this.#io, source, options)
  }

  /**
   * Puts a directory. Paths are relative to it; names that `walk` would refuse are refused here (`usage`), and so is a path
   * that is given twice. Each content is read to its end before the next entry is asked for. Without entries: an empty
   * directory.
   */
  addTree(entries: AsyncIterable<TreeSource>, options?: AddOptions): Promise<Added> {
    return addTree(this.#io, entries, options)
  }

  /** A file's bytes, in order, up to 16 MiB fetched ahead. What comes is a view of a block: it must not be changed. */
  async *cat(ref: Ref, options: CatOptions = {}): AsyncGenerator<Uint8Array> {
    yield* catFile(this.#io, await this.resolve(ref, options), options)
  }

  /** The CID that a path leads to. */
  async resolve(ref: Ref, { signal }: ReadOptions = {}): Promise<CID> {
    return resolve(this.#io, parseRef(ref), { signal })
  }

  /** A directory's entries, in its own order. Names are as they were written: make them safe before they are shown. */
  async *ls(ref: Ref, options: ReadOptions = {}): AsyncGenerator<Entry> {
    yield* listDirectory(this.#io, await this.resolve(ref, options), options)
  }

  /** A file or tree for writing to disk: every path is safe below a directory. Ends with `usage` at the first that is not. */
  async *walk(ref: Ref, options: ReadOptions = {}): AsyncGenerator<TreeEntry> {
    yield* walkTree(this.#io, await this.resolve(ref, options), options)
  }

  /** A CAR file (version 1): the same bytes each time. */
  async *exportCar(ref: Ref, options: CarOptions = {}): AsyncGenerator<Uint8Array> {
    yield* exportCar(this.#io, await this.resolve(ref, options), options)
  }

  /**
   * Puts the blocks of a CAR file (version 1 or 2). Resolves with its roots once everything under them is there. Rejects
   * with `bad-message` when it is cut short; blocks that came stay until their lease ends, and nothing names them.
   */
  importCar(source: AsyncIterable<Uint8Array>, options?: CarOptions): Promise<Imported> {
    return importCar(this.#io, source, options)
  }

  /** Every block of a DAG once, the root first. Leaves are named without being fetched. */
  async *blocksOf(ref: Ref, options: ReadOptions = {}): AsyncGenerator<CID> {
    const root = await this.resolve(ref, options)
    for await (const { cid } of walkDag(this.#io, [root], { ...options, leaves: false })) yield cid
  }

  /** The blocks that hold a file's bytes, in order. Raw ones are named without being fetched. */
  async *leavesOf(ref: Ref, options: ReadOptions = {}): AsyncGenerator<Leaf> {
    yield* leavesOf(this.#io, await this.resolve(ref, options), options)
  }

  /** Makes a file of leaves that have been put: resolves with its CID when the nodes above them are safe. */
  join(leaves: readonly Leaf[], options: ReadOptions = {}): Promise<CID> {
    return joinLeaves(this.#io, leaves, options)
  }
}
