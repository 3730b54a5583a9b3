/**
 * Files and directories of this machine, on their way in (`add`) and out (`get`, `export`). What comes out appears
 * under its name when all of it is there, and not before.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, sep } from 'node:path'
import type { TreeItem } from '../api/frames.ts'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { systemCode } from '../home-files.ts'

const PIECE_BYTES = 256 * 1024

// --- in ---

export interface LocalSource {
  readonly path: string
  readonly directory: boolean
  /** Undefined for what is no plain file, such as a pipe. */
  readonly totalBytes: number | undefined
}

/** Looks at all that is to be added, before anything is. Throws `usage` or `io` at what cannot be. */
export async function inspect(path: string): Promise<LocalSource> {
  try {
    const found = await stat(path)
    if (!found.isDirectory()) {
      return { path, directory: false, totalBytes: found.isFile() && found.size > 0 ? found.size : undefined }
    }
    let totalBytes = 0
    for await (const { bytes = 0 } of walk(path)) totalBytes += bytes
    return { path, directory: true, totalBytes }
  } catch (error) {
    throw fileError(path, error)
  }
}

export async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: PIECE_BYTES }) as AsyncIterable<Buffer>
  } catch (error) {
    throw fileError(path, error)
  }
}

/** Everything in a directory, hidden files too. Symbolic links and devices are refused: they would be lost. */
export async function* readTree(root: string): AsyncGenerator<TreeItem> {
  for await (const { path, bytes } of walk(root)) {
    if (bytes === undefined) yield { path, kind: 'directory' }
    else yield { path, kind: 'file', bytes, content: readFile(join(root, path)) }
  }
}

/** `bytes` is undefined for a directory. */
async function* walk(root: string, inside = ''): AsyncGenerator<{ path: string; bytes: number | undefined }> {
  const here = join(root, inside)
  try {
    const entries = await readdir(here, { withFileTypes: true })
    entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    for (const entry of entries) {
      const full = join(here, entry.name)
      const path = inside === '' ? entry.name : `${inside}/${entry.name}`
      if (entry.name.includes('\ufffd')) throw refused(full, 'has a name that is no UTF-8')
      if (entry.isDirectory()) {
        yield { path, bytes: undefined }
        yield* walk(root, path)
      } else if (entry.isFile()) yield { path, bytes: (await stat(full)).size }
      else if (entry.isSymbolicLink()) throw refused(full, 'is a symbolic link, which is not kept')
      else throw refused(full, 'is neither a file nor a directory')
    }
  } catch (error) {
    throw fileError(here, error)
  }
}

function refused(path: string, why: string): ChoraleError {
  return new ChoraleError('usage', `${path} ${why}: move it out of the directory, and add again`)
}

// --- out ---

/** A place beside the target that becomes it at the end. Dispose it: what has not become it goes. */
export class Landing implements AsyncDisposable {
  readonly target: string
  readonly #draft: string
  readonly #force: boolean

  /** Throws `usage` when the target is there already, and not `force`. */
  static async at(target: string, force: boolean): Promise<Landing> {
    const existing = await lstat(target).catch((error) => {
      if (systemCode(error) === 'ENOENT') return undefined
      throw fileError(target, error)
    })
    if (existing && !force) {
      throw new ChoraleError('usage', `${target} exists already: choose another with -o, or replace it with --force`)
    }
    if (existing && !existing.isFile() && !existing.isDirectory() && !existing.isSymbolicLink()) {
      throw new ChoraleError(
        'usage',
        `${target} is no file, and is not replaced: write to it with chorale cat CID > ${target}`,
      )
    }
    if (existing?.isDirectory() && `${process.cwd()}${sep}`.startsWith(`${target}${sep}`.replace(sep + sep, sep))) {
      throw new ChoraleError('usage', `${target} is where you are, and is not replaced: choose another with -o`)
    }
    const parent = await stat(dirname(target)).catch(() => undefined)
    if (!parent?.isDirectory())
      throw new ChoraleError('usage', `there is no directory ${dirname(target)}: make it first`)
    return new Landing(target, force)
  }

  private constructor(target: string, force: boolean) {
    this.target = target
    this.#force = force
    this.#draft = join(dirname(target), `.chorale-${process.pid}-${randomBytes(6).toString('hex')}.part`)
  }

  /** `path` is '' for the target itself. */
  async directory(path: string): Promise<void> {
    try {
      await mkdir(this.#place(path))
    } catch (error) {
      throw fileError(this.#shown(path), error)
    }
  }

  async file(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    let file: FileHandle | undefined
    try {
      file = await open(this.#place(path), 'wx')
      for await (const bytes of content) {
        for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten
      }
      if (path === '') await file.sync() // of many files each would take its time
    } catch (error) {
      throw fileError(this.#shown(path), error)
    } finally {
      await file?.close()
    }
  }

  /** It appears. */
  async finish(): Promise<void> {
    const { target } = this
    try {
      if ((await lstat(this.#draft)).isDirectory()) await this.#swapIn()
      else if (this.#force) {
        if ((await lstat(target).catch(() => undefined))?.isDirectory()) await this.#swapIn()
        else await rename(this.#draft, target)
      } else await link(this.#draft, target).catch((error) => this.#renamed(error)) // refuses what has come meanwhile
    } catch (error) {
      throw fileError(target, error)
    }
  }

  /** Some file systems have no second names. */
  async #renamed(error: unknown): Promise<void> {
    if (systemCode(error) === 'EEXIST') throw error
    await rename(this.#draft, this.target)
  }

  /** A directory takes the place of what is there, if that may go. */
  async #swapIn(): Promise<void> {
    const old = `${this.#draft}.old`
    if (this.#force) await rename(this.target, old).catch(() => {}) // maybe there is none
    await rename(this.#draft, this.target)
    await rm(old, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#draft, { recursive: true, force: true, maxRetries: 3 })
  }

  #place(path: string): string {
    // The node has checked it; whoever else might stand at that socket has not.
    const names = path === '' ? [] : path.split('/')
    if (names.some((name) => name === '' || name === '.' || name === '..' || name.includes(sep))) {
      throw new ChoraleError('usage', `the path ${JSON.stringify(path)} is refused: it leads elsewhere`)
    }
    return join(this.#draft, ...names)
  }

  #shown(path: string): string {
    return join(this.target, path)
  }
}

/** The name that something gets when nobody says another: the last of its path. */
export function defaultTarget(ref: string): string {
  const name = ref.split('/').filter(Boolean).at(-1) ?? ''
  if (name === '') throw new ChoraleError('usage', `${JSON.stringify(ref)} is not a CID: chorale add prints one`)
  if (name === '.' || name === '..' || basename(name) !== name) {
    throw new ChoraleError('usage', `${JSON.stringify(ref)} gives no name that is safe: say one with -o`)
  }
  return name
}

/** What the system said about a file, as one line. */
export function fileError(path: string, error: unknown): ChoraleError {
  if (error instanceof ChoraleError) return error
  const options = { cause: error }
  switch (systemCode(error)) {
    case 'ENOENT':
      return new ChoraleError('usage', `no such file or directory: ${path}`, options)
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new ChoraleError('usage', `${path}: permission denied`, options)
    case 'EEXIST':
    case 'ENOTEMPTY':
      return new ChoraleError(
        'usage',
        `${path} exists already: choose another with -o, or replace it with --force`,
        options,
      )
    case 'EISDIR':
    case 'ENOTDIR':
      return new ChoraleError(
        'usage',
        `${path}: ${systemCode(error) === 'EISDIR' ? 'is' : 'is in no'} directory`,
        options,
      )
    case 'ENOSPC':
    case 'EDQUOT':
      return new ChoraleError('io', `no space left for ${path}: free some, or choose another disk with -o`, options)
    default:
      return new ChoraleError('io', `${path}: ${errorMessage(error)}`, options)
  }
}
