import { expect, test } from 'vitest'
import type { Random } from '../../../../src/core/env.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { sealOf } from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { countOf } from '../../../../src/market/ledger/state/allocations/ranges.ts'
import { offerIn } from '../../../../src/market/ledger/state/book/offers.ts'
import type { Action } from '../../../../src/market/ledger/state/operation.ts'
import { restoreState, snapshotChunks } from '../../../../src/market/ledger/state/snapshot.ts'
import { stateRoot } from '../../../../src/market/ledger/state/state.ts'
import { seeds } from '../../../nightly.ts'
import { digestOf, MarketBooks } from './market-books.ts'

const SUPPLIERS = ['ben', 'cleo', 'dora']
const CUSTOMERS = ['anna', 'emil', 'ben']
const JUDGES = ['judge 0', 'judge 1', 'judge 2', 'judge 3']
const ALL = [...new Set([...SUPPLIERS, ...CUSTOMERS, ...JUDGES])]
const PAUSES_MS = [0, 0, 0, 1, 1000, 2000]
const LONG_PAUSES_MS = [61_000, 130_000, 700_000]
const STEPS = 250

function pick<T>(random: Random, list: readonly T[]): T {
  return list[random.int(list.length)]!
}

/** What might come next in some allocation, mostly the right thing by the right side. */
function stepOf(books: MarketBooks, random: Random, id: Key): readonly [who: string, action: Action] {
  const { phase, windowTasks, jobTasks } = books.allocation(id)
  const side = (name: 'customer' | 'supplier') => (random.int(12) === 0 ? pick(random, ALL) : books.sideOf(id, name))
  const common = { allocation: id }
  const draw = random.int(10)
  if (draw === 0 && random.int(4) === 0) return [pick(random, ALL), { kind: 'expire', ...common }]
  if (draw === 1 && random.int(4) === 0)
    return [side(pick(random, ['customer', 'supplier'])), { kind: 'end', ...common }]
  switch (phase.name) {
    case 'signing': {
      const who = pick(random, ['customer', 'supplier'] as const)
      return [side(who), books.step(id, 'sign', who)]
    }
    case 'running': {
      const from = random.int(jobTasks)
      const to = Math.min(jobTasks, from + 1 + random.int(windowTasks))
      return [side('supplier'), books.step(id, 'commit', 'supplier', [[from, to]])]
    }
    case 'committed':
      return [side('customer'), books.step(id, random.int(4) === 0 ? 'approve' : 'reveal', 'customer')]
    case 'revealed': {
      const position = random.int(countOf(phase.window.tasks) + 1)
      const action =
        random.int(2) === 0
          ? books.step(id, 'approve', 'customer')
          : { kind: 'challenge' as const, ...common, position }
      return [side('customer'), action]
    }
    case 'challenged':
      return [side('supplier'), books.step(id, 'show', 'supplier')]
    case 'shown':
      return [
        side('customer'),
        random.int(3) > 0 ? { kind: 'dispute', ...common } : books.step(id, 'approve', 'customer'),
      ]
    case 'drawing': {
      const who = pick(random, ['customer', 'supplier'] as const)
      return [side(who), books.step(id, 'draw', who)]
    }
    case 'closed':
      return [pick(random, ALL), { kind: 'expire', ...common }]
    case 'sealing':
    case 'unsealing': {
      const judge = pick(random, JUDGES)
      const host = books.id(`host of ${judge}`)
      const salt = hashKey(judge)
      // Of one mind, or each of its own: the same at sealing and after.
      const at = Number.parseInt(hashKey(`${id} ${judge}`).slice(0, 2), 16)
      const right = digestOf(id, books.allocation(id).windows - 1, phase.position)
      const finding = at < 120 ? right : at < 180 ? hashKey('other') : 'unstable'
      if (phase.name === 'sealing')
        return [judge, { kind: 'seal', ...common, host, seal: sealOf(id, host, finding, salt) }]
      return [judge, { kind: 'verdict', ...common, host, finding, salt }]
    }
  }
}

function actOf(books: MarketBooks, random: Random): readonly [who: string, action: Action] {
  const ids = random.int(40) === 0 ? [...books.state.allocations.entries()].map(([id]) => id) : books.running
  const offers = [...books.state.book.entries()]
  const draw = random.int(20)
  if (draw === 0 || (ids.length === 0 && draw < 8)) {
    const many = { tasks: 1 + random.int(200), taskWorkMi: 1 + random.int(100_000), replicas: 1 + random.int(3) }
    const maxPrice = BigInt(1 + random.int(200_000)) as never
    return [pick(random, ALL), { kind: 'hand-in', offers: [books.buy(pick(random, CUSTOMERS), { ...many, maxPrice })] }]
  }
  if (draw === 1 || (ids.length === 0 && draw < 14)) {
    const minPrice = BigInt(1 + random.int(4000)) as never
    const sell = books.sell(pick(random, SUPPLIERS), { minPrice, coresMilli: 100 + random.int(4000) })
    return [pick(random, ALL), { kind: 'hand-in', offers: [sell] }]
  }
  if (draw <= 3 || ids.length === 0) return [pick(random, ALL), { kind: 'match', slot: books.slot }]
  if (draw === 4 && offers.length > 0)
    return [pick(random, ALL), { kind: 'withdraw-offer', offer: pick(random, offers)[0] }]
  if (draw === 6 && offers.length > 0) {
    const [offer, { bytes }] = pick(random, offers)
    const who = random.int(4) > 0 ? books.nameOf(offerIn(bytes)!.account) : pick(random, ALL)
    return [who, { kind: 'raise-offer', offer, maxPrice: BigInt(1 + random.int(400_000)) as never }]
  }
  if (draw === 5) {
    const judge = pick(random, JUDGES)
    return [judge, { kind: 'mediate', host: books.id(`host of ${judge}`), willing: random.int(3) > 0 }]
  }
  return stepOf(books, random, pick(random, ids))
}

test.each(seeds(12))(
  'whatever is done in whatever order, no credit is made or lost, and all comes to an end: seed %i',
  (seed) => {
    const random = seededRandom(seed)
    const books = new MarketBooks()
    books.supplier(...SUPPLIERS)
    for (const name of CUSTOMERS) if (!books.state.accounts.get(books.id(name))) books.open(name)
    books.mediator(...JUDGES)
    const seen = new Set<string>()
    for (let i = 0; i < STEPS; i++) {
      const [who, action] = actOf(books, random)
      const result = books.do(who, action, pick(random, random.int(30) === 0 ? LONG_PAUSES_MS : PAUSES_MS))
      if (result === 'applied') seen.add(action.kind)
      for (const [, { phase }] of books.state.allocations.entries()) seen.add(phase.name)
    }
    // No copy of a task is with two suppliers, or paid and still to be had; some came back, and went to another.
    const { state } = books
    const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0)
    for (const [id, { bytes, left, fresh }] of state.book.entries()) {
      const { terms } = offerIn(bytes)!
      if (terms.kind === 'sell') continue
      const copies = terms.tasks * terms.replicas
      const made = [...state.allocations.entries()].map(([, one]) => one).filter(({ offer }) => offer === id)
      expect(
        left + sum(made.map(({ phase, tasks, paid }) => (phase.name === 'closed' ? paid : tasks))),
      ).toBeLessThanOrEqual(copies)
      if (sum(made.map(({ tasks }) => tasks)) > copies - fresh) seen.add('another supplier')
    }
    // What is kept of it can be restored.
    const restored = restoreState(books.genesis, stateRoot(state), snapshotChunks(state))
    expect(stateRoot(restored)).toBe(stateRoot(state))
    expect(restored.offersOf.root).toBe(state.offersOf.root)
    expect(restored.held).toBe(state.held)
    // Nobody does anything any more: deadlines end all of it.
    for (let round = 0; round < 9 && books.state.allocations.size > 0; round++) {
      const open = [...books.state.allocations.entries()].map(([id]) => id)
      for (const id of open)
        expect(books.do('owner 1', { kind: 'expire', allocation: id }, 40 * 24 * 3_600_000)).toBe('applied')
    }
    expect(books.state.allocations.size).toBe(0)
    expect(books.do('owner 1', { kind: 'hand-in', offers: [books.sell('ben')] })).toBe('applied')
    expect(books.do('owner 1', { kind: 'match', slot: books.slot })).toBe('applied')
    expect(books.state.book.size).toBe(1)
    expect(books.state.claims.size).toBe(0)
    all.push(...seen)
  },
)

const all: string[] = []
test('the plays above have come to everything', () => {
  expect(new Set(all)).toEqual(
    new Set([
      ...['hand-in', 'match', 'withdraw-offer', 'raise-offer', 'mediate', 'end', 'expire'],
      ...['sign', 'commit', 'reveal', 'approve', 'challenge', 'show', 'dispute', 'draw', 'seal', 'verdict'],
      ...[
        'signing',
        'running',
        'committed',
        'revealed',
        'challenged',
        'shown',
        'drawing',
        'sealing',
        'unsealing',
        'closed',
        'another supplier',
      ],
    ]),
  )
})
