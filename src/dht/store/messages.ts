/**
 * The messages of the mergeable registers (DESIGN 6). Values travel as plain dag-cbor data and are checked against the
 * schema of their kind after the message itself was checked.
 */
import { type Static, Type } from 'typebox'
import { MAX_REGISTERS_PER_MESSAGE } from '../../core/limits.ts'
import { defineMessage, KeySchema, record } from '../../net/message.ts'

/** Children of a node of the digest tree: one hexadecimal digit of the place. */
export const BUCKETS = 16

const KindName = Type.String({ minLength: 1, maxLength: 64 })
const AgeMs = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
export const Prefix = Type.String({ pattern: '^[0-9a-f]{0,64}$' })

/** A register and how long ago it last changed, so that all copies expire together. */
const Copy = record({ kind: KindName, key: KeySchema, ageMs: AgeMs, value: Type.Unknown() })
export type Copy = Static<typeof Copy>

const Copies = Type.Array(Copy, { maxItems: MAX_REGISTERS_PER_MESSAGE })

const Indexes = Type.Array(Type.Integer({ minimum: 0, maximum: MAX_REGISTERS_PER_MESSAGE - 1 }), {
  maxItems: MAX_REGISTERS_PER_MESSAGE,
})

/** A register's name and the digest of its value. */
const Item = record({ kind: KindName, key: KeySchema, digest: KeySchema })

/** Which of the two that compare owns the keys in question. */
const Owner = Type.Union([Type.Literal('asker'), Type.Literal('asked')])
export type OwnerSide = Static<typeof Owner>

/** One digest for each of the parts below a prefix; an empty text stands for an empty part. */
export const BucketDigests = Type.Array(Type.String({ pattern: '^([0-9a-f]{32})?$' }), {
  minItems: BUCKETS,
  maxItems: BUCKETS,
})
/** Digits of parts. */
export const Digits = Type.Array(Type.Integer({ minimum: 0, maximum: BUCKETS - 1 }), { maxItems: BUCKETS })

/** To the owner: merge, spread to the group, answer with the merged value once a majority has it. */
export const RegisterUpdate = defineMessage('register/update', {
  request: record({ kind: KindName, key: KeySchema, value: Type.Unknown() }),
  reply: record({ value: Type.Unknown() }),
})

/** To the owner: its value; none when the group has none. */
export const RegisterRead = defineMessage('register/read', {
  request: record({ kind: KindName, key: KeySchema }),
  reply: record({ value: Type.Optional(Type.Unknown()) }),
})

/** To any holder: its own copy. */
export const RegisterFetch = defineMessage('register/fetch', {
  request: record({ kind: KindName, key: KeySchema }),
  reply: record({ copy: Type.Optional(Copy) }),
})

/** To a replica: merge these. Answers with the digest of each after the merge; null: refused. */
export const RegisterPut = defineMessage('register/put', {
  request: record({ copies: Copies }),
  reply: record({ digests: Type.Array(Type.Union([KeySchema, Type.Null()]), { maxItems: MAX_REGISTERS_PER_MESSAGE }) }),
})

/**
 * The digests of the sixteen parts below a prefix of what two nodes share (keys that one owns and the other
 * replicates). Answers with the digits that differ.
 */
export const RegisterCompare = defineMessage('register/compare', {
  request: record({
    owner: Owner,
    prefix: Prefix,
    digests: BucketDigests,
  }),
  reply: record({ differ: Digits }),
})

/**
 * What the asker holds, name by name. The other side answers which of it it wants, and sends along what it holds
 * otherwise, as far as one message carries. What it holds beyond that, it offers itself when it repairs.
 */
export const RegisterOffer = defineMessage('register/offer', {
  request: record({
    items: Type.Array(Item, { maxItems: MAX_REGISTERS_PER_MESSAGE }),
    /** The asker takes the asked for the owner, and itself for a replica, of all of them. */
    toOwner: Type.Boolean(),
  }),
  reply: record({
    /** Indexes of items that the asked lacks or holds otherwise. */
    want: Indexes,
    /** Indexes of items whose kind the asked does not know. */
    refuse: Indexes,
    /** Indexes of items that the asked does not own, or that the asker is no replica of. Nothing is done about them. */
    notShared: Indexes,
    copies: Copies,
  }),
})
