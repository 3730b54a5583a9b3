import { expect, test } from 'vitest'
import { decode, encode } from '../../../../src/core/cbor.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { MAX_CHUNK_BYTES, restoreState, snapshotChunks } from '../../../../src/market/ledger/state/snapshot.ts'
import { NEW_ACCOUNT, recount, stateRoot, withAccount } from '../../../../src/market/ledger/state/state.ts'
import { seeds } from '../../../nightly.ts'
import { Books, genesisWith } from './books.ts'
import { play, playedBooks } from './random-operations.ts'

test('any state comes back from its chunks, and goes on as if nothing had been', () => {
  for (const seed of seeds(20)) {
    const books = playedBooks(seed, 30)
    const twin = new Books()
    twin.state = restoreState(books.genesis, stateRoot(books.state), [...snapshotChunks(books.state)])
    const plain = ({ accounts, escrows, bankers, hosts, openEscrows, linked, ...rest }: typeof books.state) => ({
      ...rest,
      linked: [...linked.entries()].map(([account, hosts]) => [account, [...hosts.entries()]]),
      trees: [accounts, escrows, bankers, hosts, openEscrows].map((tree) => [[...tree.entries()], tree.size]),
    })
    expect(plain(twin.state)).toEqual(plain(books.state))
    for (const each of [books, twin]) play(each, seed + 1000, 30, () => {})
    expect(stateRoot(twin.state)).toBe(stateRoot(books.state))
  }
})

/** 3,000 accounts, in more than one chunk; an escrow and a banker. */
function large() {
  const books = new Books().open('anna', 'ben')
  books.escrow('anna', ['ben'], 1000n)
  for (let i = 0; i < 3000; i++) books.state = withAccount(books.state, hashKey(`account ${i}`), NEW_ACCOUNT)
  return books
}

test('chunks are below 256 KiB, well filled, and the same for the same state', () => {
  const { genesis, state } = large()
  const chunks = [...snapshotChunks(state)]
  expect(chunks.map((chunk) => (decode(chunk) as { tree?: string }).tree)).toEqual([
    undefined,
    'accounts',
    'accounts',
    'escrows',
    'bankers',
    'hosts',
  ])
  for (const { length } of chunks) expect(length).toBeLessThanOrEqual(MAX_CHUNK_BYTES)
  expect(chunks[1]!.length).toBeGreaterThan(0.95 * MAX_CHUNK_BYTES)
  const restored = restoreState(genesis, stateRoot(state), chunks)
  expect([...snapshotChunks(restored)]).toEqual(chunks)
})

test('whatever is changed on the way is found', () => {
  const { genesis, state } = large()
  const root = stateRoot(state)
  const chunks = [...snapshotChunks(state)]
  const restored =
    (changed: readonly Uint8Array[], from = genesis) =>
    () =>
      restoreState(from, root, changed)
  const rewritten = (index: number, change: (value: Record<string, unknown>) => object) =>
    chunks.map((chunk, i) => (i === index ? encode(change(decode(chunk) as Record<string, unknown>)) : chunk))
  const flipped = (index: number, at: number) => chunks.with(index, chunks[index]!.with(at, chunks[index]![at]! ^ 1))

  expect(restored([])).toThrow('the snapshot is empty')
  expect(restored(chunks.slice(1))).toThrow('does not begin with its books')
  expect(restored([chunks[0]!, ...chunks])).toThrow('has a chunk that is none')
  expect(restored(chunks.slice(0, -1))).toThrow('is not that of the state root')
  expect(restored([...chunks, chunks.at(-1)!])).toThrow('out of order')
  expect(restored(chunks.with(1, chunks[2]!).with(2, chunks[1]!))).toThrow('out of order')
  expect(restored(chunks, genesisWith([2]))).toThrow('is not that of the state root')
  expect(restored(rewritten(0, (books) => ({ ...books, height: 7 })))).toThrow('is not that of the state root')
  expect(restored(rewritten(0, (books) => ({ ...books, burnt: -1 })))).toThrow('has an amount that is none')
  expect(restored(rewritten(0, (books) => ({ ...books, tax: 1 })))).toThrow('does not begin with its books')
  expect(restored(rewritten(1, (chunk) => ({ ...chunk, tree: 'banks' })))).toThrow('has a chunk that is none')
  expect(restored(rewritten(3, () => ({ tree: 'escrows', entries: [encode(['x', 1])] })))).toThrow(
    'an entry that is none',
  )
  expect(restored(rewritten(3, (chunk) => ({ ...chunk, tree: 'bankers' })))).toThrow('an entry that is none')
  for (const at of [0, 1, 50, 1000, chunks[1]!.length - 1])
    expect(restored(flipped(1, at))).toThrow(/the snapshot|not dag-cbor/)
})

test('a state that does not add up is refused, even under its own root', () => {
  const { genesis, state } = new Books()
  const richer = { ...state, minted: amount(state.minted + 1n) }
  expect(recount(richer)).toBe(state.minted)
  expect(() => restoreState(genesis, stateRoot(richer), [...snapshotChunks(richer)])).toThrow(
    'more or less than its supply',
  )
})
