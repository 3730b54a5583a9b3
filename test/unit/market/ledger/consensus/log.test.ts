import { expect, test } from 'vitest'
import { continuation, MAX_ANSWER_BYTES, runsFrom } from '../../../../../src/market/ledger/consensus/catch-up.ts'
import { plainDigest } from '../../../../../src/market/ledger/consensus/committee.ts'
import type { LogRecord } from '../../../../../src/market/ledger/consensus/effects.ts'
import { recordsOf, recover } from '../../../../../src/market/ledger/consensus/log.ts'
import type { Message } from '../../../../../src/market/ledger/consensus/messages.ts'
import { BASE, blockOn, certificate, digest, proposal, Seat, tip, vote, votes } from './seat.ts'

const one = blockOn(BASE, 1)
const other = blockOn(BASE, 1, Uint8Array.of(99))

/** Member 1 notarizes view 1 and leaves it to finalize, gives up view 2, and votes in view 3. */
function story(): Seat {
  const seat = new Seat(1)
  seat.hear(proposal(one), certificate('notarize', 1, one))
  seat.timer()
  seat.take({ type: 'wanted', wanted: true })
  seat.timer()
  seat.hear(certificate('nullify', 2, null), proposal(blockOn(tip(one), 3)))
  return seat
}

test('a member whose log was torn off anywhere says nothing else than before', () => {
  const { log } = story()
  expect(log.length).toBeGreaterThan(6)
  for (let length = 0; length <= log.length; length++) {
    const said = new Set(votesIn(log.slice(0, length)))
    const seat = new Seat(1, log.slice(0, length))
    // Whatever it is shown now.
    seat.take({ type: 'probe' }, { type: 'wanted', wanted: true })
    seat.hear(proposal(other), proposal(blockOn(tip(one), 2, Uint8Array.of(7))))
    for (let i = 0; i < 3; i++) seat.timer()
    seat.hear(
      certificate('notarize', 1, one),
      certificate('nullify', 2, null),
      proposal(blockOn(tip(one), 3, Uint8Array.of(8))),
    )
    const again = votesIn(seat.log.slice(length))
    for (const name of again) expect(said, `torn at ${length}`).not.toContain(name)
    for (const view of [1, 2, 3]) {
      const both = [...said, ...again]
      const broken = both.includes(`finalize ${view}`) && both.includes(`nullify ${view}`)
      expect(broken, `torn at ${length}: finalize and nullify in view ${view}`).toBe(false)
    }
  }
})

/** Each is said once. */
function votesIn(log: readonly LogRecord[]): string[] {
  return log.flatMap((record) => (record.type === 'vote' ? [`${record.kind} ${record.view}`] : []))
}

test('a log that was cut tells the same', () => {
  const seat = story()
  const cut = recordsOf(seat.committee, seat.state)
  expect(cut.length).toBeLessThanOrEqual(seat.log.length)
  const [whole, short] = [new Seat(1, seat.log), new Seat(1, cut)]
  expect(short.state.view).toBe(whole.state.view)
  expect(recordsOf(short.committee, short.state)).toEqual(recordsOf(whole.committee, whole.state))
})

test('who has cut its log is silent up to the last final block, should its chain lose that', () => {
  const seat = story()
  seat.hear(certificate('finalize', 1, one))
  const { view } = seat.state.finalized
  expect(view).toBe(1)
  const after = recover(seat.committee, seat.committee.base, recordsOf(seat.committee, seat.state))
  expect(after.silentUntil).toBe(view)
})

test('a vote to finalize alone shows that the view was left', () => {
  const seat = new Seat(1, [vote('finalize', 1, one, 1)])
  seat.take({ type: 'wanted', wanted: true })
  expect(seat.state.view).toBe(2)
  expect(votes(seat.timer())).toEqual(['nullify 2'])
})

test('who may have forgotten votes is silent in those views, follows, and speaks again after them', () => {
  const seat = new Seat(1, [{ type: 'silence', view: 2 }])
  seat.take({ type: 'wanted', wanted: true })
  seat.hear(proposal(one))
  for (let i = 0; i < 2; i++) seat.timer()
  seat.hear(certificate('notarize', 1, one))
  expect(seat.state.view).toBe(2)
  seat.take({ type: 'built', view: 2, parent: digest(one), timeMs: one.timeMs, payload: Uint8Array.of() })
  seat.hear(certificate('nullify', 2, null))
  expect(seat.log.filter(({ type }) => type === 'vote' || type === 'proposal')).toEqual([])
  expect(votes(seat.hear(proposal(blockOn(tip(one), 3))))).toEqual(['notarize 3'])
  expect(recordsOf(seat.committee, seat.state)[0]).toEqual({ type: 'silence', view: 2 })
})

test('a long run is told in parts, each of which shows that it is final', () => {
  const blocks = [one]
  for (let view = 2; view <= 9; view++)
    blocks.push(blockOn(tip(blocks.at(-1)!), view, new Uint8Array(50_000).fill(view)))
  const certified = certificate('finalize', 9, blocks.at(-1)!)
  const run = { blocks, above: [], certificate: certified }
  const at = { payloadDigest: plainDigest }
  let member = BASE
  let parts = 0
  while (member.height < 9) {
    const told = runsFrom(at, [run], member.height + 1)
    expect(told.bytes).toBeLessThanOrEqual(MAX_ANSWER_BYTES + 50_000)
    const [part] = told.runs
    const { above } = part!
    expect(continuation(at, member, part!)).toEqual(part)
    const bad = above.length > 0 ? [above.slice(1), above.slice(0, -1), above.with(0, { ...above[0]!, view: 20 })] : []
    for (const headers of bad) expect(continuation(at, member, { ...part!, above: headers })).toBeUndefined()
    expect(continuation(at, member, { ...part!, certificate: { ...certified, kind: 'notarize' } })).toBeUndefined()
    member = tip(part!.blocks.at(-1)!)
    parts++
  }
  expect(parts).toBe(3)

  // One that catches up asks until it has all of it.
  const [knowing, late] = [new Seat(0), new Seat(2)]
  knowing.hear({ type: 'answer', runs: [run], certificates: [], blocks: [] })
  for (let effects = late.take({ type: 'probe' }); ; ) {
    const asked = effects.flatMap((effect): Message[] => (effect.type === 'send' ? [effect.message] : []))
    const answers = asked.flatMap((message) => knowing.hear(message))
    if (answers.length === 0) break
    effects = late.hear(...answers.flatMap((effect): Message[] => (effect.type === 'send' ? [effect.message] : [])))
  }
  expect(late.state).toMatchObject({ finalized: tip(blocks.at(-1)!), view: 10, timer: 'off' })
})
