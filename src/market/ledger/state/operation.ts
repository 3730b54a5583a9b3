/**
 * Operations: what accounts ask of the ledger, as canonical dag-cbor, with the signatures that each needs. What is signed
 * names the network, the account and its number (nonce), so that an operation counts once, in one network.
 *
 * Decoding is total: any bytes are an operation or have a reason why they are none.
 */
import { type Static, Type } from 'typebox'
import { encode } from '../../../core/cbor.ts'
import { type Checker, checker } from '../../../core/codec.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { MAX_ESCROW_PAYEES, MAX_OFFER_BYTES, MAX_OPERATION_BYTES } from '../../../core/limits.ts'
import { CappedMap } from '../../../net/capped-map.ts'
import { BytesSchema, KeySchema, record } from '../../../net/message.ts'
import { signedOfferBytes } from '../../offers/offer.ts'
import { decodeCanonical } from '../canonical.ts'
import { statement } from '../consensus/messages.ts'
import { TimeSchema } from '../genesis.ts'
import { type KeyPair, type PublicKey, SIGNATURE_BYTES, type Verify } from '../keys.ts'
import { FindingSchema, RangesSchema } from './allocations/allocation.ts'
import { AmountSchema, amountFromWire } from './amount.ts'
import { offerIn } from './book/offers.ts'
import type { Refusal } from './refusal.ts'

const Id = KeySchema
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** Of a Merkle path: a window has at most 2^22 tasks. */
const MAX_PATH = 22
/** Of one operation; as many as fit, of the shortest. */
const MAX_HANDED_OFFERS = 16

/** What a banker has signed in a view of consensus: the parts of `statement` that differ. */
const SaidSchema = record({
  kind: Type.Union([
    Type.Literal('propose'),
    Type.Literal('notarize'),
    Type.Literal('nullify'),
    Type.Literal('finalize'),
  ]),
  digest: Type.Union([Id, Type.Null()]),
  signature: BytesSchema(SIGNATURE_BYTES),
})
export type SignedSaying = Static<typeof SaidSchema>

/** Every kind of operation and what it carries. Amounts are above zero. */
const ACTIONS = {
  // Accounts
  /** Opens the signing account; what the network grants is given at once. */
  open: record({ kind: Type.Literal('open') }),
  /** The host belongs to the account from now on. Signed by the host, too. */
  link: record({ kind: Type.Literal('link'), host: Id }),
  unlink: record({ kind: Type.Literal('unlink'), host: Id }),
  transfer: record({ kind: Type.Literal('transfer'), to: Id, amount: AmountSchema }),

  // Escrows
  /** By the payer. `amount`: what it may come to hold. Its id is `escrowId` of this operation. */
  'open-escrow': record({
    kind: Type.Literal('open-escrow'),
    payees: Type.Array(Id, { minItems: 1, maxItems: MAX_ESCROW_PAYEES }),
    arbiter: Type.Union([Id, Type.Null()]),
    amount: AmountSchema,
    deadlineMs: TimeSchema,
  }),
  /** By the payer, before the deadline: as often as it likes, up to what was agreed. */
  fund: record({ kind: Type.Literal('fund'), escrow: Id, amount: AmountSchema }),
  /** By the payer or the arbiter, before the deadline. Steps are numbered from 0. */
  release: record({ kind: Type.Literal('release'), escrow: Id, step: Count, to: Id, amount: AmountSchema }),
  /** All that is left goes back, and the escrow is closed. By the arbiter, or by a payee who is alone. */
  refund: record({ kind: Type.Literal('refund'), escrow: Id }),
  /** By the arbiter, before the deadline: to each payee its share, the rest to the payer, and the escrow is closed. */
  split: record({
    kind: Type.Literal('split'),
    escrow: Id,
    shares: Type.Array(record({ to: Id, amount: AmountSchema }), { minItems: 1, maxItems: MAX_ESCROW_PAYEES }),
  }),
  /** By the arbiter, before the deadline: so much of what the escrow holds is burnt. */
  fine: record({ kind: Type.Literal('fine'), escrow: Id, amount: AmountSchema }),
  /** By anybody, after the deadline: all that is left goes back to the payer, and the escrow is closed. */
  'time-out': record({ kind: Type.Literal('time-out'), escrow: Id }),

  // Offers (`book/`)
  'hand-in': record({
    kind: Type.Literal('hand-in'),
    offers: Type.Array(BytesSchema(MAX_OFFER_BYTES), { minItems: 1, maxItems: MAX_HANDED_OFFERS }),
  }),
  'withdraw-offer': record({ kind: Type.Literal('withdraw-offer'), offer: Id }),
  'raise-offer': record({ kind: Type.Literal('raise-offer'), offer: Id, maxPrice: AmountSchema }),
  match: record({ kind: Type.Literal('match'), slot: Count }),

  // Allocations (`allocations/`): who may, when, and what then
  sign: record({ kind: Type.Literal('sign'), allocation: Id, anchor: Id }),
  commit: record({ kind: Type.Literal('commit'), allocation: Id, window: Count, tasks: RangesSchema, root: Id }),
  reveal: record({ kind: Type.Literal('reveal'), allocation: Id, nonce: Id }),
  /** `window`: what comes in late must not be said of the next one. */
  approve: record({ kind: Type.Literal('approve'), allocation: Id, window: Count, tests: Count }),
  challenge: record({ kind: Type.Literal('challenge'), allocation: Id, position: Count }),
  show: record({
    kind: Type.Literal('show'),
    allocation: Id,
    digest: Id,
    salt: Id,
    path: Type.Array(Id, { maxItems: MAX_PATH }),
  }),
  dispute: record({ kind: Type.Literal('dispute'), allocation: Id }),
  draw: record({ kind: Type.Literal('draw'), allocation: Id, secret: Id }),
  mediate: record({ kind: Type.Literal('mediate'), host: Id, willing: Type.Boolean() }),
  seal: record({ kind: Type.Literal('seal'), allocation: Id, host: Id, seal: Id }),
  verdict: record({ kind: Type.Literal('verdict'), allocation: Id, host: Id, finding: FindingSchema, salt: Id }),
  end: record({ kind: Type.Literal('end'), allocation: Id }),
  expire: record({ kind: Type.Literal('expire'), allocation: Id }),

  // Bankers
  /** Puts credits at stake for a host of the account: at once as many as a banker needs, or more. */
  bond: record({ kind: Type.Literal('bond'), host: Id, amount: AmountSchema }),
  /** Gives notice of the bond, or of what is above a banker's need. A further notice makes the time begin anew. */
  unbond: record({ kind: Type.Literal('unbond'), host: Id, amount: AmountSchema }),
  /** Takes back what was given notice, when the time is over and the host has no seat. */
  withdraw: record({ kind: Type.Literal('withdraw'), host: Id }),
  /** The host stands for the committee. */
  admit: record({ kind: Type.Literal('admit'), host: Id }),
  /** The host stands no longer. If it has a seat, it has it until the epoch ends. */
  drop: record({ kind: Type.Literal('drop'), host: Id }),
  /** A sign of life, once an epoch. Signed by the host alone; its number is the epoch's. */
  heartbeat: record({ kind: Type.Literal('heartbeat'), host: Id }),
  /**
   * By anybody, when the epoch's time is over: chooses the next committee. The block is the last of its epoch. With a host
   * that is a banker it is the host's own, like a sign of life, so that bankers need no account's key to go on.
   */
  'end-epoch': record({ kind: Type.Literal('end-epoch'), host: Type.Optional(Id) }),
  /**
   * By anybody: a banker has said two things in a view of which it may say one. All of its bond is burnt. With `by`, a host
   * that is a banker, it is that host's own, as above.
   */
  accuse: record({
    kind: Type.Literal('accuse'),
    host: Id,
    epoch: Count,
    view: Count,
    first: SaidSchema,
    second: SaidSchema,
    by: Type.Optional(Id),
  }),
} as const

export type Kind = keyof typeof ACTIONS
export type ActionOf<K extends Kind> = Static<(typeof ACTIONS)[K]>
export type Action = { [K in Kind]: ActionOf<K> }[Kind]

export const KINDS = Object.keys(ACTIONS) as readonly Kind[]

const checkers = Object.fromEntries(KINDS.map((kind) => [kind, checker(ACTIONS[kind])])) as unknown as Readonly<
  Record<Kind, Checker<Action>>
>

const Envelope = record({
  network: Id,
  account: Id,
  /** Of the account's operations, from 0: each one higher than the one before. */
  nonce: Count,
  action: Type.Unknown(),
  /** In the order of `signersOf`. */
  signatures: Type.Array(BytesSchema(SIGNATURE_BYTES), { minItems: 1, maxItems: 2 }),
})
const envelopeChecker = checker(Envelope)

export interface Unsigned<A extends Action = Action> {
  readonly network: Key
  readonly account: PublicKey
  readonly nonce: number
  readonly action: A
}

export interface Operation extends Unsigned {
  readonly signatures: readonly Uint8Array[]
}

/** What every signer signs. */
export function signedBytes({ network, account, nonce, action }: Unsigned): Uint8Array {
  return encode(['chorale operation', network, account, nonce, action])
}

/**
 * The host whose own operation this is. Its number is the epoch's: the hosts of an account cannot agree on the account's
 * numbers, and need not have its key.
 */
export function ownHostOf(action: Action): PublicKey | undefined {
  if (action.kind === 'accuse') return action.by
  return action.kind === 'heartbeat' || action.kind === 'end-epoch' ? action.host : undefined
}

/** Whose signatures an operation needs, in order. */
export function signersOf({ account, action }: Unsigned): readonly PublicKey[] {
  const host = ownHostOf(action)
  if (host !== undefined) return [host]
  return action.kind === 'link' ? [account, action.host] : [account]
}

/** Signs with the keys that `signersOf` names, in its order. */
export function signOperation(unsigned: Unsigned, keys: readonly KeyPair[]): Uint8Array {
  const bytes = signedBytes(unsigned)
  const { network, account, nonce, action } = unsigned
  return encode({ network, account, nonce, action, signatures: keys.map((key) => key.sign(bytes)) })
}

/**
 * Seen lately, by hash: an operation is looked at when it comes in and when its block is tried. A function of its argument,
 * so sharing it is safe.
 */
const seen = new CappedMap<Key, Operation>(4096)

/** Never throws. */
export function decodeOperation(bytes: Uint8Array): Operation | 'malformed' | 'bad-amount' {
  if (bytes.length > MAX_OPERATION_BYTES) return 'malformed'
  const hash = hashKey(bytes)
  const known = seen.get(hash)
  if (known) return known
  const operation = decodeAnew(bytes)
  if (typeof operation === 'object') seen.set(hash, Object.freeze(operation))
  return operation
}

function decodeAnew(bytes: Uint8Array): Operation | 'malformed' | 'bad-amount' {
  const value = decodeCanonical(bytes)
  if (!envelopeChecker.check(value)) return 'malformed'
  const raw = value.action as { kind?: unknown } | null
  const kind = typeof raw === 'object' ? raw?.kind : undefined
  if (typeof kind !== 'string' || !Object.hasOwn(checkers, kind)) return 'malformed'
  if (!checkers[kind as Kind].check(raw)) return 'malformed'
  const action = withAmounts(raw as Action)
  return action ? { ...value, action } : 'bad-amount'
}

/** Undefined when an amount is none, or zero. */
function withAmounts(action: Action): Action | undefined {
  if ('shares' in action) {
    const shares = action.shares.map(({ to, amount }) => ({ to, amount: amountFromWire(amount) }))
    return shares.every((share) => share.amount) ? ({ ...action, shares } as Action) : undefined
  }
  if ('maxPrice' in action) {
    const maxPrice = amountFromWire(action.maxPrice)
    return maxPrice ? { ...action, maxPrice } : undefined
  }
  if (!('amount' in action)) return action
  const amount = amountFromWire(action.amount)
  return amount ? { ...action, amount } : undefined
}

/** Whose signatures were found good, by what found it: an operation is looked at when it comes in and when its block is tried. */
const wellSigned = new WeakMap<Verify, WeakSet<Operation>>()

export function signaturesFault(operation: Operation, verify: Verify): Refusal | undefined {
  let good = wellSigned.get(verify)
  if (good?.has(operation)) return undefined
  if (!areSigned(operation, verify)) return 'bad-signature'
  if (!good) wellSigned.set(verify, (good = new WeakSet()))
  good.add(operation)
  return undefined
}

function areSigned(operation: Operation, verify: Verify): boolean {
  const signers = signersOf(operation)
  if (operation.signatures.length !== signers.length) return false
  const bytes = signedBytes(operation)
  return signers.every((signer, i) => verify(signer, bytes, operation.signatures[i]!)) && isProven(operation, verify)
}

/** Has the accused signed what it is accused of; are offers that are handed in those of their accounts? */
function isProven({ network, action }: Operation, verify: Verify): boolean {
  if (action.kind === 'hand-in') return action.offers.every((bytes) => isOfferSigned(bytes, verify))
  if (action.kind !== 'accuse') return true
  const { host, epoch, view, first, second } = action
  return [first, second].every(({ kind, digest, signature }) =>
    verify(host, statement({ network, epoch }, kind, view, digest), signature),
  )
}

/** What is no offer has no signature that could be bad. */
function isOfferSigned(bytes: Uint8Array, verify: Verify): boolean {
  const offer = offerIn(bytes)
  return !offer || verify(offer.account, signedOfferBytes(offer), offer.signature)
}

/** The id of the escrow that this operation opens. */
export function escrowId({ network, account, nonce }: Pick<Unsigned, 'network' | 'account' | 'nonce'>): Key {
  return hashKey(encode(['chorale escrow', network, account, nonce]))
}
