/**
 * Signed records (DESIGN 6): small values that change, under H(public key | name). Only the holder of the key can write
 * them; the newest one wins by its sequence number. They live in mergeable registers, so replicas converge whatever order
 * copies come in.
 *
 * Against rollback: replicas keep the higher sequence number; a reader remembers what it has seen; and a record never
 * expires before the one that it replaces, so that no old one is left over when it goes. Not promised: that a reader who
 * has seen nothing yet learns the newest from an owner who hides it.
 */
import { base58btc } from 'multiformats/bases/base58'
import { type Static, Type } from 'typebox'
import { encode } from '../../core/cbor.ts'
import { checker } from '../../core/codec.ts'
import type { Env } from '../../core/env.ts'
import { ChoraleError } from '../../core/errors.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import {
  MAX_KNOWN_RECORDS,
  MAX_RECORD_LIFE_MS,
  MAX_RECORD_NAME_BYTES,
  MAX_RECORD_VALUE_BYTES,
} from '../../core/limits.ts'
import type { RegisterKind, RegisterOptions, Registers } from '../registers.ts'

/** The host's key. */
export interface RecordSigner {
  /** Peer id of this host: base58, Ed25519. */
  readonly peer: string
  sign(bytes: Uint8Array): Uint8Array
  /** Has the holder of this peer id signed these bytes? Never throws. */
  verify(peer: string, bytes: Uint8Array, signature: Uint8Array): boolean
}

const RecordSchema = Type.Object(
  {
    /** Ed25519, raw. */
    publicKey: bytesOf(32, 32),
    name: Type.String({ minLength: 1, maxLength: MAX_RECORD_NAME_BYTES }),
    seq: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    /** Milliseconds since the epoch. */
    expiresAtMs: Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    value: bytesOf(0, MAX_RECORD_VALUE_BYTES),
    signature: bytesOf(64, 64),
  },
  { additionalProperties: false },
)
export type SignedRecord = Static<typeof RecordSchema>
const recordChecker = checker(RecordSchema)

/** Clocks of honest hosts differ by less. */
const CLOCK_SKEW_MS = 10 * 60_000
/** Publishing again when another host with the same key was quicker. */
const MAX_TRIES = 4
/** A peer id of an Ed25519 key: an identity hash over a protobuf with the key. */
const PEER_ID_PREFIX = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

export interface RecordsOptions {
  readonly env: Env
  readonly registers: Registers
  readonly signer: RecordSigner
  /** The network's id: a record of one network means nothing in another. */
  readonly network: string
}

export interface PublishOptions extends RegisterOptions {
  /** At most 400 days. The record lives longer if it replaces one that does. */
  expiresAfterMs: number
}

export class Records {
  readonly #env: Env
  readonly #registers: Registers
  readonly #signer: RecordSigner
  readonly #network: string
  readonly #kind: RegisterKind<SignedRecord>
  /** The newest that was seen, least recently used first. */
  readonly #known = new Map<Key, SignedRecord>()

  constructor({ env, registers, signer, network }: RecordsOptions) {
    this.#env = env
    this.#registers = registers
    this.#signer = signer
    this.#network = network
    this.#kind = recordKind({ now: () => env.clock.now(), verify: signer.verify.bind(signer), network })
    registers.define(this.#kind)
  }

  /**
   * Writes this host's record of a name; an earlier one is replaced. Resolves once a majority of its replica group has it.
   * Rejects with `usage` (name, size, expiry), and as `Registers.update` does.
   */
  async publish(name: string, value: Uint8Array, options: PublishOptions): Promise<SignedRecord> {
    const { expiresAfterMs } = options
    checkName(name)
    if (value.length > MAX_RECORD_VALUE_BYTES) {
      throw new ChoraleError(
        'usage',
        `a record holds ${MAX_RECORD_VALUE_BYTES} bytes, this value has ${value.length}: chorale add keeps more`,
      )
    }
    if (!Number.isSafeInteger(expiresAfterMs) || expiresAfterMs <= 0 || expiresAfterMs > MAX_RECORD_LIFE_MS) {
      throw new ChoraleError('usage', `a record expires after 1 ms to 400 days, not after ${expiresAfterMs} ms`)
    }
    const publicKey = publicKeyOf(this.#signer.peer)
    const key = recordKey(publicKey, name)
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      await this.#newest(key, options)
      const current = this.#known.get(key) // even an expired one: numbers only grow
      const now = Math.floor(this.#env.clock.now())
      // The time as a start: should every copy be lost, the next record is still above those that somebody kept.
      const seq = Math.max(now, (current?.seq ?? -1) + 1)
      const expiresAtMs = Math.max(now + expiresAfterMs, current?.expiresAtMs ?? 0)
      const unsigned = { publicKey, name, seq, expiresAtMs, value: value.slice() }
      const record = { ...unsigned, signature: this.#signer.sign(signedBytes(this.#network, unsigned)) }
      const merged = await this.#registers.update(this.#kind, key, record, options)
      if (this.#remember(key, merged) && merged.seq === seq && sameBytes(merged.signature, record.signature))
        return record
    }
    throw new ChoraleError('busy', `another host with this key keeps writing ${JSON.stringify(name)}`)
  }

  /**
   * The newest valid record of a host's name; undefined when there is none or it has expired. `who` is a peer id or a raw
   * Ed25519 public key. Rejects with `usage`, and as `Registers.read` does.
   */
  async resolve(
    who: string | Uint8Array,
    name: string,
    options: RegisterOptions = {},
  ): Promise<SignedRecord | undefined> {
    checkName(name)
    const publicKey = typeof who === 'string' ? publicKeyOf(who) : who
    if (publicKey.length !== 32)
      throw new ChoraleError('usage', `an Ed25519 public key has 32 bytes, not ${publicKey.length}`)
    return this.#newest(recordKey(publicKey, name), options)
  }

  async #newest(key: Key, options: RegisterOptions): Promise<SignedRecord | undefined> {
    this.#remember(key, await this.#registers.read(this.#kind, key, options))
    const known = this.#known.get(key)
    return known && known.expiresAtMs > this.#env.clock.now() ? known : undefined
  }

  /** Takes what an owner answered, if it is valid and no older than what is known. Was it valid? */
  #remember(key: Key, answer: unknown): boolean {
    const valid = recordChecker.check(answer) && this.#kind.admit?.(key, answer) === true
    const known = this.#known.get(key)
    const newest = valid ? (known ? this.#kind.merge(known, answer) : answer) : known
    this.#known.delete(key)
    if (newest) this.#known.set(key, newest)
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN_RECORDS) break
      this.#known.delete(oldest)
    }
    return valid
  }
}

export interface RecordRules {
  now(): number
  verify: RecordSigner['verify']
  network: string
}

export function recordKind({ now, verify, network }: RecordRules): RegisterKind<SignedRecord> {
  return {
    name: 'record',
    schema: RecordSchema,
    merge: newer,
    expiresAfterMs: MAX_RECORD_LIFE_MS + CLOCK_SKEW_MS,
    expiresAtMs: (record) => record.expiresAtMs,
    admit(key, record) {
      if (recordKey(record.publicKey, record.name) !== key || !isName(record.name)) return false
      const aheadMs = record.expiresAtMs - now()
      if (aheadMs <= 0 || aheadMs > MAX_RECORD_LIFE_MS + CLOCK_SKEW_MS) return false
      return verify(peerOf(record.publicKey), signedBytes(network, record), record.signature)
    },
  }
}

/** The higher sequence number; of two with one number, the higher hash, so that all replicas choose the same. */
function newer(a: SignedRecord, b: SignedRecord): SignedRecord {
  if (a.seq !== b.seq) return a.seq > b.seq ? a : b
  return hashKey(encode(a)) >= hashKey(encode(b)) ? a : b
}

export function recordKey(publicKey: Uint8Array, name: string): Key {
  return hashKey(Buffer.concat([publicKey, Buffer.from(name)]))
}

/** What the holder of the key signs. */
export function signedBytes(network: string, record: Omit<SignedRecord, 'signature'>): Uint8Array {
  const { publicKey, name, seq, expiresAtMs, value } = record
  return encode(['chorale record', network, publicKey, name, seq, expiresAtMs, value])
}

function bytesOf(least: number, most: number) {
  const fits = (value: unknown) => value instanceof Uint8Array && value.length >= least && value.length <= most
  return Type.Refine(Type.Unsafe<Uint8Array>(Type.Unknown()), fits)
}

function isName(name: string): boolean {
  return name !== '' && name.isWellFormed() && Buffer.byteLength(name) <= MAX_RECORD_NAME_BYTES
}

function checkName(name: string): void {
  if (isName(name)) return
  throw new ChoraleError('usage', `the name of a record has 1 to ${MAX_RECORD_NAME_BYTES} bytes of text`)
}

/** The peer id of an Ed25519 key of 32 bytes. */
export function peerOf(publicKey: Uint8Array): string {
  return base58btc.encode(new Uint8Array([...PEER_ID_PREFIX, ...publicKey])).slice(1)
}

/** The 32 bytes of the key that a peer id names. Throws `usage` on what is no peer id of an Ed25519 key. */
export function publicKeyOf(peer: string): Uint8Array {
  let bytes: Uint8Array | undefined
  try {
    bytes = base58btc.decode(`z${peer}`)
  } catch {
    bytes = undefined
  }
  if (bytes?.length === PEER_ID_PREFIX.length + 32 && PEER_ID_PREFIX.every((byte, index) => bytes[index] === byte)) {
    return bytes.slice(PEER_ID_PREFIX.length)
  }
  throw new ChoraleError('usage', `${peer.slice(0, 80)} is not the peer id of an Ed25519 key`)
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
