/** UTF-8 of an isolate against the platform's, whatever the bytes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { GuestTextDecoder, GuestTextEncoder } from '../../../src/mapreduce/sandbox/guest/text.ts'

const decoder = new TextDecoder('utf-8', { ignoreBOM: true })
const encoder = new TextEncoder()
const guest = { decoder: new GuestTextDecoder(), encoder: new GuestTextEncoder() }

/** Bytes that begin, go on with and end characters, so that most are broken in some way. */
const bytes = fc.array(
  fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(
      0x41,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc0,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xed,
      0xef,
      0xf0,
      0xf4,
      0xf5,
      0xff,
    ),
  ),
  { maxLength: 12 },
)

test('bytes as text', () => {
  fc.assert(
    fc.property(bytes, (list) => {
      const given = Uint8Array.from(list)
      expect(guest.decoder.decode(given)).toBe(decoder.decode(given))
    }),
    { numRuns: 5_000 },
  )
  const long = encoder.encode('a€😀'.repeat(5_000))
  expect(guest.decoder.decode(long)).toBe(decoder.decode(long))
})

test('text as bytes', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      expect(guest.encoder.encode(text)).toEqual(encoder.encode(text))
    }),
  )
  expect(guest.encoder.encode('a\ud800b')).toEqual(encoder.encode('a\ud800b'))
})
