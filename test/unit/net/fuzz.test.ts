/**
 * A million frames from a peer that means no good: valid ones, and valid ones that were cut, stretched, flipped,
 * retyped, renumbered, nested or repeated, on either lane. They go through frame reader, dispatcher and schemas in memory. Nothing may
 * escape, everything bad is counted, and what is held stays within its caps. A failure prints the seed.
 */
import { Type } from 'typebox'
import { expect, test } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import {
  MAX_BULK_FRAME_BYTES,
  MAX_BULK_HELD_BYTES_PER_PEER,
  MAX_BULK_WRITE_BUFFER_BYTES,
  MAX_FRAME_BYTES,
  MAX_HANDLING_PER_PEER,
  MAX_REQUESTS_PER_PEER,
  MAX_WRITE_BUFFER_BYTES,
} from '../../../src/core/limits.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { contactAt } from '../../../src/net/contact.ts'
import { type CounterName, newCounters } from '../../../src/net/counters.ts'
import { encodeFrame } from '../../../src/net/frame.ts'
import { BULK_LANE } from '../../../src/net/lane.ts'
import { ContactSchema, defineMessage, KeySchema, record } from '../../../src/net/message.ts'
import { PeerLimits } from '../../../src/net/peer-limits.ts'
import { bulkLane, End, Loop } from './rpc-harness.ts'

const FRAMES = 1_000_000
/** Frames between two looks at what is held. */
const BATCH = 500
const MAX_BUFFERED = MAX_WRITE_BUFFER_BYTES + MAX_FRAME_BYTES + 4
const MAX_BULK_BUFFERED = MAX_BULK_WRITE_BUFFER_BYTES + MAX_BULK_HELD_BYTES_PER_PEER + 2 * MAX_BULK_FRAME_BYTES
const seed = process.env.FUZZ_SEED ?? 'fuzz 1'

const contact = contactAt({ peer: 'peer', ip: '10.0.0.1', port: 4001, incarnation: 1 }, 0)
const Rich = defineMessage('fuzz.rich', {
  request: record({
    key: KeySchema,
    from: ContactSchema,
    list: Type.Array(ContactSchema, { maxItems: 8 }),
    choice: Type.Union([ContactSchema, Type.Null(), Type.Literal('none')]),
    text: Type.Optional(Type.String({ maxLength: 20 })),
  }),
  reply: record({ list: Type.Array(ContactSchema, { maxItems: 8 }) }),
})
const Slow = defineMessage('fuzz.slow', { request: record({}), reply: record({}) })

const Bulk = defineMessage(
  'fuzz.bulk',
  { request: Type.Unsafe<Uint8Array>(Type.Unknown()), reply: Type.Unsafe<Uint8Array>(Type.Unknown()) },
  { bulk: true },
)
/** One session in so many is on the bulk lane. */
const BULK_SESSIONS = 8

const random = seededRandom(seed)
const tuple = ['peer', '10.0.0.1', 4001, 0, 1]
const goodBody = { key: contact.id, from: tuple, list: [tuple, tuple], choice: null, text: 'hello' }
const hello = encodeFrame({ type: 'hello', version: 1, address: { ip: '10.0.0.1', port: 1 }, incarnation: 1 })

function pick<T>(items: readonly T[]): T {
  return items[random.int(items.length)] as T
}

function framed(payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(4 + payload.length)
  new DataView(bytes.buffer).setUint32(0, payload.length)
  bytes.set(payload, 4)
  return bytes
}

/** Things that stand where something else should. */
const oddities: unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  2 ** 40,
  '',
  'x',
  'x'.repeat(2000),
  new Uint8Array(300),
  [],
  {},
  [[[[]]]],
  Array.from({ length: 500 }, (_, i) => i),
  Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, i])),
  tuple,
  ['peer', 'example.org', 4001, 0, 1],
  { __proto__: null, constructor: 1, toString: 2 },
]

/** Valid envelopes, whose parts are then swapped for others. */
const templates: Array<() => unknown[]> = [
  () => [1, random.int(1000), Rich.name, 0, 0, 1, goodBody],
  () => [1, random.int(1000), Slow.name, 0, 0, 1, {}],
  () => [1, random.int(1000), Bulk.name, 0, 0, 1, new Uint8Array(random.int(4000))],
  () => [1, random.int(1000), `unheard.${random.int(9)}`, 0, 0, 1, {}],
  () => [2, random.int(300), { list: [tuple] }],
  () => [3, random.int(300), pick(['busy', 'gone', 'made-up']), 'why'],
  () => [0, pick([1, 1, 2]), pick([null, ['10.0.0.1', 4001]]), 1],
]

/** A few thousand encoded frames of every sort; bytes are changed on top of that. */
const pool: Uint8Array[] = []
for (let i = 0; i < 3000; i++) {
  const envelope = pick(templates)()
  const sort = random.int(14)
  if (sort === 1) envelope[random.int(envelope.length)] = pick(oddities)
  if (sort === 2) envelope.splice(random.int(envelope.length), 1)
  if (sort === 3) envelope.push(pick(oddities))
  if (sort >= 4 && sort < 8 && envelope[0] === 1) {
    const body: Record<string, unknown> = { ...goodBody }
    body[pick([...Object.keys(body), 'extra'])] = pick(oddities)
    envelope[6] = body
  }
  pool.push(framed(encode(envelope)))
}

/** Rare ones, because they are long. */
const giants: Uint8Array[] = [
  framed(new Uint8Array(MAX_FRAME_BYTES).fill(0x81)), // arrays in arrays
  framed(new Uint8Array(MAX_FRAME_BYTES).fill(0xa1)), // maps in maps
  framed(new Uint8Array(MAX_FRAME_BYTES).fill(0xd8)), // tags of tags
  framed(new Uint8Array([0x9a, 0xff, 0xff, 0xff, 0xff])), // an array of four thousand million
  framed(new Uint8Array([0x9b, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
  framed(new Uint8Array([0x5a, 0x7f, 0xff, 0xff, 0xff])), // bytes that are not there
  framed(new Uint8Array([0x83, 0x02, 0x01, 0x62, 0xc3, 0x28])), // not UTF-8
  framed(new Uint8Array([0x9f, 0xff])), // of unknown length
  framed(new Uint8Array(MAX_FRAME_BYTES + 1)),
  framed(encode([1, 1, Bulk.name, 0, 0, 1, new Uint8Array(200_000)])),
  framed(encode([2, 1, Array.from({ length: 30_000 }, () => 0)])),
  framed(encode([1, 1, Rich.name, 0, 0, 1, { ...goodBody, list: Array.from({ length: 1500 }, () => tuple) }])),
]

function nextFrame(): Uint8Array {
  const dice = random.int(1000)
  if (dice === 0) return pick(giants)
  const frame = pick(pool)
  if (dice < 700) return frame
  if (dice < 780) {
    const flipped = frame.slice()
    for (let i = random.int(3); i >= 0; i--) flipped[4 + random.int(flipped.length - 4)] = random.int(256)
    return flipped
  }
  if (dice < 810) return framed(frame.subarray(4, 4 + random.int(frame.length - 4)))
  if (dice < 820) return frame.subarray(0, random.int(frame.length)) // what follows is out of step
  if (dice < 825) return random.bytes(1 + random.int(64))
  if (dice < 830) {
    const long = frame.slice()
    long[random.int(2)] = 1 + random.int(255)
    return long
  }
  if (dice < 850) return framed(random.bytes(random.int(40)))
  return frame
}

test(`a million hostile frames do no harm (seed ${seed})`, { timeout: 300_000 }, async () => {
  const total = newCounters()
  const loop = new Loop()
  const limits = [new PeerLimits(), new PeerLimits(BULK_LANE)] as const
  const lane = bulkLane()
  let sessions = 0
  let faults = 0
  let served = 0
  let blocks = 0
  let settled = 0
  let asked = 0

  const session = (): End => {
    sessions++
    const isBulk = sessions % BULK_SESSIONS === 0
    const end = new End(loop, `peer ${sessions % 50}`, total, limits[isBulk ? 1 : 0], isBulk ? lane : undefined)
    end.onWrite = () => {}
    end.handlers.set(Rich, ({ list }) => {
      served++
      return { list }
    })
    end.handlers.set(Bulk, (bytes) => {
      blocks++
      return bytes
    })
    end.handlers.set(Slow, () => new Promise(() => {}))
    end.hello()
    end.rpc.receive(hello)
    return end
  }
  let end = session()
  for (let i = 0; i < FRAMES; i++) {
    end.rpc.receive(nextFrame())
    if (end.rpc.closed || end.paused) {
      faults += end.faults.length
      end = session()
      // Now and then requests of ours, for the peer's replies to hit or miss.
      for (let n = sessions % 20 === 0 ? 20 : 0; n > 0; n--) {
        asked++
        const settle = () => settled++
        end.request(Rich.name, goodBody, { timeoutMs: 60_000 }).then(settle, settle)
      }
    }
    if (i % BATCH === 0) {
      expect(end.rpc.buffered).toBeLessThanOrEqual(end.rpc.lane.bulk ? MAX_BULK_BUFFERED : MAX_BUFFERED)
      expect(end.rpc.inFlight).toBeLessThanOrEqual(MAX_REQUESTS_PER_PEER + MAX_HANDLING_PER_PEER)
      loop.nowMs += 10
      await loop.turn()
    }
  }
  await loop.advance(120_000)

  expect(faults + end.faults.length).toBe(0)
  expect(settled).toBe(asked)
  expect(served).toBeGreaterThan(10_000)
  expect(blocks).toBeGreaterThan(1000)
  expect(loop.timers).toBe(0)
  end.rpc.close(new ChoraleError('aborted', 'the end'))
  expect(lane.shared.bytes).toBe(0)
  const seen: CounterName[] = [
    'malformedFrames',
    'oversizeFrames',
    'schemaErrors',
    'unknownKinds',
    'strayReplies',
    'wrongLanes',
  ]
  for (const name of seen) expect(total[name], name).toBeGreaterThan(100)
})
