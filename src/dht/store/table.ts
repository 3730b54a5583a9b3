/**
 * The registers that this node holds: merge, digests, caps and expiry. Synchronous, and sends nothing; the procedures
 * are in `registers.ts` and `repair.ts`. An entry is immutable: a merge that changes something replaces it.
 */
import { decode, encode } from '../../core/cbor.ts'
import { type Checker, checker } from '../../core/codec.ts'
import { ChoraleError, type ErrorCode, invariant } from '../../core/errors.ts'
import { Emitter } from '../../core/events.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import { MAX_REGISTER_BYTES, MAX_REGISTERS, MAX_REGISTERS_BYTES } from '../../core/limits.ts'
import type { RegisterKind } from '../registers.ts'
import type { Copy } from './messages.ts'

export interface Entry {
  /** Hash of kind and key: a name that is spread evenly, whatever the keys are. */
  readonly place: Key
  readonly kind: string
  readonly key: Key
  /** Deeply frozen plain data. */
  readonly value: unknown
  /** SHA-256 of the value's canonical encoding. */
  readonly digest: Key
  readonly sizeBytes: number
  /** By this node's clock. */
  readonly changedAtMs: number
}

export type Merged =
  /** `incoming` is the digest of the value that came, `entry` what is held now. */
  | { readonly accepted: true; readonly changed: boolean; readonly incoming: Key; readonly entry: Entry }
  | { readonly accepted: false; readonly code: ErrorCode; readonly reason: string }

interface Kind {
  readonly kind: RegisterKind<unknown>
  readonly checker: Checker<unknown>
}

export interface TableCaps {
  readonly registers: number
  readonly bytes: number
}

/** Counters of what was refused. */
export const REFUSALS = ['unknownKind', 'badValue', 'notAdmitted', 'tooBig', 'full'] as const
export type Refusal = (typeof REFUSALS)[number]

const REFUSAL_CODES: Record<Refusal, ErrorCode> = {
  unknownKind: 'unsupported',
  badValue: 'bad-message',
  notAdmitted: 'auth',
  tooBig: 'limit',
  full: 'limit',
}

export function placeOf(kind: string, key: Key): Key {
  return hashKey(`${kind}|${key}`)
}

export class RegisterTable {
  readonly refused: Record<Refusal, number> = { unknownKind: 0, badValue: 0, notAdmitted: 0, tooBig: 0, full: 0 }
  readonly #kinds = new Map<string, Kind>()
  readonly #entries = new Map<Key, Entry>()
  readonly #events = new Emitter<Record<string, Entry>>()
  readonly #caps: TableCaps
  #bytes = 0

  constructor(caps: TableCaps = { registers: MAX_REGISTERS, bytes: MAX_REGISTERS_BYTES }) {
    this.#caps = caps
  }

  get size(): number {
    return this.#entries.size
  }

  get bytes(): number {
    return this.#bytes
  }

  define(kind: RegisterKind<unknown>): void {
    invariant(!this.#kinds.has(kind.name), `the register kind ${kind.name} is defined once`)
    this.#kinds.set(kind.name, { kind, checker: checker(kind.schema) as Checker<unknown> })
  }

  knows(kind: string): boolean {
    return this.#kinds.has(kind)
  }

  /** `undefined` when it is not held or has expired. */
  get(place: Key, nowMs: number): Entry | undefined {
    const entry = this.#entries.get(place)
    return entry && !this.#expired(entry, nowMs) ? entry : undefined
  }

  entries(): Iterable<Entry> {
    return this.#entries.values()
  }

  /** Checks a value as one from the network, wherever it came from, and merges it. */
  merge(copy: Copy, nowMs: number): Merged {
    const known = this.#kinds.get(copy.kind)
    if (!known) return this.#refuse('unknownKind', `no register kind ${copy.kind}`)
    const { kind } = known
    if (!known.checker.check(copy.value)) return this.#refuse('badValue', `not a value of ${copy.kind}`)
    const encoded = tryEncode(copy.value)
    if (!encoded) return this.#refuse('badValue', `a value of ${copy.kind} that dag-cbor cannot hold`)
    if (encoded.byteLength > MAX_REGISTER_BYTES) return this.#refuse('tooBig', tooBig(copy.kind, encoded))
    const incoming = hashKey(encoded)
    const place = placeOf(copy.kind, copy.key)
    const old = this.get(place, nowMs)
    if (old?.digest === incoming) return { accepted: true, changed: false, incoming, entry: old }
    if (kind.admit && !kind.admit(copy.key, copy.value)) {
      return this.#refuse('notAdmitted', `a value of ${copy.kind} that is not admitted`)
    }

    let changedAtMs = nowMs - copy.ageMs
    if (!old && copy.ageMs >= kind.expiresAfterMs) return this.#refuse('badValue', `an expired ${copy.kind}`)
    let { value } = copy
    let bytes = encoded
    if (old) {
      value = kind.merge(old.value, copy.value)
      bytes = encode(value)
      if (bytes.byteLength > MAX_REGISTER_BYTES) return this.#refuse('tooBig', tooBig(copy.kind, bytes))
      changedAtMs = Math.max(changedAtMs, old.changedAtMs)
    }
    const digest = old ? hashKey(bytes) : incoming
    if (old?.digest === digest) return { accepted: true, changed: false, incoming, entry: old }

    const held = this.#entries.get(place) // an expired one is still counted
    const growth = bytes.byteLength - (held?.sizeBytes ?? 0)
    if ((!held && this.#entries.size >= this.#caps.registers) || this.#bytes + growth > this.#caps.bytes) {
      return this.#refuse('full', `this node holds ${this.#entries.size} registers of ${this.#bytes} bytes, its cap`)
    }
    const sizeBytes = bytes.byteLength
    const frozen = deepFreeze(value)
    const entry: Entry = { place, kind: copy.kind, key: copy.key, value: frozen, digest, sizeBytes, changedAtMs }
    this.#entries.set(place, entry)
    this.#bytes += growth
    this.#events.emit(copy.kind, entry)
    return { accepted: true, changed: true, incoming, entry }
  }

  drop(place: Key): void {
    const entry = this.#entries.get(place)
    if (!entry) return
    this.#entries.delete(place)
    this.#bytes -= entry.sizeBytes
  }

  expire(nowMs: number): void {
    for (const entry of this.#entries.values()) if (this.#expired(entry, nowMs)) this.drop(entry.place)
  }

  onChange(kind: string, handler: (entry: Entry) => void): () => void {
    return this.#events.on(kind, handler)
  }

  #expired(entry: Entry, nowMs: number): boolean {
    const kind = this.#kinds.get(entry.kind)?.kind
    if (!kind) return false
    if (nowMs - entry.changedAtMs >= kind.expiresAfterMs) return true
    return kind.expiresAtMs !== undefined && nowMs >= kind.expiresAtMs(entry.value)
  }

  #refuse(refusal: Refusal, reason: string): Merged {
    this.refused[refusal]++
    return { accepted: false, code: REFUSAL_CODES[refusal], reason }
  }
}

export function copyOf(entry: Entry, nowMs: number): Copy {
  return {
    kind: entry.kind,
    key: entry.key,
    ageMs: Math.max(0, Math.round(nowMs - entry.changedAtMs)),
    value: entry.value,
  }
}

/** The caller's value as the network would give it back: canonical, and nobody else's. */
export function detached(value: unknown): unknown {
  const bytes = tryEncode(value)
  if (!bytes) throw new ChoraleError('bad-message', 'a register holds plain dag-cbor data only')
  return decode(bytes)
}

function tryEncode(value: unknown): Uint8Array | undefined {
  try {
    return encode(value)
  } catch {
    return undefined // `undefined`, functions, cycles: dag-cbor has no bytes for them
  }
}

function tooBig(kind: string, bytes: Uint8Array): string {
  return `a ${kind} of ${bytes.byteLength} bytes; registers end at ${MAX_REGISTER_BYTES}`
}

/** Arrays and plain objects; typed arrays cannot be frozen. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  const plain = Array.isArray(value) || [Object.prototype, null].includes(Object.getPrototypeOf(value))
  if (!plain) return value
  for (const part of Object.values(value)) deepFreeze(part)
  return Object.freeze(value)
}
