import { afterAll, describe, expect, test } from 'vitest'
import { encode } from '../../../../src/core/cbor.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { MAX_BANKERS, MAX_ESCROW_LIFE_MS, MAX_OPEN_ESCROWS } from '../../../../src/core/limits.ts'
import { amount, MAX_AMOUNT } from '../../../../src/market/ledger/state/amount.ts'
import { applyOperation } from '../../../../src/market/ledger/state/apply.ts'
import { type Action, escrowId, signOperation } from '../../../../src/market/ledger/state/operation.ts'
import { REFUSALS, type Refusal, type Result, sentenceOf } from '../../../../src/market/ledger/state/refusal.ts'
import { newBanker, withEscrow } from '../../../../src/market/ledger/state/state.ts'
import { Books, idOf } from './books.ts'
import { MARKET_REFUSALS } from './market-books.ts'

const credits = (count: number) => amount(BigInt(count) * 1000n)
const HOUR_MS = 3_600_000
const seen = new Set<Result>()

/** One operation in a block of its own, and whether its number was used up. */
function tried(books: Books, bytes: Uint8Array): Result {
  const result = books.block([bytes]).applied.results[0]!
  seen.add(result)
  return result
}

const anna = idOf('anna')
const ben = idOf('ben')
const cleo = idOf('cleo')
const dora = idOf('dora')
const host = idOf('host')
const transfer = (to = ben, millicredits = 1000n): Action => ({ kind: 'transfer', to, amount: amount(millicredits) })

describe('what comes as an operation', () => {
  const books = new Books().open('anna', 'ben')
  const { network } = books.state
  const unsigned = { network, account: anna, nonce: 1, action: transfer() }
  const good = { ...unsigned, signatures: [books.keyOf(anna).sign(new Uint8Array())] }
  const amounts = (value: unknown) => encode({ ...good, action: { ...transfer(), amount: value } })

  const cases: ReadonlyArray<readonly [string, Uint8Array, Refusal]> = [
    ['nothing', new Uint8Array(), 'malformed'],
    ['half of one', encode(good).subarray(0, 100), 'malformed'],
    ['one and a byte', Uint8Array.of(...encode(good), 0), 'malformed'],
    ['a field too many', encode({ ...good, extra: 1 }), 'malformed'],
    ['no number', encode({ ...good, nonce: null }), 'malformed'],
    ['an unknown kind', encode({ ...good, action: { kind: 'print-money' } }), 'malformed'],
    ['a kind of every object', encode({ ...good, action: { kind: 'toString' } }), 'malformed'],
    ['no action', encode({ ...good, action: null }), 'malformed'],
    ['no signature', encode({ ...good, signatures: [] }), 'malformed'],
    ['more than one may be long', new Uint8Array(4096), 'malformed'],
    ['a float for its number', floatNonce(encode(good)), 'malformed'],
    ['an amount of 2^200', bignumAmount(amounts(7)), 'malformed'],
    ['an amount of zero', amounts(0), 'bad-amount'],
    ['an amount below zero', amounts(-1), 'bad-amount'],
    ['an amount of 2^63', amounts(2n ** 63n), 'bad-amount'],
    ['an amount of 2^64 - 1', amounts(2n ** 64n - 1n), 'bad-amount'],
    ['half a millicredit', amounts(0.5), 'malformed'],
    ['an amount in words', amounts('7'), 'malformed'],
    [
      'a share of nothing',
      encode({ ...good, action: { kind: 'split', escrow: anna, shares: [{ to: ben, amount: 0 }] } }),
      'bad-amount',
    ],
    ['one of another network', books.operation('anna', transfer(), { network: hashKey('else') }), 'wrong-network'],
    ['one of nobody', books.operation('nobody', transfer()), 'no-account'],
    ['a second opening', books.operation('anna', { kind: 'open' }, { nonce: 0 }), 'account-exists'],
    ['an old number', books.operation('anna', transfer(), { nonce: 0 }), 'replayed'],
    ['a number too high', books.operation('anna', transfer(), { nonce: 2 }), 'nonce-gap'],
    ['no number at all', books.operation('nobody', { kind: 'open' }, { nonce: 1 }), 'nonce-gap'],
    ['a signature over something else', encode(good), 'bad-signature'],
    ['a signature of another', signOperation(unsigned, [books.keyOf(ben)]), 'bad-signature'],
    ['a signature too many', signOperation(unsigned, [books.keyOf(anna), books.keyOf(anna)]), 'bad-signature'],
    [
      'half of the signatures',
      signOperation({ ...unsigned, action: { kind: 'link', host } }, [books.keyOf(anna)]),
      'bad-signature',
    ],
  ]
  test.each(cases)('%s', (_, bytes, refusal) => {
    const before = books.state
    expect(applyOperation(before, bytes, books.verify).state).toBe(before)
    expect(tried(books, bytes)).toBe(refusal)
  })

  test('is canonical: another spelling of a good one is refused', () => {
    const bytes = books.operation('anna', { kind: 'end-epoch' })
    expect(applyOperation(books.state, floatNonce(bytes), books.verify).result).toBe('malformed')
    expect(applyOperation(books.state, bytes, books.verify).result).toBe('epoch-not-over')
  })

  test('has a number that a refusal uses up, so that nobody can play it later', () => {
    const bytes = books.operation('anna', transfer(ben, 1000n))
    expect(tried(books, bytes)).toBe('granted-only')
    expect(tried(books, bytes)).toBe('replayed')
    expect(tried(books, books.operation('anna', transfer(ben, 1000n)))).toBe('granted-only')
  })
})

/** The same, with the number 1 spelt as the float 1.0. */
function floatNonce(bytes: Uint8Array): Uint8Array {
  const at = Buffer.from(bytes).indexOf('nonce') + 5
  return Uint8Array.of(...bytes.subarray(0, at), 0xfb, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, ...bytes.subarray(at + 1))
}

/** The same, with the amount as a bignum of 26 bytes. */
function bignumAmount(bytes: Uint8Array): Uint8Array {
  const at = Buffer.from(bytes).indexOf('amount') + 6
  return Uint8Array.of(...bytes.subarray(0, at), 0xc2, 0x58, 26, 1, ...new Uint8Array(25), ...bytes.subarray(at + 1))
}

describe('accounts', () => {
  test('transfer what is free', () => {
    const books = new Books().open('anna', 'ben')
    const escrow = books.escrow('ben', ['anna'], 20_000n)
    books.must('ben', { kind: 'release', escrow, step: 0, to: anna, amount: credits(20) })
    expect(books.purse('anna')).toEqual([40_000n, 30_000n])
    const to = (id = ben, millicredits = 1n) => tried(books, books.operation('anna', transfer(id, millicredits)))
    expect(to(dora)).toBe('no-recipient')
    expect(to(anna)).toBe('same-account')
    expect(to(ben, 70_001n)).toBe('insufficient')
    expect(to(ben, MAX_AMOUNT)).toBe('insufficient')
    expect(to(ben, 40_001n)).toBe('granted-only')
    expect(to(ben, 40_000n)).toBe('applied')
    expect([books.purse('anna'), books.purse('ben')]).toEqual([
      [0n, 30_000n],
      [40_000n, 30_000n],
    ])
  })

  test('earn out of the escrows of others alone, and each earned credit frees one granted', () => {
    const books = new Books().open('anna', 'ben')
    const earned = (name: string) => books.state.accounts.get(books.id(name))!.earned
    const first = books.escrow('anna', ['ben'], 50_000n)
    // While ben's own grant is in an escrow, what he earns waits for it.
    const second = books.escrow('ben', ['anna'], 50_000n)
    books.must('anna', { kind: 'release', escrow: first, step: 0, to: ben, amount: credits(30) })
    expect([books.purse('ben'), earned('ben')]).toEqual([[30_000n, 0n], 30_000n])
    books.must('anna', { kind: 'refund', escrow: second })
    expect([books.purse('ben'), earned('ben')]).toEqual([[60_000n, 20_000n], 0n])
    // A refund and a transfer earn nothing.
    books.must('ben', { kind: 'refund', escrow: first })
    expect([books.purse('anna'), earned('anna')]).toEqual([[0n, 20_000n], 0n])
    books.must('ben', transfer(anna, 5000n))
    expect([books.purse('anna'), earned('anna')]).toEqual([[5000n, 20_000n], 0n])
  })

  test('own hosts, by both signatures, and each host has one account', () => {
    const books = new Books().open('anna', 'ben')
    books.id('host')
    const by = (who: string, action: Action) => tried(books, books.operation(who, action))
    expect(by('anna', { kind: 'unlink', host })).toBe('not-your-host')
    expect(by('anna', { kind: 'link', host })).toBe('applied')
    expect(by('anna', { kind: 'link', host: ben })).toBe('applied') // a key is a key
    expect(by('ben', { kind: 'link', host })).toBe('host-linked')
    expect(by('ben', { kind: 'unlink', host })).toBe('not-your-host')
    books.must('anna', { kind: 'bond', host, amount: credits(10) })
    expect(by('anna', { kind: 'unlink', host })).toBe('host-bonded')
    books.must('anna', { kind: 'unbond', host, amount: credits(10) })
    expect(by('anna', { kind: 'unlink', host })).toBe('host-bonded')
    books.block([], 24 * HOUR_MS)
    books.must('anna', { kind: 'withdraw', host })
    expect(by('anna', { kind: 'unlink', host })).toBe('applied')
    expect(by('ben', { kind: 'link', host })).toBe('applied')
  })
})

describe('escrows', () => {
  const setup = () => {
    const books = new Books().open('anna', 'ben', 'cleo', 'dora')
    return { books, by: (who: string, action: Action) => tried(books, books.operation(who, action)) }
  }

  test('open between different accounts that exist, for a while, and so many of one payer', () => {
    const { books, by } = setup()
    const now = books.state.timeMs
    const open = (changes: object) =>
      by('anna', {
        ...{ kind: 'open-escrow', payees: [ben, cleo], arbiter: dora, amount: credits(1), deadlineMs: now + 1 },
        ...changes,
      } as Action)
    expect(open({ payees: [anna] })).toBe('bad-parties')
    expect(open({ payees: [ben, ben] })).toBe('bad-parties')
    expect(open({ arbiter: anna })).toBe('bad-parties')
    expect(open({ arbiter: ben })).toBe('bad-parties')
    expect(open({ payees: [host] })).toBe('no-recipient')
    expect(open({ arbiter: host })).toBe('no-recipient')
    expect(open({ deadlineMs: now })).toBe('bad-deadline')
    expect(open({ deadlineMs: now + MAX_ESCROW_LIFE_MS + 1 })).toBe('bad-deadline')
    expect(open({ payees: [] })).toBe('malformed')
    expect(open({ payees: new Array(17).fill(ben) })).toBe('malformed')
    expect(open({ deadlineMs: now + MAX_ESCROW_LIFE_MS })).toBe('applied')
    expect(books.state.escrows.size).toBe(1)
    const [, terms] = [...books.state.escrows.entries()][0]!
    for (let i = 1; i < MAX_OPEN_ESCROWS; i++) books.state = withEscrow(books.state, hashKey(`${i}`), terms)
    expect(open({})).toBe('too-many-escrows')
  })

  test('are funded by their payer, up to what was agreed, with granted credits first', () => {
    const { books, by } = setup()
    const nonce = books.state.accounts.get(anna)!.nonce
    const escrow = escrowId({ network: books.state.network, account: anna, nonce })
    const deadlineMs = books.state.timeMs + 1000
    books.must('anna', { kind: 'open-escrow', payees: [ben], arbiter: null, amount: credits(70), deadlineMs })
    const fund = (who: string, count: number, id = escrow) =>
      by(who, { kind: 'fund', escrow: id, amount: credits(count) })
    expect(fund('anna', 1, hashKey('none'))).toBe('no-escrow')
    expect(fund('ben', 1)).toBe('not-allowed')
    expect(fund('anna', 71)).toBe('over-funded')
    expect(fund('anna', 51)).toBe('insufficient')
    expect(fund('anna', 50)).toBe('applied')
    expect(fund('anna', 21)).toBe('over-funded')
    expect(fund('anna', 20)).toBe('insufficient')
    books.block([], 1001)
    expect(fund('anna', 1)).toBe('past-deadline')
  })

  test('are released in steps, by payer or arbiter, in order', () => {
    const { books, by } = setup()
    const escrow = books.escrow('anna', ['ben', 'cleo'], 10_000n, 'dora')
    const release = (who: string, step: number, millicredits: bigint, to = ben) =>
      by(who, { kind: 'release', escrow, step, to, amount: amount(millicredits) })
    expect(release('ben', 0, 1n)).toBe('not-allowed')
    expect(release('anna', 1, 1n)).toBe('wrong-step')
    expect(release('anna', 0, 1n, dora)).toBe('not-payee')
    expect(release('anna', 0, 1n, anna)).toBe('not-payee')
    expect(release('anna', 0, 10_001n)).toBe('insufficient')
    expect(release('anna', 0, 4000n)).toBe('applied')
    expect(release('anna', 0, 4000n)).toBe('wrong-step')
    expect(release('dora', 1, 6000n, cleo)).toBe('applied')
    expect(release('anna', 2, 1n)).toBe('insufficient')
    expect(books.purse('ben')).toEqual([8000n, 46_000n])
    expect(books.purse('cleo')).toEqual([12_000n, 44_000n])
    expect(books.state.escrows.get(escrow)).toMatchObject({ free: 0n, granted: 0n, step: 2 })
  })

  test('are refunded by the arbiter, or by a payee who is alone, as what they were', () => {
    const { books, by } = setup()
    const lone = books.escrow('anna', ['ben'], 10_000n)
    const many = books.escrow('anna', ['ben', 'cleo'], 10_000n, 'dora')
    expect(by('anna', { kind: 'refund', escrow: lone })).toBe('not-allowed')
    expect(by('ben', { kind: 'refund', escrow: many })).toBe('not-allowed')
    expect(by('ben', { kind: 'refund', escrow: lone })).toBe('applied')
    expect(by('ben', { kind: 'refund', escrow: lone })).toBe('no-escrow')
    expect(by('dora', { kind: 'refund', escrow: many })).toBe('applied')
    expect(books.purse('anna')).toEqual([0n, 50_000n])
  })

  test('are split by the arbiter, who gives the rest back', () => {
    const { books, by } = setup()
    const escrow = books.escrow('anna', ['ben', 'cleo'], 10_000n, 'dora')
    const split = (who: string, ...shares: Array<[typeof ben, bigint]>) =>
      by(who, { kind: 'split', escrow, shares: shares.map(([to, share]) => ({ to, amount: amount(share) })) })
    expect(split('anna', [ben, 1n])).toBe('not-allowed')
    expect(split('dora', [anna, 1n])).toBe('not-payee')
    expect(split('dora', [ben, 5000n], [cleo, 5001n])).toBe('insufficient')
    expect(split('dora', [ben, MAX_AMOUNT], [cleo, MAX_AMOUNT])).toBe('insufficient')
    expect(split('dora', [ben, 2000n], [cleo, 3000n])).toBe('applied')
    expect(split('dora', [ben, 1n])).toBe('no-escrow')
    expect([books.purse('anna'), books.purse('ben'), books.purse('cleo')]).toEqual([
      [0n, 45_000n],
      [4000n, 48_000n],
      [6000n, 47_000n],
    ])
  })

  test('are fined by the arbiter: the fine is burnt', () => {
    const { books, by } = setup()
    const escrow = books.escrow('anna', ['ben'], 10_000n, 'dora')
    const fine = (who: string, millicredits: bigint) => by(who, { kind: 'fine', escrow, amount: amount(millicredits) })
    expect(fine('anna', 1n)).toBe('not-allowed')
    expect(fine('dora', 10_001n)).toBe('insufficient')
    expect(fine('dora', 4000n)).toBe('applied')
    expect(books.state.burnt).toBe(4000n)
    expect(by('ben', { kind: 'refund', escrow })).toBe('applied')
    expect(books.purse('anna')).toEqual([0n, 46_000n])
  })

  test('are closed by a time-out after the deadline, whoever sends it, and nothing else is left to do', () => {
    const { books, by } = setup()
    const escrow = books.escrow('anna', ['ben'], 10_000n, 'dora', 5000)
    const timeOut = (who: string) => by(who, { kind: 'time-out', escrow })
    books.block([], 5000)
    expect(timeOut('anna')).toBe('before-deadline')
    books.block([], 1)
    expect(by('anna', { kind: 'release', escrow, step: 0, to: ben, amount: credits(1) })).toBe('past-deadline')
    expect(by('dora', { kind: 'fine', escrow, amount: credits(1) })).toBe('past-deadline')
    expect(by('dora', { kind: 'split', escrow, shares: [{ to: ben, amount: credits(1) }] })).toBe('past-deadline')
    expect(by('ben', { kind: 'refund', escrow })).toBe('past-deadline')
    expect(timeOut('cleo')).toBe('applied')
    expect(timeOut('cleo')).toBe('no-escrow')
    expect(books.purse('anna')).toEqual([0n, 50_000n])
  })
})

describe('bankers', () => {
  const setup = () => {
    const books = new Books().open('anna', 'ben')
    books.id('host')
    books.must('anna', { kind: 'link', host })
    return { books, by: (who: string, action: Action) => tried(books, books.operation(who, action)) }
  }

  test('post a bond, give notice, and have it back when the time is over', () => {
    const { books, by } = setup()
    const bond = (who: string, count: number) => by(who, { kind: 'bond', host, amount: credits(count) })
    const unbond = (who: string, count: number) => by(who, { kind: 'unbond', host, amount: credits(count) })
    expect(bond('ben', 10)).toBe('not-your-host')
    expect(bond('anna', 51)).toBe('insufficient')
    expect(unbond('anna', 1)).toBe('no-banker')
    expect(by('anna', { kind: 'withdraw', host })).toBe('no-banker')
    expect(bond('anna', 10)).toBe('applied')
    expect(bond('anna', 5)).toBe('applied')
    expect(unbond('ben', 1)).toBe('not-your-host')
    expect(unbond('anna', 16)).toBe('insufficient')
    expect(unbond('anna', 6)).toBe('bond-too-small')
    expect(by('anna', { kind: 'withdraw', host })).toBe('still-bonded')
    expect(unbond('anna', 5)).toBe('applied')
    books.block([], 24 * HOUR_MS - 1)
    expect(by('anna', { kind: 'withdraw', host })).toBe('still-bonded')
    books.block([], 1)
    expect(by('ben', { kind: 'withdraw', host })).toBe('not-your-host')
    expect(by('anna', { kind: 'withdraw', host })).toBe('applied')
    expect(by('anna', { kind: 'withdraw', host })).toBe('still-bonded')
    expect(books.purse('anna')).toEqual([0n, 40_000n])
    expect(unbond('anna', 10)).toBe('applied')
    books.must('anna', { kind: 'withdraw', host }, 24 * HOUR_MS)
    expect(books.state.bankers.get(host)).toBeUndefined()
    expect(books.purse('anna')).toEqual([0n, 50_000n])
  })

  test('stand for the committee with the whole bond, show that they live, and stand down', () => {
    const { books, by } = setup()
    expect(by('anna', { kind: 'admit', host })).toBe('no-banker')
    expect(by('anna', { kind: 'heartbeat', host })).toBe('no-banker')
    expect(by('anna', { kind: 'bond', host, amount: amount(9999n) })).toBe('bond-too-small')
    books.must('anna', { kind: 'bond', host, amount: amount(10_000n) })
    expect(by('anna', { kind: 'heartbeat', host })).toBe('no-candidate')
    books.must('anna', { kind: 'unbond', host, amount: amount(10_000n) })
    expect(by('anna', { kind: 'admit', host })).toBe('bond-too-small')
    books.must('anna', { kind: 'bond', host, amount: amount(10_000n) })
    expect(by('ben', { kind: 'admit', host })).toBe('not-your-host')
    expect(by('anna', { kind: 'admit', host })).toBe('applied')
    expect(by('anna', { kind: 'admit', host })).toBe('is-candidate')
    expect(by('anna', { kind: 'heartbeat', host })).toBe('replayed') // standing is a sign of life
    expect(by('ben', { kind: 'drop', host })).toBe('not-your-host')
    expect(by('anna', { kind: 'drop', host })).toBe('applied')
    expect(by('anna', { kind: 'drop', host })).toBe('no-candidate')
  })

  test('give one sign of life an epoch, with the key of the host', () => {
    const { books, by } = setup()
    const beat = { kind: 'heartbeat', host: idOf('banker 1') } as const
    const beatOf = (epoch: number) => books.operation('owner 1', beat, { nonce: epoch })
    const ahead = beatOf(1)
    expect(by('owner 1', beat)).toBe('replayed') // the genesis was one
    expect(tried(books, ahead)).toBe('nonce-gap') // or it would count twice
    books.must('anna', { kind: 'end-epoch' }, HOUR_MS)
    expect(tried(books, beatOf(0))).toBe('replayed')
    expect(by('anna', beat)).toBe('not-your-host')
    expect(tried(books, ahead)).toBe('applied')
    expect(tried(books, ahead)).toBe('replayed')
    expect(books.state.accounts.get(idOf('owner 1'))!.nonce).toBe(1)
    const forged = { network: books.state.network, account: idOf('owner 1'), nonce: 1, action: beat }
    expect(tried(books, signOperation(forged, [books.keyOf(idOf('owner 1'))]))).toBe('bad-signature')
  })

  test('are as many as the ledger takes, and no more', () => {
    const { books, by } = setup()
    for (let i = books.state.bankers.size; i < MAX_BANKERS; i++) {
      const bankers = books.state.bankers.set(hashKey(`${i}`), newBanker(anna, 0))
      books.state = { ...books.state, bankers }
    }
    expect(by('anna', { kind: 'bond', host, amount: credits(10) })).toBe('too-many-bankers')
  })

  test('are chosen when an epoch ends, and not before', () => {
    const { books, by } = setup()
    books.must('anna', { kind: 'bond', host, amount: credits(10) })
    books.must('anna', { kind: 'admit', host })
    books.block([], HOUR_MS - 1)
    expect(by('ben', { kind: 'end-epoch' })).toBe('epoch-not-over')
    books.block([], 1)
    const twice = books.block([
      books.operation('ben', { kind: 'end-epoch' }),
      books.operation('anna', { kind: 'end-epoch' }),
    ])
    expect(twice.applied.results).toEqual(['applied', 'epoch-not-over'])
    expect(books.state).toMatchObject({ epoch: 1, committee: [idOf('banker 1')] }) // two do not make four
    books.must('owner 1', { kind: 'heartbeat', host: idOf('banker 1') }, HOUR_MS)
    books.must('ben', { kind: 'end-epoch' })
    expect(books.state.bankers.get(host)!.candidate).toBe(false) // silent for an epoch
    expect(books.state.bankers.get(idOf('banker 1'))!.candidate).toBe(true)
  })
})

afterAll(() => {
  // Every reason has been given above, and reads as a sentence.
  seen.add('no-proof') // in accusations.test.ts
  const others = Object.keys(REFUSALS).filter((code) => !MARKET_REFUSALS.includes(code as Refusal))
  expect([...seen].sort()).toEqual(['applied', ...others].sort())
  for (const result of seen) expect(sentenceOf(result)).toMatch(/^[a-z].*[a-z0-9]$/)
})
