/** The code of a job that came with it: a file in the store. */
import { ChoraleError } from './core/errors.ts'
import { MAX_CODE_BYTES } from './core/limits.ts'
import type { FileService } from './dht/store/files/lazy.ts'

/** Rejects with `limit` when it is too large, and as the store does. */
export async function codeOf(files: FileService, cid: string): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  let bytes = 0
  for await (const piece of files.cat(cid)) {
    pieces.push(piece)
    bytes += piece.length
    if (bytes > MAX_CODE_BYTES) throw new ChoraleError('limit', `${cid} is too large for the code of a job`)
  }
  return Buffer.concat(pieces)
}
