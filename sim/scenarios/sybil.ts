/**
 * Scenario `sybil`: an attacker on a ring of the real nodes (Rosen, Levin and Bourgeois 2014; PAPERS 7). It looks
 * around through members like any leaf, searches ids offline that fall where it wants them, and joins with these by the
 * protocol: one into each of the chosen gaps (`mash`), or enough after each of the chosen keys to have most of its
 * replica group (`eclipse`). Its nodes keep to the protocol; what they could take is counted from outside, as honest
 * members see it. Under placement `ip-port` one port after the other is one id after the other; under `ip-prefix` its ids
 * lie in eight arcs per address, which it fills with crowds.
 */
import { ChoraleError } from '../../src/core/errors.ts'
import { arcShare, hashKey, type Key } from '../../src/core/ids.ts'
import { seededRandom, shuffled } from '../../src/core/random.ts'
import { DEFAULT_CHORD } from '../../src/dht/chord/member.ts'
import { EPHEMERAL_PORTS, gapHitByPrefix, gapHitGiven, majority } from '../../src/market/sybil.ts'
import type { Placement } from '../../src/net/placement.ts'
import { outOfOrder } from '../checkers.ts'
import { Cluster } from '../cluster.ts'
import { Attacker } from './sybil-attacker.ts'
import { compareDefences, type Defences, expectedShare, type Scene, trueGroup } from './sybil-defences.ts'

export const ATTACKS = ['mash', 'eclipse'] as const

export interface SybilOptions {
  /** Honest members. */
  nodes: number
  /** Addresses of the attacker. */
  ips: number
  /** Ports of each that it tries, the highest; under `ip-prefix` keys. */
  ports: number
  /** Of the network. */
  placement: Placement
  /** Ids that the attacker joins with in each of its arcs, under `ip-prefix`. */
  crowd: number
  /** Length of successor lists. */
  successors: number
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
  placement: 'ip-port',
  crowd: 32,
  successors: DEFAULT_CHORD.successors,
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
  /** Groups that honest members find otherwise than they truly are. */
  groupsWrong: number
  /** For chosen keys: what each defence is worth. */
  defences: Defences[]
  /** Random keys where the density test raises an alarm. */
  alarms: number
  /** Stabilization periods until the ring was ideal again; null: it was not. */
  idealAfterPeriods: number | null
  events: number
  digest: string
}

const PERIOD_MS = DEFAULT_CHORD.periodMs
const MAX_QUIET_PERIODS = 60

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
  const { placement, successors } = options
  const settings = { successors }
  const cluster = new Cluster({ seed: options.seed, placement, settings, ipOf: (n) => publicIp(options.seed, n) })
  const { schedule } = cluster
  cluster.start(options.nodes)
  const honest = [...cluster.nodes]
  await schedule.run(2 * PERIOD_MS)

  const attacker = new Attacker(cluster, options, settings)
  const victims = shuffled(
    honest.map(({ chord }) => chord),
    cluster.random.fork('victims'),
  )
  const gaps = options.attack === 'mash' ? victims.slice(0, options.targets) : []
  const wanted = Array.from({ length: options.attack === 'eclipse' ? options.targets : 0 }, (_, i) =>
    hashKey(`${options.seed}/wanted/${i}`),
  )
  const tried = options.ips * options.ports
  const gapsExpected = gaps.reduce((sum, { self, member }) => {
    const size = arcShare(self.id, member.state.succ[0]!.id)
    return sum + (placement === 'ip-port' ? gapHitGiven(size, tried) : gapHitByPrefix(options.nodes, attacker.masked))
  }, 0)
  onProgress(`${options.nodes} honest members; the attacker looks around`)
  await schedule.until(attacker.scout(gaps, wanted))
  onProgress(`${attacker.chosen.size} ids found where they are wanted, of ${tried} tried`)
  await schedule.until(attacker.join())
  const idealAfterPeriods = await settled(cluster, onProgress)
  // Until those before a crowd have looked past it once more.
  await schedule.run(schedule.nowMs + 6 * PERIOD_MS)

  const askers = cluster.random.fork('askers')
  const look = async (key: Key) => {
    const asker = honest[askers.int(honest.length)]!
    try {
      const { owner, replicas } = await asker.overlay.lookup(key, { group: true })
      const ids = replicas.map(({ id }) => id)
      const taken = replicas.filter((c) => attacker.is(c)).length
      return { key, ids, owned: attacker.is(owner), taken, of: replicas.length }
    } catch (error) {
      if (!(error instanceof ChoraleError)) throw error
      return undefined
    }
  }
  const groups = await schedule.until(Promise.all(wanted.map(look)))
  const keys = Array.from({ length: options.lookups }, (_, i) => hashKey(`${options.seed}/any/${i}`))
  const answers = await schedule.until(Promise.all(keys.map(look)))
  const scene: Scene = {
    ring: cluster.sorted().map(({ self }) => self),
    placement,
    replicas: DEFAULT_CHORD.replicas,
    successors,
    isAttacker: (contact) => attacker.is(contact),
  }
  const isParties = placement === 'ip-prefix'
  const odds = { honest: options.nodes, tried, masked: attacker.masked, parties: attacker.parties }
  const { rows, alarms } = compareDefences(scene, wanted, keys, odds)
  const isWrong = ({ key, ids }: { key: Key; ids: readonly Key[] }) =>
    `${trueGroup(scene, key, isParties).map(({ id }) => id)}` !== `${ids}`
  const result = {
    nodes: options.nodes,
    identities: attacker.identities,
    gapsTried: gaps.length,
    gapsHit: gaps.filter(({ member }) => attacker.is(member.state.succ[0])).length,
    gapsExpected: round(gapsExpected),
    keysTried: wanted.length,
    keysCaptured: groups.filter((group) => group && group.taken >= majority(group.of)).length,
    keysExpected: round(wanted.length * expectedShare(scene, isParties, odds)),
    keysOwned: groups.filter((group) => group?.owned).length,
    lookups: answers.length,
    lookupsCaptured: answers.filter((answer) => answer?.owned).length,
    lookupsFailed: answers.filter((answer) => answer === undefined).length,
    groupsWrong: [...groups, ...answers].filter((group) => group !== undefined && isWrong(group)).length,
    defences: wanted.length > 0 ? rows : [],
    alarms,
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

function round(value: number): number {
  return Math.round(value * 100) / 100
}

/** Of honest hosts: all over IPv4, but for the blocks of the attacker. */
function publicIp(seed: number, number: number): string {
  const random = seededRandom(`${seed}/ip/${number}`)
  for (;;) {
    const ip = [1 + random.int(223), random.int(256), random.int(256), random.int(256)]
    if (ip[0] !== 198 || (ip[1] !== 18 && ip[1] !== 19)) return ip.join('.')
  }
}
