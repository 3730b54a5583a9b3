/**
 * The genesis of a network: its settings and its first bankers, in canonical bytes. The hash of these bytes is the
 * network's id, and is part of every signature on the ledger, so that two networks never mix (DESIGN 4, 9).
 */
import { type Static, Type } from 'typebox'
import { encode } from '../../core/cbor.ts'
import { checker } from '../../core/codec.ts'
import { ChoraleError } from '../../core/errors.ts'
import { hashKey, type Key } from '../../core/ids.ts'
import { MAX_COMMITTEE } from '../../core/limits.ts'
import { KeySchema, record } from '../../net/message.ts'
import { decodeCanonical } from './canonical.ts'
import { isCommitteeSize } from './committee.ts'
import { type Amount, AmountSchema, amountFromWire, MAX_AMOUNT } from './state/amount.ts'

const DAY_MS = 24 * 3_600_000

/** Milliseconds since the epoch, as far as a `Date` can tell them: sums with any duration of ours stay exact. */
export const TimeSchema = Type.Integer({ minimum: 0, maximum: 8.64e15 })
const DurationSchema = Type.Integer({ minimum: 1, maximum: 3660 * DAY_MS })
const Small = Type.Integer({ minimum: 1, maximum: 1024 })

const SettingsSchema = record({
  /** Of the overlay: as `NetworkSettings` of net/network-id.ts. */
  name: Type.String({ minLength: 1, maxLength: 64 }),
  placement: Type.Union([Type.Literal('ip-port'), Type.Literal('ip-prefix')]),
  replicas: Small,
  successors: Type.Optional(Small),
  space: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  copies: Type.Optional(Small),
  /** From one choice of the committee to the next, in block time. */
  epochMs: DurationSchema,
  /** Bankers at most: 1, 4, 7, ... */
  committeeCap: Type.Integer({ minimum: 1, maximum: MAX_COMMITTEE }),
  /** What a banker must have at stake. */
  bond: AmountSchema,
  /** How long a bond stays after it was given notice. */
  unbondingMs: DurationSchema,
  /** To each new account. */
  grant: AmountSchema,
  /** Nothing is granted beyond so many credits that were ever made. */
  mintCap: AmountSchema,
  /** What a newcomer has to show for its grant. Nothing, on private networks; work comes with open ones. */
  grantWork: Type.Literal('none'),
})
export type Settings = Static<typeof SettingsSchema>

const GenesisSchema = record({
  v: Type.Literal(1),
  settings: SettingsSchema,
  createdAtMs: TimeSchema,
  /**
   * In the order of their hosts. Each of their accounts has a grant, and each of them the bond, out of nothing; it counts as
   * granted.
   */
  bankers: Type.Array(record({ host: KeySchema, account: KeySchema }), { minItems: 1, maxItems: MAX_COMMITTEE }),
})
export type Genesis = Static<typeof GenesisSchema>
const genesisChecker = checker(GenesisSchema)

/** 50 credits to each account, a committee of up to 31, an epoch of an hour. For private networks. */
export const PRIVATE_LEDGER = {
  epochMs: 3_600_000,
  committeeCap: 31,
  bond: 10_000n as Amount,
  unbondingMs: DAY_MS,
  grant: 50_000n as Amount,
  mintCap: MAX_AMOUNT,
  grantWork: 'none',
} as const satisfies Partial<Settings>

/** Throws `bad-message`, as `decodeGenesis` does. */
export function encodeGenesis(genesis: Genesis): Uint8Array {
  const bytes = encode(genesis)
  decodeGenesis(bytes)
  return bytes
}

/** Throws `bad-message` with the first thing that is wrong. */
export function decodeGenesis(bytes: Uint8Array): Genesis {
  const raw = genesisChecker.parse(decodeCanonical(bytes) ?? refuse('is not canonical dag-cbor'))
  const amounts = (['bond', 'grant', 'mintCap'] as const).map(
    (name) => [name, amountFromWire(raw.settings[name]) ?? refuse(`has a ${name} that is no amount`)] as const,
  )
  const genesis: Genesis = { ...raw, settings: { ...raw.settings, ...Object.fromEntries(amounts) } }
  const { settings, bankers } = genesis
  if (settings.bond === 0n) refuse('asks no bond of its bankers')
  if (!isCommitteeSize(settings.committeeCap)) refuse('has a committee cap that is not 1, 4, 7, ...')
  if (!isCommitteeSize(bankers.length)) refuse(`has ${bankers.length} bankers: a committee has 1, 4, 7, ...`)
  if (bankers.length > settings.committeeCap) refuse('has more bankers than its committee may')
  if (!bankers.every(({ host }, index) => index === 0 || bankers[index - 1]!.host < host)) {
    refuse('has bankers twice or out of order')
  }
  if (mintedAtGenesis(genesis) > settings.mintCap) refuse('makes more credits than its mint cap allows')
  return genesis
}

/** A plain bigint: it is judged against the cap. */
export function mintedAtGenesis({ settings, bankers }: Genesis): bigint {
  const accounts = new Set(bankers.map(({ account }) => account))
  return settings.grant * BigInt(accounts.size) + settings.bond * BigInt(bankers.length)
}

/** By object, which is never changed: every receipt is checked against it. */
const networks = new WeakMap<Genesis, Key>()

/** The network's id. */
export function networkOf(genesis: Genesis): Key {
  let network = networks.get(genesis)
  if (network === undefined) {
    network = hashKey(encode(genesis))
    networks.set(genesis, network)
  }
  return network
}

function refuse(what: string): never {
  throw new ChoraleError('bad-message', `the genesis ${what}`)
}
