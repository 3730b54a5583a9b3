/**
 * A disk in memory that fails on purpose. At a power cut, of what was not synced any part is kept: any of the writes, in
 * any order, each torn at any sector; any of the names made or removed.
 */
import type { Random } from '../src/core/env.ts'
import type { DiskFile, DiskFs } from '../src/dht/store/disk/fs.ts'

export type Operation =
  | 'create'
  | 'open'
  | 'list'
  | 'read'
  | 'write'
  | 'truncate'
  | 'sync'
  | 'remove'
  | 'sync-directory'
/** What happens at an operation. `power`: it and all after it fail, and `reboot` shows what is left. */
export type Fault = 'power' | 'ENOSPC' | 'EIO' | undefined
export type Faults = (number: number, operation: Operation) => Fault

type Change = { readonly at: number; readonly bytes: Uint8Array } | { readonly sizeBytes: number }

interface Inode {
  synced: Uint8Array
  now: Uint8Array
  changes: Change[]
}

interface Naming {
  readonly path: string
  /** Undefined: removed. */
  readonly inode: Inode | undefined
}

/** As small as the records of the tests, so that they are torn inside. */
const SECTOR_BYTES = 32

export class CrashDisk implements DiskFs {
  faults: Faults = () => undefined
  /** Operations that change the disk, so far. */
  count = 0
  readonly made: Operation[] = []
  /** A disk that lies. */
  syncs = true
  readonly #names: Map<string, Inode>
  readonly #syncedNames: Map<string, Inode>
  #namings: Naming[] = []
  readonly #locked = new Set<string>()
  #off = false

  constructor(files: ReadonlyMap<string, Uint8Array> = new Map()) {
    const inodes = [...files].map(([path, bytes]): [string, Inode] => [
      path,
      { synced: bytes, now: bytes, changes: [] },
    ])
    this.#names = new Map(inodes)
    this.#syncedNames = new Map(inodes)
  }

  get off(): boolean {
    return this.#off
  }

  files(): Map<string, Uint8Array> {
    return new Map([...this.#names].map(([path, { now }]) => [path, now]))
  }

  /** The disk after the power cut. */
  reboot(random: Random, keep: 'nothing' | 'everything' | 'some'): CrashDisk {
    const kept = () => keep === 'everything' || (keep === 'some' && random.int(2) === 0)
    const names = new Map(this.#syncedNames)
    for (const { path, inode } of this.#namings) {
      if (!kept()) continue
      if (inode) names.set(path, inode)
      else names.delete(path)
    }
    const files = [...names].map(([path, { synced, changes }]): [string, Uint8Array] => {
      let bytes = synced
      for (const change of changes) {
        if ('sizeBytes' in change) {
          if (kept()) bytes = resized(bytes, change.sizeBytes)
          continue
        }
        if (keep === 'everything') bytes = written(bytes, change.at, change.bytes)
        else if (keep === 'some' && random.int(4) > 0) bytes = torn(bytes, change.at, change.bytes, random)
      }
      return [path, bytes]
    })
    return new CrashDisk(new Map(files))
  }

  #step(operation: Operation): Fault {
    const reads = operation === 'read' || operation === 'list' || operation === 'open'
    if (!reads) {
      this.count++
      this.made.push(operation)
    }
    if (this.#off) throw failure('EIO')
    const fault = this.faults(this.count, operation)
    if (fault === 'power') this.#off = true
    return fault
  }

  async #do(operation: Operation): Promise<void> {
    await Promise.resolve()
    const fault = this.#step(operation)
    if (fault) throw failure(fault)
  }

  async makeDirectory(): Promise<void> {}

  async list(path: string): Promise<string[]> {
    await this.#do('list')
    return [...this.#names.keys()]
      .filter((name) => name.startsWith(`${path}/`))
      .map((name) => name.slice(path.length + 1))
  }

  async create(path: string): Promise<DiskFile> {
    await this.#do('create')
    if (this.#names.has(path)) throw failure('EEXIST')
    const inode: Inode = { synced: new Uint8Array(0), now: new Uint8Array(0), changes: [] }
    this.#names.set(path, inode)
    this.#namings.push({ path, inode })
    return this.#file(inode)
  }

  async open(path: string): Promise<DiskFile> {
    await this.#do('open')
    const inode = this.#names.get(path)
    if (!inode) throw failure('ENOENT')
    return this.#file(inode)
  }

  async remove(path: string): Promise<void> {
    await this.#do('remove')
    if (!this.#names.has(path)) throw failure('ENOENT')
    this.#names.delete(path)
    this.#namings.push({ path, inode: undefined })
  }

  async syncDirectory(): Promise<void> {
    await this.#do('sync-directory')
    for (const { path, inode } of this.#namings) {
      if (inode) this.#syncedNames.set(path, inode)
      else this.#syncedNames.delete(path)
    }
    this.#namings = []
  }

  async lock(path: string): Promise<(() => void) | undefined> {
    if (this.#locked.has(path)) return undefined
    this.#locked.add(path)
    return () => this.#locked.delete(path)
  }

  async breathe(): Promise<void> {}

  #file(inode: Inode): DiskFile {
    const change = (made: Change) => {
      inode.changes.push(made)
      inode.now = 'sizeBytes' in made ? resized(inode.now, made.sizeBytes) : written(inode.now, made.at, made.bytes)
    }
    return {
      get sizeBytes() {
        return inode.now.length
      },
      read: async (at, bytes) => {
        await this.#do('read')
        return inode.now.slice(at, at + bytes)
      },
      write: async (at, parts) => {
        await Promise.resolve()
        const bytes = new Uint8Array(Buffer.concat(parts))
        const fault = this.#step('write')
        if (fault) {
          // It comes as far as it comes.
          change({ at, bytes: fault === 'power' ? bytes : bytes.subarray(0, bytes.length >> 1) })
          throw failure(fault)
        }
        change({ at, bytes })
      },
      truncate: async (sizeBytes) => {
        await this.#do('truncate')
        change({ sizeBytes })
      },
      sync: async () => {
        await this.#do('sync')
        if (!this.syncs) return
        inode.synced = inode.now
        inode.changes = []
      },
      close: async () => {},
    }
  }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code: code === 'power' ? 'EIO' : code })
}

function resized(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  const out = new Uint8Array(sizeBytes)
  out.set(bytes.subarray(0, sizeBytes))
  return out
}

function written(bytes: Uint8Array, at: number, more: Uint8Array): Uint8Array {
  const out = resized(bytes, Math.max(bytes.length, at + more.length))
  out.set(more, at)
  return out
}

/** Some sectors of a write; the length may have grown for those that are missing. */
function torn(bytes: Uint8Array, at: number, more: Uint8Array, random: Random): Uint8Array {
  let out = bytes
  const prefixOnly = random.int(2) === 0
  const until = prefixOnly ? random.int(more.length + 1) : more.length
  for (let from = 0; from < until; ) {
    const to = Math.min(until, from + SECTOR_BYTES - ((at + from) % SECTOR_BYTES))
    if (prefixOnly || random.int(2) === 0) out = written(out, at + from, more.subarray(from, to))
    from = to
  }
  return out
}
