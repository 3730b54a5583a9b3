/**
 * What hosts say to each other about the ledger: the messages of consensus, operations that are to come in, finalized runs for
 * whoever lacks them. Every one names the network by the hash of its genesis; who is of another gets `wrong-network`.
 *
 * The messages of consensus travel as bytes, because one goes to many members: it is encoded once, and checked against its
 * schema here before the step sees it. What is small goes on the lane of small messages, blocks on the bulk lane.
 */
import { type Static, Type } from 'typebox'
import { decode, encode } from '../../core/cbor.ts'
import { type Checker, checker } from '../../core/codec.ts'
import { MAX_COMMITTEE, MAX_HEADERS_ABOVE, MAX_OPERATION_BYTES } from '../../core/limits.ts'
import { BytesSchema, defineMessage, KeySchema, type ReplyOf, record } from '../../net/message.ts'
import { MAX_ANSWER_CERTIFICATES, MAX_ANSWER_RUNS } from './consensus/catch-up.ts'
import { MAX_PAYLOAD_BYTES } from './consensus/committee.ts'
import type { Certificate, FinalRun, Message } from './consensus/messages.ts'
import { TimeSchema } from './genesis.ts'
import { SIGNATURE_BYTES } from './keys.ts'
import { isResult, type Result } from './state/refusal.ts'

/** Blocks of one run: all that were notarized and not final before it. Only a committee in great trouble makes so many. */
export const MAX_RUN_BLOCKS = 1024
/** Of all that one message on the small lane carries; the frame has room for the envelope. */
export const MAX_SMALL_BYTES = 48 * 1024
/** Of all that one on the bulk lane carries. */
export const MAX_BULK_BYTES = 1020 * 1024
/** Runs in one answer to who catches up. */
export const MAX_FETCHED_RUNS = 1024
/** Headers of epochs in one answer: a quarter of a second to check where each has 21 signatures. */
export const MAX_FETCHED_HEADERS = 128
/** Messages of consensus in one message, and operations. */
export const MAX_SAID = 64
export const MAX_HANDED = 512

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Member = Type.Integer({ minimum: 0, maximum: MAX_COMMITTEE - 1 })
const Signature = BytesSchema(SIGNATURE_BYTES)
const Kind = Type.Union([Type.Literal('notarize'), Type.Literal('nullify'), Type.Literal('finalize')])
const DigestOrNull = Type.Union([KeySchema, Type.Null()])

const BlockSchema = record({
  height: Count,
  view: Count,
  parent: KeySchema,
  timeMs: TimeSchema,
  payload: BytesSchema(MAX_PAYLOAD_BYTES),
})
const CertificateSchema = record({
  type: Type.Literal('certificate'),
  kind: Kind,
  view: Count,
  digest: DigestOrNull,
  members: Type.Array(Member, { maxItems: MAX_COMMITTEE }),
  signatures: Type.Array(Signature, { maxItems: MAX_COMMITTEE }),
})
const RunSchema = record({
  blocks: Type.Array(BlockSchema, { minItems: 1, maxItems: MAX_RUN_BLOCKS }),
  above: Type.Array(record({ height: Count, view: Count, parent: KeySchema, timeMs: TimeSchema, payload: KeySchema }), {
    maxItems: MAX_HEADERS_ABOVE,
  }),
  certificate: CertificateSchema,
})
const MESSAGES = {
  proposal: record({ type: Type.Literal('proposal'), block: BlockSchema, signature: Signature }),
  vote: record({
    type: Type.Literal('vote'),
    kind: Kind,
    view: Count,
    digest: DigestOrNull,
    member: Member,
    signature: Signature,
  }),
  certificate: CertificateSchema,
  fetch: record({ type: Type.Literal('fetch'), height: Count, since: Count, block: DigestOrNull }),
  answer: record({
    type: Type.Literal('answer'),
    runs: Type.Array(RunSchema, { maxItems: MAX_ANSWER_RUNS }),
    certificates: Type.Array(CertificateSchema, { maxItems: MAX_ANSWER_CERTIFICATES + 2 }),
    blocks: Type.Array(BlockSchema, { maxItems: MAX_ANSWER_CERTIFICATES + 2 }),
  }),
} as const
const checkers = Object.fromEntries(
  Object.entries(MESSAGES).map(([type, schema]) => [type, checker(schema)]),
) as unknown as Readonly<Record<Message['type'], Checker<Message>>>
const runChecker = checker(RunSchema) as unknown as Checker<FinalRun>
const certificateChecker = checker(CertificateSchema) as unknown as Checker<Certificate>

/** By object, as payloads are (`payload.ts`): members that share a process hear the very same bytes. Neither ever changes. */
const known = new WeakMap<Uint8Array, Message>()

/** Undefined: these bytes are no message of consensus. Never throws. */
export function decodeSaid(bytes: Uint8Array): Message | undefined {
  const seen = known.get(bytes)
  if (seen) return seen
  const message = decodeAnew(bytes)
  if (message) known.set(bytes, message)
  return message
}

function decodeAnew(bytes: Uint8Array): Message | undefined {
  const value = decoded(bytes) as { type?: unknown } | null | undefined
  const type = typeof value === 'object' ? value?.type : undefined
  if (typeof type !== 'string' || !Object.hasOwn(checkers, type)) return undefined
  const shape = checkers[type as Message['type']]
  return shape.check(value) ? value : undefined
}

/** By object: who asks again and again where a banker is, is mostly told the same. */
const encoded = new WeakMap<Certificate, Uint8Array>()

export function encodeCertificate(certificate: Certificate): Uint8Array {
  let bytes = encoded.get(certificate)
  if (!bytes) encoded.set(certificate, (bytes = encode(certificate)))
  return bytes
}

export const encodeRun: (run: FinalRun) => Uint8Array = encode

/** Undefined: these bytes are no run. Never throws. */
export function decodeRun(bytes: Uint8Array): FinalRun | undefined {
  const value = decoded(bytes)
  return runChecker.check(value) ? value : undefined
}

/** Undefined: these bytes are no certificate. Never throws. */
export function decodeCertificate(bytes: Uint8Array): Certificate | undefined {
  const value = decoded(bytes)
  return certificateChecker.check(value) ? value : undefined
}

function decoded(bytes: Uint8Array): unknown {
  try {
    return decode(bytes)
  } catch {
    return undefined
  }
}

const SaidSchema = record({
  network: KeySchema,
  epoch: Count,
  messages: Type.Array(BytesSchema(MAX_BULK_BYTES), { minItems: 1, maxItems: MAX_SAID }),
})
export type Said = Static<typeof SaidSchema>
const NOTHING = record({})

/** From one member to another. The answer says only that it came. */
export const Say = defineMessage('ledger/say', { request: SaidSchema, reply: NOTHING })
export const SayBulk = defineMessage('ledger/say-bulk', { request: SaidSchema, reply: NOTHING }, { bulk: true })

/** What became of an operation that was handed to a banker: it waits there, or why not. `busy`: the queue is full. */
export type Handed = 'waits' | 'busy' | Result
const isHanded = (value: unknown) => value === 'waits' || value === 'busy' || isResult(value)

/** Operations for the queue of a banker. One answer for each. */
export const Hand = defineMessage('ledger/hand', {
  request: record({
    network: KeySchema,
    operations: Type.Array(BytesSchema(MAX_OPERATION_BYTES), { minItems: 1, maxItems: MAX_HANDED }),
  }),
  reply: record({
    answers: Type.Array(Type.Refine(Type.Unsafe<Handed>(Type.Unknown()), isHanded), { maxItems: MAX_HANDED }),
  }),
})

const CertificateBytes = BytesSchema(16 * 1024)

/** Where a host is on the chain, and in consensus if it has a seat. */
export const Ask = defineMessage('ledger/ask', {
  request: record({ network: KeySchema }),
  reply: record({
    epoch: Count,
    height: Count,
    /** It votes in this epoch, and can show all that it has said there (`Member.isWhole`). */
    atWork: Type.Boolean(),
    /** The highest notarization on which it has voted to finalize, if that is not on its chain yet. */
    voted: Type.Optional(CertificateBytes),
    /** The certificate of the highest view that it has left. */
    left: Type.Optional(CertificateBytes),
  }),
})
export type Asked = ReplyOf<typeof Ask>

/** Waits until there is a block above this height, or for so long. As many whole runs as fit; none may fit. */
export const Follow = defineMessage('ledger/follow', {
  request: record({
    network: KeySchema,
    above: Count,
    waitMs: Type.Integer({ minimum: 0, maximum: 60_000 }),
  }),
  reply: record({
    height: Count,
    runs: Type.Array(BytesSchema(MAX_SMALL_BYTES), { maxItems: MAX_ANSWER_RUNS }),
  }),
})

/** The same at once, on the bulk lane. */
export const Runs = defineMessage(
  'ledger/runs',
  {
    request: record({ network: KeySchema, above: Count }),
    reply: record({ runs: Type.Array(BytesSchema(MAX_BULK_BYTES), { maxItems: MAX_FETCHED_RUNS }) }),
  },
  { bulk: true },
)

/** The last headers of epochs from this one on, as many as fit. None: it knows of no more. */
export const Epochs = defineMessage(
  'ledger/epochs',
  {
    request: record({ network: KeySchema, from: Count }),
    reply: record({ headers: Type.Array(BytesSchema(MAX_BULK_BYTES), { maxItems: MAX_FETCHED_HEADERS }) }),
  },
  { bulk: true },
)

/** The latest snapshot that this host has put into the store of blocks. */
export const AskSnapshot = defineMessage('ledger/snapshot', {
  request: record({ network: KeySchema }),
  reply: record({
    /** It is of the end of the epoch before this one. */
    epoch: Count,
    /** The CID of the block that names its chunks. */
    root: Type.String({ maxLength: 128 }),
  }),
})
export type SnapshotOffer = ReplyOf<typeof AskSnapshot>

/** The genesis that this host keeps to. */
export const AskGenesis = defineMessage('ledger/genesis', {
  request: NOTHING,
  reply: record({ genesis: BytesSchema(MAX_SMALL_BYTES) }),
})
