/**
 * An overlay that knows: a sorted list of who is up, instead of ring maintenance. For long runs of what stands above the
 * overlay, where maintenance would be nearly all of the events. A change is seen by the hosts near it after `LAG_MS`, as a
 * ring with a stabilization period of a second would show it; lookups cost one exchange's time and are right.
 */
import { ChoraleError } from '../src/core/errors.ts'
import { inArc, type Key, plusPowerOfTwo } from '../src/core/ids.ts'
import type { LookupOptions, Overlay, Regions, Route } from '../src/dht/overlay.ts'
import type { Contact } from '../src/net/contact.ts'
import type { SimHost } from './network.ts'

const LAG_MS = 2_000
const LOOKUP_MS = 100
/** Places on either side of a change whose hosts hear of it: as far as successor and predecessor lists reach. */
const REACH = 4

type Arc = Key | 'all' | 'nothing'

export class OracleRing {
  readonly replicas: number
  /** Do hosts have long peers too? Else only those on either side are their neighbours. */
  readonly fingers: boolean
  /** Who is up, sorted by id. */
  readonly #ids: Key[] = []
  readonly #members: OracleOverlay[] = []
  /** The index that was asked for last. */
  #last = 0
  /** Replica groups by the index of their owner, as far as somebody has asked since the last change. */
  #groups: (readonly Contact[])[] = []
  /** Grows with every change. */
  version = 0

  constructor(replicas: number, { fingers = false } = {}) {
    this.replicas = replicas
    this.fingers = fingers
  }

  get size(): number {
    return this.#ids.length
  }

  /** Index of the first member at or after a key, modulo the size. */
  at(key: Key): number {
    const ids = this.#ids
    // Many questions in a row are about keys of one owner.
    const last = this.#last
    if (last > 0 && last < ids.length && ids[last - 1]! < key && key <= ids[last]!) return last
    return (this.#last = this.#find(key))
  }

  #find(key: Key): number {
    let low = 0
    let high = this.#ids.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ids[middle]! < key) low = middle + 1
      else high = middle
    }
    return low === this.#ids.length ? 0 : low
  }

  member(index: number): OracleOverlay {
    const size = this.#members.length
    return this.#members[((index % size) + size) % size]!
  }

  indexOf(overlay: OracleOverlay): number {
    const index = this.at(overlay.self.id)
    return this.#members[index] === overlay ? index : -1
  }

  /** The replica group of a key, owner first. */
  group(key: Key): readonly Contact[] {
    const first = this.at(key)
    const count = Math.min(this.replicas, this.size)
    return (this.#groups[first] ??= Array.from({ length: count }, (_, step) => this.member(first + step).self))
  }

  enter(overlay: OracleOverlay): void {
    const { id } = overlay.self
    let index = this.#ids.findIndex((other) => other > id)
    if (index < 0) index = this.#ids.length
    this.#ids.splice(index, 0, id)
    this.#members.splice(index, 0, overlay)
    this.#tell(index)
  }

  remove(overlay: OracleOverlay): void {
    const index = this.indexOf(overlay)
    if (index < 0) return
    this.#ids.splice(index, 1)
    this.#members.splice(index, 1)
    this.#tell(index)
  }

  #tell(index: number): void {
    this.version++
    this.#groups = []
    for (let step = -REACH; step <= REACH && this.size > 0; step++) this.member(index + step).changed()
  }
}

export class OracleOverlay implements Overlay {
  readonly self: Contact
  readonly #ring: OracleRing
  readonly #host: SimHost
  readonly #handlers = new Set<() => void>()
  #telling = false
  /** What this host owns, and what it keeps replicas of: from one id, excluded, to its own. Of one version of the ring. */
  #arcs: { version: number; owned: Arc; kept: Arc } = { version: -1, owned: 'nothing', kept: 'nothing' }

  #long: { version: number; contacts: readonly Contact[] } = { version: -1, contacts: [] }

  constructor(ring: OracleRing, host: SimHost) {
    this.#ring = ring
    this.#host = host
    this.self = host.contact()
  }

  async join(): Promise<void> {
    this.#ring.enter(this)
  }

  async leave(): Promise<void> {
    this.#ring.remove(this)
  }

  async lookup(key: Key, { signal }: LookupOptions = {}): Promise<Route> {
    await this.#host.env.clock.sleep(LOOKUP_MS, { signal })
    if (this.#ring.size === 0) throw new ChoraleError('no-route', 'nobody is up')
    const replicas = this.replicas(key)
    return { owner: replicas[0]!, replicas, hops: 1 }
  }

  owns(key: Key): boolean {
    return this.#within(this.#seen().owned, key)
  }

  replicas(key: Key): readonly Contact[] {
    return this.#ring.group(key)
  }

  holdsReplica(key: Key): boolean {
    return this.#within(this.#seen().kept, key)
  }

  #seen() {
    if (this.#arcs.version === this.#ring.version) return this.#arcs
    const { version, replicas, size } = this.#ring
    const index = this.#ring.indexOf(this)
    const arc = (width: number): Arc =>
      index < 0 ? 'nothing' : width >= size ? 'all' : this.#ring.member(index - width).self.id
    return (this.#arcs = { version, owned: arc(1), kept: arc(replicas) })
  }

  #within(arc: Arc, key: Key): boolean {
    return arc === 'all' || (arc !== 'nothing' && inArc(arc, key, this.self.id))
  }

  nextHop(key: Key): Contact | undefined {
    return this.owns(key) ? undefined : this.replicas(key)[0]
  }

  regions(): Regions {
    const { replicas } = this.#ring
    const index = this.#ring.indexOf(this)
    if (index < 0) return { owned: '', kept: '' }
    const before = Array.from({ length: replicas }, (_, step) => this.#ring.member(index - 1 - step).self)
    const names = before.map(({ id, incarnation }) => `${id} ${incarnation}`)
    return { owned: before[0]!.id, kept: names.join() }
  }

  neighbours(): readonly Contact[] {
    const index = this.#ring.at(this.self.id)
    const near = this.#ring.fingers ? [1, 2, 3, 4, -1] : [-4, -3, -2, -1, 1, 2, 3, 4]
    const contacts = new Set(near.map((step) => this.#ring.member(index + step).self))
    if (this.#ring.fingers) for (const contact of this.#fingers()) contacts.add(contact)
    return [...contacts].filter((c) => c !== this.self)
  }

  /** The owners of the points at half the circle, a quarter, and so on, as far as they are not all the next host. */
  #fingers(): readonly Contact[] {
    if (this.#long.version === this.#ring.version) return this.#long.contacts
    const contacts: Contact[] = []
    const next = this.#ring.member(this.#ring.at(this.self.id) + 1).self
    for (let bit = 255; bit >= 0; bit--) {
      const finger = this.#ring.group(plusPowerOfTwo(this.self.id, bit))[0]!
      if (finger === next) break
      contacts.push(finger)
    }
    this.#long = { version: this.#ring.version, contacts }
    return contacts
  }

  onChange(handler: () => void): () => void {
    this.#handlers.add(handler)
    return () => this.#handlers.delete(handler)
  }

  changed(): void {
    if (this.#telling) return
    this.#telling = true
    this.#host.env.clock.timer(LAG_MS, () => {
      this.#telling = false
      for (const handler of [...this.#handlers]) handler()
    })
  }
}
