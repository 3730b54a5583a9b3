/**
 * Keeps what there is to see of a run, from the run's own events: members that come and go, lookups hop by hop as the
 * simulated network carries them, and the links of a sample of nodes as they are from time to time. It only listens: the
 * run is the same with it and without. Memory is bounded: the more is kept already, the more rarely it looks.
 */
import type { Key } from '../../src/core/ids.ts'
import type { Exchange } from '../exchange.ts'
import type { SimNetwork } from '../network.ts'
import {
  HOP,
  type Links,
  LONGEST_LOOKUP_MS,
  type Lookup,
  OUTCOMES,
  type Outcome,
  type Run,
  rowsBefore,
  type Shape,
} from './run.ts'

/** What a recorder sees of a cluster, of whatever overlay. */
export interface World {
  readonly shape: Shape
  /** Of the space; two of them are drawn. */
  readonly dimensions: number
  readonly network: SimNetwork
  /** Ids of the members now. */
  members(): Iterable<Key>
  /** Calls for each overlay node that comes to be a member, or dies. */
  follow(joined: (id: Key) => void, died: (id: Key) => void): void
  /** Where an id, or a key, lies in what is drawn; see `Run.points`. */
  pointOf(key: Key): readonly number[]
  /** Whom a member lists: neighbours that make the topology, and shortcuts. */
  linksOf(id: Key): { short: readonly Key[]; long: readonly Key[] } | undefined
  /** The key of a message that is a step of a lookup. */
  keyOf(kind: string, message: unknown): Key | undefined
}

/** At once, about: members whose links are kept, and pauses between two looks and between two lookups that are kept. */
const LINKED_NODES = 250
const LOOK_MS = 1000
const LOOKUP_MS = 5
/** Counters are noted so often. */
const COUNT_MS = 100
/** Numbers to be kept of links and of hops. A page grows by some 4 bytes for each. */
const LINK_NUMBERS = 250_000
const LOOKUP_NUMBERS = 400_000
/** Members that are drawn, dead and alive; those that come later are only counted. */
const STAYS = 200_000

/** Room that is never used up: the pauses grow as it gets less. */
class Room {
  readonly #size: number
  #used = 0
  #nextMs = 0

  constructor(size: number) {
    this.#size = size
  }

  isDue(nowMs: number): boolean {
    return nowMs >= this.#nextMs
  }

  use(numbers: number): void {
    this.#used += numbers
  }

  /** For so long, as long as there is much room. */
  pause(nowMs: number, pauseMs: number): void {
    this.#nextMs = nowMs + (pauseMs * this.#size) / Math.max(this.#size - this.#used, 1)
  }
}

export class Recorder {
  readonly run: Run
  #world: World | undefined
  readonly #numbers = new Map<Key, number>()
  /** Members, each with its row. */
  readonly #here = new Map<Key, Run['stays'][number]>()
  readonly #asked = new Map<Key, Lookup>()
  readonly #lastLinks = new Map<number, Links>()
  readonly #linkRoom = new Room(LINK_NUMBERS)
  readonly #lookupRoom = new Room(LOOKUP_NUMBERS)
  readonly #countRoom = new Room(LINK_NUMBERS)
  #joined = 0
  #died = 0
  #lookups = 0
  #wrong = 0
  #failed = 0
  /** Called between events, about as often as something may have changed. */
  onLook: ((nowMs: number) => void) | undefined

  constructor(command: string) {
    const none = { ids: [], points: [], stays: [], links: [], lookups: [], counts: [], phases: [] }
    this.run = { shape: 'ring', dimensions: 1, command, ...none, linksOfEach: 1, endMs: 0 }
  }

  /** From now on; those who are members already were so from the start. */
  follow(world: World): void {
    this.#world = world
    for (const id of world.members()) this.#arrived(id)
    this.run.linksOfEach = Math.ceil(this.run.stays.length / LINKED_NODES) || 1
    this.run.shape = world.shape
    this.run.dimensions = world.dimensions
    world.follow(
      (id) => {
        this.#joined++
        this.#arrived(id)
      },
      (id) => this.#departed(id),
    )
    world.network.onSend = (exchange, arrivesAtMs) => this.#sent(exchange, arrivesAtMs)
    world.network.schedule.watch(COUNT_MS / 2, () => this.#look())
    this.#look()
  }

  /** What the run does from now on, for people. */
  phase(text: string): void {
    this.run.phases.push([this.#nowMs, text])
  }

  asked(key: Key, asker: Key): void {
    const now = this.#nowMs
    if (!this.#lookupRoom.isDue(now)) return
    const row: Lookup = [now, -1, 0, this.#numberOf(asker), [...this.#pointOf(key)], []]
    this.#lookupRoom.use(lookupNumbers(row))
    this.#lookupRoom.pause(now, LOOKUP_MS)
    this.#asked.set(key, row)
    this.run.lookups.push(row)
  }

  answered(key: Key, outcome: Exclude<Outcome, 'open'>): void {
    this.#lookups++
    if (outcome === 'wrong') this.#wrong++
    if (outcome === 'failed') this.#failed++
    const row = this.#asked.get(key)
    if (row === undefined) return
    this.#asked.delete(key)
    row[1] = this.#nowMs
    row[2] = OUTCOMES.indexOf(outcome)
  }

  /** The run is over. False: it never began. */
  end(): boolean {
    if (this.#world === undefined) return false
    this.#count()
    this.run.endMs = this.#nowMs
    return true
  }

  /** Drops what was over before, and has its room again. */
  forget(beforeMs: number): void {
    const { lookups, links, counts, stays } = this.run
    for (const row of lookups.splice(0, rowsBefore(lookups, beforeMs))) this.#lookupRoom.use(-lookupNumbers(row))
    for (const row of links.splice(0, rowsBefore(links, beforeMs))) this.#linkRoom.use(-linkNumbers(row))
    for (const row of counts.splice(0, rowsBefore(counts, beforeMs) - 1)) this.#countRoom.use(-row.length)
    const gone = stays.findIndex(([, , toMs]) => toMs >= 0 && toMs < beforeMs)
    if (gone >= 0) stays.splice(gone, 1)
  }

  get #nowMs(): number {
    return Math.round(this.#world?.network.schedule.nowMs ?? 0)
  }

  #pointOf(key: Key): readonly number[] {
    return this.#world!.pointOf(key).map((x) => Math.round(x * 1e5) / 1e5)
  }

  #numberOf(id: Key): number {
    let number = this.#numbers.get(id)
    if (number === undefined) {
      number = this.run.ids.push(id.slice(0, 8)) - 1
      this.run.points.push(this.#pointOf(id))
      this.#numbers.set(id, number)
    }
    return number
  }

  #arrived(id: Key): void {
    if (this.run.stays.length >= STAYS) return
    const row: Run['stays'][number] = [this.#numberOf(id), this.#nowMs, -1]
    this.#here.set(id, row)
    this.run.stays.push(row)
  }

  #departed(id: Key): void {
    this.#died++
    const row = this.#here.get(id)
    if (row === undefined) return
    row[2] = this.#nowMs
    this.#here.delete(id)
    this.#lastLinks.delete(row[0])
  }

  #sent({ from, to, kind, message, slot }: Exchange, arrivesAtMs: number | undefined): void {
    const key = this.#world!.keyOf(kind.name, message)
    const row = key && this.#asked.get(key)
    if (!row) return
    const now = this.#nowMs
    const arrives = arrivesAtMs === undefined ? -1 : Math.round(arrivesAtMs) - row[0]
    row[5].push(this.#numberOf(from.contact(slot).id), this.#numberOf(to.id), now - row[0], arrives)
    this.#lookupRoom.use(HOP)
  }

  #look(): void {
    const now = this.#nowMs
    if (this.#countRoom.isDue(now)) {
      this.#count()
      // Those whose asker has died.
      for (const [key, row] of this.#asked) if (now - row[0] > LONGEST_LOOKUP_MS) this.#asked.delete(key)
    }
    if (this.#linkRoom.isDue(now)) this.#lookAtLinks(now)
    this.onLook?.(now)
  }

  #count(): void {
    const now = this.#nowMs
    const { counts } = this.run
    const figures = [this.#joined, this.#died, this.#lookups, this.#wrong, this.#failed] as const
    const last = counts[counts.length - 1]
    if (last !== undefined && figures.every((figure, i) => figure === last[i + 1])) return
    counts.push([now, ...figures])
    this.#countRoom.use(1 + figures.length)
    this.#countRoom.pause(now, COUNT_MS)
  }

  #lookAtLinks(now: number): void {
    let kept = 0
    for (const [id, [node]] of this.#here) {
      if (node % this.run.linksOfEach !== 0) continue
      const links = this.#world!.linksOf(id)
      if (links === undefined) continue
      const row: Links = [
        now,
        node,
        links.short.map((k) => this.#numberOf(k)),
        links.long.map((k) => this.#numberOf(k)),
      ]
      const last = this.#lastLinks.get(node)
      if (last !== undefined && same(last[2], row[2]) && same(last[3], row[3])) continue
      this.#lastLinks.set(node, row)
      this.run.links.push(row)
      kept += linkNumbers(row)
    }
    this.#linkRoom.use(kept)
    this.#linkRoom.pause(now, LOOK_MS)
  }
}

function lookupNumbers([, , , , target, hops]: Lookup): number {
  return 4 + target.length + hops.length
}

function linkNumbers([, , short, long]: Links): number {
  return 2 + short.length + long.length
}

function same(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((x, i) => x === b[i])
}
