/**
 * Looks around for `sybil-report.ts`: by lookups of random keys, of the places of the ledger's bankers, and of what this
 * node keeps alive. Some dozens of messages; who does not answer is left out, and counted.
 */
import type { Env } from '../core/env.ts'
import { errorCode } from '../core/errors.ts'
import { hashKey, type Key } from '../core/ids.ts'
import type { Overlay } from '../dht/overlay.ts'
import { inParallel } from '../dht/store/rounds.ts'
import type { Contact } from '../net/contact.ts'
import type { Placement } from '../net/placement.ts'
import type { PublicKey } from './ledger/keys.ts'
import type { Sample } from './sybil.ts'
import type { Survey, Surveyed } from './sybil-report.ts'

/** Random keys at most, and things of this node's own. */
const MOST_RANDOM = 24
const MOST_MINE = 16
/** Of the members that there are, samples take no more than this share: they must not overlap. */
const SAMPLED_SHARE = 1 / 3
const ABREAST = 8
const LOOKUP_MS = 5_000

export interface SurveyPorts {
  readonly env: Env
  readonly overlay: Pick<Overlay, 'lookup' | 'self'>
  readonly placement: Placement
  readonly copies: number
  readonly replicas: number
  readonly seatCap: number
  /** All members, where this host knows them all. */
  counted(): number | undefined
  /** Who is around this host's overlay nodes. */
  near(): readonly Surveyed[]
  /** The share of the space around the key that the contact lies at the edge of. */
  shareTo(key: Key, contact: Contact): number
  /** Hosts that decide now, and this host. */
  committee(): readonly PublicKey[]
  readonly host: PublicKey
  find(host: PublicKey): Promise<Contact | undefined>
  /** Of what this node keeps alive. */
  keys(): ReadonlyArray<{ readonly name: string; readonly key: Key }>
}

/** Rejects only with what the signal aborts with. */
export async function survey(ports: SurveyPorts, { signal }: { signal?: AbortSignal | undefined }): Promise<Survey> {
  const { env, overlay, placement, copies, replicas, seatCap, host } = ports
  let unanswered = 0
  const look = async (name: string, key: Key, first: number): Promise<Surveyed | undefined> => {
    try {
      const { replicas: members } = await overlay.lookup(key, { group: true, deadlineMs: LOOKUP_MS, signal })
      return { name, members, sample: sampleOf(ports, key, members, first) }
    } catch (error) {
      signal?.throwIfAborted()
      if (errorCode(error) === 'internal') throw error
      unanswered++
      return undefined
    }
  }
  const counted = ports.counted()
  const near = ports.near()
  const wanted = counted === undefined ? randomKeys(env, near, replicas) : []
  const random = await all(wanted, (key) => look('a random key', key, 0))
  const mine = await all(ports.keys().slice(0, MOST_MINE), ({ name, key }) => look(name, key, 0))
  const committee = ports.committee()
  const seats = await all(committee, async (banker) => {
    const at = await ports.find(banker)
    // At its own id the banker itself is first: the others are what may crowd around it.
    const around = at && (await look(`banker ${banker.slice(0, 8)}`, at.id, 1))
    return { at, around }
  })
  const seated = committee.includes(host)
  return {
    placement,
    copies,
    replicas,
    seatCap,
    self: overlay.self,
    counted,
    near,
    random,
    mine,
    seats,
    seated,
    unanswered,
  }
}

/** As many as fit into the network without overlapping, as far as can be told from here. */
function randomKeys(env: Env, near: readonly Surveyed[], replicas: number): Key[] {
  const local = near.flatMap(({ sample }) => sample ?? [])
  const found = local.reduce((sum, { members }) => sum + members, 0)
  const share = local.reduce((sum, each) => sum + each.share, 0)
  const room = share > 0 ? (SAMPLED_SHARE * found) / share / replicas : MOST_RANDOM
  const count = Math.max(1, Math.min(MOST_RANDOM, Math.floor(room)))
  return Array.from({ length: count }, () => hashKey(env.random.bytes(32)))
}

/** Without the first so many members, who are where they are because of the key. */
function sampleOf(ports: SurveyPorts, key: Key, members: readonly Contact[], first: number): Sample | undefined {
  const shares = members.slice(first).map((contact) => ports.shareTo(key, contact))
  return shares.length === 0 ? undefined : { members: shares.length, share: Math.max(...shares) }
}

/** What comes of each, in their order, a few at a time. */
async function all<T, R>(items: readonly T[], work: (item: T) => Promise<R | undefined>): Promise<R[]> {
  const out: (R | undefined)[] = new Array(items.length)
  await inParallel([...items.entries()], ABREAST, async ([index, item]) => {
    out[index] = await work(item)
  })
  return out.filter((each) => each !== undefined)
}
