/** Messages that every overlay has, under names of its own. */
import { Type } from 'typebox'
import { MAX_CONTACTS_PER_MESSAGE, MAX_LOOKUP_HOPS, MAX_NEAR_CONTACTS } from '../core/limits.ts'
import { ContactSchema, defineMessage, KeySchema, type ReplyOf, type RequestOf, record } from '../net/message.ts'
import { CoordinateSchema } from './coordinates.ts'

export const Contacts = Type.Array(ContactSchema, { maxItems: MAX_CONTACTS_PER_MESSAGE })

/** The network coordinate of whoever sends it (`coordinates.ts`). */
export const At = Type.Optional(CoordinateSchema)

export function pingMessage(overlay: string) {
  return defineMessage(`${overlay}.ping`, { request: record({}), reply: record({ at: At }) })
}

/**
 * Find the owner of a key and bring the answer back the same way. Without an owner: `retry` says that the right node
 * was reached but cannot confirm yet (a neighbour has just died), otherwise there is no way on from here.
 */
export function lookupMessage(overlay: string) {
  return defineMessage(`${overlay}.lookup`, {
    request: record({
      key: KeySchema,
      /** Hops left. */
      ttl: Type.Integer({ minimum: 0, maximum: MAX_LOOKUP_HOPS }),
      /** Milliseconds that the asker still waits. */
      budgetMs: Type.Integer({ minimum: 0, maximum: 600_000 }),
      /** Nodes on the way, against loops. */
      trail: Type.Array(KeySchema, { maxItems: MAX_LOOKUP_HOPS }),
      /** Shortcuts of the topology only. */
      noCache: Type.Boolean(),
      /** The replica group is wanted too. */
      group: Type.Boolean(),
      /** On Chord's ring: who do you know in the arc [from, to) that is near this coordinate? For shortcuts. */
      near: Type.Optional(record({ from: KeySchema, to: KeySchema, at: CoordinateSchema })),
    }),
    reply: record({
      owner: Type.Optional(ContactSchema),
      /** On Chord's ring: where the owner's arc begins. */
      prdc: Type.Optional(ContactSchema),
      replicas: Type.Optional(Contacts),
      hops: Type.Integer({ minimum: 0, maximum: MAX_LOOKUP_HOPS }),
      retry: Type.Optional(Type.Boolean()),
      /** Of the hop that answers. */
      at: At,
      near: Type.Optional(Type.Array(Type.Tuple([ContactSchema, CoordinateSchema]), { maxItems: MAX_NEAR_CONTACTS })),
    }),
  })
}

export type PingKind = ReturnType<typeof pingMessage>
export type LookupKind = ReturnType<typeof lookupMessage>
export type LookupRequest = RequestOf<LookupKind>
export type LookupReply = ReplyOf<LookupKind>
/** A member, and the coordinate that it told. */
export type Near = NonNullable<LookupReply['near']>[number]
