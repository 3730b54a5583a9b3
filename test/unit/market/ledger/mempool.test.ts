import { expect, test } from 'vitest'
import { MAX_WAITING_EARLY, MAX_WAITING_OPERATIONS, MAX_WAITING_PER_ACCOUNT } from '../../../../src/core/limits.ts'
import { Mempool } from '../../../../src/market/ledger/mempool.ts'
import { atBlock } from '../../../../src/market/ledger/state/apply.ts'
import { type Action, decodeOperation, type Unsigned } from '../../../../src/market/ledger/state/operation.ts'
import type { State } from '../../../../src/market/ledger/state/state.ts'
import { Books, idOf } from './books.ts'

const HOUR_MS = 3_600_000

/** A pool beside the books; operations are named by who asks and the number. */
class Desk {
  readonly books = new Books().open('anna', 'ben')
  readonly pool = new Mempool(this.books.verify)

  at(afterMs = 0): State {
    const { state } = this.books
    return atBlock(state, { height: state.height + 1, blockTimeMs: state.timeMs + afterMs })
  }

  offer(who: string, action: Action, changes: Partial<Unsigned> = {}, afterMs = 0) {
    return this.pool.offer(this.books.operation(who, action, changes), this.at(afterMs))
  }

  pay(who: string, nonce: number) {
    return this.offer(who, { kind: 'transfer', to: idOf('ben'), amount: 1n as never }, { nonce })
  }

  candidates(): string[] {
    return [...this.pool.candidates(this.books.state)].map((bytes) => {
      const operation = decodeOperation(bytes)
      if (typeof operation === 'string') return operation
      const name = ['anna', 'ben', 'carl'].find((one) => idOf(one) === operation.account)
      return `${name} ${operation.nonce}`
    })
  }
}

test('what fits comes in the order of arrival, and what has a gap before it waits', () => {
  const desk = new Desk()
  expect(desk.pay('anna', 2)).toBe('waits')
  expect(desk.candidates()).toEqual([])
  expect(desk.pool.isWanting(desk.books.state)).toBe(false)
  expect(desk.pay('ben', 1)).toBe('waits')
  expect(desk.pay('anna', 4)).toBe('waits')
  expect(desk.pay('anna', 1)).toBe('waits')
  expect(desk.candidates()).toEqual(['ben 1', 'anna 1', 'anna 2'])
  expect(desk.pay('anna', 3)).toBe('waits')
  expect(desk.candidates()).toEqual(['ben 1', 'anna 1', 'anna 2', 'anna 3', 'anna 4'])
})

test('after a block, what it used up is gone, also if another operation had that number', () => {
  const desk = new Desk()
  desk.pay('anna', 1)
  desk.pay('anna', 2)
  desk.books.must('anna', { kind: 'link', host: desk.books.id('banker 9') }) // number 1, from elsewhere
  desk.pool.settle(desk.at())
  expect(desk.candidates()).toEqual(['anna 2'])
  expect(desk.pay('anna', 1)).toBe('replayed')
})

test('what can never apply is refused at the door', () => {
  const desk = new Desk()
  expect(desk.pool.offer(new Uint8Array(9), desk.at())).toBe('malformed')
  expect(desk.offer('anna', { kind: 'open' })).toBe('account-exists')
  expect(desk.offer('carl', { kind: 'open' }, { nonce: 1 })).toBe('nonce-gap')
  expect(desk.offer('anna', { kind: 'open' }, { network: idOf('other') })).toBe('wrong-network')
  expect(desk.offer('carl', { kind: 'transfer', to: idOf('ben'), amount: 1n as never })).toBe('no-account')
  const forged = desk.books.operation('anna', { kind: 'unlink', host: idOf('x') })
  forged[forged.length - 1]! ^= 1
  expect(desk.pool.offer(forged, desk.at())).toBe('bad-signature')
  expect(desk.pay('anna', 1 + MAX_WAITING_PER_ACCOUNT)).toBe('nonce-gap')
  expect(desk.pool.size).toBe(0)
})

test('an account that is opened on the way may go on at once', () => {
  const desk = new Desk()
  expect(desk.offer('carl', { kind: 'open' }, { nonce: 0 })).toBe('waits')
  expect(desk.pay('carl', 1)).toBe('waits')
  expect(desk.candidates()).toEqual(['carl 0', 'carl 1'])
})

test('the same bytes are there once, and another operation with that number is late', () => {
  const desk = new Desk()
  expect([desk.pay('anna', 1), desk.pay('anna', 1)]).toEqual(['waits', 'waits'])
  expect(desk.pool.size).toBe(1)
  expect(desk.offer('anna', { kind: 'unlink', host: idOf('x') }, { nonce: 1 })).toBe('replayed')
})

test('what a host asks for is refused while it would change nothing, and dropped when it would not any more', () => {
  const desk = new Desk()
  const host = desk.books.id('banker 1')
  const end = (afterMs: number) => desk.offer('owner 1', { kind: 'end-epoch', host }, {}, afterMs)
  expect(end(0)).toBe('epoch-not-over')
  expect(end(HOUR_MS)).toBe('waits')
  desk.books.must('anna', { kind: 'end-epoch' }, HOUR_MS)
  desk.pool.settle(desk.at())
  expect(desk.pool.size).toBe(0)
})

test('one account cannot fill it', () => {
  const desk = new Desk()
  for (let nonce = 1; nonce <= MAX_WAITING_PER_ACCOUNT; nonce++) expect(desk.pay('anna', nonce)).toBe('waits')
  expect(desk.pay('anna', 1 + MAX_WAITING_PER_ACCOUNT)).toBe('nonce-gap')
  expect(desk.pay('ben', 1)).toBe('waits')
})

/** Operations of others, `from` a number on, until there are so many or one does not wait. */
function fill(desk: Desk, count: number, from: number): readonly [names: string[], answer: unknown] {
  const names: string[] = []
  for (let offered = 0; offered < count; ) {
    names.push(`other ${names.length}`)
    desk.books.open(names.at(-1)!)
    for (let nonce = from; nonce <= MAX_WAITING_PER_ACCOUNT && offered < count; nonce++, offered++) {
      const answer = desk.pay(names.at(-1)!, nonce)
      if (answer !== 'waits') return [names, answer]
    }
  }
  return [names, 'waits']
}

test('what waits for operations that never come keeps nobody out, and goes the oldest first', () => {
  const desk = new Desk()
  const [names, answer] = fill(desk, MAX_WAITING_EARLY + 100, 2)
  expect(answer).toBe('waits')
  expect(desk.pool.size).toBe(MAX_WAITING_EARLY)
  expect(desk.pool.isWanting(desk.at())).toBe(false)
  expect(desk.offer('carl', { kind: 'open' }, { nonce: 0 })).toBe('waits')
  expect(desk.pay('anna', 1)).toBe('waits')
  expect(desk.candidates()).toEqual(['carl 0', 'anna 1'])
  desk.pool.settle(desk.at())
  expect(desk.pool.size).toBe(MAX_WAITING_EARLY + 2)

  // Those of the second one are there, those of the first are not.
  expect([desk.pay(names[0]!, 1), desk.pay(names[1]!, 1)]).toEqual(['waits', 'waits'])
  expect(desk.candidates()).toHaveLength(2 + 1 + MAX_WAITING_PER_ACCOUNT)
})

test('when it is full of what is ready, an epoch still ends', () => {
  const desk = new Desk()
  expect(fill(desk, MAX_WAITING_OPERATIONS + 1, 1)[1]).toBe('busy')
  expect(desk.pool.size).toBe(MAX_WAITING_OPERATIONS)
  expect(desk.pay('anna', 1)).toBe('busy')
  const host = desk.books.id('banker 1')
  expect(desk.offer('owner 1', { kind: 'end-epoch', host }, {}, HOUR_MS)).toBe('waits')
})

test('what came early is ready when a block has filled the gap, and fits onto one that is not final yet', () => {
  const desk = new Desk()
  desk.pay('anna', 3)
  desk.pay('anna', 2)
  desk.books.must('anna', { kind: 'link', host: desk.books.id('banker 9') }) // number 1, from elsewhere
  expect(desk.candidates(), 'before the pool hears of it').toEqual(['anna 2', 'anna 3'])
  desk.pool.settle(desk.at())
  desk.pay('ben', 1)
  expect(desk.candidates()).toEqual(['anna 2', 'anna 3', 'ben 1'])
})
