/**
 * The attacker of the scenario `sybil`: it searches ids offline, looks around through members like any leaf, and joins
 * with what fits by the protocol, to which its nodes keep.
 */
import { ChoraleError } from '../../src/core/errors.ts'
import { between, type Key, plusPowerOfTwo } from '../../src/core/ids.ts'
import { ChordHost } from '../../src/dht/chord/host.ts'
import type { ChordSettings } from '../../src/dht/chord/member.ts'
import type { ChordNode } from '../../src/dht/chord/node.ts'
import { majority } from '../../src/market/sybil.ts'
import { type Contact, contactAt } from '../../src/net/contact.ts'
import { ipPrefix } from '../../src/net/ip.ts'
import { maskedIp } from '../../src/net/placement.ts'
import type { Cluster, SimNode } from '../cluster.ts'

/** Joins at a time, and looks around. */
const ABREAST = 16
const LOOKS_ABREAST = 128
/** It is patient: where nobody has a connection open yet, a lookup through a large ring takes seconds. */
const PATIENCE_MS = 60_000
/** Blocks /24 of 198.18.0.0/15 (RFC 2544): no honest host is there. */
const BLOCKS = 512

export interface Means {
  readonly ips: number
  /** Of each address. Under `ip-prefix` keys, which cost no more, and which it needs no port each for. */
  readonly ports: number
  /** Ids that it joins with in each of its arcs, under `ip-prefix`. */
  readonly crowd: number
}

export class Attacker {
  readonly #cluster: Cluster
  readonly #settings: Partial<ChordSettings>
  readonly #seeds: readonly Contact[]
  /** All that its addresses and ports can be, by id. */
  readonly #candidates: readonly Contact[]
  /** Those that it joins with. */
  readonly chosen = new Set<Contact>()
  /** Who counts as one: blocks of addresses; and how many masked addresses it has. */
  readonly parties: number
  readonly masked: number
  readonly #joined = new Set<string>()

  constructor(cluster: Cluster, { ips, ports, crowd }: Means, settings: Partial<ChordSettings>) {
    this.#cluster = cluster
    this.#settings = settings
    const { placement } = cluster.network.options
    const random = cluster.random.fork('attacker')
    this.#seeds = Array.from({ length: 3 }, () => cluster.pick(random)!.chord.self)
    const first = random.int(BLOCKS)
    const addresses = new Set<string>()
    while (addresses.size < ips) {
      const block = (first + addresses.size) % BLOCKS
      addresses.add(`198.${18 + (block >> 8)}.${block & 255}.${random.int(256)}`)
    }
    this.parties = new Set([...addresses].map(ipPrefix)).size
    this.masked = new Set([...addresses].map(maskedIp)).size
    this.#candidates = [...addresses]
      .flatMap((ip) =>
        Array.from({ length: ports }, (_, i) => {
          const address = { peer: `sybil ${ip}:${65_535 - i}`, ip, port: 65_535 - i, incarnation: 1 }
          return contactAt(address, 0, placement)
        }),
      )
      .sort((a, b) => (a.id < b.id ? -1 : 1))
    if (placement === 'ip-prefix') this.#crowd(crowd)
  }

  get identities(): number {
    return this.#joined.size
  }

  is(contact: Contact | undefined): boolean {
    return contact !== undefined && this.#joined.has(contact.peer)
  }

  /** So many in each arc, beyond the successor lists of those before it. */
  #crowd(each: number): void {
    const arcs = new Map<string, number>()
    for (const contact of this.#candidates) {
      const arc = `${maskedIp(contact.ip)} ${contact.id.slice(0, 6)}`
      const there = arcs.get(arc) ?? 0
      if (there < each) this.chosen.add(contact)
      arcs.set(arc, there + 1)
    }
  }

  /** Finds out through members where gaps end and who keeps the keys, and chooses what falls there. */
  async scout(gaps: readonly ChordNode[], keys: readonly Key[]): Promise<void> {
    const host = this.#cluster.network.host()
    const leaf = new ChordHost({ env: host.env, transport: host, slots: 0 })
    await leaf.join(this.#seeds)
    await abreast(gaps, LOOKS_ABREAST, async ({ self }) => {
      const { owner } = await leaf.lookup(plusPowerOfTwo(self.id, 0), { deadlineMs: PATIENCE_MS })
      // The last in the gap owns most of it.
      const last = this.#candidates.at(this.#place(owner.id) - 1)!
      if (between(self.id, last.id, owner.id)) this.chosen.add(last)
    })
    await abreast(keys, LOOKS_ABREAST, async (key) => {
      const { replicas } = await leaf.lookup(key, { group: true, deadlineMs: PATIENCE_MS })
      const needed = majority(replicas.length)
      const nearest = this.#after(key, needed)
      // Of the group as it will be, all but `needed` members may be honest: the attacker's must come before the next.
      const bound = replicas[replicas.length - needed]!.id
      if (nearest.length === needed && between(key, nearest[needed - 1]!.id, bound)) {
        for (const contact of nearest) this.chosen.add(contact)
      }
    })
    host.kill()
  }

  /** The first so many candidates clockwise from a key. */
  #after(key: Key, count: number): Contact[] {
    const all = this.#candidates
    const place = this.#place(key)
    return Array.from({ length: Math.min(count, all.length) }, (_, i) => all[(place + i) % all.length]!)
  }

  /** How many candidates are below a key. */
  #place(key: Key): number {
    let low = 0
    let high = this.#candidates.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#candidates[middle]!.id < key) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Joins with what was chosen, some at a time. Whom no member lets in stays out. */
  async join(): Promise<void> {
    await abreast([...this.chosen], ABREAST, (contact) => this.#join(contact))
  }

  async #join({ peer, ip, port, incarnation }: Contact): Promise<void> {
    const host = this.#cluster.network.host({ peer, ip, port, incarnation })
    const overlay = new ChordHost({ env: host.env, transport: host, settings: this.#settings })
    const node: SimNode = { host, overlay, chord: overlay.nodes[0]! }
    try {
      await overlay.join(this.#seeds)
    } catch (error) {
      if (!(error instanceof ChoraleError)) throw error
      host.kill()
      return
    }
    this.#joined.add(peer)
    this.#cluster.admit(node)
  }
}

/** All of them, so many at a time. */
async function abreast<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items]
  const some = async () => {
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await work(next)
  }
  await Promise.all(Array.from({ length: width }, some))
}
