import { expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { statement } from '../../../../src/market/ledger/consensus/messages.ts'
import type { SignedSaying } from '../../../../src/market/ledger/state/operation.ts'
import { Books, genesisWith, idOf } from './books.ts'

const HOUR_MS = 3_600_000
const hostOf = (number: number) => idOf(`banker ${number}`)

/** Bankers 2 to `last` get accounts, link their hosts, post bonds and, up to that one, stand. */
function joined(last: number, standing = last): Books {
  const books = new Books(genesisWith([1]))
  const amount = books.state.settings.bond
  for (let number = 2; number <= last; number++) {
    const [owner, host] = [`owner ${number}`, books.id(`banker ${number}`)]
    books.open(owner)
    books.must(owner, { kind: 'link', host })
    books.must(owner, { kind: 'bond', host, amount })
    if (number <= standing) books.must(owner, { kind: 'admit', host })
  }
  return books
}

/** An epoch in which these give signs of life. Who sits then? */
function epoch(books: Books, alive: readonly number[]): readonly number[] {
  const due = alive.filter((number) => books.state.bankers.get(hostOf(number))!.nextBeat <= books.state.epoch)
  const beats = due.map((number) => books.operation(`owner ${number}`, { kind: 'heartbeat', host: hostOf(number) }))
  const { applied } = books.block(beats, HOUR_MS)
  expect(applied.results).toEqual(due.map(() => 'applied'))
  books.must('owner 1', { kind: 'end-epoch' })
  const { committee } = books.state
  expect(committee).toEqual([...committee].sort())
  return Array.from({ length: 40 }, (_, i) => i + 1).filter((number) => committee.includes(hostOf(number)))
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

test('a committee grows from one to 31 three seats at a time, shrinks when three are silent or gone, and nobody living is pushed out', () => {
  const books = joined(34)
  let seats = [1]
  for (const size of [4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 31]) {
    const next = epoch(books, upTo(34))
    expect(next).toHaveLength(size)
    expect(next).toEqual(expect.arrayContaining(seats))
    seats = [...next]
  }
  while (seats.length > 7) {
    const left = seats.slice(0, -3)
    expect(epoch(books, left)).toEqual(left)
    seats = left
  }
  for (const number of seats.slice(0, 6)) {
    books.must(`owner ${number}`, { kind: 'drop', host: hostOf(number) })
    seats = seats.slice(1)
    expect(epoch(books, seats)).toEqual(seats)
  }
  expect(seats).toHaveLength(1)
})

test('one that is silent keeps its seat, for epochs, till another can take it: then it stands no longer, and may again', () => {
  const books = joined(5, 4)
  expect(epoch(books, upTo(4))).toEqual([1, 2, 3, 4])
  for (let i = 0; i < 3; i++) expect(epoch(books, [1, 2, 3])).toEqual([1, 2, 3, 4])
  expect(epoch(books, upTo(4)), 'it is back').toEqual([1, 2, 3, 4])
  expect(epoch(books, [1, 2, 3])).toEqual([1, 2, 3, 4])
  books.must('owner 5', { kind: 'admit', host: hostOf(5) })
  expect(epoch(books, [1, 2, 3, 5])).toEqual([1, 2, 3, 5])
  expect(books.do('owner 4', { kind: 'heartbeat', host: hostOf(4) })).toBe('no-candidate')
  books.must('owner 4', { kind: 'admit', host: hostOf(4) })
  expect(epoch(books, upTo(5))).toEqual([1, 2, 3, 5])
})

test('a seat that was given up or forfeited is vacant till another can take it', () => {
  const books = joined(6, 4)
  expect(epoch(books, upTo(4))).toEqual([1, 2, 3, 4])
  const { network, epoch: now } = books.state
  const [first, second] = [hashKey('a'), hashKey('b')].map((digest) => {
    const signature = books.keyOf(hostOf(2)).sign(statement({ network, epoch: now }, 'finalize', 5, digest))
    return { kind: 'finalize', digest, signature } as const
  }) as [SignedSaying, SignedSaying]
  books.must('owner 1', { kind: 'accuse', host: hostOf(2), epoch: now, view: 5, first, second })
  expect(epoch(books, [1, 3, 4])).toEqual([1, 3, 4])
  expect(books.state.bankers.get(hostOf(2)), 'it is forgotten').toBeUndefined()
  books.must('owner 4', { kind: 'drop', host: hostOf(4) })
  expect(epoch(books, [1, 3])).toEqual([1, 3])
  for (const number of [5, 6]) books.must(`owner ${number}`, { kind: 'admit', host: hostOf(number) })
  expect(epoch(books, [1, 3, 5, 6])).toEqual([1, 3, 5, 6])
})

test('who has given notice of its bond is not chosen, and has it back only when it has no seat', () => {
  const books = joined(4)
  expect(epoch(books, upTo(4))).toEqual([1, 2, 3, 4])
  books.must('owner 4', { kind: 'unbond', host: hostOf(4), amount: books.state.settings.bond })
  books.block([], 24 * HOUR_MS)
  expect(books.do('owner 4', { kind: 'withdraw', host: hostOf(4) })).toBe('still-bonded')
  const next = epoch(books, upTo(4))
  expect(next).toEqual([1, 2, 3])
  books.must('owner 4', { kind: 'withdraw', host: hostOf(4) })
  expect(books.purse('owner 4')).toEqual([0n, 50_000n])
})

test('an epoch that nobody ends goes on: a network that slept loses no banker', () => {
  const books = joined(4)
  expect(epoch(books, upTo(4))).toHaveLength(4)
  books.block([], 100 * HOUR_MS)
  expect(epoch(books, upTo(4))).toHaveLength(4)
  expect(books.state.epoch).toBe(2)
})

test('a banker ends an epoch by its own key, once it is over; a host that is none cannot', () => {
  const books = joined(4)
  const by = (number: number) => books.operation(`owner ${number}`, { kind: 'end-epoch', host: hostOf(number) })
  const nonce = () => books.state.accounts.get(idOf('owner 1'))!.nonce
  const before = nonce()
  expect(books.block([by(1)]).applied).toMatchObject({ results: ['epoch-not-over'], idle: 1 })
  books.open('anna')
  const stranger = books.operation('anna', { kind: 'end-epoch', host: hostOf(9) })
  expect(books.block([stranger], HOUR_MS).applied).toMatchObject({ results: ['no-banker'], idle: 1 })
  const stolen = books.operation('anna', { kind: 'end-epoch', host: hostOf(1) })
  expect(books.block([stolen]).applied.results).toEqual(['not-your-host'])
  expect(books.block([by(1), by(2)]).applied).toMatchObject({ results: ['applied', 'replayed'], idle: 1 })
  expect(books.state.epoch).toBe(1)
  expect(nonce()).toBe(before)
})
