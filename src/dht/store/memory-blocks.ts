/**
 * A block store in memory, for the simulator and for tests: what `disk/` does, without a disk. It keeps the very arrays
 * that it is given, so that three replicas in one process cost the bytes of one.
 */
import { ChoraleError, invariant } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { MAX_BLOCK_BYTES } from '../../core/limits.ts'
import type { BlockMeta, BlockStore } from '../blocks.ts'

interface Held extends BlockMeta {
  readonly body: Uint8Array
}

const done = Promise.resolve()
const nowhere: Promise<undefined> = Promise.resolve(undefined)

export class MemoryBlocks implements BlockStore {
  readonly capacityBytes: number
  readonly #held = new Map<Key, Held>()
  #bytes = 0
  #closed = false

  constructor(capacityBytes: number) {
    this.capacityBytes = capacityBytes
  }

  get count(): number {
    return this.#held.size
  }

  get bytes(): number {
    return this.#bytes
  }

  meta(key: Key): BlockMeta | undefined {
    return this.#held.get(key)
  }

  get(key: Key): Promise<Uint8Array | undefined> {
    if (this.#closed) return closed()
    const held = this.#held.get(key)
    return held ? Promise.resolve(held.body) : nowhere
  }

  put(block: BlockMeta, bytes: Uint8Array): Promise<void> {
    if (this.#closed) return closed()
    const { key, sizeBytes, expiresAtMs, publisher } = block
    invariant(sizeBytes === bytes.length && sizeBytes <= MAX_BLOCK_BYTES, `a block of ${bytes.length} bytes`)
    if (this.#extend(key, expiresAtMs)) return done
    if (this.#bytes + sizeBytes > this.capacityBytes) return Promise.reject(fullStore(this.capacityBytes))
    this.#held.set(key, { key, sizeBytes, expiresAtMs, publisher, body: bytes })
    this.#bytes += sizeBytes
    return done
  }

  extend(key: Key, expiresAtMs: number): Promise<boolean> {
    return this.#closed ? closed() : Promise.resolve(this.#extend(key, expiresAtMs))
  }

  #extend(key: Key, expiresAtMs: number): boolean {
    const held = this.#held.get(key)
    if (held && held.expiresAtMs < expiresAtMs) this.#held.set(key, { ...held, expiresAtMs })
    return held !== undefined
  }

  delete(key: Key): Promise<void> {
    if (this.#closed) return closed()
    this.#bytes -= this.#held.get(key)?.sizeBytes ?? 0
    this.#held.delete(key)
    return done
  }

  entries(): Iterable<BlockMeta> {
    return this.#held.values()
  }

  close(): Promise<void> {
    this.#closed = true
    return done
  }
}

function closed(): Promise<never> {
  return Promise.reject(new ChoraleError('aborted', 'the block store is closed'))
}

/** What both stores say when a block does not fit. */
export function fullStore(capacityBytes: number): ChoraleError {
  return new ChoraleError(
    'limit',
    `the block store is full: it may keep ${capacityBytes} bytes, give it more with --store`,
  )
}
