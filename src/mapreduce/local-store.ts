/** What a job keeps while it runs on this machine alone: in memory, but for its input, which stays in its file. */
import { type FileHandle, open } from 'node:fs/promises'
import type { CID } from 'multiformats/cid'
import { ChoraleError } from '../core/errors.ts'
import { keyOfCid } from '../dht/cid.ts'
import { LEAF_BYTES } from '../dht/store/files/chunks.ts'
import { lazyFiles } from '../dht/store/files/lazy.ts'
import { createJobStore } from './job-store.ts'
import type { JobStore, StoredFile } from './ports.ts'

export interface LocalStore extends JobStore, AsyncDisposable {
  /** An input that is in no file. Returns its name. */
  addText(text: string): string
  /** The bytes of what the job has made. */
  cat(cid: string): AsyncIterable<Uint8Array>
}

/** Inputs are named by their paths, and cut as `chorale add` cuts them. */
export function createLocalStore(): LocalStore {
  const blocks = new Map<string, Uint8Array>()
  const io = {
    async put(cid: CID, bytes: Uint8Array) {
      blocks.set(keyOfCid(cid), bytes)
    },
    async get(cid: CID) {
      const bytes = blocks.get(keyOfCid(cid))
      if (!bytes) throw new ChoraleError('not-found', `${cid} is not on this machine`)
      return bytes
    },
  }
  const files = lazyFiles(io)
  const handles = new Map<string, Promise<FileHandle>>()
  const texts = new Map<string, Uint8Array>()
  const cut = (cid: string, bytes: number, read: StoredFile['read']): StoredFile => ({
    ...{ cid, bytes, blocks: Math.max(1, Math.ceil(bytes / LEAF_BYTES)), read },
    keyOf() {
      throw new ChoraleError('internal', 'a file on this machine has no place in the overlay')
    },
  })
  return {
    ...createJobStore(io, files, 1),
    addText(text) {
      const name = `text ${texts.size + 1}`
      texts.set(name, Buffer.from(text))
      return name
    },
    async file(path) {
      const text = texts.get(path)
      if (text) return cut(path, text.length, async (i) => text.subarray(i * LEAF_BYTES, (i + 1) * LEAF_BYTES))
      const opening = handles.get(path) ?? open(path)
      handles.set(path, opening)
      const handle = await opening
      const { size } = await handle.stat()
      return cut(path, size, async (index) => {
        const bytes = Buffer.allocUnsafe(Math.min(LEAF_BYTES, size - index * LEAF_BYTES))
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, index * LEAF_BYTES)
        if (bytesRead < bytes.length) throw new ChoraleError('io', `${path} has become shorter while it was read`)
        return bytes
      })
    },
    cat: (cid) => files.cat(cid),
    async [Symbol.asyncDispose]() {
      for (const opening of handles.values()) await (await opening.catch(() => undefined))?.close()
    },
  }
}
