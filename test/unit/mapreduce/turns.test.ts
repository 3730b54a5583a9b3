import { expect, test } from 'vitest'
import { Turns } from '../../../src/mapreduce/turns.ts'

test('jobs get the same time, however long their tasks are; who comes or comes back is owed nothing of before', () => {
  const turns = new Turns<{ ms: number }>()
  const [long, short, late] = [{ ms: 1_000 }, { ms: 10 }, { ms: 100 }]
  const spent = new Map<object, number>()
  const run = (jobs: { ms: number }[], rounds: number) => {
    for (let i = 0; i < rounds; i++) {
      const job = turns.next(jobs)!
      turns.took(job, job.ms)
      spent.set(job, (spent.get(job) ?? 0) + job.ms)
    }
  }
  run([long, short], 1_010)
  expect(spent.get(long)).toBe(10_000)
  expect(spent.get(short)).toBe(10_000)
  run([long, short, late], 112)
  expect(Math.abs(spent.get(late)! - 1_000)).toBeLessThanOrEqual(100)
  // Who was away for long does not have the host for itself when it comes back.
  run([short], 10_000)
  spent.clear()
  run([short, late], 110)
  expect(Math.abs(spent.get(late)! - spent.get(short)!)).toBeLessThanOrEqual(100)
  expect(turns.next([])).toBeUndefined()
})
