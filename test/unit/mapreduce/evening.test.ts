import { describe, expect, test } from 'vitest'
import { seededRandom } from '../../../src/core/random.ts'
import { type Asker, Evening, fairShare, hasTooMuch } from '../../../src/mapreduce/evening.ts'

const host = (tasks: number, taskMs: number, cores = 1): Asker => ({ cores, taskMs, restMs: (tasks * taskMs) / cores })

describe('a fair share', () => {
  test('leaves both with as long to do', () => {
    expect(fairShare(host(100, 10), host(0, 10))).toBe(50)
    expect(fairShare(host(100, 10), host(40, 10))).toBe(30)
    expect(fairShare(host(120, 10), host(0, 20))).toBe(40)
    expect(fairShare(host(120, 10), host(0, 10, 2))).toBe(80)
  })

  test('goes to who has less alone, and an idle host gets the last task', () => {
    expect(fairShare(host(10, 10), host(10, 10))).toBe(0)
    expect(fairShare(host(10, 10), host(90, 10))).toBe(0)
    expect(fairShare(host(1, 10), host(0, 10))).toBe(1)
  })

  test('of a host that lends nothing is half, and of tasks that take no time a number all the same', () => {
    expect(fairShare({ cores: 0, restMs: 1_000 }, host(0, 10))).toBe(50)
    expect(Number.isFinite(fairShare({ cores: 1, restMs: 5 }, { cores: 1, restMs: 0 }))).toBe(true)
  })
})

test('exchanges with any other host bring all to the same figure, whatever their speeds', () => {
  const random = seededRandom('evening')
  const hosts = Array.from({ length: 200 }, (_, i) => ({
    taskMs: 400 + 8 * i,
    tasks: Math.ceil(-100 * Math.log(1 - random.next())),
  }))
  const all = hosts.reduce((sum, { tasks }) => sum + tasks, 0)
  const rest = () => hosts.map(({ tasks, taskMs }) => tasks * taskMs)
  for (let turn = 0; turn < 12 * hosts.length; turn++) {
    const [a, b] = [hosts[turn % hosts.length]!, hosts[random.int(hosts.length)]!]
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const) {
      const share = fairShare(host(from.tasks, from.taskMs), { ...host(to.tasks, to.taskMs) })
      from.tasks -= share
      to.tasks += share
    }
  }
  expect(hosts.reduce((sum, { tasks }) => sum + tasks, 0)).toBe(all)
  const ideal = all / hosts.reduce((sum, { taskMs }) => sum + 1 / taskMs, 0)
  expect(Math.max(...rest())).toBeLessThan(1.15 * ideal)
  expect(Math.min(...rest())).toBeGreaterThan(0.85 * ideal)
})

test('they become rarer as a job goes on, but for who has done half, a quarter of the last tasks, or was given more', () => {
  const evening = new Evening()
  const due = (nowMs: number, restMs: number) => evening.isDue(nowMs, nowMs, restMs, 100)
  expect(due(1_000, 800)).toBe(true)
  expect(due(1_600, 800)).toBe(false)
  expect(due(1_700, 800)).toBe(true)
  expect(due(2_800, 700)).toBe(false)
  expect(due(2_890, 700)).toBe(true)
  expect(due(2_900, 600)).toBe(false)
  expect(due(2_900, 525)).toBe(true)
  expect(due(2_910, 4_000)).toBe(false)
  expect(due(2_920, 3_000)).toBe(false)
  expect(due(2_920, 2_000)).toBe(true)
  expect(due(1e6, 99)).toBe(false)
})

test('a little more is not too much', () => {
  expect(hasTooMuch(host(12, 100), 1_000)).toBe(false)
  expect(hasTooMuch(host(14, 100), 1_000)).toBe(true)
  expect(hasTooMuch(host(1, 100), 0)).toBe(false)
  expect(hasTooMuch(host(2, 100), 0)).toBe(true)
})
