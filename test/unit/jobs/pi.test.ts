import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import pi, { countHits } from '../../../jobs/pi.ts'
import { finishContext, mapContext } from '../../../sim/job-context.ts'

describe('the kernel', () => {
  test('is the same for ever: these are its first results', () => {
    expect([1, 1000, 65_536].map((count) => countHits(42, 0, count))).toMatchInlineSnapshot(`
      [
        1,
        766,
        51647,
      ]
    `)
    expect([0, 1, 2, 3].map((task) => countHits(42, task, 100_000))).toMatchInlineSnapshot(`
      [
        78717,
        78423,
        78418,
        78543,
      ]
    `)
  })

  test('counts what falls into the circle: within five standard errors for many tasks', () => {
    const count = 2 ** 18
    const sigma = Math.sqrt(count * (Math.PI / 4) * (1 - Math.PI / 4))
    for (let task = 0; task < 64; task++) {
      expect(Math.abs(countHits(7, task, count) - (count * Math.PI) / 4)).toBeLessThan(5 * sigma)
    }
  })

  test('different tasks and seeds have different points', () => {
    const counts = new Set<number>()
    for (let task = 0; task < 50; task++) counts.add(countHits(task % 2, task, 1_000_000))
    expect(counts.size).toBeGreaterThan(45)
  })
})

describe('plan', () => {
  test('tasks cover all samples, each once', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), (samples) => {
        const { params, tasks } = pi.plan({ samples })
        expect(tasks).toBeGreaterThan(0)
        expect(tasks).toBeLessThanOrEqual(2 ** 18)
        expect((tasks - 1) * params.taskSamples).toBeLessThan(samples)
        expect(tasks * params.taskSamples).toBeGreaterThanOrEqual(samples)
      }),
    )
  })

  test.each([
    [1, 1],
    [1e7, 153],
    [1e9, 239],
    [1e10, 2385],
  ])('%d samples are %i tasks', (samples, tasks) => {
    expect(pi.plan({ samples }).tasks).toBe(tasks)
  })

  test.each([-1, 0, 0.5, Number.NaN, Number.POSITIVE_INFINITY, Number('1e400'), 2 ** 53, '1e9', null, undefined])(
    '%s samples are refused with what would do',
    (samples) => {
      const plan = () => pi.plan({ samples: samples as number })
      expect(plan).toThrow(expect.objectContaining({ code: 'usage' }))
      expect(plan).toThrow(/samples must be a whole number from 1 to 2\^53 - 1/)
    },
  )

  test('parameters that pi does not have are refused', () => {
    expect(() => pi.plan({ samples: 1, sample: 2 })).toThrow(/no parameter "sample"/)
  })
})

test('a job done task by task: estimate and interval', () => {
  const { params, tasks } = pi.plan({ samples: 1_000_003 })
  const context = mapContext(params, { seed: 1 })
  const total = Array.from({ length: tasks }, (_, task) => pi.map(task, context)).reduce(pi.reduce)
  expect(total.samples).toBe(1_000_003)
  const value = pi.finish(total, finishContext(params)) as { pi: number; ci95: [number, number] }
  expect(value.pi).toBe((4 * total.hits) / total.samples)
  expect(value.ci95[0]).toBeLessThan(Math.PI)
  expect(value.ci95[1]).toBeGreaterThan(Math.PI)
  expect(value.ci95[1] - value.ci95[0]).toBeCloseTo(2 * 1.96 * 1.642 * 1e-3, 4)
})
