import { expect, test } from 'vitest'
import { TaskNotes } from '../../../src/mapreduce/task-notes.ts'

function listen() {
  const heard: Array<string | number> = []
  const notes = new TaskNotes({
    log: (task, text) => heard.push(`${task} ${text}`),
    progress: (task, share) => heard.push(task + share),
  })
  return { heard, notes }
}

test('a line is strings as they are and the rest as JSON, whatever it is', () => {
  const { heard, notes } = listen()
  notes.begin(3)
  const circle: { self?: object } = {}
  circle.self = circle
  const { log } = notes // as jobs take it from their context
  log('a', { b: [1] }, new Error('lost'), undefined, 5n, circle)
  log('two\nlines')
  log({
    toJSON() {
      throw new Error('no')
    },
    toString() {
      throw new Error('never')
    },
  })
  expect(heard).toEqual([
    '3 a {"b":[1]} Error: lost undefined 5 [object Object]',
    '3 two',
    '3 lines',
    '3 (cannot be shown)',
  ])
})

test('of many lines the first ones go out at once, the last ones at the end', () => {
  const { heard, notes } = listen()
  notes.begin(0)
  for (let i = 0; i < 100; i++) notes.log(`line ${i}`)
  expect(heard).toHaveLength(12)
  notes.end()
  expect(heard.slice(12)).toEqual([
    '0 (80 lines left out)',
    ...[92, 93, 94, 95, 96, 97, 98, 99].map((i) => `0 line ${i}`),
  ])
  notes.begin(1)
  notes.log('again')
  notes.end()
  expect(heard.slice(-1)).toEqual(['1 again'])
})

test('long lines are cut, and there is an end to them too', () => {
  const { heard, notes } = listen()
  notes.begin(0)
  for (let i = 0; i < 50; i++) notes.log('x'.repeat(10_000))
  notes.end()
  expect(Math.max(...heard.map((line) => String(line).length))).toBe(402)
  expect(heard.join('').length).toBeLessThan(2_200)
})

test('progress is told by the percent, and only forward', () => {
  const { heard, notes } = listen()
  notes.begin(4)
  for (const share of [0, 0.001, 0.5, 0.5, 0.4, Number.NaN, -1, 0.509, 7]) notes.progress(share)
  notes.end()
  expect(heard).toEqual([4, 4.5, 5])
  notes.begin(5)
  notes.progress(0.25)
  notes.end() // it is done, whatever it said last
  expect(heard.slice(3)).toEqual([5.25, 6])
  notes.begin(6)
  notes.end()
  expect(heard).toHaveLength(5)
})
