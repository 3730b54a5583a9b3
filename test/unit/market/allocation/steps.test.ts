import { expect, test } from 'vitest'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import {
  customerStep,
  lateStep,
  supplierStep,
  type Work,
  workableTasks,
} from '../../../../src/market/allocation/steps.ts'
import {
  type Allocation,
  LEAST_BOND,
  PATIENCE,
  type Phase,
} from '../../../../src/market/ledger/state/allocations/allocation.ts'
import { claimableOf } from '../../../../src/market/ledger/state/allocations/claims.ts'
import type { Range, Ranges } from '../../../../src/market/ledger/state/allocations/ranges.ts'
import { restoreState, snapshotChunks } from '../../../../src/market/ledger/state/snapshot.ts'
import { stateRoot } from '../../../../src/market/ledger/state/state.ts'
import type { Buy } from '../../../../src/market/offers/offer.ts'
import { MarketBooks } from '../ledger/market-books.ts'
import { type Actors, Play, rightDigest, wrongDigest } from './play.ts'

const THREE = ['judge 0', 'judge 1', 'judge 2']
const ELEVEN = Array.from({ length: 11 }, (_, i) => `judge ${i}`)
const WAGE = 800n
const FEE = 8n
const WINDOWS = 8

/** One allocation of 80 tasks, not signed yet. */
function play(actors: Actors = {}, changes: Partial<Buy> = {}): { play: Play; id: Key; ben: bigint; anna: bigint } {
  const books = new MarketBooks()
    .supplier('ben')
    .open('anna')
    .mediator(...(actors.mediators ?? []))
  const [ben, anna] = [books.wealth('ben'), books.wealth('anna')]
  const [id] = books.trade(books.sell('ben'), books.buy('anna', changes))
  return { play: new Play(books, actors), id: id!, ben, anna }
}

function refusals({ log }: Play): string[] {
  return log.filter((line) => !line.endsWith(' applied'))
}

test('honest sides bring an allocation to its end, with three operations a window, none of them refused', () => {
  const { play: one, ben, anna } = play()
  expect(one.end()).toBe(true)
  expect(refusals(one)).toEqual([])
  const windows = Array.from({ length: WINDOWS }, () => ['commit', 'reveal', 'approve']).flat()
  expect(one.kinds).toEqual(['sign', 'sign', ...windows])
  expect(one.books.wealth('ben') - ben).toBe(WAGE)
  expect(anna - one.books.wealth('anna')).toBe(WAGE + FEE)
  const record = one.books.state.records.get(one.books.id('ben'))!
  expect(record).toMatchObject({ paid: 80, failed: 0, deserted: 0 })
  expect(record.verified).toBeGreaterThan(0)
})

test('a customer that trusts its supplier says so with one operation a window', () => {
  const { play: one, ben } = play({ isTrusting: true })
  expect(one.end()).toBe(true)
  expect(one.kinds).toEqual(['sign', 'sign', ...Array.from({ length: WINDOWS }, () => ['commit', 'approve']).flat()])
  expect(one.books.wealth('ben') - ben).toBe(WAGE)
})

test('steps are pure: sides and ledger that begin anew before every operation play the same', () => {
  const actors: Actors = { mediators: THREE, own: wrongDigest, examined: { kind: 'wrong', position: 3 } }
  const without = play(actors).play
  const { play: anew } = play(actors)
  const phases = new Set<string>()
  anew.onOperation = () => {
    const { books } = anew
    for (const [, { phase }] of books.state.allocations.entries()) phases.add(phase.name)
    books.state = restoreState(books.genesis, stateRoot(books.state), snapshotChunks(books.state))
  }
  expect([without.end(), anew.end()]).toEqual([true, true])
  expect(anew.log).toEqual(without.log)
  expect(refusals(anew)).toEqual([])
  expect([...phases].sort()).toEqual([
    'challenged',
    'closed',
    'committed',
    'drawing',
    'revealed',
    'running',
    'sealing',
    'shown',
    'signing',
    'unsealing',
  ])
})

test('a supplier that skips half of its tasks loses its deposit in the window in which one is tested', () => {
  const digest = (task: number) => (task % 2 === 0 ? rightDigest(task) : wrongDigest(task))
  const { play: one, id, ben, anna } = play({ digest, mediators: ELEVEN })
  const { deposit } = one.books.allocation(id)
  expect(one.end()).toBe(true)
  const { paid, failed } = one.books.state.records.get(one.books.id('ben'))!
  expect(failed).toBe(1)
  expect(paid).toBeLessThan(80)
  expect(ben - one.books.wealth('ben')).toBe(deposit - (WAGE * BigInt(paid)) / 80n)
  // Those who found it have their fees out of the deposit, and what it lacks out of the customer's bond.
  expect(anna - one.books.wealth('anna')).toBe(FEE + LEAST_BOND - deposit + (WAGE * BigInt(paid)) / 80n)
})

test('a supplier that opens nothing is challenged, and loses its deposit without mediators', () => {
  const drops: Actors['drops'] = (_, { kind }) => kind === 'show'
  const { play: one, id, ben } = play({ opens: false, drops })
  const { deposit } = one.books.allocation(id)
  expect(one.end()).toBe(true)
  expect(one.books.state.records.get(one.books.id('ben'))).toMatchObject({ failed: 1 })
  expect(ben - one.books.wealth('ben')).toBeGreaterThan(0n)
  expect(one.books.state.burnt).toBe(deposit)
})

test('openings that are lost on the way cost nothing but time: what is challenged is shown on the ledger', () => {
  const { play: one, ben } = play({ opens: false })
  expect(one.end()).toBe(true)
  expect(one.kinds).toContain('show')
  expect(one.books.wealth('ben') - ben).toBe(WAGE)
  expect(one.books.state.burnt).toBe(0n)
})

test('a customer that disputes what is right pays the window and the mediators, and ends the allocation', () => {
  const actors: Actors = { mediators: ELEVEN, own: wrongDigest, examined: { kind: 'wrong', position: 3 } }
  const { play: one, ben, anna } = play(actors)
  expect(one.end()).toBe(true)
  expect(one.books.wealth('ben') - ben).toBe(WAGE / 8n)
  expect(anna - one.books.wealth('anna')).toBe(WAGE / 8n + FEE + LEAST_BOND)
})

test('of eleven mediators five that lie change nothing', () => {
  const finding = (name: string, task: number) => (ELEVEN.indexOf(name) < 5 ? hashKey('lie') : rightDigest(task))
  const { play: one } = play({ mediators: ELEVEN, digest: wrongDigest, finding })
  expect(one.end()).toBe(true)
  expect(one.books.state.records.get(one.books.id('ben'))).toMatchObject({ failed: 1, paid: 0 })
})

// Who goes, and does not come back -----------------------------------------------------------------------------------

const PHASES: readonly Phase['name'][] = [
  'signing',
  'running',
  'committed',
  'revealed',
  'challenged',
  'shown',
  'drawing',
  'sealing',
  'unsealing',
]
const GONE = ['anna', 'ben', 'both', 'all'] as const

test.each(PHASES.flatMap((phase) => GONE.map((gone) => [phase, gone] as const)))(
  'in phase %s %s may go: it ends all the same',
  (phase, gone) => {
    const absent = { anna: ['anna'], ben: ['ben'], both: ['anna', 'ben'], all: ['anna', 'ben', ...THREE] }[gone]
    let isGone = false
    const actors: Actors = {
      mediators: THREE,
      own: wrongDigest,
      examined: { kind: 'wrong', position: 3 },
      bystander: 'owner 1',
      drops: (who, _, allocation) => {
        isGone ||= allocation.phase.name === phase
        return isGone && absent.includes(who)
      },
    }
    const { play: one, id } = play(actors)
    expect(one.end()).toBe(true)
    expect(isGone).toBe(true)
    expect(refusals(one), 'nobody sends what cannot do anything').toEqual([])
    one.books.withdraw(id)
    expect(one.books.state.claims.size).toBe(0)
  },
)

test('without a bystander mediators end a dispute of which both sides have gone', () => {
  const drops: Actors['drops'] = (who, _, { phase }) =>
    ['sealing', 'unsealing'].includes(phase.name) && (!THREE.includes(who) || who === 'judge 1')
  const actors: Actors = { mediators: THREE, own: wrongDigest, examined: { kind: 'wrong', position: 3 }, drops }
  const { play: one } = play(actors)
  expect(one.end()).toBe(true)
  expect(refusals(one)).toEqual([])
  expect(one.log.filter((line) => line.includes('expire')).length, 'once for seals, once for findings').toBe(1)
})

test('sides that come back when it is too late end what they can, and do not repeat what is refused', () => {
  const { play: one } = play()
  one.nowMs += PATIENCE.sign + 1
  expect(one.end()).toBe(true)
  expect(one.log).toEqual(['ben expire applied'])
})

test('a ledger on which nobody does anything makes no blocks, and deadlines are over all the same', () => {
  const { play: one } = play({ drops: (who) => who === 'ben' })
  expect(one.round()).toBe(true)
  const { height, timeMs } = one.books.state
  while (!one.round()) one.nowMs += 1000
  expect(one.books.state.height).toBe(height + 1)
  expect(one.nowMs - timeMs).toBeGreaterThan(PATIENCE.sign)
  expect(one.log.at(-1)).toBe('anna expire applied')
})

// Windows ------------------------------------------------------------------------------------------------------------

/** What a supplier does in a running allocation that has `paid` tasks paid, with this work. */
function commitOf(work: Partial<Work>, changes: Partial<Allocation> = {}, leftMs = 600_000): Ranges | undefined {
  const { play: one, id } = play()
  one.round()
  const allocation = { ...one.books.allocation(id), ...changes }
  const keys = one.books.keyOf(allocation.supplier)
  const blockTimeMs = allocation.untilMs - leftMs
  const step = supplierStep(
    { id, allocation, keys, blockTimeMs },
    { digest: rightDigest, unclaimed: [], waitedMs: 0, isOver: false, ...work },
  )
  return step?.kind === 'commit' ? step.tasks : undefined
}

test('a window is committed to when it is full, or has waited, or nothing more comes, or time is nearly over', () => {
  expect(commitOf({ unclaimed: [[0, 9]] })).toBeUndefined()
  expect(commitOf({ unclaimed: [[0, 12]] })).toEqual([[0, 10]])
  expect(
    commitOf({
      unclaimed: [
        [3, 7],
        [20, 40],
      ],
    }),
  ).toEqual([
    [3, 7],
    [20, 26],
  ])
  expect(commitOf({ unclaimed: [[0, 9]], waitedMs: 60_000 })).toEqual([[0, 9]])
  expect(commitOf({ unclaimed: [[0, 9]], isOver: true })).toEqual([[0, 9]])
  expect(commitOf({ unclaimed: [[0, 9]] }, {}, 20_000)).toEqual([[0, 9]])
  expect(commitOf({ unclaimed: [] }, {}, 20_000)).toBeUndefined()
  expect(commitOf({ unclaimed: [[0, 9]] }, { paid: 73 }), 'seven are left').toEqual([[0, 7]])
  expect(commitOf({ unclaimed: [[0, 12]], digest: () => undefined }), 'forgotten').toBeUndefined()
  expect(commitOf({ unclaimed: [[0, 12]] }, { windows: 1024 }), 'there are no more nonces').toBeUndefined()
})

test('work in too many pieces for one window is committed to at once, in as many as fit', () => {
  const unclaimed = Array.from({ length: 500 }, (_, i): Range => [2 * i, 2 * i + 1])
  const tasks = commitOf({ unclaimed }, { windowTasks: 1000, tasks: 8000, jobTasks: 8000 })
  expect(tasks).toEqual(unclaimed.slice(0, 200))
})

test('a supplier that has done less than was agreed is paid for that, loses a part of its deposit, and the rest goes back', () => {
  const {
    play: one,
    id,
    ben,
    anna,
  } = play({
    done: [
      [0, 7],
      [20, 38],
    ],
  })
  expect(one.end()).toBe(true)
  expect(refusals(one)).toEqual([])
  expect(one.kinds.filter((kind) => kind === 'commit')).toHaveLength(3)
  expect(one.books.wealth('ben') - ben).toBe((WAGE * 25n) / 80n - WAGE / 10n)
  expect(one.books.left(id)).toBe(55)
  expect(anna - one.books.wealth('anna')).toBe((WAGE * 25n) / 80n + FEE)
})

test('a supplier works two windows ahead of its pay, and a customer that pays nothing in time gets no more', () => {
  const { play: one, id } = play()
  const allocation = one.books.allocation(id)
  expect([0, 10, 60, 70, 75].map((paid) => workableTasks({ ...allocation, paid }))).toEqual([20, 30, 80, 80, 80])
})

test('what others have claimed is not claimed again: replicas leave room for as many', () => {
  for (const replicas of [1, 2]) {
    const books = new MarketBooks().supplier('ben', 'cleo').open('anna')
    const tasks = replicas === 1 ? 160 : 80
    const ids = books.trade(books.sell('ben'), books.sell('cleo'), books.buy('anna', { replicas, tasks }))
    expect(new Set(ids.map((id) => books.sideOf(id, 'supplier'))).size).toBe(2)
    const [mine, other] = ids as [Key, Key]
    const first = new Play(books, { done: [[2, 5]] })
    first.round()
    books.must(books.sideOf(mine, 'supplier'), first.supplier(mine, books.allocation(mine))!)
    expect(claimableOf(books.state, books.allocation(mine), [[0, 10]])).toEqual([
      [0, 2],
      [5, 10],
    ])
    const left = claimableOf(books.state, books.allocation(other), [[0, 10]])
    expect(left).toEqual(
      replicas === 1
        ? [
            [0, 2],
            [5, 10],
          ]
        : [[0, 10]],
    )
    const rest = new Play(books)
    expect(rest.end()).toBe(true)
    expect(refusals(rest)).toEqual([])
  }
})

// Who stops, and who says that it is too late -------------------------------------------------------------------------

/** A running allocation, and what both sides do now, or so long after its deadline. */
function steps() {
  const { play: one, id } = play()
  one.round()
  const step = (work: Partial<Work>, lateMs = -600_000, changes: Partial<Allocation> = {}) => {
    const allocation = { ...one.books.allocation(id), ...changes }
    const keys = one.books.keyOf(allocation.supplier)
    const situation = { id, allocation, keys, blockTimeMs: allocation.phase.deadlineMs + lateMs }
    return supplierStep(situation, { digest: rightDigest, unclaimed: [], waitedMs: 0, isOver: false, ...work })?.kind
  }
  const ask = (isOver: boolean, lateMs = -600_000, changes: Partial<Allocation> = {}) => {
    const allocation = { ...one.books.allocation(id), ...changes }
    const keys = one.books.keyOf(allocation.customer)
    const situation = { id, allocation, keys, blockTimeMs: allocation.phase.deadlineMs + lateMs }
    const known = { examined: undefined, digest: rightDigest, isTrusting: false, isOver }
    return customerStep(situation, known)?.kind
  }
  return { one, id, step, ask }
}

const SIGNING = { shownNonce: null, secretAnchor: null, phase: { name: 'signing', deadlineMs: 1e15 } } as const

test('a supplier does not give up by itself', () => {
  const { step } = steps()
  expect(step({ isOver: true })).toBeUndefined()
  expect(step({}, -1000, SIGNING)).toBe('sign')
})

test('a supplier whose customer needs no more ends when all that it has done is paid', () => {
  const { step } = steps()
  expect(step({ isOver: true }, -1000, { isEnding: true })).toBe('end')
  expect(step({ isOver: false }, -1000, { isEnding: true }), 'a task is still being done').toBeUndefined()
  expect(step({ isOver: true, unclaimed: [[0, 2]] }, -1000, { isEnding: true })).toBe('commit')
})

test('a customer whose job is over ends, once, and settles what is open first', () => {
  const { ask, one, id } = steps()
  expect([ask(false), ask(true)]).toEqual([undefined, 'end'])
  expect(ask(true, -1000, { isEnding: true })).toBeUndefined()
  expect([ask(false, -1000, SIGNING), ask(true, -1000, SIGNING)]).toEqual(['sign', 'end'])
  expect(one.books.play(id, 'commit', 'supplier')).toBe('applied')
  expect(ask(true, -1000)).toBe('reveal')
})

test('the supplier says that it is too late, then its customer, then others', () => {
  const { step, ask, one, id } = steps()
  const late = (lateMs: number) => {
    const allocation = one.books.allocation(id)
    return lateStep({ id, allocation, blockTimeMs: allocation.phase.deadlineMs + lateMs })?.kind
  }
  expect([step({}, 1), ask(false, 1), late(1)]).toEqual(['expire', undefined, undefined])
  expect([step({}, 9000), ask(false, 9000), late(9000)]).toEqual(['expire', 'expire', undefined])
  expect(late(31_000)).toBe('expire')
})

test('a job that is over is ended by its customer, and its supplier is paid and has its deposit back at once', () => {
  const { play: one, id, ben } = play({ done: [[0, 25]] })
  while (one.books.allocation(id).paid < 10) one.round()
  one.actors.isOver = true
  const beganMs = one.nowMs
  expect(one.end()).toBe(true)
  expect(one.books.outcome(id)).toBe('ended')
  expect(one.kinds.filter((kind) => kind === 'end')).toHaveLength(2)
  expect(one.books.wealth('ben') - ben).toBe((WAGE * 25n) / 80n)
  expect(one.nowMs - beganMs).toBeLessThan(PATIENCE.lastWindow)
  expect(refusals(one)).toEqual([])
})
