/**
 * Mergeable registers (DESIGN 6): small replicated state with a commutative, idempotent merge, kept by the replica
 * group of its key. The port; the implementation is in `dht/store/registers.ts`.
 */
import type { TSchema } from 'typebox'
import type { Key } from '../core/ids.ts'

export interface RegisterKind<T> {
  /** On the wire; unique. */
  readonly name: string
  readonly schema: TSchema
  /** Commutative, associative, idempotent, pure. Must not change its arguments. */
  merge(a: T, b: T): T
  /** Milliseconds after the last change until a replica forgets it. */
  readonly expiresAfterMs: number
  /** By the value's own account: milliseconds since the epoch when replicas forget it even earlier. Pure. */
  expiresAtMs?(value: T): number
  /** May a value that came from the network be merged? For signatures and bounds beyond the schema. */
  admit?(key: Key, value: T): boolean
}

export interface RegisterOptions {
  signal?: AbortSignal | undefined
  deadlineMs?: number | undefined
}

export interface Registers {
  define<T>(kind: RegisterKind<T>): void
  /**
   * Merges a value into the register at its owner, which spreads it over the replica group. Resolves with the merged
   * value once a majority of the group has it.
   */
  update<T>(kind: RegisterKind<T>, key: Key, value: T, options?: RegisterOptions): Promise<T>
  /** The owner's value; a new owner asks its replicas before it says `undefined`. */
  read<T>(kind: RegisterKind<T>, key: Key, options?: RegisterOptions): Promise<T | undefined>
  /** What this node holds, if it is of the replica group. No messages. */
  local<T>(kind: RegisterKind<T>, key: Key): T | undefined
  /** Every register of the kind that this node holds. */
  entries<T>(kind: RegisterKind<T>): Iterable<[Key, T]>
  /** A register that this node holds has changed, by whatever way. Returns the removal. */
  onUpdate<T>(kind: RegisterKind<T>, handler: (key: Key, value: T) => void): () => void
}
