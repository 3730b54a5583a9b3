/** Names in directories, which on their way out become names of files on somebody's disk. */

import type { CID } from 'multiformats/cid'
import { ChoraleError } from '../../../core/errors.ts'
import { MAX_NAME_BYTES, MAX_PATH_DEPTH } from '../../../core/limits.ts'
import { parseCid } from '../../cid.ts'

/** What is wrong with a name as that of a file here; undefined: nothing. */
export function nameFlaw(name: string): string | undefined {
  if (name === '') return 'it is empty'
  if (name === '.' || name === '..') return 'it names a directory that is there already'
  if (/[/\\]/.test(name)) return 'it has a separator of paths in it'
  if (name.includes('\0')) return 'it has a NUL in it'
  // The replacement stands for bytes that were no UTF-8, and a lone surrogate would become one: two names, one file.
  if (!name.isWellFormed()) return 'it is no Unicode'
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `it is longer than ${MAX_NAME_BYTES} bytes`
  return undefined
}

/** Throws `usage`; `what` says where the name stands. */
export function requireSafeName(name: string, what: string): void {
  const flaw = nameFlaw(name)
  if (flaw)
    throw new ChoraleError('usage', `${what}: the name ${JSON.stringify(name.slice(0, 80))} is refused: ${flaw}`)
}

/** `a/b/c` as its names, each of them safe. Throws `usage`. */
export function splitPath(path: string): string[] {
  const names = path.split('/')
  for (const name of names) requireSafeName(name, `the path ${JSON.stringify(path.slice(0, 200))}`)
  requireDepth(names.length, path)
  return names
}

export function requireDepth(depth: number, path: string): void {
  if (depth <= MAX_PATH_DEPTH) return
  const shown = JSON.stringify(path.slice(0, 80))
  throw new ChoraleError('limit', `${shown}... is nested ${depth} deep, the most is ${MAX_PATH_DEPTH}`)
}

export interface FileRef {
  readonly root: CID
  readonly names: readonly string[]
}

/** `CID`, `CID/path`, and both with `/ipfs/` or `ipfs://` in front. Throws `usage`. */
export function parseRef(ref: CID | string): FileRef {
  if (typeof ref !== 'string') return { root: ref, names: [] }
  const [cid = '', ...names] = ref.replace(/^(\/ipfs\/|ipfs:\/\/)/, '').split('/')
  return { root: parseCid(cid), names: names.filter((name) => name !== '') }
}
