import fc from 'fast-check'
import { expect, test } from 'vitest'
import { fakeVerify } from '../../../../sim/fake-keys.ts'
import { encode } from '../../../../src/core/cbor.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { committeeDigest } from '../../../../src/market/ledger/committee.ts'
import { type Block, digestOf } from '../../../../src/market/ledger/consensus/block.ts'
import { MAX_PAYLOAD_BYTES } from '../../../../src/market/ledger/consensus/committee.ts'
import {
  buildPayload,
  type Deciding,
  decodePayload,
  judgePayload,
  type Payload,
  payloadDigest,
} from '../../../../src/market/ledger/payload.ts'
import { headerDigest, headerOf } from '../../../../src/market/ledger/receipt/header.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { type State, stateRoot } from '../../../../src/market/ledger/state/state.ts'
import { seeds } from '../../../nightly.ts'
import { Books, genesisWith } from './books.ts'
import { play } from './random-operations.ts'

const HOUR_MS = 3_600_000

function deciding({ epoch, committee }: State): Deciding {
  return { epoch, committee: committeeDigest(committee) }
}

function blockOn(state: State, payload: Uint8Array, timeMs = state.timeMs): Block {
  return { height: state.height + 1, view: 7, parent: hashKey('parent'), timeMs, payload }
}

const built = (state: State, operations: readonly Uint8Array[], timeMs = state.timeMs) =>
  buildPayload(state, deciding(state), timeMs, operations, fakeVerify)

const judge = (state: State, block: Block, by = deciding(state)) => judgePayload(state, by, block, fakeVerify)

test('what a proposer builds, a voter finds valid, with the same state; and its header is that of consensus', () => {
  let used = 0
  let left = 0
  for (const seed of seeds(6)) {
    play(new Books(), seed, 30, ({ before, block, applied }) => {
      const where = `seed ${seed}, height ${block.height}`
      const made = built(before, block.operations, block.blockTimeMs)
      const payload = decodePayload(made.payload)!
      expect(stateRoot(made.state), where).toBe(stateRoot(applied.state))
      expect(payload.operations.length, where).toBe(block.operations.length - applied.idle)
      const next = blockOn(before, made.payload, block.blockTimeMs)
      const after = judge(before, next)
      expect(typeof after === 'string' ? after : stateRoot(after), where).toBe(payload.stateRoot)
      expect(payload.last, where).toBe(applied.state.epoch !== before.epoch)
      expect(headerDigest(headerOf(next)!), where).toBe(digestOf(next, payloadDigest))
      used += payload.operations.length
      left += applied.idle
    })
  }
  expect(Math.min(used, left)).toBeGreaterThan(20) // or it would show little
})

const books = new Books(genesisWith([1, 2, 3, 4])).open('anna', 'ben')
const opening = books.operation('cleo', { kind: 'open' })
const refused = books.operation('anna', { kind: 'transfer', to: books.id('ben'), amount: amount(1n) })
const { state } = books
const good = built(state, [opening, refused])

const changed = (changes: Partial<Payload>) => encode({ ...decodePayload(good.payload)!, ...changes })

test.each<[what: string, payload: Uint8Array, fault: RegExp]>([
  ['no payload at all', encode('hello'), /no payload/],
  ['bytes after it', Uint8Array.of(...good.payload, 0), /no payload/],
  ['a result too few', changed({ results: ['applied'] }), /no payload/],
  ['a result that is none', changed({ results: ['applied', 'lost' as never] }), /no payload/],
  ['another result', changed({ results: ['applied', 'applied'] }), /another outcome/],
  ['another root', changed({ stateRoot: hashKey('x') }), /another outcome/],
  ['another committee', changed({ committee: hashKey('x') }), /another outcome/],
  ['another next committee', changed({ next: hashKey('x') }), /another outcome/],
  ['an epoch that does not end', changed({ last: true }), /another outcome/],
  ['another epoch', changed({ epoch: 1 }), /it is of epoch 1, not 0/],
  ['an operation left out', changed({ operations: [opening], results: ['applied'] }), /another outcome/],
  [
    'an operation twice',
    changed({ operations: [opening, opening], results: ['applied', 'account-exists'] }),
    /1 of its operations change nothing/,
  ],
])('a voter refuses %s', (_, payload, fault) => {
  expect(judge(state, blockOn(state, good.payload))).toMatchObject({ height: state.height + 1 })
  expect(judge(state, blockOn(state, payload))).toMatch(fault)
  expect(payloadDigest(payload)).not.toBe(payloadDigest(good.payload))
})

test('a voter refuses a block at another height or before its parent', () => {
  expect(judge(state, { ...blockOn(state, good.payload), height: 99 })).toMatch(/its height is 99/)
  expect(judge(state, blockOn(state, good.payload, state.timeMs - 1))).toMatch(/its time is before/)
})

test('a payload has room for what fits into it, and what does not fit waits', () => {
  const many = new Books()
  // An escrow with all its payees is the largest operation.
  const payees = Array.from({ length: 16 }, (_, i) => many.id(`payee ${i}`))
  const names = Array.from({ length: 500 }, (_, i) => `payer ${i}`)
  many.block([...names, 'anna'].map((name) => many.operation(name, { kind: 'open' })))
  const terms = { payees, arbiter: null, amount: amount(1n), deadlineMs: many.state.timeMs + 1000 }
  const operations = names.map((name) => many.operation(name, { kind: 'open-escrow', ...terms }))
  const { payload } = built(many.state, operations)
  const taken = decodePayload(payload)!.operations
  expect(payload.length).toBeLessThanOrEqual(MAX_PAYLOAD_BYTES)
  expect(payload.length).toBeGreaterThan(0.95 * MAX_PAYLOAD_BYTES)
  expect(taken).toEqual(operations.slice(0, taken.length))
  expect(judge(many.state, blockOn(many.state, payload))).toMatchObject({ height: many.state.height + 1 })
})

test('after the last block of an epoch only a filler follows, and only there', () => {
  const ending = built(state, [books.operation('anna', { kind: 'end-epoch' })], state.timeMs + HOUR_MS)
  const before = deciding(state)
  const after = ending.state
  expect([decodePayload(ending.payload)!.last, after.epoch]).toEqual([true, 1])
  const more = books.operation('ben', { kind: 'unlink', host: hashKey('x') })
  const filler = buildPayload(after, before, after.timeMs, [more], fakeVerify)
  expect(filler.state).toBe(after)
  expect(decodePayload(filler.payload)).toMatchObject({ epoch: 0, operations: [], last: false })
  // On the last block or on another filler, at any time: what it says is the same, and nothing changes.
  for (const height of [after.height + 1, after.height + 2]) {
    const block = { ...blockOn(after, filler.payload, after.timeMs + height), height }
    expect(judge(after, block, before)).toBe(after)
  }
  expect(judge(after, blockOn(after, built(after, [more]).payload), before)).toMatch(/only a filler/)
  expect(judge(after, blockOn(after, ending.payload), before)).toMatch(/only a filler/)
  expect(judge(state, blockOn(state, filler.payload))).toMatch(/another outcome/)
  expect(judge(after, blockOn(after, filler.payload))).toMatch(/it is of epoch 0, not 1/)
})

test('any bytes have a digest, and different ones have different ones', () => {
  const bytes = fc.oneof(
    fc.uint8Array(),
    fc.nat(good.payload.length).map((end) => good.payload.slice(0, end)),
  )
  fc.assert(
    fc.property(bytes, bytes, (a, b) => {
      expect(payloadDigest(a) === payloadDigest(b)).toBe(Buffer.compare(a, b) === 0)
    }),
  )
})
