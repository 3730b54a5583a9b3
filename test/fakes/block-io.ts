/** Blocks in memory that count what is under way, with helpers to make files and streams of odd pieces. */
import { setImmediate } from 'node:timers/promises'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import type { CID } from 'multiformats/cid'
import { ChoraleError, errorCode, errorMessage } from '../../src/core/errors.ts'
import type { Key } from '../../src/core/ids.ts'
import { checkedKey, cidOf, keyOfCid } from '../../src/dht/cid.ts'
import type { BlockIo } from '../../src/dht/store/files/block-io.ts'

export class MemoryIo implements BlockIo {
  readonly blocks = new Map<Key, Uint8Array>()
  readonly asked: string[] = []
  puts = 0
  mostPuts = 0
  mostGets = 0
  /** Bytes of blocks that were given and that `eaten` has not been told of. */
  held = 0
  mostHeld = 0
  /** Turns of the event loop that a call takes; drawn for each. */
  delay: () => number = () => 0
  #putting = 0
  #getting = 0

  async put(cid: CID, bytes: Uint8Array): Promise<void> {
    this.puts++
    this.mostPuts = Math.max(this.mostPuts, ++this.#putting)
    const key = checkedKey(cid, bytes)
    await this.#wait()
    this.blocks.set(key, bytes.slice())
    this.#putting--
  }

  async get(cid: CID, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<Uint8Array> {
    this.asked.push(cid.toString())
    this.mostGets = Math.max(this.mostGets, ++this.#getting)
    await this.#wait()
    this.#getting--
    signal?.throwIfAborted()
    const bytes = this.blocks.get(keyOfCid(cid))
    if (!bytes) throw new ChoraleError('not-found', `nobody has ${cid}`)
    this.held += bytes.length
    this.mostHeld = Math.max(this.mostHeld, this.held)
    return bytes
  }

  /** Puts a UnixFS node that no importer would make. */
  node(unixfs: UnixFS, links: readonly { Name?: string; Hash: CID; Tsize?: number }[] = []): CID {
    return this.pb(dagPb.encode(dagPb.prepare({ Data: unixfs.marshal(), Links: [...links] })))
  }

  directory(links: Readonly<Record<string, CID>> | readonly { Name: string; Hash: CID }[]): CID {
    const list = Array.isArray(links) ? links : Object.entries(links).map(([Name, Hash]) => ({ Name, Hash, Tsize: 1 }))
    return this.node(new UnixFS({ type: 'directory' }), list)
  }

  fileOf(parts: readonly CID[], sizes: readonly (number | bigint)[]): CID {
    const unixfs = new UnixFS({ type: 'file', blockSizes: sizes.map(BigInt) })
    return this.node(
      unixfs,
      parts.map((Hash) => ({ Name: '', Hash, Tsize: 1 })),
    )
  }

  raw(bytes: Uint8Array | string): CID {
    const data = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes
    this.blocks.set(keyOfCid(cidOf('raw', data)), data)
    return cidOf('raw', data)
  }

  pb(bytes: Uint8Array): CID {
    this.raw(bytes)
    return cidOf('dag-pb', bytes)
  }

  async #wait(): Promise<void> {
    for (let turns = this.delay(); turns > 0; turns--) await setImmediate()
  }
}

/** The bytes in pieces of these sizes, over and over. */
export async function* pieces(bytes: Uint8Array, sizes: readonly number[] = [65_536]): AsyncGenerator<Uint8Array> {
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length] ?? 1)
    yield bytes.subarray(at, at + size)
    at += size
  }
}

export async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items
}

export async function allOf<T>(source: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of source) all.push(item)
  return all
}

export async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(Buffer.concat(await allOf(source)))
}

/** Bytes that do not repeat, the same for the same size. */
export function patterned(size: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(size / 4))
  let state = size + 1
  for (let i = 0; i < words.length; i++) words[i] = state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
  return new Uint8Array(words.buffer, 0, size)
}

/** `code: message` of the failure; `done` without one. */
export function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'done',
    (error: unknown) => `${errorCode(error)}: ${errorMessage(error)}`,
  )
}
