import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { poolOf } from '../../../../src/market/verification/draws.ts'
import { chooseReplicas, majorityOf } from '../../../../src/market/verification/replicas.ts'

const host = (i: number) => hashKey(`host ${i}`)
const said = (text: string) =>
  [...text].map((digit, i) => ({ host: host(i), digest: hashKey(digit) })).filter((_, i) => text[i] !== '-')

describe('majority', () => {
  test.each([
    ['a', 1, 'agreed'],
    ['aa', 2, 'agreed'],
    ['a', 2, 'open'],
    ['ab', 2, 'disputed'],
    ['aa-', 3, 'agreed'],
    ['ab-', 3, 'open'],
    ['abc', 3, 'disputed'],
    ['aabb', 4, 'disputed'],
    ['aab', 4, 'open'],
    ['aab', 5, 'open'],
    ['aaab', 5, 'agreed'],
    ['', 3, 'open'],
  ])('"%s" of %i: %s', (text, replicas, kind) => {
    expect(majorityOf(said(text), replicas).kind).toBe(kind)
  })

  test('names those that said something else', () => {
    expect(majorityOf(said('aba'), 3)).toEqual({ kind: 'agreed', digest: hashKey('a'), against: [host(1)] })
  })

  test('a host counts once, and what is settled stays settled', () => {
    const twice = [...said('a'), ...said('a'), { host: host(0), digest: hashKey('b') }]
    expect(majorityOf(twice, 2).kind).toBe('open')
    const answers = fc.array(fc.record({ by: fc.nat(6), what: fc.nat(2) }), { maxLength: 14 })
    fc.assert(
      fc.property(answers, fc.integer({ min: 7, max: 9 }), (all, replicas) => {
        const told = all.map(({ by, what }) => ({ host: host(by), digest: hashKey(`${what}`) }))
        const steps = told.map((_, i) => majorityOf(told.slice(0, i + 1), replicas))
        for (const [i, step] of steps.entries()) {
          if (step.kind === 'open') continue
          for (const later of steps.slice(i)) expect(later.kind).toBe(step.kind)
          if (step.kind !== 'agreed') continue
          const votes = new Map(told.toReversed().map(({ host, digest }) => [host, digest]))
          const share = [...votes.values()].filter((digest) => digest === step.digest).length
          expect(2 * share).toBeGreaterThan(replicas)
        }
      }),
    )
  })
})

test('replicas are in different blocks of addresses, or it is said how many there are', () => {
  const candidates = Array.from({ length: 12 }, (_, i) => ({
    host: host(i),
    account: hashKey(`account ${i}`),
    prefix: `10.0.${i % 4}`,
  }))
  const pool = poolOf(candidates)
  const excludes = () => false
  const chosen = chooseReplicas(hashKey('job'), pool, { count: 4, excludes })
  expect(new Set(chosen.map(({ prefix }) => prefix)).size).toBe(4)
  expect(chooseReplicas(hashKey('job'), pool, { count: 4, excludes })).toEqual(chosen)
  expect(() => chooseReplicas(hashKey('job'), pool, { count: 5, excludes })).toThrow('5 hosts of different owners')
  expect(chooseReplicas(hashKey('job'), pool, { count: 5, perPrefix: 2, excludes }).length).toBe(5)
})
