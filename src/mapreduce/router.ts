/**
 * Dispatch along fingers (DESIGN 7; ChordReduce, PAPERS 3). A node groups the segments that it is handed by next hop and sends
 * each group on in one message; what it owns it keeps. No node needs to know who else is there. Nothing is repeated
 * here: a bundle that gets lost is asked for again by the owner of the parent.
 */
import { errorCode, errorMessage } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import type { Contact } from '../net/contact.ts'
import { type Cover, coverOf, decodeCover, encodeCover, indicesOf, rangeCover } from './cover.ts'
import type { JobsHost } from './host.ts'
import { type LiveJob, needsFile, placeKey } from './job-table.ts'
import { JobDispatch, JobEnd, MAX_BUNDLE_HOPS } from './messages.ts'
import { hasSegment, segmentCount } from './segments.ts'
import { jobKey, parseSpec, segmentKey } from './spec.ts'

export interface Bundle {
  readonly level: number
  readonly fresh: boolean
  readonly handover: boolean
  readonly hops: number
}

/** Next hops that are tried for one group. */
const MAX_TRIES = 6
/** Keys hashed in one go: 8,192 take about 10 ms. */
const KEYS_PER_TURN = 8_192

interface Groups {
  readonly mine: number[]
  readonly hops: ReadonlyArray<{ readonly contact: Contact; readonly indices: number[] }>
}

export class Router {
  readonly #host: JobsHost
  readonly #accept: (job: LiveJob, indices: number[], bundle: Bundle) => void

  constructor(host: JobsHost, accept: (job: LiveJob, indices: number[], bundle: Bundle) => void) {
    this.#host = host
    this.#accept = accept
  }

  start(onEnd: (job: string) => void): void {
    this.#host.handle(JobDispatch, (message) => {
      const job = this.#host.table.open(message.job, message.spec)
      if (job === 'need') return { need: true as const }
      if (job === 'ended') return { ended: true as const }
      const { level, fresh, handover, hops } = message
      if (level < 1 || !hasSegment(job.tree, level, 0)) return {}
      const cover = decodeCover(message.cover, segmentCount(job.tree, level))
      if (handover) this.#accept(job, [...indicesOf(cover)], { level, fresh, handover, hops })
      else void this.dispatch(job, cover, { level, fresh, handover: false, hops })
      return {}
    })
    this.#host.handle(JobEnd, (message) => {
      const { job: id, spec, segments, hops } = message
      const cover = decodeCover(message.cover, segments)
      if (hops < MAX_BUNDLE_HOPS) void this.#end(id, spec, cover, segments, hops)
      // Whoever coordinates a pass ends it: what others say of it is not believed.
      const job = this.#host.table.live.get(id)
      if (!job || !this.#host.overlay.owns(jobKey(job.root))) onEnd(id)
      return {}
    })
  }

  /** Sends segments on their way to their owners; never rejects. */
  async dispatch(job: LiveJob, cover: Cover, bundle: Bundle): Promise<void> {
    if (bundle.level === 1 && !(await this.#ready(job))) return
    await this.#spread(cover, new Set(), bundle.hops, (index) => placeKey(job, bundle.level, index), {
      mine: (indices) => this.#accept(job, indices, bundle),
      send: (to, part, hops) =>
        this.#host.askAbout(job, to, JobDispatch, { job: job.id, ...bundle, cover: encodeCover(part), hops }),
    })
  }

  /** To one node that will own them soon, whatever the overlay says now. */
  handOver(job: LiveJob, to: Contact, cover: Cover, level: number): Promise<unknown> {
    const bundle = { level, fresh: false, handover: true, hops: 0 }
    return this.#host.askAbout(job, to, JobDispatch, { job: job.id, ...bundle, cover: encodeCover(cover) })
  }

  /** Tells everybody who may have a part in it that a pass is over; never rejects. */
  end(job: LiveJob): Promise<void> {
    const segments = segmentCount(job.tree, 1)
    return this.#end(job.id, needsFile(job.spec) ? job.specBytes : undefined, rangeCover(0, segments), segments, 0)
  }

  async #end(id: string, spec: Uint8Array | undefined, cover: Cover, segments: number, hops: number): Promise<void> {
    let keyOf: (index: number) => Key = (index) => segmentKey(id, 1, index)
    try {
      const input = spec && parseSpec(id, spec).input
      const file = input && (await this.#host.store.file(input.cid))
      if (file && file.blocks === input.blocks) keyOf = (index) => file.keyOf(index * input.taskBlocks)
    } catch (error) {
      this.#host.log.debug('the end of a job is not passed on', { job: id, reason: errorMessage(error) })
      return // who is not told will ask
    }
    await this.#spread(cover, new Set(), hops, keyOf, {
      mine: () => {},
      send: (to, part, on) =>
        this.#host.ask(to, JobEnd, { job: id, ...(spec && { spec }), cover: encodeCover(part), segments, hops: on }),
    })
  }

  async #ready(job: LiveJob): Promise<boolean> {
    try {
      await this.#host.ready(job)
      return true
    } catch (error) {
      this.#host.counters.lostBundles++
      this.#host.log.debug('the input of a job was not found', { job: job.id, reason: errorMessage(error) })
      return false
    }
  }

  async #spread(
    cover: Cover,
    avoid: ReadonlySet<Key>,
    hops: number,
    keyOf: (index: number) => Key,
    ways: { mine: (indices: number[]) => void; send: (to: Contact, part: Cover, hops: number) => Promise<unknown> },
  ): Promise<void> {
    let groups: Groups
    try {
      groups = await this.#group(cover, avoid, keyOf)
    } catch (error) {
      this.#host.counters.lostBundles++
      this.#host.log.debug('a bundle makes no sense', { reason: errorMessage(error) })
      return
    }
    if (groups.mine.length > 0) ways.mine(groups.mine)
    if (groups.hops.length > 0 && hops >= MAX_BUNDLE_HOPS) {
      this.#host.counters.lostBundles++
      return
    }
    await Promise.all(
      groups.hops.map(async ({ contact, indices }) => {
        try {
          await ways.send(contact, coverOf(indices), hops + 1)
        } catch (error) {
          if (this.#host.signal.aborted) return
          if (avoid.size + 1 >= MAX_TRIES || errorCode(error) === 'bad-message') {
            this.#host.counters.lostBundles++
            return
          }
          await this.#spread(coverOf(indices), new Set([...avoid, contact.id]), hops, keyOf, ways)
        }
      }),
    )
  }

  async #group(cover: Cover, avoid: ReadonlySet<Key>, keyOf: (index: number) => Key): Promise<Groups> {
    const { overlay, env, signal } = this.#host
    const mine: number[] = []
    const hops = new Map<Key, { contact: Contact; indices: number[] }>()
    let count = 0
    for (const index of indicesOf(cover)) {
      if (++count % KEYS_PER_TURN === 0) await env.clock.sleep(0, { signal }).catch(() => {})
      const key = keyOf(index)
      const contact = overlay.owns(key) ? undefined : overlay.nextHop(key, avoid)
      if (!contact || this.#host.isSelf(contact)) {
        mine.push(index)
        continue
      }
      const group = hops.get(contact.id)
      if (group) group.indices.push(index)
      else hops.set(contact.id, { contact, indices: [index] })
    }
    return { mine, hops: [...hops.values()] }
  }
}
