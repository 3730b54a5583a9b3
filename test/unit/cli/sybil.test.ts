import { expect, test } from 'vitest'
import { sybilReport } from '../../../src/market/sybil-report.ts'
import { around, membersAt, quietSurvey } from '../../fakes/survey.ts'
import { bench, runCli } from './fake-host.ts'

test('the report for people: size, density, addresses, chances and what to do', async () => {
  await using b = await bench()
  const { code, out, err } = await b.chorale('sybil', 'report')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(out).toMatch(/^placement {2}ip-prefix$/m)
  expect(out).toMatch(/^members {4}about 990 \(817 to 1,202 with 95 %\)$/m)
  expect(out).toMatch(/^density {4}10 places looked at; the densest is so by chance with \d+ %$/m)
  expect(out).toMatch(/^addresses {2}141 members seen, at \d+ blocks; 1 at 203\./m)
  expect(out).toMatch(/^yours {6}2 groups of what is pinned here; of 0 one block of addresses is the majority$/m)
  expect(out).toMatch(/^committee {2}7 seats, of which 2 may lie; 1 of 7 located at 203\..*; one is yours$/m)
  expect(out).toMatch(/^attacker at {2}owns a key {2}majority of 3 {2}majority of 4$/m)
  expect(out).toMatch(/^1 address {4}0\.8 % {7}0 % {12}0 %$/m)
  expect(out).toMatch(/^10 % +2\.6 % +0\.018 %$/m)
  expect(out).toMatch(/^weak {3}if 10 % of the bankers lie the committee is broken with 2\.6 %; with 13 seats/m)
  expect(out).not.toContain('alarm')
})

test('for programs: the report itself', async () => {
  await using b = await bench()
  const { code, out } = await b.chorale('sybil', 'report', '--json')
  const expected = JSON.parse(JSON.stringify(sybilReport(quietSurvey())))
  expect({ code, found: JSON.parse(out) }).toEqual({ code: 0, found: { v: 1, type: 'sybil-report', ...expected } })
})

test('an alarm stands out', async () => {
  await using b = await bench()
  b.host.survey = quietSurvey({ near: [around('after this node', membersAt(8, 8), 1000, 100)] })
  const { out } = await b.chorale('sybil', 'report')
  expect(out).toMatch(/^ {2}alarm {4}8 members, after this node: by chance with less than 0\.001 %$/m)
  expect(out).toMatch(/^alarm {2}ids crowd at: after this node;/m)
})

test('alone, with nothing of its own, in no ledger', async () => {
  await using b = await bench()
  b.host.survey = quietSurvey({ counted: 1, near: [], random: [], mine: [], seats: [], seated: false, unanswered: 2 })
  const { code, out } = await b.chorale('sybil', 'report')
  expect(code).toBe(0)
  expect(out).toMatch(/^members {5}this node alone$/m)
  expect(out).toMatch(/^density {5}too few members for crowds to be told from neighbours$/m)
  expect(out).toMatch(/^addresses {3}1 member seen, all at 203\.3\.231 \(public\)$/m)
  expect(out).toMatch(/^yours {7}nothing is pinned here: chorale pin REF$/m)
  expect(out).toMatch(/^committee {3}no ledger$/m)
  expect(out).toMatch(/^unanswered {2}2 questions$/m)
  expect(out).not.toContain('bankers that lie')
})

test('a leaf that nobody answers', async () => {
  await using b = await bench()
  b.host.survey = quietSurvey({ self: undefined, near: [], random: [], mine: [], seats: [], seated: false })
  expect((await b.chorale('sybil', 'report')).out).toMatch(/^addresses {2}nobody was seen$/m)
})

test('without a node: exit code 3; --help has an example and says what a report is worth', async () => {
  expect(await runCli(['sybil', 'report', '--api', '/nowhere/api.sock'])).toMatchObject({ code: 3 })
  const { code, out } = await runCli(['sybil', 'report', '--help'])
  expect(code).toBe(0)
  expect(out).toContain('chorale sybil report --json')
  expect(out).toContain('Who answers may lie')
})
