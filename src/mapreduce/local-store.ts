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
  return {
    ...createJobStore(io, files),
    async file(path): Promise<StoredFile> {
      const opening = handles.get(path) ?? open(path)
      handles.set(path, opening)
      const handle = await opening
      const { size } = await handle.stat()
      return {
        ...{ cid: path, bytes: size, blocks: Math.max(1, Math.ceil(size / LEAF_BYTES)) },
        keyOf() {
          throw new ChoraleError('internal', 'a file on this machine has no place in the overlay')
        },
        async read(index) {
          const bytes = Buffer.allocUnsafe(Math.min(LEAF_BYTES, size - index * LEAF_BYTES))
          const { bytesRead } = await handle.read(bytes, 0, bytes.length, index * LEAF_BYTES)
          if (bytesRead < bytes.length) throw new ChoraleError('io', `${path} has become shorter while it was read`)
          return bytes
        },
      }
    },
    cat: (cid) => files.cat(cid),
    async [Symbol.asyncDispose]() {
      for (const opening of handles.values()) await (await opening.catch(() => undefined))?.close()
    },
  }
}
