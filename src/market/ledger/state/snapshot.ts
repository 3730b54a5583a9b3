/**
 * The whole state as a list of chunks, each small enough for a block of the store: first the books (height, time, epoch,
 * committee, totals), then the entries of each tree in the order of their keys. The same state makes the same chunks, so
 * members that write one at the same height share its blocks. Who reads one needs the genesis and a state root that
 * a quorum signed; then the chunks can come from anybody.
 */
import { type Static, type TSchema, Type } from 'typebox'
import { decode, encode } from '../../../core/cbor.ts'
import { type Checker, checker } from '../../../core/codec.ts'
import { ChoraleError } from '../../../core/errors.ts'
import type { Key } from '../../../core/ids.ts'
import {
  MAX_CLAIMED_RANGES,
  MAX_COMMITTEE,
  MAX_ESCROW_PAYEES,
  MAX_JOB_TASKS,
  MAX_OFFER_BYTES,
  MAX_OFFER_PIECES,
  MAX_OFFER_REPLICAS,
} from '../../../core/limits.ts'
import { BytesSchema, KeySchema, record } from '../../../net/message.ts'
import { decodeCanonical } from '../canonical.ts'
import { type Genesis, TimeSchema } from '../genesis.ts'
import { AllocationSchema, RangeSchema } from './allocations/allocation.ts'
import { type Amount, AmountSchema, amountFromWire } from './amount.ts'
import { byAccountOf } from './by-account.ts'
import { genesisState, recount, type State, stateRoot, supplyOf, TREES } from './state.ts'
import { encodeEntry, Tree } from './tree.ts'

/** Of one chunk, below the 256 KiB of a leaf of the store. */
export const MAX_CHUNK_BYTES = 256 * 1024 - 1
/** Around the entries of a chunk, and around each entry. */
const CHUNK_OVERHEAD_BYTES = 64
const ENTRY_OVERHEAD_BYTES = 5

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const PURSE = { free: AmountSchema, granted: AmountSchema }

const VALUES = {
  accounts: record({ ...PURSE, nonce: Count, earned: AmountSchema }),
  escrows: record({
    ...PURSE,
    payer: KeySchema,
    payees: Type.Array(KeySchema, { maxItems: MAX_ESCROW_PAYEES }),
    arbiter: Type.Union([KeySchema, Type.Null()]),
    amount: AmountSchema,
    funded: AmountSchema,
    step: Count,
    deadlineMs: Count,
  }),
  bankers: record({
    ...PURSE,
    account: KeySchema,
    leaving: record(PURSE),
    leavingAtMs: Count,
    candidate: Type.Boolean(),
    nextBeat: Count,
    since: Count,
  }),
  hosts: KeySchema,
  allocations: AllocationSchema,
  claims: record({
    layers: Type.Array(Type.Array(RangeSchema, { maxItems: MAX_CLAIMED_RANGES }), { maxItems: 255 }),
    holders: Count,
  }),
  mediators: TimeSchema,
  book: record({
    bytes: BytesSchema(MAX_OFFER_BYTES),
    allocator: KeySchema,
    sequence: Count,
    maxPrice: AmountSchema,
    left: Count,
    fresh: Count,
    placed: Type.Array(Type.Tuple([KeySchema, Count]), { maxItems: MAX_OFFER_REPLICAS * MAX_JOB_TASKS }),
    pieces: Type.Array(record({ fromMs: TimeSchema, untilMs: TimeSchema, coresMilli: Count, memoryBytes: Count }), {
      maxItems: MAX_OFFER_PIECES,
    }),
  }),
  spent: Count,
  trades: record({ slot: Count, atMs: TimeSchema, workMi: AmountSchema, wages: AmountSchema, price: AmountSchema }),
  records: record({ paid: Count, verified: Count, failed: Count, deserted: Count, outvoted: Count }),
} as const satisfies Record<TreeName, TSchema>

type TreeName = (typeof TREES)[number]
type Trees = Pick<State, TreeName>

const BooksSchema = record({
  v: Type.Literal(1),
  height: Count,
  timeMs: TimeSchema,
  epoch: Count,
  epochBeganMs: TimeSchema,
  committee: Type.Array(KeySchema, { minItems: 1, maxItems: MAX_COMMITTEE }),
  minted: AmountSchema,
  burnt: AmountSchema,
  sequence: Count,
})
const ChunkSchema = record({
  tree: Type.Union(TREES.map((name) => Type.Literal(name))),
  entries: Type.Array(BytesSchema(MAX_CHUNK_BYTES), { minItems: 1 }),
})
const booksChecker = checker(BooksSchema)
const chunkChecker = checker(ChunkSchema)
const valueCheckers = Object.fromEntries(TREES.map((name) => [name, checker(VALUES[name])])) as unknown as Readonly<
  Record<TreeName, Checker<unknown>>
>

/** Chunks of at most MAX_CHUNK_BYTES. */
export function* snapshotChunks(state: State): Generator<Uint8Array> {
  const { height, timeMs, epoch, epochBeganMs, committee, minted, burnt, sequence } = state
  yield encode({ v: 1, height, timeMs, epoch, epochBeganMs, committee, minted, burnt, sequence })
  for (const tree of TREES) {
    let entries: Uint8Array[] = []
    let bytes = CHUNK_OVERHEAD_BYTES
    for (const [key, value] of state[tree].entries()) {
      const entry = encodeEntry(key, value)
      if (bytes + entry.length + ENTRY_OVERHEAD_BYTES > MAX_CHUNK_BYTES) {
        yield encode({ tree, entries })
        entries = []
        bytes = CHUNK_OVERHEAD_BYTES
      }
      entries.push(entry)
      bytes += entry.length + ENTRY_OVERHEAD_BYTES
    }
    if (entries.length > 0) yield encode({ tree, entries })
  }
}

/** Throws `bad-message` on chunks that do not make up the state with this root. */
export function restoreState(genesis: Genesis, root: Key, chunks: Iterable<Uint8Array>): State {
  let books: Static<typeof BooksSchema> | undefined
  let trees = Object.fromEntries(TREES.map((name) => [name, Tree.empty()])) as unknown as Trees
  let last = ''
  for (const chunk of chunks) {
    const value = chunk.length <= MAX_CHUNK_BYTES ? decodeCanonical(chunk) : undefined
    if (!books) {
      books = booksChecker.check(value) ? value : refuse('does not begin with its books')
      continue
    }
    if (!chunkChecker.check(value)) refuse('has a chunk that is none')
    const { tree, entries } = value as { tree: TreeName; entries: Uint8Array[] }
    let restored = trees[tree] as Tree<unknown>
    for (const entry of entries) {
      const [key, read] = entryOf(tree, entry)
      const place = `${String(TREES.indexOf(tree)).padStart(3, '0')} ${key}`
      if (place <= last) refuse('has entries out of order')
      last = place
      restored = restored.set(key, read)
    }
    trees = { ...trees, [tree]: restored }
  }
  if (!books) refuse('is empty')
  const { v: _, ...totals } = books
  const read = { ...totals, minted: amountOf(books.minted), burnt: amountOf(books.burnt) }
  const state: State = { ...genesisState(genesis), ...read, ...trees, ...byAccountOf(trees), held: recount(trees) }
  if (stateRoot(state) !== root) refuse('is not that of the state root')
  if (state.held !== supplyOf(state)) refuse('holds more or less than its supply')
  return state
}

function entryOf(tree: TreeName, bytes: Uint8Array): readonly [Key, unknown] {
  const pair = decode(bytes) // another spelling of the same value would be harmless: the root is of our own
  const fits = Array.isArray(pair) && pair.length === 2 && keyChecker.check(pair[0])
  if (!fits || !valueCheckers[tree].check(pair[1])) refuse('has an entry that is none')
  return [pair[0], withAmounts(pair[1])]
}
const keyChecker = checker(KeySchema)

const AMOUNTS: ReadonlySet<string> = new Set([
  'free',
  'granted',
  'earned',
  'amount',
  'funded',
  'price',
  'maxPrice',
  'fee',
  'deposit',
  'bond',
  'workMi',
  'wages',
])

/** As it was in memory: amounts as bigints. */
function withAmounts(value: unknown): unknown {
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array)
  if (!isPlain) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, part]) => [name, AMOUNTS.has(name) ? amountOf(part) : withAmounts(part)]),
  )
}

function amountOf(value: unknown): Amount {
  return amountFromWire(value) ?? refuse('has an amount that is none')
}

function refuse(what: string): never {
  throw new ChoraleError('bad-message', `the snapshot ${what}`)
}
