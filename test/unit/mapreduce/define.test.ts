import { expect, expectTypeOf, test } from 'vitest'
import { finishContext, mapContext } from '../../../sim/job-context.ts'
import { defineJob } from '../../../src/mapreduce/define.ts'

const job = defineJob({
  name: 'lengths',
  params: { text: String, times: 2, loud: false },
  split: ({ times }) => {
    if (times > 5) throw new Error('five times at most')
    return times
  },
  map(task, { params, seed, random }) {
    expectTypeOf(params).toEqualTypeOf<{ text: string; times: number; loud: boolean }>()
    return { length: params.text.length + task, seed, random: random() < 1 }
  },
  reduce(left, right) {
    expectTypeOf(left).toEqualTypeOf<{ length: number; seed: number; random: boolean }>()
    return { ...left, length: left.length + right.length }
  },
})

test('parameters have defaults, or have to be given; the value is the total', () => {
  const { params, tasks } = job.plan({ text: 'four' })
  expect({ params, tasks }).toEqual({ params: { text: 'four', times: 2, loud: false }, tasks: 2 })
  const [left, right] = [0, 1].map((task) => job.map(task, mapContext(params, { seed: 9 })))
  const total = job.reduce(left!, right!)
  expect(job.finish(total, finishContext(params))).toEqual({ length: 9, seed: 9, random: true })
})

test.each([
  [{}, 'lengths needs --param text=..., a string'],
  [{ text: 'a', time: 3 }, 'lengths has no parameter "time": it has text, times, loud'],
  [{ text: 5 }, 'text must be a string, not 5'],
  [{ text: 'a', loud: 'yes' }, 'loud must be a boolean, not "yes"'],
  [{ text: 'a', times: 0 }, 'split must give a whole number of tasks from 1 to 4194304, not 0'],
  [{ text: 'a', times: 1.5 }, 'split must give a whole number of tasks from 1 to 4194304, not 1.5'],
  [{ text: 'a', times: 6 }, 'five times at most'],
  [{ text: 'a', __proto__: null, toString: 1 }, 'lengths has no parameter "toString"'],
])('parameters that do not fit: %j', (params, message) => {
  expect(() => job.plan(params)).toThrow(
    expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) }),
  )
})
