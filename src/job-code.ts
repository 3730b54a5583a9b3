/** Where the code of jobs is: in the package, or in the store. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ChoraleError } from './core/errors.ts'
import { MAX_CODE_BYTES } from './core/limits.ts'
import type { FileService } from './dht/store/files/lazy.ts'

/** The code of a job that came with it: a file in the store. */
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

/** Where a module's code is; `builtin:` means those that ship with the package. */
export function builtinModule(name: string): string | undefined {
  const builtin = /^builtin:([a-z][a-z0-9-]*)$/.exec(name)
  if (!builtin) return undefined
  // From src/, or from dist/src/ of the package.
  const url = new URL(`../jobs/${builtin[1]}.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)
  return existsSync(fileURLToPath(url)) ? url.href : undefined
}
