import { describe, expect, test } from 'vitest'
import { MAX_PAYLOAD_BYTES } from '../../../../../src/market/ledger/consensus/committee.ts'
import type { Message } from '../../../../../src/market/ledger/consensus/messages.ts'
import { BASE, blockOn, certificate, digest, NOW_MS, proposal, Seat, sent, tip, vote, votes } from './seat.ts'

const one = blockOn(BASE, 1)
const other = blockOn(BASE, 1, Uint8Array.of(99))
const two = blockOn(tip(one), 2)
const nullified = (view: number) => certificate('nullify', view, null)

test('a view in good times: propose, notarize, finalize, rest', () => {
  const leader = new Seat(0)
  const [built] = leader.take({ type: 'wanted', wanted: true })
  expect(built).toMatchObject({ type: 'build', view: 1, parent: BASE, ancestors: [] })
  const answer = { type: 'built', view: 1, parent: BASE.digest, timeMs: NOW_MS, payload: one.payload } as const
  const proposed = leader.take(answer)
  expect(proposed.slice(0, 2).map(({ type }) => type)).toEqual(['persist', 'persist'])
  expect(sent(proposed)).toEqual([proposal(one), vote('notarize', 1, one, 0)])

  const seat = new Seat(1)
  expect(votes(seat.hear(proposal(one)))).toEqual(['notarize 1'])
  expect(sent(seat.hear(vote('notarize', 1, one, 0), vote('notarize', 1, one, 2)))).toEqual([
    certificate('notarize', 1, one, [0, 1, 2]),
    vote('finalize', 1, one, 1),
  ])
  expect(seat.state.view).toBe(2)
  const final = seat.hear(vote('finalize', 1, one, 0), vote('finalize', 1, one, 2))
  const run = { blocks: [one], above: [], certificate: certificate('finalize', 1, one, [0, 1, 2]) }
  expect(final).toEqual([
    { type: 'finalize', run },
    { type: 'timer', ms: undefined },
  ])
  expect(seat.state).toMatchObject({ finalized: tip(one), timer: 'off', rounds: new Map() })
})

describe('one vote of a kind in a view:', () => {
  test('for the first proposal that was seen; a second one is evidence', () => {
    const seat = new Seat(1)
    seat.hear(proposal(one))
    const effects = seat.hear(proposal(other))
    expect(votes(effects)).toEqual([])
    expect(effects).toContainEqual({
      type: 'evidence',
      evidence: { member: 0, view: 1, first: proposal(one), second: proposal(other) },
    })
    expect(seat.hear(proposal(other))).toEqual([]) // reported once
  })

  test('none to notarize after one to nullify', () => {
    const seat = new Seat(1)
    seat.take({ type: 'wanted', wanted: true })
    expect(votes(seat.timer())).toEqual(['nullify 1'])
    expect(votes(seat.hear(proposal(one)))).toEqual([])
  })

  test('none to finalize after one to nullify', () => {
    const seat = new Seat(1)
    seat.hear(proposal(one))
    seat.timer()
    expect(votes(seat.hear(certificate('notarize', 1, one)))).toEqual([])
    expect(seat.state.view).toBe(2)
  })

  test('a view that was passed over is finalized, not nullified', () => {
    const seat = new Seat(1)
    seat.take({ type: 'wanted', wanted: true })
    expect(votes(seat.hear(nullified(1), certificate('notarize', 3, blockOn(BASE, 3))))).toEqual(['finalize 3'])
    expect(votes(seat.timer())).toEqual(['nullify 4'])
  })

  test('two votes of another that exclude each other are evidence', () => {
    const seat = new Seat(1)
    for (const second of [vote('notarize', 1, other, 2), vote('notarize', 1, one, 2)]) seat.hear(second)
    const effects = seat.hear(vote('finalize', 1, one, 3), vote('nullify', 1, null, 3))
    expect(effects.find(({ type }) => type === 'evidence')).toMatchObject({ evidence: { member: 3, view: 1 } })
    expect(seat.state.rounds.get(1)?.evidence.size).toBe(2)
  })
})

describe('no vote for a block', () => {
  const cases: ReadonlyArray<readonly [string, ReturnType<typeof blockOn>]> = [
    ['at another height', { ...one, height: 2 }],
    ['of a time too far ahead', { ...one, timeMs: NOW_MS + 2001 }],
    ['of a time too long ago', { ...one, timeMs: NOW_MS - 2001 }],
    ['before its parent', { ...one, timeMs: BASE.timeMs - 1 }],
    ['that is too large', { ...one, payload: new Uint8Array(MAX_PAYLOAD_BYTES + 1) }],
    ['on a parent that nobody knows', { ...one, parent: digest(other) }],
    ['of a later view', blockOn(BASE, 2)],
  ]
  test.each(cases)('%s', (_, block) => {
    const seat = new Seat(3)
    seat.nowMs = block.timeMs < BASE.timeMs ? 0 : NOW_MS
    expect(votes(seat.hear(proposal(block)))).toEqual([])
    expect(votes(new Seat(3).hear(proposal(one)))).toEqual(['notarize 1'])
  })

  test('that passes over a view of which it is not known that it was nullified', () => {
    const seat = new Seat(3)
    const late = blockOn(BASE, 2)
    const effects = seat.hear(certificate('notarize', 1, one), proposal(late))
    expect(votes(effects)).toEqual([])
    expect(sent(effects)).toEqual([{ type: 'fetch', height: 1, since: 1, block: BASE.digest }])
    const answer: Message = { type: 'answer', runs: [], certificates: [nullified(1)], blocks: [] }
    expect(votes(seat.hear(answer))).toEqual(['notarize 2'])
  })
})

test('a block on one that was notarized and nullified is asked for by whoever knows of the nullification only', () => {
  const seat = new Seat(3)
  expect(votes(seat.hear(nullified(1), proposal(two)))).toEqual([])
  expect(seat.state.rounds.get(2)?.proposed?.verdict).toBe('waiting')
  const asked = new Seat(3).hear(nullified(1), proposal(two))
  expect(sent(asked)).toEqual([{ type: 'fetch', height: 1, since: 1, block: digest(one) }])

  const knowing = new Seat(2)
  knowing.hear(proposal(one), certificate('notarize', 1, one), nullified(1))
  const [answer] = sent(knowing.hear({ type: 'fetch', height: 1, since: 2, block: digest(one) }))
  expect(answer).toMatchObject({
    certificates: expect.arrayContaining([certificate('notarize', 1, one)]),
    blocks: [one],
  })
  expect(votes(seat.hear(answer!))).toEqual(['notarize 2'])
})

describe('what strangers can fill is bounded:', () => {
  test('votes of views far ahead, or long gone, are not kept', () => {
    const seat = new Seat(0)
    for (const view of [4, 1000, 2 ** 40]) seat.hear(vote('nullify', view, null, 2))
    expect(seat.state.rounds.size).toBe(0)
    for (const view of [2, 3]) seat.hear(vote('nullify', view, null, 2))
    expect([...seat.state.rounds.keys()]).toEqual([2, 3])
    seat.hear(nullified(20), vote('nullify', 16, null, 2))
    expect(seat.state.rounds.has(16)).toBe(false)
    expect(seat.state.rounds.get(3)?.votes.nullify.size).toBe(0)
  })

  test.each([
    ['too few', certificate('nullify', 1, null, [1, 2])],
    ['one three times', certificate('nullify', 1, null, [2, 2, 2])],
    ['out of order', certificate('nullify', 1, null, [3, 2, 1])],
    ['no members', certificate('nullify', 1, null, [2, 3, 4])],
    ['a signature too few', { ...nullified(1), signatures: nullified(1).signatures.slice(1) }],
    ['a block to nullify', { ...nullified(1), digest: digest(one) }],
    ['nothing to notarize', { ...certificate('notarize', 1, one), digest: null }],
  ])('a certificate of %s is none', (_, bad) => {
    const seat = new Seat(0)
    seat.hear(bad, { type: 'answer', runs: [], certificates: [bad], blocks: [one] })
    expect(seat.state).toMatchObject({ view: 1, rounds: new Map() })
  })

  test('a vote to notarize nothing, and one in its own name, do not count', () => {
    const seat = new Seat(1)
    seat.hear({ ...vote('notarize', 1, one, 2), digest: null }, vote('notarize', 1, one, 1))
    expect(seat.state.rounds.size).toBe(0)
  })
})

test('views that pass in vain take longer, until a block is final', () => {
  const seat = new Seat(0)
  const timerOf = (effects: ReturnType<Seat['take']>) => effects.findLast((effect) => effect.type === 'timer')?.ms
  const patience = [timerOf(seat.take({ type: 'wanted', wanted: true }))]
  for (let view = 1; view < 24; view++) patience.push(timerOf(seat.hear(nullified(view))))
  const usual = seat.committee.viewMs
  expect(patience).toEqual([1, 2, 4, 8, 16, 16].flatMap((times) => new Array(4).fill(times * usual)))
  const block = blockOn(BASE, 24)
  const run = { blocks: [block], above: [], certificate: certificate('finalize', 24, block) }
  expect(timerOf(seat.hear({ type: 'answer', runs: [run], certificates: [], blocks: [] }))).toBe(usual)
})

test('a notarized block that does not become final is asked for, and then another is wanted on top of it', () => {
  const seat = new Seat(1)
  seat.hear(proposal(one))
  expect(seat.hear(certificate('notarize', 1, one)).at(-1)).toEqual({ type: 'timer', ms: seat.committee.viewMs })
  expect(seat.state.timer).toBe('settle')
  const effects = seat.timer()
  expect(sent(effects)).toEqual([vote('finalize', 1, one, 1), { type: 'fetch', height: 1, since: 2, block: null }])
  expect(effects).toContainEqual({ type: 'build', view: 2, parent: tip(one), ancestors: [one] })
})

test('an answer to build that nobody wants any more is dropped, and the next wish asks anew', () => {
  const seat = new Seat(0)
  seat.take({ type: 'wanted', wanted: true }, { type: 'wanted', wanted: false })
  const built = { type: 'built', view: 1, parent: BASE.digest, timeMs: NOW_MS, payload: one.payload } as const
  expect(sent(seat.take(built))).toEqual([])
  expect(seat.take({ type: 'wanted', wanted: true })[0]).toMatchObject({ type: 'build', view: 1 })
})
