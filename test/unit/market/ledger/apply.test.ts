import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import { encode } from '../../../../src/core/cbor.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { MAX_ESCROW_PAYEES, MAX_OPERATION_BYTES } from '../../../../src/core/limits.ts'
import { type Amount, amount, MAX_AMOUNT } from '../../../../src/market/ledger/state/amount.ts'
import { apply, applyOperation, blockFault } from '../../../../src/market/ledger/state/apply.ts'
import { decodeOperation, KINDS, signersOf, signOperation } from '../../../../src/market/ledger/state/operation.ts'
import { EMPTY_PURSE } from '../../../../src/market/ledger/state/purse.ts'
import { isResult, type Result } from '../../../../src/market/ledger/state/refusal.ts'
import {
  checkSupply,
  type Escrow,
  hostsOf,
  NEW_ACCOUNT,
  type State,
  stateRoot,
  withAccount,
} from '../../../../src/market/ledger/state/state.ts'
import { seeds } from '../../../nightly.ts'
import { Books, genesisWith, idOf } from './books.ts'
import { play, USUAL } from './random-operations.ts'

const BLOCKS = 60

test('no credit comes or goes, whoever does what', () => {
  const reached = new Set<string>()
  for (const seed of seeds(24)) {
    play(new Books(), seed, BLOCKS, ({ before, block, applied }) => {
      const { state, results } = applied
      const where = `seed ${seed}, height ${block.height}`
      // `Books.block` has counted the supply one by one. Only grants make, only fines burn.
      const kinds = block.operations.flatMap((bytes, index) => kindOf(bytes, results[index]!))
      const opened = BigInt(kinds.filter((kind) => kind === 'open').length)
      expect(state.minted - before.minted, where).toBe(opened * state.settings.grant)
      const mayBurn = kinds.includes('fine') || kinds.includes('accuse')
      if (!mayBurn) expect(state.burnt, where).toBe(before.burnt)
      for (const kind of kinds) reached.add(kind)
      expectWithinBounds(state, where)
      expectIndexed(state, where)
      // The same bytes make the same state, and leave the old one as it was.
      const root = stateRoot(before)
      const again = apply(before, block, fakeVerify)
      expect(again.results, where).toEqual(results)
      expect(stateRoot(again.state), where).toBe(stateRoot(state))
      expect(stateRoot(before), where).toBe(root)
    })
  }
  expect([...reached].sort()).toEqual([...USUAL].sort()) // or it would show little
})

function kindOf(bytes: Uint8Array, result: Result): string[] {
  const operation = decodeOperation(bytes)
  return result === 'applied' && typeof operation !== 'string' ? [operation.action.kind] : []
}

function expectWithinBounds(state: State, where: string): void {
  for (const [, { free, granted, earned }] of state.accounts.entries()) {
    expect(
      [free, granted, earned].every((part) => part >= 0n && part <= MAX_AMOUNT),
      where,
    ).toBe(true)
    expect(granted === 0n || earned === 0n, where).toBe(true) // one frees the other at once
  }
  for (const [, { free, granted, funded, amount }] of state.escrows.entries()) {
    expect(free >= 0n && granted >= 0n && free + granted <= funded && funded <= amount, where).toBe(true)
  }
  for (const [host, { account, free, granted, leaving, candidate }] of state.bankers.entries()) {
    expect(
      [free, granted, leaving.free, leaving.granted].every((part) => part >= 0n),
      where,
    ).toBe(true)
    // One that was accused has nothing, and is known until the epoch ends.
    expect(free + granted + leaving.free + leaving.granted > 0n || !candidate, where).toBe(true)
    expect(state.hosts.get(host), where).toBe(account)
    expect(free + granted === 0n || free + granted >= state.settings.bond, where).toBe(true)
  }
  for (const host of state.committee) expect(state.bankers.get(host), where).toBeDefined()
}

/** What is kept by account is what the trees say. */
function expectIndexed(state: State, where: string): void {
  const hosts = new Map<string, string[]>()
  for (const [host, account] of state.hosts.entries()) hosts.set(account, [...(hosts.get(account) ?? []), host])
  const escrows = new Map<string, number>()
  for (const [, { payer }] of state.escrows.entries()) escrows.set(payer, (escrows.get(payer) ?? 0) + 1)
  for (const [account] of state.accounts.entries()) {
    expect(hostsOf(state, account), where).toEqual(hosts.get(account) ?? [])
    expect(state.openEscrows.get(account), where).toBe(escrows.get(account))
  }
}

test('an operation counts once: played again later it is refused, and changes no account', () => {
  for (const seed of seeds(10)) {
    const books = new Books()
    const done: Uint8Array[] = []
    play(books, seed, BLOCKS, ({ block, applied }) => {
      done.push(...block.operations.filter((_, index) => applied.results[index] === 'applied'))
    })
    expect(done.length).toBeGreaterThan(20)
    const { applied, before } = books.block(done, 3_600_000)
    expect(applied.results, `seed ${seed}`).not.toContain('applied')
    expect(applied.state.accounts.root, `seed ${seed}`).toBe(before.accounts.root)
  }
})

test('any bytes are an operation or have a reason, and nothing throws', () => {
  const { state } = new Books().open('anna', 'ben')
  const anything = fc.anything({
    withBigInt: true,
    withTypedArray: true,
    values: [fc.constantFrom(...KINDS, idOf('anna'), state.network), fc.integer(), fc.uint8Array()],
    key: fc.constantFrom('kind', 'network', 'account', 'nonce', 'action', 'signatures', 'amount', 'host', '__proto__'),
  })
  const encoded = anything.map((value) => {
    try {
      return encode(value)
    } catch {
      return new Uint8Array()
    }
  })
  const action = fc.record({ kind: fc.constantFrom(...KINDS), escrow: anything, host: anything, amount: anything })
  const signed = action.map((action) => {
    try {
      const unsigned = { network: state.network, account: idOf('anna'), nonce: 1, action: action as never }
      return signOperation(unsigned, [fakeKeyPair('anna')])
    } catch {
      return new Uint8Array()
    }
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), encoded, signed), (bytes) => {
      const { result } = applyOperation(state, bytes, fakeVerify)
      expect(isResult(result)).toBe(true)
      expect(result).not.toBe('applied')
    }),
    { numRuns: seeds(1500).length },
  )
})

test('one flipped bit makes an operation a refused one', () => {
  const books = new Books().open('anna', 'ben')
  const bytes = books.operation('anna', { kind: 'link', host: books.id('host') })
  expect(applyOperation(books.state, bytes, fakeVerify).result).toBe('applied')
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const flipped = bytes.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
    expect(applyOperation(books.state, flipped, fakeVerify).result).not.toBe('applied')
  }
})

test('deeply nested bytes are malformed, and do not exhaust the stack', () => {
  const { state } = new Books()
  const deep = new Uint8Array(MAX_OPERATION_BYTES).fill(0x81)
  expect(applyOperation(state, deep, fakeVerify).result).toBe('malformed')
})

test('the largest operations fit', () => {
  const payees = Array.from({ length: MAX_ESCROW_PAYEES }, (_, i) => idOf(`payee ${i}`))
  const unsigned = { network: idOf('network'), account: idOf('anna'), nonce: Number.MAX_SAFE_INTEGER }
  const open = { kind: 'open-escrow', payees, arbiter: idOf('ben'), amount: MAX_AMOUNT, deadlineMs: 8.64e15 } as const
  const split = { kind: 'split', escrow: idOf('e'), shares: payees.map((to) => ({ to, amount: MAX_AMOUNT })) } as const
  for (const action of [open, split]) {
    const signed = signOperation(
      { ...unsigned, action },
      signersOf({ ...unsigned, action }).map(() => fakeKeyPair('anna')),
    )
    expect(decodeOperation(signed)).toMatchObject({ action })
  }
})

test('new accounts have a grant, until the cap', () => {
  const books = new Books(genesisWith([1], { mintCap: 150_000n as Amount }))
  expect(books.state.minted).toBe(60_000n) // the founder's grant and bond
  books.open('anna', 'ben')
  expect(books.purse('anna')).toEqual([0n, 50_000n])
  expect(books.purse('ben')).toEqual([0n, 0n])
  expect(books.state.minted).toBe(110_000n)
})

test('earnings beyond any cap do not overflow', () => {
  const books = new Books(genesisWith([1], { mintCap: MAX_AMOUNT })).open('anna', 'ben')
  const rich = { ...NEW_ACCOUNT, nonce: 1, free: amount(MAX_AMOUNT / 2n), earned: MAX_AMOUNT }
  const minted = amount(books.state.minted + rich.free - books.state.settings.grant)
  books.state = withAccount({ ...books.state, minted }, idOf('ben'), rich)
  const escrow = books.escrow('anna', ['ben'], 50_000n)
  books.must('anna', { kind: 'release', escrow, step: 0, to: idOf('ben'), amount: amount(50_000n) })
  expect(books.state.accounts.get(idOf('ben'))!.earned).toBe(MAX_AMOUNT)
})

test.each([
  [
    'credits out of nothing',
    (state: State) => withAccount(state, idOf('anna'), { ...NEW_ACCOUNT, free: 1n as Amount }),
  ],
  ['credits that vanish', (state: State) => withAccount(state, idOf('owner 1'), { ...NEW_ACCOUNT, ...EMPTY_PURSE })],
  ['a fine that nobody paid', (state: State) => ({ ...state, burnt: amount(1n) })],
  ['a grant that nobody has', (state: State) => ({ ...state, minted: amount(state.minted + 1n) })],
])('a planted fault is caught: %s', (_, plant) => {
  const { state } = new Books()
  expect(() => checkSupply(state)).not.toThrow()
  expect(() => checkSupply(plant(state))).toThrow(/the ledger holds \d+ of \d+ millicredits/)
  const block = { height: 1, epoch: 0, blockTimeMs: state.timeMs, operations: [] }
  expect(() => apply(plant(state), block, fakeVerify)).toThrow(/broken invariant/)
})

describe('blocks', () => {
  const { state } = new Books()
  const block = { height: 1, epoch: 0, blockTimeMs: state.timeMs, operations: [] }
  test.each([
    ['a height twice', { height: 0 }, /height is 0, not 1/],
    ['a gap', { height: 2 }, /height is 2, not 1/],
    ['another epoch', { epoch: 1 }, /epoch 1, not 0/],
    ['time that goes back', { blockTimeMs: state.timeMs - 1 }, /before that of the block/],
    ['half a millisecond', { blockTimeMs: state.timeMs + 0.5 }, /no time/],
    ['the end of time', { blockTimeMs: 8.64e15 + 1 }, /no time/],
    ['too many operations', { operations: new Array(4097).fill(new Uint8Array()) }, /more than 4096 operations/],
    ['an operation too long', { operations: [new Uint8Array(4097)] }, /more than 4096 bytes/],
  ])('cannot have %s', (_, changes, fault) => {
    expect(blockFault(state, block)).toBeUndefined()
    expect(blockFault(state, { ...block, ...changes })).toMatch(fault)
  })

  test.each([
    ['network', { network: hashKey('x') }],
    ['height', { height: 1 }],
    ['time', { timeMs: 1 }],
    ['epoch', { epoch: 1 }],
    ['beginning of the epoch', { epochBeganMs: 1 }],
    ['committee', { committee: [] }],
    ['minted', { minted: 1n as Amount }],
    ['burnt', { burnt: 1n as Amount }],
    ['accounts', { accounts: state.accounts.delete(idOf('owner 1')) }],
    ['escrows', { escrows: state.escrows.set(hashKey('x'), {} as Escrow) }],
    ['bankers', { bankers: state.bankers.delete(idOf('banker 1')) }],
    ['hosts', { hosts: state.hosts.delete(idOf('banker 1')) }],
  ])('have a root that covers the %s', (_, changes) => {
    expect(stateRoot({ ...state, ...changes })).not.toBe(stateRoot(state))
  })

  test('change the root, even empty ones', () => {
    const books = new Books()
    const roots = [0, 0, 1].map((afterMs) => stateRoot(books.block([], afterMs).applied.state))
    expect(new Set(roots).size).toBe(3)
  })
})
