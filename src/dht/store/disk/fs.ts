/**
 * The file operations of the disk store, as a port: the tests' disk loses power at each of them. Also the real one, over
 * node:fs. One of the few files that may touch it (see the tidy test).
 */
import { type FileHandle, mkdir, open, readdir, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setImmediate } from 'node:timers/promises'
import { ChoraleError } from '../../../core/errors.ts'

/** Nothing survives a power cut before `sync` (bytes and length of one file) or `syncDirectory` (names) has resolved. */
export interface DiskFs {
  /** Synced. It may exist; its parent must. */
  makeDirectory(path: string): Promise<void>
  /** Names, in no order. */
  list(path: string): Promise<string[]>
  /** For reading and writing; it must not exist. */
  create(path: string): Promise<DiskFile>
  open(path: string): Promise<DiskFile>
  /** An open file can still be read. */
  remove(path: string): Promise<void>
  syncDirectory(path: string): Promise<void>
  /**
   * The directory's lock, until it is released or the process ends, however it ends. Undefined: another holds it, in this
   * process or another.
   */
  lock(path: string): Promise<(() => void) | undefined>
  /** Lets others have the thread. */
  breathe(): Promise<void>
}

export interface DiskFile {
  readonly sizeBytes: number
  /** Up to `bytes` from `at`: less only at the end of the file. The array is the caller's. */
  read(at: number, bytes: number): Promise<Uint8Array>
  /** All of them one after the other, or it rejects; then any part may have been written. */
  write(at: number, parts: readonly Uint8Array[]): Promise<void>
  truncate(sizeBytes: number): Promise<void>
  sync(): Promise<void>
  close(): Promise<void>
}

export const nodeFs: DiskFs = {
  async makeDirectory(path) {
    try {
      await mkdir(path, { mode: 0o700 })
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return
      throw error
    }
    await this.syncDirectory(dirname(path))
  },
  list: (path) => readdir(path),
  create: async (path) => new NodeFile(await open(path, 'wx+', 0o600), 0),
  async open(path) {
    const handle = await open(path, 'r+')
    return new NodeFile(handle, (await handle.stat()).size)
  },
  remove: (path) => unlink(path),
  async syncDirectory(path) {
    const handle = await open(path, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  async lock(path) {
    // Node has no flock. SQLite has one on every system, and the kernel releases it when the process is killed.
    const database = new DatabaseSync(join(path, 'lock'), { timeout: 0 })
    try {
      database.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
    } catch (error) {
      database.close()
      if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return undefined
      throw error
    }
    return () => database.close()
  },
  breathe: () => setImmediate(),
}

const SQLITE_BUSY = 5

class NodeFile implements DiskFile {
  sizeBytes: number
  readonly #handle: FileHandle

  constructor(handle: FileHandle, sizeBytes: number) {
    this.#handle = handle
    this.sizeBytes = sizeBytes
  }

  async read(at: number, bytes: number): Promise<Uint8Array> {
    const buffer = Buffer.allocUnsafeSlow(bytes)
    let filled = 0
    while (filled < bytes) {
      const { bytesRead } = await this.#handle.read(buffer, filled, bytes - filled, at + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return new Uint8Array(buffer.buffer, 0, filled)
  }

  async write(at: number, parts: readonly Uint8Array[]): Promise<void> {
    let position = at
    let rest = parts.filter((part) => part.length > 0)
    while (rest.length > 0) {
      const { bytesWritten } = await this.#handle.writev(rest, position)
      position += bytesWritten
      this.sizeBytes = Math.max(this.sizeBytes, position)
      rest = after(rest, bytesWritten)
    }
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#handle.truncate(sizeBytes)
    this.sizeBytes = sizeBytes
  }

  sync(): Promise<void> {
    return this.#handle.datasync()
  }

  close(): Promise<void> {
    return this.#handle.close()
  }
}

/** What is left of the parts after their first `count` bytes. */
function after(parts: readonly Uint8Array[], count: number): Uint8Array[] {
  let skip = count
  let whole = 0
  while (whole < parts.length && skip >= (parts[whole] as Uint8Array).length) skip -= parts[whole++]?.length ?? 0
  const rest = parts.slice(whole)
  if (skip > 0) rest[0] = (rest[0] as Uint8Array).subarray(skip)
  return rest
}

/** The error of a disk, with what to do about it. */
export function diskError(error: unknown, dir: string): ChoraleError {
  if (error instanceof ChoraleError) return error
  const code = systemCode(error)
  const what = isFull(code)
    ? `the disk of ${dir} is full: free some space on it, or keep less with --store`
    : `the disk of ${dir} fails (${code ?? String(error)}): check the disk and the permissions, or choose another with --home`
  return new ChoraleError('io', what, { cause: error })
}

/** Of an error of `diskError`. */
export function isFullDisk({ cause }: ChoraleError): boolean {
  return isFull(systemCode(cause))
}

function isFull(code: string | undefined): boolean {
  return code === 'ENOSPC' || code === 'EDQUOT'
}

export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | undefined)?.code
  return typeof code === 'string' ? code : undefined
}
