import fc from 'fast-check'
import { Type } from 'typebox'
import { describe, expect, it } from 'vitest'
import { decode, encode } from '../../../src/core/cbor.ts'
import { errorCode } from '../../../src/core/errors.ts'
import { hashKey } from '../../../src/core/ids.ts'
import { contactAt } from '../../../src/net/contact.ts'
import {
  ContactSchema,
  decodeReply,
  decodeRequest,
  defineMessage,
  encodeReply,
  encodeRequest,
  KeySchema,
  record,
} from '../../../src/net/message.ts'

const Everywhere = defineMessage('test.everywhere', {
  request: record({
    key: KeySchema,
    one: ContactSchema,
    many: Type.Array(ContactSchema, { maxItems: 4 }),
    perhaps: Type.Optional(ContactSchema),
    none: Type.Union([ContactSchema, Type.Null()]),
    pair: Type.Tuple([Type.Integer(), ContactSchema]),
    branch: Type.Union([
      record({ type: Type.Literal('named'), name: Type.String() }),
      record({ type: Type.Literal('placed'), at: Type.Array(ContactSchema) }),
    ]),
    bytes: Type.Unsafe<Uint8Array>(Type.Unknown()),
  }),
  reply: ContactSchema,
})

const contacts = fc
  .record({
    peer: fc.string({ minLength: 1, maxLength: 60 }),
    ip: fc.oneof(fc.ipV4(), fc.constantFrom('::1', '2001:db8::1', 'fe80::5')),
    port: fc.integer({ min: 1, max: 65_535 }),
    incarnation: fc.maxSafeNat(),
    slot: fc.integer({ min: 0, max: 255 }),
  })
  .map(({ slot, ...address }) => contactAt(address, slot))

const messages = fc.record(
  {
    key: fc.string().map(hashKey),
    one: contacts,
    many: fc.array(contacts, { maxLength: 4 }),
    perhaps: contacts,
    none: fc.oneof(contacts, fc.constant(null)),
    pair: fc.tuple(fc.integer(), contacts),
    branch: fc.oneof(
      fc.record({ type: fc.constant('named' as const), name: fc.string({ unit: 'grapheme' }) }),
      fc.record({ type: fc.constant('placed' as const), at: fc.array(contacts, { maxLength: 3 }) }),
    ),
    bytes: fc.uint8Array({ maxLength: 50 }),
  },
  { requiredKeys: ['key', 'one', 'many', 'none', 'pair', 'branch', 'bytes'] },
)

const alice = contactAt({ peer: 'alice', ip: '10.0.0.1', port: 4001, incarnation: 7 }, 3)

describe('messages on the wire', () => {
  it('come back as they were, contacts with their ids', () => {
    fc.assert(
      fc.property(messages, (message) => {
        const sent = { ...message } as Parameters<typeof encodeRequest<typeof Everywhere>>[1]
        expect(decodeRequest(Everywhere, encodeRequest(Everywhere, sent))).toEqual(sent)
      }),
    )
  })

  it('name a contact by its tuple, so that nobody can claim an id', () => {
    expect(decode(encodeReply(Everywhere, alice))).toEqual(['alice', '10.0.0.1', 4001, 3, 7])
    const forged = { ...alice, id: hashKey('where I would rather be') }
    expect(decodeReply(Everywhere, encodeReply(Everywhere, forged))).toEqual(alice)
  })

  it('get ids as the placement of the network has them, wherever a contact is', () => {
    const there = contactAt(alice, alice.slot, 'ip-prefix')
    expect(there.id).not.toBe(alice.id)
    const bytes = encodeReply(Everywhere, alice)
    expect(decodeReply(Everywhere, bytes, 'ip-prefix')).toEqual(there)
    expect(decodeReply(Everywhere, bytes, 'ip-port')).toEqual(alice) // one process may hear of both
    fc.assert(
      fc.property(messages, (message) => {
        const sent = { ...message } as Parameters<typeof encodeRequest<typeof Everywhere>>[1]
        const moved = decodeRequest(Everywhere, encodeRequest(Everywhere, sent), 'ip-prefix')
        const [, inPair] = moved.pair
        expect(inPair).toEqual(contactAt(inPair, inPair.slot, 'ip-prefix'))
        for (const one of moved.many) expect(one).toEqual(contactAt(one, one.slot, 'ip-prefix'))
        expect(decodeRequest(Everywhere, encodeRequest(Everywhere, moved), 'ip-port')).toEqual(sent)
      }),
    )
  })

  it('share one object per contact', () => {
    const bytes = encodeReply(Everywhere, alice)
    expect(decodeReply(Everywhere, bytes)).toBe(decodeReply(Everywhere, bytes))
  })

  const bad: Record<string, unknown> = {
    'a name instead of an IP': ['alice', 'example.org', 4001, 0, 1],
    'an IP with a leading zero': ['alice', '10.0.0.01', 4001, 0, 1],
    'IPv6 in long form': ['alice', '0:0:0:0:0:0:0:1', 4001, 0, 1],
    'IPv4 in IPv6 clothes': ['alice', '::ffff:10.0.0.1', 4001, 0, 1],
    'port 0': ['alice', '10.0.0.1', 0, 0, 1],
    'a slot too many': ['alice', '10.0.0.1', 1, 256, 1],
    'a negative incarnation': ['alice', '10.0.0.1', 1, 0, -1],
    'no peer': ['', '10.0.0.1', 1, 0, 1],
    'a sixth element': ['alice', '10.0.0.1', 1, 0, 1, 'x'],
    'an object': { peer: 'alice' },
    nothing: null,
  }
  for (const [what, value] of Object.entries(bad)) {
    it(`refuse a contact with ${what}`, () => {
      expect(code(() => decodeReply(Everywhere, encode(value)))).toBe('bad-message')
    })
  }

  it('refuse fields that nobody declared, and what is not dag-cbor', () => {
    const kind = defineMessage('test.small', { request: record({ a: Type.Integer() }), reply: record({}) })
    expect(code(() => decodeRequest(kind, encode({ a: 1, b: 2 })))).toBe('bad-message')
    expect(code(() => decodeRequest(kind, new Uint8Array([0xff, 0])))).toBe('bad-message')
    expect(code(() => encodeRequest(kind, { a: 1.5 }))).toBe('internal')
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
