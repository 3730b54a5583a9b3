/** Blocks on every host of a fake ring, and stores that go wrong. */
import type { CID } from 'multiformats/cid'
import type { Key } from '../../src/core/ids.ts'
import { seededRandom } from '../../src/core/random.ts'
import { cidOf, keyOfCid } from '../../src/dht/cid.ts'
import { type BlockService, type BlocksParts, createBlocks } from '../../src/dht/store/blocks/service.ts'
import { MemoryBlocks } from '../../src/dht/store/memory-blocks.ts'
import { type FakeHost, FakeRing, type FakeRingOptions } from './ring.ts'

export interface TestBlock {
  readonly cid: CID
  readonly key: Key
  readonly bytes: Uint8Array
}

/** Pseudo-random blocks, always the same for a label. */
export function blocksOf(count: number, sizeBytes = 100, label = 'block'): TestBlock[] {
  return Array.from({ length: count }, (_, index) => {
    const bytes = seededRandom(`${label} ${index}`).bytes(sizeBytes)
    const cid = cidOf('raw', bytes)
    return { cid, key: keyOfCid(cid), bytes }
  })
}

/** A store whose disk can rot: the next read of a block finds it broken, and drops it. */
export class RottingStore extends MemoryBlocks {
  readonly #rotten = new Set<Key>()

  rot(key: Key): void {
    this.#rotten.add(key)
  }

  override async get(key: Key): Promise<Uint8Array | undefined> {
    if (this.#rotten.delete(key)) await this.delete(key)
    return super.get(key)
  }
}

export interface BlockNode {
  readonly host: FakeHost
  readonly store: RottingStore
  readonly blocks: BlockService
}

export type BlockNodeOptions = Partial<Omit<BlocksParts, 'env' | 'transport' | 'overlay' | 'store'>> & {
  capacityBytes?: number
}

/** A network whose every host keeps blocks. */
export class BlockNetwork {
  readonly ring: FakeRing
  readonly nodes: BlockNode[] = []
  readonly #options: BlockNodeOptions

  constructor(ring: FakeRingOptions, options: BlockNodeOptions = {}) {
    this.ring = new FakeRing({ replicas: 3, ...ring })
    this.#options = options
  }

  static async of(ring: FakeRingOptions, count: number, options: BlockNodeOptions = {}): Promise<BlockNetwork> {
    const made = new BlockNetwork(ring, options)
    for (let i = 0; i < count; i++) made.join()
    await made.ring.run(2 * (ring.viewLagMs ?? 0) + 1)
    return made
  }

  join(options: BlockNodeOptions = {}): BlockNode {
    const host = this.ring.add()
    const { env, transport, overlay } = host
    const { capacityBytes = 1e7, ...rest } = { ...this.#options, ...options }
    const store = new RottingStore(capacityBytes)
    const blocks = createBlocks({ env, transport, overlay, store, ...rest })
    blocks.start()
    const node = { host, store, blocks }
    this.nodes.push(node)
    this.ring.join(host)
    return node
  }

  get live(): BlockNode[] {
    return this.nodes.filter(({ host }) => host.alive && host.member)
  }

  group(key: Key): BlockNode[] {
    return this.ring.group(key).map((host) => this.nodes.find((node) => node.host === host) as BlockNode)
  }

  outsider(key: Key): BlockNode {
    const group = this.group(key)
    return this.live.find((node) => !group.includes(node)) as BlockNode
  }

  holders(key: Key): BlockNode[] {
    return this.live.filter(({ store }) => store.meta(key))
  }

  put(node: BlockNode, { cid, bytes }: TestBlock, leaseMs?: number): Promise<void> {
    return this.ring.until(node.blocks.put(cid, bytes, { leaseMs }))
  }

  get(node: BlockNode, { cid }: TestBlock): Promise<Uint8Array> {
    return this.ring.until(node.blocks.get(cid))
  }

  async stopAll(): Promise<void> {
    await this.ring.until(Promise.all(this.nodes.filter(({ host }) => host.alive).map(({ blocks }) => blocks.stop())))
  }
}
