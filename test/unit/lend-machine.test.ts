import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { expect, test } from 'vitest'
import { thisMachine, treeMs } from '../../src/lend-machine.ts'

test('this machine has cores, memory, a name, a time of the day, and processor time that grows', () => {
  const machine = thisMachine()
  expect(machine.cores).toBe(availableParallelism())
  expect(machine.memoryBytes).toBeGreaterThan(2 ** 28)
  expect(machine.name).toMatch(/, \d+ cores$/)
  const midnight = new Date(2026, 0, 31, 0, 0, 59)
  expect(machine.minuteOfDay(midnight.getTime())).toBe(0)
  expect(machine.minuteOfDay(new Date(2026, 6, 31, 23, 59).getTime())).toBe(1439)
  const before = machine.readCpu()
  burn()
  const after = machine.readCpu()
  expect(after.busyMs).toBeGreaterThan(before.busyMs)
  expect(after.cores).toBeGreaterThanOrEqual(1)
})

/** 200 ms of a processor, in a process that ends. */
function burn(): void {
  const script = 'while (process.cpuUsage().user < 200_000);'
  expect(spawnSync(process.execPath, ['--eval', script]).status).toBe(0)
}

test.skipIf(process.platform !== 'linux')(
  'what a process takes counts for those above it, also when it has ended',
  () => {
    const before = treeMs(process.pid)!
    burn()
    expect(treeMs(process.pid)! - before).toBeGreaterThanOrEqual(190)
    expect(treeMs(2 ** 30)).toBe(undefined)
  },
)
