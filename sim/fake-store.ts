/** The overlay's store as jobs use it, as if every block were everywhere at once. */
import type { CID } from 'multiformats/cid'
import { ChoraleError } from '../src/core/errors.ts'
import { keyOfCid } from '../src/dht/cid.ts'
import { Files } from '../src/dht/store/files/files.ts'
import { createJobStore } from '../src/mapreduce/job-store.ts'
import type { JobStore } from '../src/mapreduce/ports.ts'

export interface FakeStore {
  readonly store: JobStore
  readonly files: Files
  /** By key. */
  readonly blocks: Map<string, Uint8Array>
}

export function fakeStore(): FakeStore {
  const blocks = new Map<string, Uint8Array>()
  const io = {
    async put(cid: CID, bytes: Uint8Array) {
      blocks.set(keyOfCid(cid), bytes.slice())
    },
    async get(cid: CID) {
      const bytes = blocks.get(keyOfCid(cid))
      if (!bytes) throw new ChoraleError('not-found', `nobody has ${cid}`)
      return bytes
    },
  }
  const files = new Files(io)
  return { store: createJobStore(io, files, 3), files, blocks }
}
