/** The end of the log: the one place of the disk store that writes blocks. One call at a time. */
import { join } from 'node:path/posix'
import type { Logger, Random } from '../../../core/env.ts'
import { errorMessage } from '../../../core/errors.ts'
import { type Catalog, Segment } from './catalog.ts'
import type { DiskFs } from './fs.ts'
import { MARKER_BYTES } from './record.ts'
import { seal, segmentName } from './recovery.ts'
import type { Plan } from './wish.ts'

export interface LogOptions {
  readonly dir: string
  readonly fs: DiskFs
  readonly random: Random
  readonly log: Logger
}

export class SegmentLog {
  readonly #options: LogOptions
  readonly #catalog: Catalog
  readonly #segmentBytes: number
  #nextNumber: number
  /** What is written to. Undefined: the next write makes a new segment. */
  #active: Segment | undefined

  constructor(options: LogOptions, catalog: Catalog, segmentBytes: number, nextNumber: number) {
    this.#options = options
    this.#catalog = catalog
    this.#segmentBytes = segmentBytes
    this.#nextNumber = nextNumber
  }

  /** Those that nobody writes to any more, in order of number. */
  closed(): Segment[] {
    return [...this.#catalog.segments()].filter((segment) => segment !== this.#active)
  }

  /** Writes, syncs, and only then tells the catalogue. Rejects with nothing of it in the log. */
  async append(plans: readonly Plan[]): Promise<void> {
    const segment = this.#active ?? (await this.#newSegment())
    const applied: (() => void)[] = []
    const parts: Uint8Array[] = []
    let at = segment.endBytes
    for (const plan of plans) {
      if (!plan.parts) continue
      const startsAt = at
      for (const part of plan.parts(segment)) {
        parts.push(part)
        at += part.length
      }
      applied.push(() => plan.applied?.(segment, startsAt))
    }
    let written = false
    try {
      await segment.file.write(segment.endBytes, parts)
      written = true
      await segment.file.sync()
    } catch (error) {
      await this.#retreat(segment, written)
      throw error
    }
    segment.endBytes = at
    for (const apply of applied) apply()
    if (segment.endBytes < this.#segmentBytes) return
    await seal(segment, this.#options.log)
    this.#active = undefined
  }

  async #newSegment(): Promise<Segment> {
    const { fs, dir, random } = this.#options
    const marker = random.bytes(MARKER_BYTES)
    const number = this.#nextNumber++
    const name = segmentName(number, marker)
    const file = await fs.create(join(dir, name))
    try {
      await fs.syncDirectory(dir)
    } catch (error) {
      await file.close().catch(() => {})
      await fs.remove(join(dir, name)).catch(() => {})
      throw error
    }
    const segment = new Segment(number, name, marker, file)
    this.#active = segment // in the turn that it is added: an empty segment that nobody writes to is cleared
    this.#catalog.addSegment(segment)
    return segment
  }

  /**
   * Takes a failed write back. Once a sync has failed, the kernel may take the lost pages for clean: nothing after the
   * last good sync is trusted, and the log goes on in a new segment.
   */
  async #retreat(segment: Segment, syncFailed: boolean): Promise<void> {
    try {
      await segment.file.truncate(segment.endBytes)
      if (!syncFailed) return
    } catch (error) {
      this.#options.log.warn('cannot take a failed write back', { error: errorMessage(error) })
    }
    this.#active = undefined
  }

  async close(): Promise<void> {
    if (this.#active) await seal(this.#active, this.#options.log)
    this.#active = undefined
    for (const { file } of this.#catalog.segments()) await file.close().catch(() => {})
  }
}
