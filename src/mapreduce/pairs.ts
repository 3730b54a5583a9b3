/**
 * Keyed jobs (DESIGN 7): pairs of a key and a value. A task emits pairs; those of one key are combined at once, and each
 * partition's go into runs. A run is dag-cbor: [key, value, key, value, ...], every key once, in no order. What a
 * partition comes to is made of all its runs, in the order of tasks.
 */
import { decode, encode } from '../core/cbor.ts'
import { ChoraleError, errorMessage } from '../core/errors.ts'
import { MAX_KEYED_BYTES } from '../core/limits.ts'
import type { Json, KeyedModule } from './types.ts'
import { encodeValue } from './values.ts'

/** Of each partition, its runs. */
export type Emitted = Uint8Array[][]

/** What a partition's part of the output is: bytes in pieces that make leaves of a file. */
export interface Written {
  readonly keys: number
  readonly pieces: Uint8Array[]
}

/** A longer run is cut in two: each is a block. */
const RUN_BYTES = 512 * 1024
const PIECE_BYTES = 256 * 1024
/** Characters that are made bytes at once. */
const TEXT_STEP = 64 * 1024

const encoder = new TextEncoder()

/** Runs a task; encoded `Emitted`. */
export function emitted(
  keyed: KeyedModule,
  partitions: number,
  params: { readonly [name: string]: Json },
  map: (emit: (key: string, value: Json) => void) => unknown,
): Uint8Array {
  const pairs = new Map<string, Json>()
  map((key, value) => {
    if (typeof key !== 'string') throw new TypeError(`emit needs a text as the key, not ${typeof key}`)
    if (value === undefined) throw new TypeError(`emit needs a value for the key ${shown(key)}`)
    add(keyed, pairs, key, value)
  })
  const parts = Array.from({ length: partitions }, (): Array<Json> => [])
  for (const [key, value] of pairs) {
    const part = parts[keyed.partition(key, partitions, params)]
    if (!part) throw new RangeError(`partition must give a whole number from 0 to ${partitions - 1}`)
    part.push(key, value)
  }
  return limited(encode(parts.map(runsOf) satisfies Emitted))
}

/** Several runs as few. */
export function merged(keyed: KeyedModule, runs: readonly Uint8Array[]): Uint8Array[] {
  const flat: Json[] = []
  for (const [key, value] of united(keyed, runs)) flat.push(key, value)
  return runsOf(flat)
}

/** A partition's part of the output, sorted by key as JavaScript compares texts; encoded `Written`. */
export function written(keyed: KeyedModule, runs: readonly Uint8Array[]): Uint8Array {
  const pairs = united(keyed, runs)
  const pieces: Uint8Array[] = []
  let piece = new Uint8Array(PIECE_BYTES)
  let filled = 0
  let text = ''
  const flush = () => {
    for (let rest = encoder.encode(text); rest.length > 0; ) {
      const taken = rest.subarray(0, PIECE_BYTES - filled)
      piece.set(taken, filled)
      filled += taken.length
      rest = rest.subarray(taken.length)
      if (filled < PIECE_BYTES) continue
      pieces.push(piece)
      piece = new Uint8Array(PIECE_BYTES)
      filled = 0
    }
    text = ''
  }
  for (const key of [...pairs.keys()].sort()) {
    const line: unknown = keyed.write(key, pairs.get(key) as Json)
    if (typeof line !== 'string') throw new TypeError(`write must give a text, not ${typeof line}`)
    text += line
    if (text.length >= TEXT_STEP) flush()
  }
  flush()
  if (filled > 0) pieces.push(piece.slice(0, filled))
  return limited(encode({ keys: pairs.size, pieces } satisfies Written))
}

function united(keyed: KeyedModule, runs: readonly Uint8Array[]): Map<string, Json> {
  const pairs = new Map<string, Json>()
  for (const run of runs) {
    const flat = decode(run) as Json[]
    for (let i = 0; i < flat.length; i += 2) {
      add(keyed, pairs, flat[i] as string, flat[i + 1] as Json)
    }
  }
  return pairs
}

/** No value is undefined: one that is would be lost with the next of its key. */
function add(keyed: KeyedModule, pairs: Map<string, Json>, key: string, value: Json): void {
  if (!pairs.has(key)) {
    pairs.set(key, value)
    return
  }
  const both = keyed.combine(pairs.get(key) as Json, value)
  if (both === undefined) throw new TypeError(`combine must give a value: it gave none for the key ${shown(key)}`)
  pairs.set(key, both)
}

function shown(key: string): string {
  return JSON.stringify(key.slice(0, 100))
}

function runsOf(flat: Json[]): Uint8Array[] {
  if (flat.length === 0) return []
  const bytes = encodePairs(flat)
  if (bytes.length <= RUN_BYTES) return [bytes]
  if (flat.length === 2) {
    throw new ChoraleError('limit', `a key and its value have ${bytes.length} bytes, the most is ${RUN_BYTES}`)
  }
  const half = 2 * Math.ceil(flat.length / 4)
  return [...runsOf(flat.slice(0, half)), ...runsOf(flat.slice(half))]
}

/** Throws an error that says of which key the value cannot be kept, and why. */
function encodePairs(flat: readonly Json[]): Uint8Array {
  try {
    return encodeValue(flat)
  } catch (error) {
    for (let i = 0; i < flat.length; i += 2) {
      try {
        encodeValue(flat[i + 1])
      } catch (misfit) {
        const key = shown(flat[i] as string)
        throw new TypeError(`the value of the key ${key} cannot be kept: ${errorMessage(misfit)}`, { cause: misfit })
      }
    }
    throw error
  }
}

function limited(bytes: Uint8Array): Uint8Array {
  if (bytes.length <= MAX_KEYED_BYTES) return bytes
  throw new ChoraleError(
    'limit',
    `${bytes.length} bytes of keys and values at once, the most is ${MAX_KEYED_BYTES}: use more partitions, or less input for a task`,
  )
}
