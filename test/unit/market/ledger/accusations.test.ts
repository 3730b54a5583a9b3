import { expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { statement } from '../../../../src/market/ledger/consensus/messages.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import type { Action, SignedSaying } from '../../../../src/market/ledger/state/operation.ts'
import { Books, idOf } from './books.ts'

const HOUR_MS = 3_600_000
const host = idOf('host')

function setup() {
  const books = new Books().open('anna', 'ben')
  books.id('host')
  books.must('anna', { kind: 'link', host })
  return { books, by: (who: string, action: Action) => books.do(who, action) }
}

test('bankers lose their bond when they are shown to have said two things, once for each bond', () => {
  const { books, by } = setup()
  const bonded = books.state.settings.bond
  const { network } = books.state
  const say = (kind: SignedSaying['kind'], digest: Key | null, epoch: number, signer = 'host'): SignedSaying => {
    const bytes = statement({ network, epoch }, kind, 7, digest)
    return { kind, digest, signature: books.keyOf(books.id(signer)).sign(bytes) }
  }
  const [a, b] = [hashKey('a'), hashKey('b')]
  const accuse = (first: SignedSaying, second: SignedSaying, epoch = 1) =>
    by('ben', { kind: 'accuse', host, epoch, view: 7, first, second })
  const two = (epoch: number) => accuse(say('notarize', a, epoch), say('notarize', b, epoch), epoch)
  expect(two(1)).toBe('no-banker')
  books.must('anna', { kind: 'bond', host, amount: amount(bonded + 500n) })
  books.must('anna', { kind: 'unbond', host, amount: amount(500n) })
  books.must('anna', { kind: 'admit', host })
  expect(two(0), 'the bond was not there when the epoch began').toBe('no-proof')
  expect(two(1), 'the epoch is to come').toBe('no-proof')
  books.must('anna', { kind: 'end-epoch' }, HOUR_MS)
  for (const [first, second] of [
    [say('notarize', a, 1), say('notarize', a, 1)],
    [say('notarize', a, 1), say('finalize', b, 1)],
    [say('notarize', a, 1), say('nullify', null, 1)],
    [say('propose', a, 1), say('notarize', b, 1)],
  ] as const) {
    expect(accuse(first, second), `${first.kind} and ${second.kind}`).toBe('no-proof')
  }
  expect(accuse(say('notarize', a, 1), say('notarize', b, 2))).toBe('bad-signature')
  expect(accuse(say('notarize', a, 1), say('notarize', b, 1, 'ben'))).toBe('bad-signature')

  const before = books.state
  for (const [first, second] of [
    [say('propose', a, 1), say('propose', b, 1)],
    [say('notarize', a, 1), say('notarize', b, 1)],
    [say('finalize', a, 1), say('finalize', b, 1)],
    [say('finalize', a, 1), say('nullify', null, 1)],
    [say('nullify', null, 1), say('finalize', a, 1)],
  ] as const) {
    books.state = before
    expect(accuse(first, second), `${first.kind} and ${second.kind}`).toBe('applied')
    expect(books.state.burnt - before.burnt).toBe(bonded + 500n)
  }
  expect(two(1), 'shown again').toBe('no-proof')
  expect(by('anna', { kind: 'withdraw', host })).toBe('still-bonded')
  expect(by('anna', { kind: 'admit', host })).toBe('bond-too-small')
  // A new bond answers for later epochs only.
  const fined = books.state
  books.must('anna', { kind: 'bond', host, amount: amount(bonded) })
  expect(two(1)).toBe('no-proof')
  books.must('anna', { kind: 'end-epoch' }, HOUR_MS)
  expect(two(2)).toBe('applied')
  // One who posts no new bond is forgotten when the epoch ends.
  books.state = fined
  books.must('anna', { kind: 'end-epoch' }, HOUR_MS)
  expect(books.state.bankers.get(host)).toBeUndefined()
  expect(by('anna', { kind: 'unlink', host })).toBe('applied')
})

test('bankers are accused by a banker with the key of its host', () => {
  const { books } = setup()
  const [seated] = books.state.committee as [Key]
  const { network, epoch } = books.state
  const vote = (digest: Key): SignedSaying => ({
    kind: 'finalize',
    digest,
    signature: books.keyOf(seated).sign(statement({ network, epoch }, 'finalize', 3, digest)),
  })
  const [first, second] = [vote(hashKey('a')), vote(hashKey('b'))]
  const accusation = (by: Key): Action => ({ kind: 'accuse', host: seated, epoch, view: 3, first, second, by })
  expect(books.do('anna', accusation(host))).toBe('no-banker')
  expect(books.do('anna', accusation(seated))).toBe('not-your-host')
  expect(books.do('owner 1', accusation(seated))).toBe('applied')
  expect(books.state.committee, 'the seat is its own until the epoch ends').toContain(seated)
  books.must('anna', { kind: 'end-epoch' }, HOUR_MS)
  expect(books.state.bankers.get(seated), 'nobody else stands, so it fills the seat').toBeDefined()
})
