/**
 * A disk for vote logs, which are only written at their end: quick for long ones. A write takes no time and a sync a few
 * milliseconds; when the power goes meanwhile, what was not synced is kept up to any byte, or not at all.
 */
import type { Env, Random } from '../../src/core/env.ts'
import type { DiskFile, DiskFs } from '../../src/dht/store/disk/fs.ts'

const SYNC_MS = 5

interface LogFile {
  /** In order; the first `synced` of them are safe. */
  parts: Uint8Array[]
  synced: number
  sizeBytes: number
}

export class LogDisk implements DiskFs {
  readonly #env: Env
  readonly #files: Map<string, LogFile>

  /** The disk of one life of a host. */
  constructor(env: Env, files: ReadonlyMap<string, Uint8Array> = new Map()) {
    this.#env = env
    this.#files = new Map([...files].map(([path, bytes]) => [path, fileOf(bytes)]))
  }

  /** What is found after the power was cut. */
  left(random: Random): Map<string, Uint8Array> {
    return new Map(
      [...this.#files].map(([path, { parts, synced }]) => {
        const safe = Buffer.concat(parts.slice(0, synced))
        const unsafe = Buffer.concat(parts.slice(synced))
        return [path, Buffer.concat([safe, unsafe.subarray(0, random.int(unsafe.length + 1))])]
      }),
    )
  }

  async makeDirectory(): Promise<void> {}

  async list(path: string): Promise<string[]> {
    return [...this.#files.keys()]
      .filter((name) => name.startsWith(`${path}/`))
      .map((name) => name.slice(path.length + 1))
  }

  async create(path: string): Promise<DiskFile> {
    if (this.#files.has(path)) throw failure('EEXIST')
    const file = fileOf(new Uint8Array())
    this.#files.set(path, file)
    return this.#open(file)
  }

  async open(path: string): Promise<DiskFile> {
    const file = this.#files.get(path)
    if (!file) throw failure('ENOENT')
    return this.#open(file)
  }

  async remove(path: string): Promise<void> {
    if (!this.#files.delete(path)) throw failure('ENOENT')
  }

  async syncDirectory(): Promise<void> {}

  async lock(): Promise<() => void> {
    return () => {}
  }

  async breathe(): Promise<void> {}

  #open(file: LogFile): DiskFile {
    return {
      get sizeBytes() {
        return file.sizeBytes
      },
      read: async (at, bytes) => new Uint8Array(Buffer.concat(file.parts).subarray(at, at + bytes)),
      write: async (at, parts) => {
        if (at !== file.sizeBytes) throw failure('EINVAL')
        const bytes = Buffer.concat(parts)
        file.parts.push(bytes)
        file.sizeBytes += bytes.length
      },
      truncate: async (sizeBytes) => {
        const whole = Buffer.concat(file.parts)
        Object.assign(file, fileOf(whole.subarray(0, sizeBytes)))
      },
      sync: async () => {
        const { length } = file.parts
        await this.#env.clock.sleep(this.#env.random.int(SYNC_MS))
        file.synced = Math.max(file.synced, length)
      },
      close: async () => {},
    }
  }
}

function fileOf(bytes: Uint8Array): LogFile {
  return { parts: [bytes], synced: 1, sizeBytes: bytes.length }
}

function failure(code: string): Error {
  return Object.assign(new Error(code), { code })
}
