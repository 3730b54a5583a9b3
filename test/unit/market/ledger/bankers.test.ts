import { expect, test } from 'vitest'
import { isCommitteeSize } from '../../../../src/market/ledger/committee.ts'
import { Books, genesisWith, idOf } from './books.ts'

const HOUR_MS = 3_600_000
const hostOf = (number: number) => idOf(`banker ${number}`)

/** Bankers 2 to `last` get accounts, link their hosts, post bonds and stand. */
function joined(last: number): Books {
  const books = new Books(genesisWith([1]))
  const amount = books.state.settings.bond
  for (let number = 2; number <= last; number++) {
    const [owner, host] = [`owner ${number}`, books.id(`banker ${number}`)]
    books.open(owner)
    books.must(owner, { kind: 'link', host })
    books.must(owner, { kind: 'bond', host, amount })
    books.must(owner, { kind: 'admit', host })
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
  expect(isCommitteeSize(committee.length)).toBe(true)
  expect(committee).toEqual([...committee].sort())
  return Array.from({ length: 40 }, (_, i) => i + 1).filter((number) => committee.includes(hostOf(number)))
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

test('a committee grows from one to 31 and shrinks to one, three seats at a time, and nobody living is pushed out', () => {
  const books = joined(34)
  let seats = [1]
  for (const size of [4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 31]) {
    const next = epoch(books, upTo(34))
    expect(next).toHaveLength(size)
    expect(next).toEqual(expect.arrayContaining(seats))
    seats = [...next]
  }
  const left = seats.slice(0, 5) // five live on: room for four
  for (const size of [28, 25, 22, 19, 16, 13, 10, 7, 4, 4]) {
    const next = epoch(books, left)
    expect(next).toHaveLength(size)
    expect(left.filter((number) => next.includes(number))).toHaveLength(Math.min(size, 5))
  }
  for (const size of [1, 1]) expect(epoch(books, [])).toHaveLength(size)
})

test('who was silent for an epoch stands no longer, and may stand again', () => {
  const books = joined(4)
  expect(epoch(books, upTo(4))).toEqual([1, 2, 3, 4])
  expect(epoch(books, [1, 2, 3])).toHaveLength(1)
  expect(books.do('owner 4', { kind: 'heartbeat', host: hostOf(4) })).toBe('no-candidate')
  books.must('owner 4', { kind: 'admit', host: hostOf(4) })
  expect(epoch(books, upTo(4))).toEqual([1, 2, 3, 4])
})

test('who has given notice of its bond is not chosen, and has it back only when it has no seat', () => {
  const books = joined(4)
  expect(epoch(books, upTo(4))).toEqual([1, 2, 3, 4])
  books.must('owner 4', { kind: 'unbond', host: hostOf(4), amount: books.state.settings.bond })
  books.block([], 24 * HOUR_MS)
  expect(books.do('owner 4', { kind: 'withdraw', host: hostOf(4) })).toBe('still-bonded')
  const next = epoch(books, upTo(4))
  expect(next).toHaveLength(1)
  expect(next).not.toContain(4)
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
