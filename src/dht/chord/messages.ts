/** What Chord nodes say to each other. A reply without a view means `busy`: the node is in an operation of its own. */
import { type Static, Type } from 'typebox'
import { MAX_CONTACTS_PER_MESSAGE, MAX_LOOKUP_HOPS, MAX_NEAR_CONTACTS } from '../../core/limits.ts'
import { ContactSchema, defineMessage, KeySchema, type ReplyOf, type RequestOf, record } from '../../net/message.ts'
import { CoordinateSchema } from '../coordinates.ts'

const Contacts = Type.Array(ContactSchema, { maxItems: MAX_CONTACTS_PER_MESSAGE })

const ViewSchema = record({
  mode: Type.Union([Type.Literal('young'), Type.Literal('ring')]),
  succ: Contacts,
  prdc: Type.Optional(ContactSchema),
})

export type View = Static<typeof ViewSchema>

/** The network coordinate of whoever sends it (`coordinates.ts`). */
const At = Type.Optional(CoordinateSchema)

/**
 * "You are my successor" (Zave's query and notify in one) or, when the asker has just learnt of the node, "you may be".
 * `preds`: the asker's predecessors, nearest first, so that the other knows the group that it holds replicas for.
 */
export const Stabilize = defineMessage('chord.stabilize', {
  request: record({ preds: Contacts, at: At }),
  reply: record({ view: Type.Optional(ViewSchema), at: At }),
})

/** Young members unite their views. */
export const Exchange = defineMessage('chord.exchange', {
  request: record({ succ: Contacts }),
  reply: record({ view: ViewSchema }),
})

/** A joiner asks the member before its place. `fingers` are for a start: they suit a neighbour nearly as well. */
export const Join = defineMessage('chord.join', {
  request: record({}),
  reply: record({ view: Type.Optional(ViewSchema), fingers: Type.Optional(Contacts) }),
})

export const Ping = defineMessage('chord.ping', { request: record({}), reply: record({ at: At }) })

/** The sender leaves. `succ` and `prdc` are what it knew. */
export const Leave = defineMessage('chord.leave', {
  request: record({ succ: Contacts, prdc: Type.Optional(ContactSchema) }),
  reply: record({}),
})

/**
 * "This node may be nearer to you than your successor": rings that were parted close up one by one. Or, `elsewhere`, "it
 * is of a ring that was parted from ours: look for your own place there".
 */
export const Hint = defineMessage('chord.hint', {
  request: record({ contact: ContactSchema, elsewhere: Type.Boolean() }),
  reply: record({}),
})

/**
 * Find the owner of a key and bring the answer back the same way. Without an owner: `retry` says that the right node
 * was reached but cannot confirm yet (its predecessor has just died), otherwise there is no way on from here.
 */
export const Lookup = defineMessage('chord.lookup', {
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
    /** Who do you know in the arc [from, to) that is near this coordinate? For shortcuts. */
    near: Type.Optional(record({ from: KeySchema, to: KeySchema, at: CoordinateSchema })),
  }),
  reply: record({
    owner: Type.Optional(ContactSchema),
    /** Where the owner's arc begins. */
    prdc: Type.Optional(ContactSchema),
    replicas: Type.Optional(Contacts),
    hops: Type.Integer({ minimum: 0, maximum: MAX_LOOKUP_HOPS }),
    retry: Type.Optional(Type.Boolean()),
    /** Of the hop that answers. */
    at: At,
    near: Type.Optional(Type.Array(Type.Tuple([ContactSchema, CoordinateSchema]), { maxItems: MAX_NEAR_CONTACTS })),
  }),
})

export type LookupRequest = RequestOf<typeof Lookup>
export type LookupReply = ReplyOf<typeof Lookup>
/** A member, and the coordinate that it told. */
export type Near = NonNullable<LookupReply['near']>[number]
