import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { errorCode } from '../../../src/core/errors.ts'
import { MAX_FRAME_BYTES } from '../../../src/core/limits.ts'
import { decodeFrame, encodeFrame, type Frame, FrameReader } from '../../../src/net/frame.ts'

const count = fc.maxSafeNat()
const slot = fc.integer({ min: 0, max: 255 })
const body = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.uint8Array({ maxLength: 400 }),
  fc.constant({ a: [1, { b: null }] }),
)
const frames: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({
    type: fc.constant('hello' as const),
    version: count,
    address: fc.option(fc.record({ ip: fc.ipV4(), port: fc.integer({ min: 1, max: 65_535 }) }), { nil: undefined }),
    incarnation: count,
  }),
  fc.record({
    type: fc.constant('request' as const),
    number: count,
    kind: fc.string({ maxLength: 64 }),
    toSlot: slot,
    fromSlot: slot,
    toIncarnation: count,
    body,
  }),
  fc.record({ type: fc.constant('reply' as const), number: count, body }),
  fc.record({
    type: fc.constant('failure' as const),
    number: count,
    code: fc.string({ maxLength: 64 }),
    message: fc.string({ maxLength: 500 }),
  }),
  fc.record({ type: fc.constant('bye' as const), leaving: fc.boolean() }),
)

function read(reader: FrameReader, chunk: Uint8Array): Frame[] {
  const out: Frame[] = []
  reader.push(chunk, (payload) => out.push(decodeFrame(payload)))
  return out
}

describe('frames', () => {
  it('come back as they were, in whatever pieces the bytes arrive', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(fc.array(frames, { maxLength: 8 }), cuts, (sent, sizes) => {
        const bytes = Buffer.concat(sent.map((frame) => encodeFrame(frame)))
        const reader = new FrameReader()
        const received: Frame[] = []
        for (let offset = 0, i = 0; offset < bytes.length; i++) {
          const size = sizes[i % sizes.length] as number
          received.push(...read(reader, bytes.subarray(offset, offset + size)))
          offset += size
        }
        expect(received).toEqual(sent)
        expect(reader.buffered).toBe(0)
      }),
    )
  })

  it('are at most 64 KiB, both ways', () => {
    const fits = { type: 'reply', number: 1, body: new Uint8Array(MAX_FRAME_BYTES - 6) } as const
    expect(read(new FrameReader(), encodeFrame(fits))).toEqual([fits])
    const reply = (bytes: number) => encodeFrame({ type: 'reply', number: 1, body: new Uint8Array(bytes) })
    expect(code(() => reply(MAX_FRAME_BYTES - 5))).toBe('limit')
    const reader = new FrameReader()
    expect(code(() => read(reader, new Uint8Array([0, 1, 0, 1])))).toBe('limit')
    expect(code(() => read(new FrameReader(), new Uint8Array([0xff, 0xff, 0xff, 0xff])))).toBe('limit')
  })

  it('hold no more than one frame back', () => {
    const reader = new FrameReader()
    read(reader, new Uint8Array([0, 1, 0, 0, 1, 2, 3]))
    expect(reader.buffered).toBe(MAX_FRAME_BYTES + 4)
  })

  const bad: Record<string, unknown> = {
    'no tuple': { type: 1 },
    'an unknown type': [9],
    'nothing in it': [],
    'a request without a body': [1, 1, 'kind', 0, 0, 1],
    'a request with too much': [1, 1, 'kind', 0, 0, 1, {}, {}],
    'a negative number': [2, -1, {}],
    'a fractional number': [2, 1.5, {}],
    'a number as text': [2, '1', {}],
    'a slot of 256': [1, 1, 'kind', 256, 0, 1, {}],
    'a kind without end': [1, 1, 'k'.repeat(65), 0, 0, 1, {}],
    'a failure without end': [3, 1, 'busy', 'x'.repeat(513)],
    'a hello at a name': [0, 1, ['example.org', 1], 1],
    'a hello at port 0': [0, 1, ['1.2.3.4', 0], 1],
    'a hello with half an address': [0, 1, ['1.2.3.4'], 1],
    'a bye that is not sure': [4, 1],
  }
  for (const [what, envelope] of Object.entries(bad)) {
    it(`with ${what} are refused`, () => expect(code(() => decodeFrame(encode(envelope)))).toBe('bad-message'))
  }

  it('that nest without end are refused', () => {
    expect(code(() => decodeFrame(new Uint8Array(MAX_FRAME_BYTES).fill(0x81)))).toBe('bad-message')
  })
})

function code(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return errorCode(error)
  }
  return 'none'
}
