/** Reading and writing the files of a home (home.ts): whole or not at all, and errors with a remedy. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { ChoraleError, errorMessage } from './core/errors.ts'

/** With its parents. Not by Node's `recursive`, which never returns where a file system refuses with ENOENT (/proc). */
export function makeDirectory(path: string, mode = 0o700): void {
  try {
    mkdirSync(path, { mode })
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EEXIST' && statSync(path).isDirectory()) return
    if (code !== 'ENOENT' || statSync(dirname(path), { throwIfNoEntry: false })) throw error
    makeDirectory(dirname(path), mode)
    mkdirSync(path, { mode })
  }
}

export function writeAtomically(file: string, text: string | Uint8Array, mode = 0o600): void {
  const draft = `${file}.${process.pid}.new`
  try {
    writeFileSync(draft, text, { mode, flush: true })
    renameSync(draft, file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

/** In no order. */
export function namesIn(directory: string): string[] {
  return readdirSync(directory)
}

/** It need not be there. */
export function removeFile(file: string): void {
  rmSync(file, { force: true })
}

/** undefined when there is no such file. */
export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const code = systemCode(error)
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}

export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined
}

export function guarded<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw homeError(path, error)
  }
}

/** What the system said about a file of the home, as one line with a remedy. */
export function homeError(path: string, error: unknown): ChoraleError {
  if (error instanceof ChoraleError) return error
  const options = { cause: error }
  switch (systemCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new ChoraleError(
        'io',
        `no space left for home ${path}: free some space, or choose another disk with --home DIR`,
        options,
      )
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new ChoraleError(
        'config',
        `home ${path} cannot be written: change its permissions, or choose another with --home DIR`,
        options,
      )
    case 'ENOTDIR':
    case 'EEXIST':
      return new ChoraleError('config', `home ${path} is not a directory: choose another with --home DIR`, options)
    case 'ENOENT':
      return new ChoraleError('config', `home ${path} cannot be created: choose another with --home DIR`, options)
    default:
      return new ChoraleError(
        'io',
        `home ${path}: ${errorMessage(error)}: choose another with --home DIR if it persists`,
        options,
      )
  }
}
