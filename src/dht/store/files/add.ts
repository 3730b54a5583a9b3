/**
 * Makes UnixFS DAGs of files and trees, with ipfs-unixfs-importer in the profile that `ipfs add --cid-version=1` has had
 * for years: 256 KiB raw leaves, balanced, 174 links, directories sharded above 256 KiB. So the same file has the same
 * CID in IPFS. Nothing is held but the blocks on their way and the names of a tree.
 */
import { type ImportResult, importer, type WritableStorage } from 'ipfs-unixfs-importer'
import { balanced } from 'ipfs-unixfs-importer/layout'
import type { CID } from 'multiformats/cid'
import { ChoraleError, invariant } from '../../../core/errors.ts'
import { type BlockIo, interruptible, PutWindow, throwIfAborted } from './block-io.ts'
import { fixedChunks, lineChunks } from './chunks.ts'
import { splitPath } from './names.ts'

export interface Progress {
  /** Of the files, so far. */
  readonly bytes: number
  /** Put so far. */
  readonly blocks: number
  /** Of the file under way, in a tree. */
  readonly path?: string
}

export interface AddOptions {
  /** Cut at line ends, at most 1 MiB, so that no record is split between blocks. Default: every 256 KiB. */
  lines?: boolean | undefined
  /** Called at every leaf. */
  onProgress?: ((progress: Progress) => void) | undefined
  signal?: AbortSignal | undefined
}

export interface Added {
  readonly cid: CID
  /** Of the files' contents. */
  readonly bytes: number
  /** That were put, as often as they occur. */
  readonly blocks: number
}

export interface TreeSource {
  /** Names with `/` between them. */
  readonly path: string
  /** Absent for a directory, which need not be given unless it is empty. */
  readonly content?: AsyncIterable<Uint8Array> | undefined
}

/** A node of a tree that has been put: what its directory says of it. */
interface Put {
  readonly cid: CID
  /** Of the whole DAG: what links call Tsize. */
  readonly size: number
}

type Tree = Map<string, Tree | Put>

const PROFILE = {
  cidVersion: 1,
  rawLeaves: true,
  reduceSingleLeafToSelf: true,
  layout: balanced({ maxChildrenPerNode: 174 }),
  shardSplitThresholdBytes: 256 * 1024,
  shardSplitStrategy: 'links-bytes',
  shardFanoutBits: 8,
  // The window below is what lets blocks fly together; batches of the importer would wait for their slowest.
  blockWriteConcurrency: 1,
  fileImportConcurrency: 1,
} as const

export async function addFile(
  io: BlockIo,
  source: AsyncIterable<Uint8Array>,
  options: AddOptions = {},
): Promise<Added> {
  const adding = new Adding(io, options)
  return adding.finish(async () => (await adding.file(source)).cid)
}

export async function addTree(
  io: BlockIo,
  entries: AsyncIterable<TreeSource>,
  options: AddOptions = {},
): Promise<Added> {
  const adding = new Adding(io, options)
  return adding.finish(async () => {
    const root: Tree = new Map()
    for await (const { path, content } of interruptible(entries, options.signal)) {
      const names = splitPath(path)
      const last = names.pop() as string
      const parent = names.reduce((tree, name) => subtree(tree, name, path), root)
      if (!content) subtree(parent, last, path)
      else if (parent.has(last)) throw new ChoraleError('usage', `${path} is given twice`)
      else parent.set(last, await adding.file(content, path))
    }
    return (await adding.directory(root)).cid
  })
}

function subtree(tree: Tree, name: string, path: string): Tree {
  let inner = tree.get(name)
  if (!inner) tree.set(name, (inner = new Map()))
  if (inner instanceof Map) return inner
  throw new ChoraleError('usage', `${path} needs ${JSON.stringify(name)} to be a directory, which is a file already`)
}

/** One `add`. */
class Adding {
  readonly #window: PutWindow
  readonly #store: WritableStorage
  readonly #options: AddOptions
  #bytes = 0

  constructor(io: BlockIo, options: AddOptions) {
    this.#options = options
    const window = new PutWindow(io, options.signal)
    this.#window = window
    this.#store = {
      async put(cid, block) {
        invariant(block instanceof Uint8Array, 'the importer puts whole blocks')
        await window.put(cid, block)
        return cid
      },
    }
  }

  async finish(work: () => Promise<CID>): Promise<Added> {
    throwIfAborted(this.#options.signal)
    try {
      const cid = await work()
      await this.#window.drain()
      return { cid, bytes: this.#bytes, blocks: this.#window.blocks }
    } finally {
      await this.#window.settle()
    }
  }

  async file(source: AsyncIterable<Uint8Array>, path?: string): Promise<Put> {
    const { lines, signal } = this.#options
    const chunker = lines ? lineChunks : fixedChunks
    // Iterated here, because the importer never ends a source that it gives up.
    const content = interruptible(source, signal)
    try {
      const chunks = async function* (this: Adding) {
        for await (const chunk of chunker(content)) {
          yield chunk
          this.#bytes += chunk.length
          const { blocks } = this.#window
          this.#options.onProgress?.({ bytes: this.#bytes, blocks, ...(path === undefined ? {} : { path }) })
        }
      }
      const whole = chunks.call(this)
      return putOf(await lastOf(importer([{ content: whole }], this.#store, { ...PROFILE, chunker: asTheyCome })))
    } finally {
      await content.return(undefined)
    }
  }

  /**
   * Its entries first. Each directory is made on its own, of entries whose sizes are known: the importer's own way over
   * paths counts a directory within a directory as nothing, so that one with many of them outgrows a block.
   */
  async directory(tree: Tree): Promise<Put> {
    const children: ImportResult[] = []
    for (const [path, node] of tree) {
      // As deep as paths may be: see splitPath.
      const { cid, size } = node instanceof Map ? await this.directory(node) : node
      children.push({ path, cid, size: BigInt(size) })
    }
    const dagBuilder = async function* () {
      for (const child of children) yield async () => child
    }
    return putOf(await lastOf(importer([], this.#store, { ...PROFILE, dagBuilder, wrapWithDirectory: true })))
  }
}

/** The importer's chunker: cutting is done before it. */
async function* asTheyCome(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* source
}

async function lastOf(results: AsyncIterable<ImportResult>): Promise<ImportResult> {
  let last: ImportResult | undefined
  for await (const result of results) last = result
  invariant(last, 'the importer gives a root')
  return last
}

function putOf({ cid, size }: ImportResult): Put {
  return { cid, size: Number(size) }
}
