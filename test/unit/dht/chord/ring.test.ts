/**
 * The ring's rules, one by one. Ids are two digits on a circle of 100, so that tables can be read; `20` is incarnation 1
 * of the member at 20, `20'` is incarnation 2.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { between } from '../../../../src/core/ids.ts'
import {
  adopted,
  dropped,
  type Entry,
  founded,
  joined,
  knowsAll,
  matured,
  met,
  predecessorAnswered,
  type RingState,
  rectification,
  ripe,
  same,
  successorAnswered,
  united,
} from '../../../../src/dht/chord/ring.ts'

type State = RingState<Entry>

const entry = (text: string): Entry => ({ id: text.slice(0, 2), incarnation: text.length - 1 })
const entries = (text: string): Entry[] => text.split(' ').filter(Boolean).map(entry)
const shown = (list: readonly Entry[]) => list.map((e) => e.id + "'".repeat(e.incarnation - 1)).join(' ')

/** `young 20 30` or `ring 20 30 < 90`: the list, and after `<` the predecessor. */
function state(text: string): State {
  const [list = '', prdc] = text.replace(/^\w+ ?/, '').split('<')
  const succ = entries(list.trim())
  const mode = text.startsWith('young') ? 'young' : 'ring'
  return { mode, succ, prdc: mode === 'young' ? succ.at(-1) : prdc === undefined ? undefined : entry(prdc.trim()) }
}

function show({ mode, succ, prdc }: State): string {
  if (mode === 'young') expect(prdc).toBe(succ.at(-1))
  return `${mode} ${shown(succ)}${mode === 'ring' && prdc ? ` < ${shown([prdc])}` : ''}`.trim()
}

const self = entry('10')

/** Few places, so that entries meet; two incarnations of each. */
const anEntry = fc.record({
  id: fc.integer({ min: 0, max: 15 }).map((n) => String(n).padStart(2, '0')),
  incarnation: fc.integer({ min: 1, max: 3 }),
})
const someEntries = fc.array(anEntry, { maxLength: 12 })
const aRing = fc.record({
  mode: fc.constant('ring' as const),
  succ: someEntries,
  prdc: fc.option(anEntry, { nil: undefined }),
})
const aYoung = fc.tuple(anEntry, someEntries).map(([at, list]) => met(at, founded<Entry>(), list))
const anAnswer: fc.Arbitrary<State> = fc.oneof(aRing, aYoung)

/** Strictly clockwise from self, once around at most. */
function expectClockwise(from: Entry, list: readonly Entry[]) {
  let last = from.id
  for (const { id } of list) {
    expect(id).not.toBe(from.id)
    expect(between(last, id, from.id)).toBe(true)
    last = id
  }
}

describe('united', () => {
  test.each([
    ['', '20', '20'],
    ['20', '', '20'],
    ['20 30', '25', '20 25 30'],
    ['20 30', '05 15 99', '15 20 30 99 05'],
    ['20 30', '20', '20 30'],
    ["20' 30", '20', "20' 30"],
    ['20 30', "20'", "20' 30"],
    ['20', '10', '20'],
    ['20', "10'", '20'],
  ])('[%s] with [%s] is [%s]', (list, more, result) => {
    expect(shown(united(self, entries(list), entries(more)))).toBe(result)
  })

  test('is a set with an order: sorted, without self or duplicates, the newest of each place, in any order of news', () => {
    fc.assert(
      fc.property(anEntry, someEntries, someEntries, fc.infiniteStream(fc.nat()), (from, list, more, picks) => {
        const start = united(from, [], list)
        const all = united(from, start, more)
        expectClockwise(from, all)
        const newest = new Map<string, number>()
        for (const e of [...list, ...more])
          if (e.id !== from.id) newest.set(e.id, Math.max(e.incarnation, newest.get(e.id) ?? 0))
        expect(new Map(all.map((e) => [e.id, e.incarnation]))).toEqual(newest)
        const mixed = [...list, ...more].sort(() => (picks.next().value % 3) - 1)
        expect(united(from, [], mixed)).toEqual(all)
      }),
    )
  })

  test('nothing new is the same list, so that nobody takes it for a change', () => {
    fc.assert(
      fc.property(anEntry, someEntries, (from, list) => {
        const all = united(from, [], list)
        expect(united(from, all, [...list, undefined, from])).toBe(all)
      }),
    )
  })
})

describe('joined', () => {
  test.each([
    // at m = 05, the joiner is 10
    ['05', 'ring 20 30 40 < 90', 3, 'ring 20 30 40 < 05'],
    ['05', 'ring 20 30 40 < 90', 2, 'ring 20 30 < 05'],
    ['05', 'ring 08 30 40 < 90', 3, undefined],
    ['20', 'ring 30 40 50 < 05', 3, undefined],
    ['90', 'ring 20 30 40 < 80', 3, 'ring 20 30 40 < 90'],
    // a list that comes around us: what lies past us is not ours
    ['05', 'ring 20 30 05 20 < 90', 4, 'ring 20 30 05 < 05'],
    // a young member tells all
    ['05', 'young 20 90', 2, 'young 20 90 05'],
    ['05', 'young', 2, 'young 05'],
    // and takes us in wherever we belong
    ['90', 'young 05', 2, 'young 90 05'],
    // its answer to our first question was lost: it lists us
    ['05', 'young 10 20', 2, 'young 20 05'],
    ['05', 'young 10', 2, 'young 05'],
    // in ring mode without a successor: alone as far as it knows
    ['05', 'ring', 2, 'young 05'],
  ])('at %s, which is %s, r = %i: %s', (at, answer, r, result) => {
    const got = joined(self, entry(at), state(answer), r)
    expect(got && show(got)).toBe(result)
  })

  test('only between the member and its successor; the whole list, never past ourselves', () => {
    fc.assert(
      fc.property(anEntry, anEntry, anAnswer, fc.integer({ min: 1, max: 6 }), (me, m, answer, r) => {
        fc.pre(me.id !== m.id)
        const got = joined(me, m, answer, r)
        const head = answer.succ[0]
        const anywhere = answer.mode === 'young' || head === undefined
        expect(got !== undefined).toBe(anywhere || between(m.id, me.id, head.id))
        if (got === undefined) return
        if (got.mode === 'ring') {
          expect(got.succ.length).toBeLessThanOrEqual(r)
          expect(got.succ[0]).toBe(head)
          expect(got.prdc).toBe(m)
          expectClockwise(me, got.succ)
        } else {
          expect(got.succ.some((e) => e.id === m.id)).toBe(true)
          expectClockwise(me, got.succ)
        }
      }),
    )
  })
})

describe('successorAnswered', () => {
  test.each([
    // self 10, head 20
    ['ring 20 30 < 90', 'ring 30 40 < 10', 'ring 20 30 < 90', undefined],
    ['ring 20 25 < 90', 'ring 30 40 < 10', 'ring 20 30 < 90', undefined],
    ['ring 20 < 90', 'ring 30 40 < 10', 'ring 20 30 < 90', undefined],
    ['ring 20 30', 'ring 30 40 < 10', 'ring 20 30', undefined],
    ['ring 20 30 < 90', 'ring 30 40 < 15', 'ring 20 30 < 90', '15'],
    ['ring 20 30 < 90', 'ring 30 40 < 05', 'ring 20 30 < 90', undefined],
    ['ring 20 30 < 90', 'ring 30 40 < 20', 'ring 20 30 < 90', undefined],
    ['ring 20 30 < 90', 'ring 30 40', 'ring 20 30 < 90', undefined],
    ['ring 20 30 < 90', 'ring', 'ring 20 < 90', undefined],
    // the head is young: its view is a list like others
    ['ring 20 30 < 90', 'young 30 90', 'ring 20 30 < 90', undefined],
    // we see ourselves within the successor's r: r + 1 members or fewer
    ['ring 20 30 < 90', 'ring 30 10 < 10', 'young 20 30', undefined],
    ['ring 20 30 < 90', 'ring 10 20 < 10', 'young 20', undefined],
    ['ring 20 30 < 90', 'young 30 10', 'young 20 30', undefined],
    ['ring 20 30 < 90', 'ring 10 30 < 15', 'young 20', undefined],
    // just beyond them there is one member too many
    ['ring 20 30 < 90', 'young 30 40 10', 'ring 20 30 < 90', undefined],
    // somebody who held our place before us is not us: the list ends there, but the ring is not known to be small
    ['ring 20 30 < 90', "ring 30 10' < 90", 'ring 20 30 < 90', undefined],
  ])('%s, answer %s: %s, go on with %s (r = 2)', (before, answer, after, candidate) => {
    const got = successorAnswered(self, state(before), entry('20'), state(answer), 2)
    expect(show(got.state)).toBe(after)
    expect(got.candidate?.id).toBe(candidate)
  })

  test("goes young exactly when it sees itself among the successor's first r; never lists past itself", () => {
    fc.assert(
      fc.property(anEntry, anEntry, aRing, anAnswer, fc.integer({ min: 1, max: 6 }), (me, h, before, answer, r) => {
        fc.pre(me.id !== h.id)
        const { state: after, candidate } = successorAnswered(me, before, h, answer, r)
        expect(after.mode === 'young').toBe(answer.succ.slice(0, r).some((e) => same(e, me)))
        expectClockwise(me, after.succ)
        if (after.mode === 'young') expect(candidate).toBeUndefined()
        else {
          expect(after.succ.length).toBeLessThanOrEqual(r)
          expect(after.succ[0]).toBe(h)
          expect(after.prdc).toBe(before.prdc)
          const nearer = answer.prdc !== undefined && between(me.id, answer.prdc.id, h.id)
          expect(candidate).toBe(nearer ? answer.prdc : undefined)
        }
      }),
    )
  })
})

describe('predecessorAnswered', () => {
  test.each([
    ['ring 20 30 < 90', 'ring 20 30 < 10', 'ring 15 20 < 90'],
    ['ring 20 30 < 90', 'ring 20 < 10', 'ring 15 20 < 90'],
    ['ring 20 30 < 90', 'young 20 10', 'ring 15 20 < 90'],
    // meanwhile somebody nearer has come
    ['ring 12 20 < 90', 'ring 20 30 < 12', 'ring 12 20 < 90'],
    ['ring 15 20 < 90', 'ring 20 30 < 10', 'ring 15 20 < 90'],
    // nobody left: any live one is nearer
    ['ring < 90', 'ring 20 30', 'ring 15 20 < 90'],
  ])('%s, 15 answers %s: %s (r = 2)', (before, answer, after) => {
    expect(show(predecessorAnswered(self, state(before), entry('15'), state(answer), 2))).toBe(after)
  })

  test('brings the head nearer or leaves the state as it is', () => {
    fc.assert(
      fc.property(anEntry, anEntry, aRing, anAnswer, fc.integer({ min: 1, max: 6 }), (me, x, before, answer, r) => {
        fc.pre(me.id !== x.id)
        const after = predecessorAnswered(me, before, x, answer, r)
        const head = before.succ[0]
        if (head !== undefined && !between(me.id, x.id, head.id)) expect(after).toBe(before)
        else {
          expect(after.succ[0]).toBe(x)
          expect(after.succ.length).toBeLessThanOrEqual(r)
          expectClockwise(me, after.succ)
          expect(after.prdc).toBe(before.prdc)
        }
      }),
    )
  })
})

describe('rectification', () => {
  test.each([
    ['ring 20 30', '90', 'adopt'],
    ['ring 20 30 < 80', '90', 'adopt'],
    ['ring 20 30 < 80', '05', 'adopt'],
    ['ring 20 30 < 90', '90', 'ignore'],
    ['ring 20 30 < 90', '80', 'check'],
    ['ring 20 30 < 90', '20', 'check'],
    ['ring 20 30 < 20', '15', 'check'],
    ['ring 20 30 < 90', "90'", 'adopt'],
    ["ring 20 30 < 90'", '90', 'ignore'],
    ['ring 20 30 < 90', '10', 'ignore'],
    ['ring 20 30 < 90', "10'", 'ignore'],
    ['ring 20 30', '10', 'ignore'],
  ])('%s hears of %s: %s', (before, p, verdict) => {
    expect(rectification(self, state(before), entry(p))).toBe(verdict)
  })

  test('an adopted predecessor is not adopted twice, and the list stays', () => {
    fc.assert(
      fc.property(anEntry, aRing, anEntry, (me, before, p) => {
        if (rectification(me, before, p) !== 'adopt') return
        const after = adopted(before, p)
        expect(rectification(me, after, p)).toBe('ignore')
        expect(after).toEqual({ ...before, prdc: p })
      }),
    )
  })
})

describe('dropped', () => {
  test.each([
    ['ring 20 30 < 90', '20', 'ring 30 < 90'],
    ['ring 20 30 < 90', '30', 'ring 20 < 90'],
    ['ring 20 30 < 90', '90', 'ring 20 30'],
    ['ring 20 90 < 90', '90', 'ring 20'],
    ["ring 20' 30 < 90", '20', "ring 20' 30 < 90"],
    ["ring 20 30 < 90'", '90', "ring 20 30 < 90'"],
    ['young 20 30', '30', 'young 20'],
    ['young 20', '20', 'young'],
    ["young 20'", '20', "young 20'"],
  ])('%s without %s: %s', (before, dead, after) => {
    expect(show(dropped(state(before), entry(dead)))).toBe(after)
  })

  test('forgets that one and nobody else; a second time changes nothing', () => {
    fc.assert(
      fc.property(anAnswer, anEntry, (before, dead) => {
        const after = dropped(before, dead)
        expect(after.succ).toEqual(before.succ.filter((e) => !same(e, dead)))
        expect(after.mode).toBe(before.mode)
        expect(dropped(after, dead)).toBe(after)
      }),
    )
  })
})

describe('young rings', () => {
  test.each([
    ['young', '20', 'young 20'],
    ['young 20', '05 10', 'young 20 05'],
    ['young 20 05', "20'", "young 20' 05"],
  ])('%s meets %s: %s', (before, others, after) => {
    expect(show(met(self, state(before), entries(others)))).toBe(after)
  })

  test('views that have met know all of each other, whatever the order', () => {
    fc.assert(
      fc.property(anEntry, anEntry, someEntries, someEntries, (a, b, one, other) => {
        fc.pre(a.id !== b.id)
        // Nobody takes a or b for another incarnation of them: they would be told at once (`gone`).
        const alive = (list: Entry[]) => list.filter((e) => e.id !== a.id && e.id !== b.id)
        const ofA = met(a, founded<Entry>(), alive(one))
        const ofB = met(b, founded<Entry>(), alive(other))
        const answered = met(b, ofB, [a, ...ofA.succ])
        const grown = met(a, ofA, [b, ...answered.succ, answered.prdc])
        expect(knowsAll(grown, b, answered)).toBe(true)
        expect(knowsAll(answered, a, grown)).toBe(true)
        expect(grown.prdc).toBe(grown.succ.at(-1))
        expect(met(a, grown, [b, ...answered.succ])).toBe(grown)
      }),
    )
  })

  test.each([
    ['young 20 30', '20', 'young 30 10', true],
    ['young 20 30', '20', 'young 10', false],
    ['young 20 30', '30', 'young 10 20', true],
    ["young 20 30'", '20', 'young 30', false],
    ["young 20' 30", '20', 'young 30', false],
    ['young', '20', 'young', true],
  ])('ours %s, at %s %s: %s', (ours, holder, view, known) => {
    expect(knowsAll(state(ours), entry(holder), state(view))).toBe(known)
  })

  test.each([
    ['young 20 30', 2, false],
    ['young 20 30 40', 2, true],
    ['ring 20 30 40', 2, false],
  ])('%s, r = %i: ripe %s', (text, r, result) => {
    expect(ripe(state(text), r)).toBe(result)
  })

  test('a ripe view matures into the first r of it; the last of it is the predecessor', () => {
    expect(show(matured(state('young 20 30 40 05'), 2))).toBe('ring 20 30 < 05')
    fc.assert(
      fc.property(anEntry, someEntries, fc.integer({ min: 1, max: 5 }), (me, list, r) => {
        const before = met(me, founded<Entry>(), list)
        fc.pre(ripe(before, r))
        const after = matured(before, r)
        expect(after).toEqual({ mode: 'ring', succ: before.succ.slice(0, r), prdc: before.succ.at(-1) })
        expect(after.succ.length).toBe(r)
      }),
    )
  })

  test('r + 1 members or fewer shrink back: the same members are young again after one answer', () => {
    for (let r = 1; r <= 5; r++) {
      const members = Array.from({ length: r + 1 }, (_, i) => entry(`${i + 1}0`))
      const listOf = (i: number) => Array.from({ length: r }, (_, k) => members[(i + 1 + k) % members.length]!)
      const ring = (i: number): State => ({ mode: 'ring', succ: listOf(i), prdc: members[(i + r) % (r + 1)] })
      const { state: after } = successorAnswered(members[0]!, ring(0), members[1]!, ring(1), r)
      expect(after).toEqual({ mode: 'young', succ: members.slice(1), prdc: members.at(-1) })
    }
  })
})
