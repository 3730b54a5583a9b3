import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { type Candidate, poolOf } from '../../../../src/market/verification/draws.ts'
import {
  drawPanel,
  outvoted,
  PANEL_SEATS,
  type Vote,
  verdictOf,
} from '../../../../src/market/verification/mediation.ts'

const seats = Array.from({ length: 11 }, (_, i) => hashKey(`mediator ${i}`))
const [claimed, right] = [hashKey('claimed'), hashKey('right')]
const MEANING: Readonly<Record<string, Vote>> = {
  c: claimed,
  r: right,
  x: hashKey('x'),
  y: hashKey('y'),
  u: 'unstable',
}
/** One letter a seat; `-` is silent, digits are all different. */
const votesOf = (text: string) =>
  new Map(
    [...text].flatMap((letter, i) =>
      letter === '-' ? [] : [[seats[i]!, MEANING[letter] ?? hashKey(letter)] as const],
    ),
  )
const verdict = (text: string) => verdictOf(seats.slice(0, text.length), votesOf(text), claimed)

describe('verdict', () => {
  test.each([
    ['ccccccccccc', 'acquitted'],
    ['ccccccrrrrr', 'acquitted'],
    ['cccccrrrrrr', 'convicted'],
    ['cccccrrrrrx', 'not-deterministic'],
    ['uuuuuuccccc', 'not-deterministic'],
    ['0123456789x', 'not-deterministic'],
    ['rrrrrrrr---', 'convicted'],
    ['rrrrrrr----', 'undecided'],
    ['-----------', 'undecided'],
    ['r', 'convicted'],
    ['ccr', 'acquitted'],
  ])('%s: %s', (text, found) => {
    expect(verdict(text)).toBe(found)
  })

  test('no minority changes it, whatever it says', () => {
    const liars = fc.array(fc.constantFrom('c', 'r', 'x', 'y', 'u', '0', '1', '2', '3', '4'), { maxLength: 5 })
    fc.assert(
      fc.property(liars, fc.nat(), (lies, turn) => {
        const all = [...Array<string>(11 - lies.length).fill('r'), ...lies]
        const text = [...all.slice(turn % 11), ...all.slice(0, turn % 11)].join('')
        expect(verdict(text)).toBe('convicted')
      }),
    )
  })

  test('who has no seat has no vote', () => {
    const votes = new Map<ReturnType<typeof hashKey>, Vote>(votesOf('rrr'))
    for (let i = 0; i < 20; i++) votes.set(hashKey(`stranger ${i}`), claimed)
    expect(verdictOf(seats.slice(0, 3), votes, claimed)).toBe('convicted')
  })
})

test('who is outvoted is named, but not where there is no right digest', () => {
  expect(outvoted(seats, votesOf('cccrrrrrrrr'))).toEqual(seats.slice(0, 3))
  expect(outvoted(seats, votesOf('rrrrrrrr-cu'))).toEqual([seats[9], seats[10]])
  expect(outvoted(seats, votesOf('uuuuuuccccc'))).toEqual([])
  expect(outvoted(seats, votesOf('0123456789x'))).toEqual([])
})

test('a panel has an odd number of seats, and none of the parties', () => {
  const hosts = (count: number): Candidate[] =>
    Array.from({ length: count }, (_, i) => ({
      host: hashKey(`${i}`),
      account: hashKey(`a${i}`),
      prefix: `10.0.${i}`,
    }))
  const all = hosts(40)
  const excludes = ({ host }: Candidate) => host === all[0]!.host
  for (let i = 0; i < 50; i++) {
    const panel = drawPanel(hashKey(`seed ${i}`), poolOf(all), { excludes })
    expect(panel.length).toBe(PANEL_SEATS)
    expect(panel.some(excludes)).toBe(false)
  }
  expect(
    [0, 1, 2, 3, 4, 5].map((n) => drawPanel(hashKey('s'), poolOf(hosts(n)), { excludes: () => false }).length),
  ).toEqual([0, 1, 1, 3, 3, 5])
})
