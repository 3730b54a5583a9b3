/**
 * Scenario `sybil`: an attacker on a ring of the real nodes (Rosen, Levin and Bourgeois 2014; PAPERS 7). It looks
 * around through members like any leaf, searches ports offline whose ids fall where it wants them, and joins with
 * these by the protocol: one into each of the chosen gaps (`mash`), or enough after each of the chosen keys to have
 * most of its replica group (`eclipse`). Its nodes keep to the protocol; what they could take is counted from outside,
 * as honest members see it. One port after the other is one id after the other: placement `ip-port`, as the nodes have
 * it.
 */
import { ChoraleError } from '../../src/core/errors.ts'
import { arcShare, between, hashKey, type Key, plusPowerOfTwo } from '../../src/core/ids.ts'
import { shuffled } from '../../src/core/random.ts'
import { ChordHost } from '../../src/dht/chord/host.ts'
import { DEFAULT_CHORD } from '../../src/dht/chord/member.ts'
import type { ChordNode } from '../../src/dht/chord/node.ts'
import { EPHEMERAL_PORTS, gapHitGiven, groupCaptured, majority } from '../../src/market/sybil.ts'
import { type Address, type Contact, contactAt } from '../../src/net/contact.ts'
import { outOfOrder } from '../checkers.ts'
import { Cluster, type SimNode } from '../cluster.ts'

export const ATTACKS = ['mash', 'eclipse'] as const

export interface SybilOptions {
  /** Honest members. */
  nodes: number
  /** Addresses of the attacker. */
  ips: number
  /** Ports of each that it tries, the highest. */
  ports: number
  attack: (typeof ATTACKS)[number]
  /** Gaps, at most all of them, or keys that it wants. */
  targets: number
  /** Lookups of random keys, by honest members, when it is in. */
  lookups: number
  seed: number
}

export const SYBIL_DEFAULTS: SybilOptions = {
  nodes: 1000,
  ips: 1,
  ports: EPHEMERAL_PORTS,
  attack: 'mash',
  targets: 200,
  lookups: 2000,
  seed: 1,
}

/** Ids that are searched, in all: they are kept in memory. */
export const MAX_TRIED = 2 ** 20

export interface SybilResult {
  nodes: number
  /** With which the attacker joined. */
  identities: number
  gapsTried: number
  /** Whose honest node at the beginning has the attacker for its successor. */
  gapsHit: number
  /** By the formula, for gaps as long as these. */
  gapsExpected: number
  keysTried: number
  /** In whose replica group, as an honest member finds it, most are the attacker's. */
  keysCaptured: number
  /** By the formula. */
  keysExpected: number
  /** Chosen keys that the attacker owns. */
  keysOwned: number
  /** Of random keys: all, those whose owner is the attacker, and those without an answer. */
  lookups: number
  lookupsCaptured: number
  lookupsFailed: number
  /** Stabilization periods until the ring was ideal again; null: it was not. */
  idealAfterPeriods: number | null
  events: number
  digest: string
}

const PERIOD_MS = DEFAULT_CHORD.periodMs
const MAX_QUIET_PERIODS = 60
/** Joins at a time. */
const ABREAST = 16

export async function runSybil(
  options: SybilOptions,
  onProgress: (line: string) => void = () => {},
): Promise<SybilResult> {
  if (options.ips * options.ports > MAX_TRIED) {
    throw new ChoraleError(
      'usage',
      `--ips times --ports is more than the ${MAX_TRIED} ids that can be searched at once`,
    )
  }
  const cluster = new Cluster({ seed: options.seed })
  const { schedule } = cluster
  cluster.start(options.nodes)
  const honest = [...cluster.nodes]
  await schedule.run(2 * PERIOD_MS)

  const attacker = new Attacker(cluster, options)
  const victims = shuffled(
    honest.map(({ chord }) => chord),
    cluster.random.fork('victims'),
  )
  const gaps = options.attack === 'mash' ? victims.slice(0, options.targets) : []
  const wanted = Array.from({ length: options.attack === 'eclipse' ? options.targets : 0 }, (_, i) =>
    hashKey(`${options.seed}/wanted/${i}`),
  )
  const gapsExpected = gaps.reduce((sum, { self, member }) => {
    return sum + gapHitGiven(arcShare(self.id, member.state.succ[0]!.id), options.ips * options.ports)
  }, 0)
  onProgress(`${options.nodes} honest members; the attacker looks around`)
  await schedule.until(attacker.scout(gaps, wanted))
  onProgress(`${attacker.chosen.size} ids found where they are wanted, of ${options.ips * options.ports} tried`)
  await schedule.until(attacker.join())
  const idealAfterPeriods = await settled(cluster, onProgress)

  const askers = cluster.random.fork('askers')
  const look = async (key: Key) => {
    const asker = honest[askers.int(honest.length)]!
    try {
      const { owner, replicas } = await asker.overlay.lookup(key, { group: true })
      return { owned: attacker.is(owner), taken: replicas.filter((c) => attacker.is(c)).length, of: replicas.length }
    } catch (error) {
      if (!(error instanceof ChoraleError)) throw error
      return undefined
    }
  }
  const groups = await schedule.until(Promise.all(wanted.map(look)))
  const keys = Array.from({ length: options.lookups }, (_, i) => hashKey(`${options.seed}/any/${i}`))
  const answers = await schedule.until(Promise.all(keys.map(look)))
  const { replicas } = DEFAULT_CHORD
  const tried = options.ips * options.ports
  const captured = groupCaptured(options.nodes, tried, Math.min(replicas, options.nodes), majority(replicas))
  const result = {
    nodes: options.nodes,
    identities: attacker.identities,
    gapsTried: gaps.length,
    gapsHit: gaps.filter(({ member }) => attacker.is(member.state.succ[0])).length,
    gapsExpected: round(gapsExpected),
    keysTried: wanted.length,
    keysCaptured: groups.filter((group) => group && group.taken >= majority(group.of)).length,
    keysExpected: round(wanted.length * captured),
    keysOwned: groups.filter((group) => group?.owned).length,
    lookups: answers.length,
    lookupsCaptured: answers.filter((answer) => answer?.owned).length,
    lookupsFailed: answers.filter((answer) => answer === undefined).length,
    idealAfterPeriods,
  }
  for (const count of [result.gapsHit, result.keysCaptured, result.lookupsCaptured]) schedule.fold(count)
  return { ...result, events: schedule.events, digest: schedule.digest }
}

/** Stabilization periods until every list is right. */
async function settled(cluster: Cluster, onProgress: (line: string) => void): Promise<number | null> {
  for (let period = 0; period <= MAX_QUIET_PERIODS; period++) {
    const wrong = outOfOrder(cluster)
    onProgress(`${period} periods after the attack: ${wrong} of ${cluster.sorted().length} members not in order`)
    if (wrong === 0) return period
    await cluster.schedule.run(cluster.schedule.nowMs + PERIOD_MS)
  }
  return null
}

class Attacker {
  readonly #cluster: Cluster
  readonly #seeds: readonly Contact[]
  /** All that its addresses and ports can be, by id. */
  readonly #candidates: readonly Contact[]
  /** Those that it joins with. */
  readonly chosen = new Set<Contact>()
  readonly #joined = new Set<string>()

  constructor(cluster: Cluster, { ips, ports }: SybilOptions) {
    this.#cluster = cluster
    const random = cluster.random.fork('attacker')
    this.#seeds = Array.from({ length: 3 }, () => cluster.pick(random)!.chord.self)
    const addresses = new Set<string>()
    // RFC 2544: no honest host is there.
    while (addresses.size < ips) addresses.add(`198.${18 + random.int(2)}.${random.int(256)}.${random.int(256)}`)
    const at = (ip: string, port: number): Address => ({ peer: `sybil ${ip}:${port}`, ip, port, incarnation: 1 })
    this.#candidates = [...addresses]
      .flatMap((ip) => Array.from({ length: ports }, (_, i) => contactAt(at(ip, 65_535 - i), 0)))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  get identities(): number {
    return this.#joined.size
  }

  is(contact: Contact | undefined): boolean {
    return contact !== undefined && this.#joined.has(contact.peer)
  }

  /** Finds out through members where gaps end and who keeps the keys, and chooses what falls there. */
  async scout(gaps: readonly ChordNode[], keys: readonly Key[]): Promise<void> {
    const host = this.#cluster.network.host()
    const leaf = new ChordHost({ env: host.env, transport: host, slots: 0 })
    await leaf.join(this.#seeds)
    for (const { self } of gaps) {
      const { owner } = await leaf.lookup(plusPowerOfTwo(self.id, 0))
      // The last in the gap owns most of it.
      const last = this.#candidates.at(this.#place(owner.id) - 1)!
      if (between(self.id, last.id, owner.id)) this.chosen.add(last)
    }
    for (const key of keys) {
      const { replicas } = await leaf.lookup(key, { group: true })
      const needed = majority(replicas.length)
      const nearest = this.#after(key, needed)
      // Of the group as it will be, all but `needed` members may be honest: the attacker's must come before the next.
      const bound = replicas[replicas.length - needed]!.id
      if (nearest.length === needed && between(key, nearest[needed - 1]!.id, bound)) {
        for (const contact of nearest) this.chosen.add(contact)
      }
    }
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
    const waiting = [...this.chosen]
    const some = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) await this.#join(next)
    }
    await Promise.all(Array.from({ length: ABREAST }, some))
  }

  async #join({ peer, ip, port, incarnation }: Contact): Promise<void> {
    const host = this.#cluster.network.host({ peer, ip, port, incarnation })
    const overlay = new ChordHost({ env: host.env, transport: host })
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

function round(value: number): number {
  return Math.round(value * 100) / 100
}
