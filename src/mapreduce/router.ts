/**
 * Dispatch along fingers (DESIGN 7; ChordReduce, PAPERS 3). A node groups the segments that it is handed by next hop and sends
 * each group on in one message; what it owns it keeps. No node needs to know who else is there. Nothing is repeated
 * here: a bundle that gets lost is asked for again by the owner of the parent.
 */
import { errorCode } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import type { Contact } from '../net/contact.ts'
import { type Cover, coverOf, decodeCover, encodeCover, indicesOf, rangeCover } from './cover.ts'
import type { JobsHost } from './host.ts'
import { type LiveJob, placeKey } from './job-table.ts'
import { JobDispatch, JobEnd, MAX_BUNDLE_HOPS } from './messages.ts'
import { hasSegment, segmentCount } from './segments.ts'
import { segmentKey } from './spec.ts'

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
      const cover = decodeCover(message.cover, message.segments)
      if (message.hops < MAX_BUNDLE_HOPS) {
        void this.#spread(cover, new Set(), message.hops, (index) => segmentKey(message.job, 1, index), {
          mine: () => {},
          send: (to, part, hops) => this.#host.ask(to, JobEnd, { ...message, cover: encodeCover(part), hops }),
        })
      }
      onEnd(message.job)
      return {}
    })
  }

  /** Sends segments on their way to their owners; never rejects. */
  dispatch(job: LiveJob, cover: Cover, bundle: Bundle): Promise<void> {
    return this.#spread(cover, new Set(), bundle.hops, (index) => placeKey(job, bundle.level, index), {
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

  /** Tells everybody who may have a part in it that a job is over. */
  end(id: string, segments: number): Promise<void> {
    return this.#spread(rangeCover(0, segments), new Set(), 0, (index) => segmentKey(id, 1, index), {
      mine: () => {},
      send: (to, part, hops) => this.#host.ask(to, JobEnd, { job: id, cover: encodeCover(part), segments, hops }),
    })
  }

  async #spread(
    cover: Cover,
    avoid: ReadonlySet<Key>,
    hops: number,
    keyOf: (index: number) => Key,
    ways: { mine: (indices: number[]) => void; send: (to: Contact, part: Cover, hops: number) => Promise<unknown> },
  ): Promise<void> {
    const groups = await this.#group(cover, avoid, keyOf)
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
