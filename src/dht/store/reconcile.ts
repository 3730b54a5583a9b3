/**
 * What repair decides, without messages: whom a register belongs to, with whom to compare what, and how sets of
 * registers are compared. Two nodes compare what one of them owns and the other replicates, as a tree of digests over
 * places: equal sets cost one small message, a single difference costs a path. Nothing assumes that regions are
 * intervals: a node's share of the tree is simply a set of places.
 */
import { hashKey, type Key } from '../../core/ids.ts'
import type { Contact } from '../../net/contact.ts'
import { BUCKETS, type Copy, type OwnerSide } from './messages.ts'
import { copyOf, type Entry } from './table.ts'

/** The hosts of a replica group, owner first: two virtual nodes of one host are one copy. */
export function groupHosts(replicas: readonly Contact[], size: number): Contact[] {
  const hosts: Contact[] = []
  for (const contact of replicas) {
    if (hosts.length === size) break
    if (!hosts.some((host) => host.peer === contact.peer)) hosts.push(contact)
  }
  return hosts
}

/** One comparison: everything that this node and the peer share in these roles. */
export interface Share {
  readonly peer: Contact
  /** Whose keys they are: `asker` is this node. */
  readonly owner: OwnerSide
}

export interface RepairPlan {
  readonly shares: readonly Share[]
  /** What this node holds without being of the group, as far as it can see. */
  readonly strays: readonly Entry[]
}

/** An owner compares with its replicas, a replica with the owner. */
export function planRepair(
  entries: Iterable<Entry>,
  groupOf: (key: Key) => readonly Contact[],
  self: string,
): RepairPlan {
  const shares = new Map<string, Share>()
  const strays: Entry[] = []
  const add = (peer: Contact, owner: OwnerSide) => shares.set(`${owner} ${peer.peer}`, { peer, owner })
  for (const entry of entries) {
    const group = groupOf(entry.key)
    const at = group.findIndex((host) => host.peer === self)
    if (at < 0) strays.push(entry)
    else if (at > 0) add(group[0] as Contact, 'asked')
    else for (const host of group.slice(1)) add(host, 'asker')
  }
  return { shares: [...shares.values()], strays }
}

/** What `owner` owns and `replica` replicates of the entries, sorted by place. */
export function sharedEntries(
  entries: Iterable<Entry>,
  groupOf: (key: Key) => readonly Contact[],
  owner: string,
  replica: string,
): Entry[] {
  const shared: Entry[] = []
  for (const entry of entries) {
    const group = groupOf(entry.key)
    if (group[0]?.peer === owner && group.some((host) => host.peer === replica)) shared.push(entry)
  }
  return shared.sort((a, b) => (a.place < b.place ? -1 : 1))
}

/** Anything that is held and compared by name and content. */
export interface Item {
  /** Spread evenly, whatever the keys are. */
  readonly place: string
  /** Equal for equal content. */
  readonly digest: string
}

/** The items in each part below a prefix of `depth` digits. They all start with that prefix. */
export function buckets<I extends Item>(entries: readonly I[], depth: number): I[][] {
  const parts: I[][] = Array.from({ length: BUCKETS }, () => [])
  for (const entry of entries) parts[Number.parseInt(entry.place.charAt(depth), 16)]?.push(entry)
  return parts
}

/** 128 bits over items, in the order in which both sides sort them; empty text: none. */
export function bucketDigest(entries: readonly Item[]): string {
  if (entries.length === 0) return ''
  return hashKey(entries.map((entry) => entry.place + entry.digest).join('')).slice(0, 32)
}

export function bucketDigests(entries: readonly Item[], depth: number): string[] {
  return buckets(entries, depth).map(bucketDigest)
}

/** Digits at which two nodes of the digest tree differ. */
export function differing(a: readonly string[], b: readonly string[]): number[] {
  const digits: number[] = []
  for (let digit = 0; digit < BUCKETS; digit++) if (a[digit] !== b[digit]) digits.push(digit)
  return digits
}

/** As many entries as one message may carry: always one, then up to both caps. */
export function batch(
  entries: readonly Entry[],
  caps: { count: number; bytes: number },
  nowMs: number,
): { copies: Copy[]; rest: readonly Entry[] } {
  let bytes = 0
  let end = 0
  for (const entry of entries) {
    bytes += entry.sizeBytes + COPY_OVERHEAD_BYTES
    if (end > 0 && (end >= caps.count || bytes > caps.bytes)) break
    end++
  }
  return { copies: entries.slice(0, end).map((entry) => copyOf(entry, nowMs)), rest: entries.slice(end) }
}

/** What a copy adds to its value on the wire: key, kind, age, field names. */
const COPY_OVERHEAD_BYTES = 200
