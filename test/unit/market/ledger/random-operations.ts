/**
 * Random blocks: honest and hostile accounts with few keys and small numbers, so that most things are tried in most orders.
 * The same seed on the same ledger makes the same blocks.
 */
import { encode } from '../../../../src/core/cbor.ts'
import type { Random } from '../../../../src/core/env.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { seededRandom, shuffled } from '../../../../src/core/random.ts'
import { statement } from '../../../../src/market/ledger/consensus/messages.ts'
import type { PublicKey } from '../../../../src/market/ledger/keys.ts'
import { type Amount, amount } from '../../../../src/market/ledger/state/amount.ts'
import { type Action, decodeOperation, KINDS, type Kind } from '../../../../src/market/ledger/state/operation.ts'
import { Books, type Tried } from './books.ts'

const NAMES = ['owner 1', 'anna', 'ben', 'cleo', 'dora'] as const
const HOSTS = ['banker 1', 'banker 2', 'banker 3', 'banker 4', 'banker 5'] as const
const TRICKS = ['replay', 'gap', 'network', 'forge', 'flip', 'noise', 'negative', 'spelling'] as const
const FREQUENT: readonly Exclude<Kind, MarketKind>[] = [
  'open-escrow',
  'fund',
  'fund',
  'release',
  'release',
  'fine',
  'transfer',
  'link',
  'withdraw',
]
/** These have their own (`random-market.ts`). */
const OF_THE_MARKET = [
  'hand-in',
  'withdraw-offer',
  'raise-offer',
  'match',
  'sign',
  'commit',
  'reveal',
  'approve',
  'challenge',
  'show',
  'dispute',
  'draw',
  'mediate',
  'seal',
  'verdict',
  'end',
  'expire',
] as const satisfies readonly Kind[]
export type MarketKind = (typeof OF_THE_MARKET)[number]
export const USUAL = KINDS.filter(
  (kind): kind is Exclude<Kind, MarketKind> => !OF_THE_MARKET.includes(kind as MarketKind),
)
const NEEDS_ESCROW: ReadonlySet<Kind> = new Set(['fund', 'release', 'refund', 'split', 'fine', 'time-out'])
const PAUSES_MS = [0, 0, 0, 0, 0, 1, 1, 1000, 1000, 1000, 20_000, 20_000, 3_600_000, 90_000_000, 90_000_000]
const MAX_OPERATIONS = 8

/** Plays so many blocks of a seed, and calls `watch` after each. */
export function play(books: Books, seed: number, blocks: number, watch: (tried: Tried) => void): void {
  const random = seededRandom(seed)
  const past: Uint8Array[] = []
  for (let i = 0; i < blocks; i++) {
    const numbers = new Map<string, number>()
    const count = random.int(MAX_OPERATIONS + 1)
    const operations = Array.from({ length: count }, () => operationOf(books, random, numbers, past))
    watch(books.block(operations, pick(random, PAUSES_MS)))
    past.push(...operations)
  }
}

/** A ledger after some blocks of this seed. */
export function playedBooks(seed: number, blocks: number): Books {
  const books = new Books()
  play(books, seed, blocks, () => {})
  return books
}

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.int(list.length)]!
}

function operationOf(
  books: Books,
  random: Random,
  numbers: Map<string, number>,
  past: readonly Uint8Array[],
): Uint8Array {
  const trick = random.int(6) === 0 ? pick(random, TRICKS) : undefined
  if (trick === 'noise') return random.bytes(random.int(200))
  if (trick === 'replay' && past.length > 0) return pick(random, past)
  const wanted = actionOf(books, random)
  const sender = random.int(5) === 0 ? pick(random, NAMES) : senderOf(books, random, wanted)
  const opened = books.state.accounts.get(books.id(sender)) !== undefined || numbers.has(sender)
  const action: Action = opened || random.int(4) === 0 ? wanted : { kind: 'open' }
  const next = numbers.get(sender) ?? books.state.accounts.get(books.id(sender))?.nonce ?? 0
  const changes = {
    ...(action.kind !== 'heartbeat' && { nonce: trick === 'gap' ? next + 1 + random.int(3) : next }),
    ...(trick === 'network' && { network: hashKey('another') }),
  }
  const bytes = books.operation(sender, action, changes)
  if (trick === undefined && action.kind !== 'heartbeat') numbers.set(sender, next + 1)
  if (trick === 'flip') {
    const bit = random.int(bytes.length * 8)
    return bytes.with(bit >> 3, bytes[bit >> 3]! ^ (1 << (bit & 7)))
  }
  if (trick === 'spelling') return Uint8Array.of(0xb8, 5, ...bytes.subarray(1))
  const read = decodeOperation(bytes)
  if (trick === 'forge') return encode({ ...(read as object), account: books.id(pick(random, NAMES)) })
  if (trick === 'negative') return encode({ ...(read as object), action: { ...action, amount: -1n } })
  return bytes
}

/** Somebody who may do it, if anybody may. */
function senderOf(books: Books, random: Random, action: Action): string {
  const named = (id: PublicKey | null | undefined) => NAMES.find((name) => books.id(name) === id) ?? pick(random, NAMES)
  if ('escrow' in action && action.kind !== 'time-out') {
    const escrow = books.state.escrows.get(action.escrow)
    const paying = action.kind === 'fund' || (action.kind === 'release' && random.int(2) === 0)
    return named(paying ? escrow?.payer : (escrow?.arbiter ?? escrow?.payees[0]))
  }
  if (action.kind === 'open-escrow') {
    const parties = new Set([...action.payees, action.arbiter])
    return pick(
      random,
      NAMES.filter((name) => !parties.has(books.id(name))),
    )
  }
  if ('host' in action && action.kind !== 'link') return named(books.state.hosts.get(action.host))
  return pick(random, NAMES)
}

function actionOf(books: Books, random: Random): Action {
  const { state } = books
  const drawn = random.int(2) === 0 ? pick(random, USUAL) : pick(random, FREQUENT)
  const kind = state.escrows.size === 0 && NEEDS_ESCROW.has(drawn) && random.int(8) > 0 ? 'open-escrow' : drawn
  const [first, second, third] = shuffled(NAMES, random).map((name) => books.id(name))
  const open = [...state.escrows.entries()].map(([id]) => id)
  const escrow: Key = open.length > 0 && random.int(20) > 0 ? pick(random, open) : hashKey('none')
  const terms = state.escrows.get(escrow)
  const to = terms && random.int(20) > 0 ? pick(random, terms.payees) : first!
  const bonded = [...state.bankers.entries()].map(([id]) => id).filter((id) => !state.committee.includes(id))
  const host =
    drawn !== 'link' && bonded.length > 0 && random.int(3) > 0 ? pick(random, bonded) : books.id(pick(random, HOSTS))
  const some = someCredits(random)
  switch (kind) {
    case 'open':
    case 'end-epoch':
      return { kind }
    case 'transfer':
      return { kind, to: first!, amount: some }
    case 'open-escrow': {
      const payees = random.int(2) === 0 ? [first!] : [first!, second!]
      const deadlineMs = state.timeMs + pick(random, [0, 1, 30_000, 5_000_000, 200_000_000, 200_000_000])
      return { kind, payees, arbiter: random.int(4) > 0 ? third! : null, amount: some, deadlineMs }
    }
    case 'fund': {
      const room = terms ? terms.amount - terms.funded : 0n
      return { kind, escrow, amount: room > 0n && random.int(3) > 0 ? (room as Amount) : some }
    }
    case 'fine':
      return { kind, escrow, amount: some }
    case 'release':
      return { kind, escrow, step: (terms?.step ?? 0) + (random.int(10) === 0 ? 1 : 0), to, amount: some }
    case 'split':
      return {
        kind,
        escrow,
        shares: [
          { to, amount: amount(1n) },
          { to, amount: some },
        ].slice(random.int(2)),
      }
    case 'refund':
    case 'time-out':
      return { kind, escrow }
    case 'bond':
    case 'unbond':
      return { kind, host, amount: random.int(3) > 0 ? state.settings.bond : some }
    case 'accuse': {
      const { network, epoch } = state
      const [first, second] = ['a', 'b'].map((name) => {
        const digest = hashKey(random.int(4) > 0 ? name : 'a')
        const signature = books.keyOf(host).sign(statement({ network, epoch }, 'finalize', 1, digest))
        return { kind: 'finalize', digest, signature } as const
      })
      return { kind, host, epoch, view: 1, first: first!, second: second! }
    }
    default:
      return { kind, host }
  }
}

function someCredits(random: Random): Amount {
  const most = pick(random, [1, 100, 5000, 10_000, 10_000, 60_000])
  return random.int(50) === 0 ? amount(2n ** 63n - 1n) : amount(BigInt(1 + random.int(most)))
}
