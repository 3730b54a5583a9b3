/**
 * The messages of block storage (DESIGN 5, 6). A lease travels as the moment of its end: an owner rounds it up to a full
 * hour, so that all copies name the same moment.
 */
import { type Static, Type } from 'typebox'
import { MAX_BLOCK_BYTES, MAX_BLOCKS_PER_MESSAGE } from '../../../core/limits.ts'
import { ContactSchema, defineMessage, KeySchema, record } from '../../../net/message.ts'
import { BUCKETS, BucketDigests, Digits, Prefix } from '../messages.ts'

const Bytes = Type.Refine(
  Type.Unsafe<Uint8Array>(Type.Unknown()),
  (value) => value instanceof Uint8Array && value.length <= MAX_BLOCK_BYTES,
)
const Moment = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Peer = Type.String({ minLength: 1, maxLength: 128 })
const SizeBytes = Type.Integer({ minimum: 0, maximum: MAX_BLOCK_BYTES })
const Index = Type.Integer({ minimum: 0, maximum: MAX_BLOCKS_PER_MESSAGE - 1 })
const Indexes = Type.Array(Index, { maxItems: MAX_BLOCKS_PER_MESSAGE })
const Keys = Type.Array(KeySchema, { maxItems: MAX_BLOCKS_PER_MESSAGE })

/** A block without its bytes. */
const Named = record({ key: KeySchema, sizeBytes: SizeBytes, expiresAtMs: Moment })
export type Named = Static<typeof Named>

const Copy = record({ key: KeySchema, expiresAtMs: Moment, publisher: Peer, bytes: Bytes })
export type Copy = Static<typeof Copy>

/** What a holder did with a copy. */
const Kept = Type.Union([
  Type.Literal('kept'),
  Type.Literal('full'),
  Type.Literal('quota'),
  Type.Literal('not-mine'),
  Type.Literal('bad'),
  Type.Literal('failed'),
])
export type Kept = Static<typeof Kept>

/** A copy whose publisher is who sends it. */
const Put = record({ key: KeySchema, expiresAtMs: Moment, bytes: Bytes })
export type Put = Static<typeof Put>

/** Why a put was refused; null: a majority has synced it. */
const Refusal = Type.Union([
  Type.Null(),
  record({ code: Type.String({ maxLength: 32 }), message: Type.String({ maxLength: 500 }) }),
])
export type Refusal = Static<typeof Refusal>

/**
 * To the owner, or a host of the replica group: keep these, 1 MiB together at most, and spread them. Answers when for each
 * a majority has synced it or it is refused.
 */
export const BlockPut = defineMessage(
  'block/put',
  {
    request: record({ puts: Type.Array(Put, { maxItems: MAX_BLOCKS_PER_MESSAGE }) }),
    reply: record({ refusals: Type.Array(Refusal, { maxItems: MAX_BLOCKS_PER_MESSAGE }) }),
  },
  { bulk: true },
)

/** To a replica: keep these, 1 MiB together at most. Answers once they are synced. */
export const BlockKeep = defineMessage(
  'block/keep',
  {
    request: record({ copies: Type.Array(Copy, { maxItems: MAX_BLOCKS_PER_MESSAGE }) }),
    reply: record({ kept: Type.Array(Kept, { maxItems: MAX_BLOCKS_PER_MESSAGE }) }),
  },
  { bulk: true },
)

/** To anybody who may have it. */
export const BlockGet = defineMessage(
  'block/get',
  {
    request: record({
      key: KeySchema,
      /** The asker knows nobody else to ask, or was sent here and there already. */
      insist: Type.Boolean(),
    }),
    reply: record({
      copy: Type.Optional(Copy),
      /** Who else has it, as far as the asked knows. */
      ask: Type.Array(ContactSchema, { maxItems: 8 }),
      /** The asked has it, but has given it to many lately. */
      hot: Type.Boolean(),
      /** The asked would know: the overlay around it has not changed lately. */
      settled: Type.Boolean(),
    }),
  },
  { bulk: true },
)

/** Which of these do you hold? */
export const BlockHas = defineMessage('block/has', {
  request: record({ keys: Keys }),
  reply: record({
    held: Type.Array(Type.Union([Named, Type.Null()]), { maxItems: MAX_BLOCKS_PER_MESSAGE }),
    /** Holders of the first, beyond the replica group, as an owner knows them. */
    spares: Type.Array(ContactSchema, { maxItems: 8 }),
  }),
})

/** Longer leases. With `spread` to the owner, who tells the other holders; without it to a holder. */
export const BlockExtend = defineMessage('block/extend', {
  request: record({
    items: Type.Array(record({ key: KeySchema, expiresAtMs: Moment }), { maxItems: MAX_BLOCKS_PER_MESSAGE }),
    spread: Type.Boolean(),
  }),
  reply: record({
    results: Type.Array(
      Type.Union([Type.Literal('done'), Type.Literal('unknown'), Type.Literal('few'), Type.Literal('not-mine')]),
      { maxItems: MAX_BLOCKS_PER_MESSAGE },
    ),
  }),
})

/**
 * From a holder to an owner: digests of the sixteen parts below a prefix of what the holder has of the owner's keys.
 * Answers with the digits at which the owner knows otherwise.
 */
export const BlockReport = defineMessage('block/report', {
  request: record({ prefix: Prefix, digests: BucketDigests }),
  reply: record({ differ: Digits }),
})

/** From a holder to an owner: all that it has of the owner's keys below some prefixes. */
export const BlockList = defineMessage('block/list', {
  request: record({
    prefixes: Type.Array(Prefix, { maxItems: BUCKETS }),
    items: Type.Array(Named, { maxItems: MAX_BLOCKS_PER_MESSAGE }),
  }),
  reply: record({
    /** Indexes of items whose key the asked does not own. */
    notMine: Indexes,
    /** Indexes of items whose lease the owner knows to be longer, and to when. */
    longer: Type.Array(Type.Tuple([Index, Moment]), { maxItems: MAX_BLOCKS_PER_MESSAGE }),
  }),
})

/** To a replica, before bytes are sent: which of these do you lack and would keep? */
export const BlockOffer = defineMessage('block/offer', {
  request: record({ items: Type.Array(Named, { maxItems: MAX_BLOCKS_PER_MESSAGE }) }),
  reply: record({
    held: Indexes,
    want: Indexes,
    /** Some are not wanted for lack of room; the others, because the asked does not see itself in their group. */
    full: Type.Boolean(),
  }),
})

/** From a holder outside the group that needs room to the owner: which of these may go? */
export const BlockRelease = defineMessage('block/release', {
  request: record({ keys: Keys }),
  reply: record({ free: Indexes, notMine: Indexes }),
})

/**
 * From an owner to a holder, now and then: are you there, do I know what you have, and can you show that you have it? The
 * proof is the SHA-256 of a number, drawn anew each time, and the bytes. Null: it is not here.
 */
export const BlockProve = defineMessage('block/prove', {
  request: record({
    key: KeySchema,
    nonce: KeySchema,
    /** Of all that the owner takes the holder to have of the owner's keys. */
    root: Type.String({ pattern: '^[0-9a-f]{32}$' }),
  }),
  reply: record({ proof: Type.Union([KeySchema, Type.Null()]) }),
})

/** From an owner that it was: some of what you told me is not mine any more. Ask who has it now. */
export const BlockMoved = defineMessage('block/moved', { request: record({}), reply: record({}) })
