/** The journal of what was bought through the market, in a home (market/trading/buying.ts): `market/purchases.json`. */
import { join } from 'node:path'
import { Type } from 'typebox'
import { checker } from './core/codec.ts'
import { ChoraleError } from './core/errors.ts'
import { guarded, makeDirectory, readText, writeAtomically } from './home-files.ts'
import { type Amount, amount } from './market/ledger/state/amount.ts'
import { decodeOffer, offerId } from './market/offers/offer.ts'
import type { Bought, Part } from './market/trading/bought.ts'
import type { TradingPorts } from './market/trading/ports.ts'
import { KeySchema, record } from './net/message.ts'

const Text = Type.String({ maxLength: 1024 })
const Digits = Type.String({ pattern: '^[0-9]{1,19}$' })
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const amounts = ['price', 'fee', 'paid', 'locked'] as const

const Kept = checker(
  record({
    bought: Type.Array(
      record({
        job: Text,
        key: KeySchema,
        id: KeySchema,
        /** As it was signed, base64. */
        offer: Type.String({ maxLength: 4096 }),
        maxCost: Digits,
        verify: Text,
        tasks: Count,
        fromMs: Count,
        deadlineMs: Count,
        succeeded: Type.Optional(Type.Literal(true)),
        over: Type.Optional(
          record({
            reason: Text,
            why: Type.Optional(Text),
            failure: Type.Optional(Type.Union([Type.Literal('not-placed'), Type.Literal('credits')])),
          }),
        ),
        settled: Type.Optional(Type.Literal(true)),
        parts: Type.Array(
          record({
            allocation: KeySchema,
            account: KeySchema,
            host: KeySchema,
            state: Text,
            tasks: Count,
            paidTasks: Count,
            tested: Count,
            isConvicted: Type.Boolean(),
            isOpen: Type.Boolean(),
            price: Digits,
            fee: Digits,
            paid: Digits,
            locked: Digits,
          }),
        ),
      }),
    ),
  }),
)

/** Throws `config` when it is damaged: in silence, an offer that was signed would be forgotten. */
export function purchaseJournal(home: string): TradingPorts['journal'] {
  const dir = join(home, 'market')
  const file = join(dir, 'purchases.json')
  return {
    kept: guarded(home, () => read(file)),
    keep(bought) {
      guarded(home, () => {
        makeDirectory(dir)
        writeAtomically(file, `${JSON.stringify({ bought }, plain)}\n`)
      })
    },
  }
}

function plain(_: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return typeof value === 'bigint' ? `${value}` : value
}

function read(file: string): readonly Bought[] {
  const text = readText(file)
  if (text === undefined) return []
  try {
    return Kept.parse(JSON.parse(text)).bought.map(({ offer, maxCost, parts, ...rest }) => ({
      ...rest,
      offer: offerOf(offer, rest.id),
      maxCost: amountOf(maxCost),
      parts: parts.map((part) => {
        const sums = Object.fromEntries(amounts.map((name) => [name, amountOf(part[name])]))
        return { ...part, ...(sums as Pick<Part, (typeof amounts)[number]>) }
      }),
    }))
  } catch (error) {
    const remedy = 'restore it from a copy, or remove it: offers that are open then run out by themselves'
    throw new ChoraleError('config', `${file} is damaged: ${remedy}`, { cause: error })
  }
}

function offerOf(text: string, id: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(text, 'base64'))
  const offer = decodeOffer(bytes)
  if (typeof offer === 'string' || offer.terms.kind !== 'buy' || offerId(offer) !== id) {
    throw new ChoraleError('bad-message', 'it holds an offer that is none')
  }
  return bytes
}

function amountOf(digits: string): Amount {
  return amount(BigInt(digits))
}
