/**
 * The port of an overlay: who owns a key, how to get there. Chord and VHash are both one; storage and jobs know only
 * this. Nothing here assumes that an owner's region is an interval.
 */
import type { Key } from '../core/ids.ts'
import type { Contact } from '../net/contact.ts'

/** Where a lookup ended. */
export interface Route {
  /** Confirmed by the owner itself. */
  readonly owner: Contact
  /** The replica group, owner first, when it was asked for; else the owner alone. */
  readonly replicas: readonly Contact[]
  /** Messages forwarded on the way, the question to the owner included; 0 when this node is the owner. */
  readonly hops: number
}

export interface LookupOptions {
  signal?: AbortSignal | undefined
  /** Milliseconds for the whole lookup. Default 5,000. */
  deadlineMs?: number | undefined
  /** Bring the replica group too: it makes the answer larger. */
  group?: boolean | undefined
  /** Do not use the cache of contacts seen lately: shortcuts of the topology only. */
  noCache?: boolean | undefined
}

/** Texts to compare, nothing else: what has the same text is as it was. */
export interface Regions {
  /** The keys that this node owns. */
  readonly owned: string
  /** The keys that it owns, those that it keeps replicas of, and who owns which of them. */
  readonly kept: string
}

export interface JoinOptions {
  signal?: AbortSignal | undefined
  /** When no seed lets it in within a few seconds it founds a network of one, which meets theirs later. Default: rejects. */
  orFound?: boolean | undefined
}

export interface Overlay {
  /** This node; undefined for a leaf, which has no place in the overlay. */
  readonly self: Contact | undefined
  /** Enters through the first seed that answers; no seeds, or only itself: founds a network of one. */
  join(seeds: readonly Contact[], options?: JoinOptions): Promise<void>
  /** Hands over and goes. */
  leave(): Promise<void>
  /** Rejects with `no-route`, `timeout` or `aborted`. */
  lookup(key: Key, options?: LookupOptions): Promise<Route>
  owns(key: Key): boolean
  /** The replica group of a key as this node sees it, owner first; exact when this node owns the key. */
  replicas(key: Key): readonly Contact[]
  /** Does this node belong to the key's replica group, as far as it can see? */
  holdsReplica(key: Key): boolean
  /**
   * The neighbour that is closer to the key's owner; undefined: this node is it. `avoid` names nodes that were tried.
   * Purely local.
   */
  nextHop(key: Key, avoid?: ReadonlySet<Key>): Contact | undefined
  /** So that whoever keeps much need not look at all of it after every change. */
  regions(): Regions
  /** Short peers and long peers. */
  neighbours(): readonly Contact[]
  /** Ownership or the replica group may have changed. Returns the removal. */
  onChange(handler: () => void): () => void
}
