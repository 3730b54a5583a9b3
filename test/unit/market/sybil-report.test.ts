import { describe, expect, test } from 'vitest'
import { percent } from '../../../src/core/percent.ts'
import { committeeRisk, crowding, groupCaptured, IDS_PER_ADDRESS } from '../../../src/market/sybil.ts'
import { sybilReport } from '../../../src/market/sybil-report.ts'
import { groupRisk } from '../../../src/market/sybil-risk.ts'
import { around, membersAt, quietSurvey } from '../../fakes/survey.ts'

const textOf = (report: ReturnType<typeof sybilReport>, kind: string) =>
  report.advice.flatMap((each) => (each.kind === kind ? [each.text] : []))

describe('an open network in which nothing is wrong', () => {
  const report = sybilReport(quietSurvey())

  test('its size with an interval', () => {
    const { members, low, high, exact } = report.size
    expect(exact).toBe(false)
    expect(members).toBe(Math.round((8 + 24 * 4 - 1) / ((8 + 24 * 4) / 1000)))
    expect(low).toBeLessThan(members)
    expect(high).toBeGreaterThan(members)
    expect([low, high]).toEqual([817, 1202])
  })

  test('the density around this node, the bankers and what is its own', () => {
    expect(report.density.map(({ name }) => name)).toEqual([
      'after this node',
      ...Array.from({ length: 7 }, (_, i) => `banker ${i}`),
      'pin bafyone',
      'pin bafytwo',
    ])
    for (const { chance, alarm } of report.density) {
      expect(chance).toBeGreaterThan(0.3)
      expect(alarm).toBe(false)
    }
    expect(textOf(report, 'alarm')).toEqual([])
  })

  test('who was seen, where the seats are, and what attackers would have', () => {
    expect(report.addresses).toMatchObject({ kind: 'public', seen: 1 + 8 + 96 + 8 + 21 + 7 })
    expect(report.committee).toMatchObject({ seats: 7, tolerated: 2, seated: true, located: 7 })
    expect(report.committee.concentration).toMatchObject({ parties: 7, most: 1 })
    expect(report.committee.risks.map(({ liars }) => liars)).toEqual([0.05, 0.1, 0.2, 0.3])
    expect(report.committee.risks[1]).toMatchObject({ broken: committeeRisk(0.1, 7).broken })
    const [one, some] = report.groups.risks
    expect(one).toMatchObject({
      addresses: 1,
      captured: [
        { copies: 3, chance: 0 },
        { copies: 4, chance: 0 },
      ],
    })
    expect(one!.owned).toBeCloseTo(8 / (8 + report.size.members), 12)
    expect(some!.captured[0]!.chance).toBeGreaterThan(0)
    expect(report.groups).toMatchObject({ mine: 2, held: 0 })
  })

  test('what to do: more copies, and more seats', () => {
    const [copies, seats] = textOf(report, 'weak')
    expect(copies).toMatch(
      /^an attacker at 16 blocks of addresses has the majority of 3\.\d % of the groups: with \d+ copies/,
    )
    expect(seats).toMatch(
      /^if 10 % of the bankers lie the committee is broken with 2\.6 %; with 13 seats it is 0\.65 %/,
    )
    expect(textOf(report, 'fine')).toEqual([expect.stringMatching(/^one party is never the majority/)])
    // The copies that it advises do what it says, and one fewer do not.
    const wanted = Number(/--replicas (\d+)/.exec(copies!)![1])
    const chanceOf = (n: number) => groupRisk('ip-prefix', report.size.members, 16, [n]).captured[0]!.chance
    expect(chanceOf(wanted)).toBeLessThanOrEqual(1e-3)
    for (let n = 3; n < wanted; n++) expect(chanceOf(n)).toBeGreaterThan(1e-3)
  })
})

test('in a large network few copies are enough', () => {
  const large = {
    near: [around('after this node', membersAt(8, 8), 1e6)],
    random: [],
    mine: [],
    seats: [],
    seated: false,
  }
  const report = sybilReport(quietSurvey(large))
  expect(textOf(report, 'weak')).toEqual([])
  expect(textOf(report, 'fine')).toContain(
    '3 copies of each block are enough against an attacker at 16 blocks of addresses',
  )
})

test('there are no fewer members than were seen', () => {
  const dense = { near: [around('after this node', membersAt(8, 8), 10)], random: [], mine: [], seats: [] }
  const { size, addresses } = sybilReport(quietSurvey({ ...dense, seated: false }))
  expect(addresses.seen).toBe(9)
  expect(size).toMatchObject({ members: 9, low: 9, exact: false })
  expect(size.high).toBeGreaterThan(15)
})

test('a crowd around a banker raises the alarm, and is the first thing that is said', () => {
  const { seats } = quietSurvey()
  const crowded = { at: seats[0]!.at, around: around('banker 0', membersAt(3, 3, 700), 1000, 100) }
  const report = sybilReport(quietSurvey({ seats: [crowded, ...seats.slice(1)] }))
  const alarms = report.density.filter(({ alarm }) => alarm)
  expect(alarms.map(({ name }) => name)).toEqual(['banker 0'])
  expect(alarms[0]!.chance).toBeCloseTo(crowding({ members: 3, share: 3e-5 }, report.size.members), 15)
  expect(report.advice[0]).toMatchObject({ kind: 'alarm', text: expect.stringMatching(/^ids crowd at: banker 0;/) })
})

describe('addresses', () => {
  test('too many seats at one block', () => {
    const seats = [...membersAt(1, 3, 900), ...membersAt(4, 4, 910)].map((at) => ({ at, around: undefined }))
    const report = sybilReport(quietSurvey({ seats }))
    expect(report.committee.concentration).toEqual({ parties: 5, most: 3, block: '203.3.132' })
    expect(textOf(report, 'weak')[0]).toBe(
      '3 of 7 seats of the committee are at 203.3.132, and it tolerates 2: have bankers elsewhere stand',
    )
  })

  test('a group of mine that one block holds', () => {
    const mine = [around('pin a', [...membersAt(1, 2, 300), ...membersAt(1, 1, 301)], 1000)]
    const report = sybilReport(quietSurvey({ mine }))
    expect(report.groups).toMatchObject({ mine: 1, held: 1 })
    expect(textOf(report, 'weak').join()).toMatch(
      /of 1 of 1 groups that keep what is yours one block .* is the majority/,
    )
  })

  test('all nodes of one machine are at one block, which says nothing', () => {
    const local = membersAt(1, 4).map((contact) => ({ ...contact, ip: '127.0.0.1' }))
    const seats = local.map((at) => ({ at, around: undefined }))
    const here = { placement: 'ip-port' as const, self: local[0], counted: 4, random: [], seats }
    const report = sybilReport(
      quietSurvey({ ...here, near: [around('after this node', local, 4)], mine: [around('pin a', local, 4)] }),
    )
    expect(report.size).toEqual({ members: 4, low: 4, high: 4, exact: true })
    expect(report.addresses).toEqual({ seen: 4, kind: 'loopback', parties: 1, most: 4, block: '127.0.0' })
    expect(report.density).toEqual([]) // each is near each
    expect(report.groups.held).toBe(1)
    expect(textOf(report, 'weak')).toEqual([expect.stringMatching(/^if 10 % of the bankers lie .* broken with 5\.2 %/)])
    expect(textOf(report, 'fine')).toEqual([
      expect.stringMatching(/^placement ip-port is for networks .* this machine/),
    ])
  })
})

test('under ip-port in public no number of copies helps', () => {
  const report = sybilReport(quietSurvey({ placement: 'ip-port' }))
  expect(textOf(report, 'weak').join()).toMatch(/no number of copies helps: .*--placement ip-prefix/)
  const [one] = report.groups.risks
  const { members } = report.size
  expect(one!.captured[0]!.chance).toBe(groupCaptured(members, IDS_PER_ADDRESS, 3, 2))
  expect(one!.captured[0]!.chance).toBeGreaterThan(0.999)
})

test('alone, without ledger, pins or answers', () => {
  const alone = {
    counted: 1,
    near: [],
    random: [],
    mine: [],
    seats: [],
  }
  const report = sybilReport(quietSurvey({ ...alone, seated: false, unanswered: 3 }))
  expect(report).toMatchObject({ size: { members: 1, exact: true }, density: [], unanswered: 3 })
  expect(report.addresses.seen).toBe(1)
  expect(report.committee).toMatchObject({ seats: 0, located: 0 })
  expect(report.advice.every(({ kind }) => kind === 'fine')).toBe(true)
})

test('a leaf that nobody answers', () => {
  const silent = { self: undefined, near: [], random: [], mine: [], seats: [{ at: undefined, around: undefined }] }
  const report = sybilReport(quietSurvey({ ...silent, seated: false, unanswered: 30 }))
  expect(report.addresses).toEqual({ seen: 0, kind: null, parties: 0, most: 0, block: null })
  expect(report.size).toMatchObject({ members: 1, exact: false })
  expect(textOf(report, 'weak')).toEqual([expect.stringMatching(/^one banker decides alone; if 10 %/)])
})

test('one that may not have the seats it would need is told so', () => {
  const report = sybilReport(quietSurvey({ seatCap: 7 }))
  expect(textOf(report, 'weak').at(-1)).toMatch(
    /with 13 seats .* but this network allows 7: one with a larger --committee/,
  )
})

test.each([
  [0, '0 %'],
  [1e-9, 'less than 0.001 %'],
  [0.00123, '0.12 %'],
  [0.5, '50 %'],
  [0.99999, '99.9 %'],
  [0.994, '99 %'],
  [1, '100 %'],
])('%f is %s', (share, text) => {
  expect(percent(share)).toBe(text)
})
