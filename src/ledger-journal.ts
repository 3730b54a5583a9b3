/** The journal of payments in a home (market/payments.ts): `payments.json`, whole or not at all. */
import { join } from 'node:path'
import { Type } from 'typebox'
import { checker } from './core/codec.ts'
import { ChoraleError } from './core/errors.ts'
import { guarded, readText, writeAtomically } from './home-files.ts'
import { parseMillicredits } from './market/ledger/credits.ts'
import type { Owed, PaymentPorts } from './market/payments.ts'
import { KeySchema, record } from './net/message.ts'

const Text = Type.String({ maxLength: 128 })
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
const Kept = checker(
  record({
    owed: Type.Array(
      record({
        job: Text,
        price: Text,
        sinceMs: Type.Number(),
        wages: Type.Optional(Type.Array(record({ to: KeySchema, tasks: Count, amount: Text }))),
        released: Type.Optional(Count),
        openingMs: Type.Optional(Count),
        escrow: Type.Optional(record({ id: KeySchema, deadlineMs: Count, over: Type.Optional(Type.Literal(true)) })),
        paid: Type.Optional(Type.Literal(true)),
      }),
    ),
  }),
)

/** Throws `config` when it is damaged: in silence, somebody's wages would be forgotten. */
export function paymentJournal(home: string): PaymentPorts['journal'] {
  const file = join(home, 'payments.json')
  return {
    kept: guarded(home, () => read(file)),
    keep(owed) {
      const plain = (_: string, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)
      guarded(home, () => writeAtomically(file, `${JSON.stringify({ owed }, plain)}\n`))
    },
  }
}

function read(file: string): readonly Owed[] {
  const text = readText(file)
  if (text === undefined) return []
  try {
    return Kept.parse(JSON.parse(text)).owed.map(({ price, wages, ...rest }) => ({
      ...rest,
      price: parseMillicredits(price),
      ...(wages && { wages: wages.map((wage) => ({ ...wage, amount: parseMillicredits(wage.amount) })) }),
    }))
  } catch (error) {
    const remedy = 'restore it from a copy, or remove it and leave unpaid what was owed'
    throw new ChoraleError('config', `${file} is damaged: ${remedy}`, { cause: error })
  }
}
