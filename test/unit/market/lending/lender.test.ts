import { describe, expect, test } from 'vitest'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { TASK_MEMORY_BYTES } from '../../../../src/core/limits.ts'
import { parseHours } from '../../../../src/market/lending/hours.ts'
import { DEFAULT_SETTING, type LendChange } from '../../../../src/market/lending/setting.ts'
import { fakeLender, PROCESS } from '../../../fakes/lender.ts'

const kept = (change: LendChange) => ({ setting: { ...DEFAULT_SETTING, ...change }, speed: undefined })
const usage = (line: RegExp) => expect.objectContaining({ code: 'usage', message: expect.stringMatching(line) })

describe('what is lent now', () => {
  test('nothing before the start, then all cores of a private network, and none of an open one', async () => {
    const { lender, world } = fakeLender()
    expect(lender.cores).toBe(0)
    lender.start()
    expect(lender.cores).toBe(4)
    expect(world.capacity).toEqual([4])
    expect(await lender.view()).toMatchObject({ state: 'lending', slots: 4, cores: 4 })

    const open = fakeLender({ isOpenNetwork: true })
    open.lender.start()
    expect(open.lender.cores).toBe(0)
    expect(await open.lender.view()).toMatchObject({
      state: 'off',
      why: 'an open network is lent nothing until --cpu says how much',
    })
    open.lender.set({ cores: 2 })
    expect(open.lender.cores).toBe(2)
  })

  test('a pause lasts over a restart, and resume ends it', async () => {
    const first = fakeLender()
    first.lender.start()
    first.lender.set({ paused: true })
    expect(first.world.capacity).toEqual([4, 0])
    const second = fakeLender({ kept: first.world.kept })
    second.lender.start()
    expect(second.lender.cores).toBe(0)
    expect(await second.lender.view()).toMatchObject({ state: 'paused', why: expect.stringContaining('lend resume') })
    second.lender.set({ paused: false })
    expect(second.world.capacity).toEqual([4])
    expect(second.world.kept.setting.paused).toBe(false)
  })

  test('hours begin and end by themselves, past midnight too', async () => {
    const { lender, world, wait } = fakeLender({ kept: kept({ when: parseHours('22:00-06:00')! }) })
    lender.start()
    expect((await lender.view()).why).toBe('outside 22:00-06:00, local time: it is 12:00')
    for (const [minute, cores] of [
      [21 * 60 + 59, 0],
      [22 * 60, 4],
      [0, 4],
      [5 * 60 + 59, 4],
      [6 * 60, 0],
    ] as const) {
      world.minute = minute
      await wait(5_000)
      expect(lender.cores, `at minute ${minute}`).toBe(cores)
    }
    await lender.stop()
    world.minute = 23 * 60
    await wait(20_000)
    expect(lender.cores).toBe(0)
  })

  test('the work of others comes first', async () => {
    const { lender, world, wait } = fakeLender({ kept: kept({ when: 'idle' }) })
    lender.start()
    expect((await lender.view()).state).toBe('in-use')
    await wait(52_000)
    expect(lender.cores).toBe(0)
    expect((await lender.view()).why).toMatch(
      /^this machine has been quiet for 50 s: others take 0.0 of 4 cores; it lends after 60 s with at most 0.4$/,
    )
    await wait(15_000)
    expect(lender.cores).toBe(4)
    world.others = 2
    await wait(10_000)
    expect(lender.cores).toBe(0)
    expect((await lender.view()).why).toMatch(/^this machine is in use: others take 2.0 of 4 cores/)
    lender.set({ when: 'always' })
    expect(lender.cores).toBe(4)
  })

  test('without the walls that are asked for nothing is lent, and they cannot be asked for where there are none', async () => {
    const { lender, world, wait } = fakeLender()
    world.sandbox = PROCESS
    lender.start()
    expect(() => lender.set({ level: 'os' })).toThrow(
      usage(/^--level os cannot be had here: bubblewrap is not installed$/),
    )
    expect(world.kept.setting.level).toBe('process')
    expect(lender.cores).toBe(4)

    const walled = fakeLender({ kept: kept({ level: 'os' }) })
    walled.world.sandbox = undefined
    walled.lender.start()
    expect(await walled.lender.view()).toMatchObject({ state: 'refused', cores: 0 })
    walled.world.sandbox = { level: 'os', strangers: 'any' } // it took a while to find out
    await walled.wait(5_000)
    expect(walled.lender.cores).toBe(4)
    await wait(1)
  })

  test('memory bounds slots and processes, of which there is always one', async () => {
    const { lender } = fakeLender()
    lender.start()
    expect(lender.processes).toEqual({ atWork: 5, inAll: 20 })
    lender.set({ memoryBytes: 6 * TASK_MEMORY_BYTES })
    expect(lender.cores).toBe(4)
    expect(lender.processes).toEqual({ atWork: 5, inAll: 6 })
    lender.set({ memoryBytes: 2 * TASK_MEMORY_BYTES + 1 })
    expect(lender.cores).toBe(2)
    expect(lender.processes).toEqual({ atWork: 2, inAll: 2 })
    lender.set({ cores: 0 })
    expect(lender.cores).toBe(0)
    expect(lender.processes).toEqual({ atWork: 1, inAll: 2 })
    lender.set({ paused: true, cores: 2 })
    expect(lender.processes.atWork).toBe(2)
  })
})

describe('a setting', () => {
  test('that does not fit changes nothing, and neither does one that cannot be kept', () => {
    const full = new ChoraleError('io', 'no space left')
    const { lender, world } = fakeLender()
    lender.start()
    expect(() => lender.set({ cores: 5, when: 'idle' })).toThrow(usage(/^--cpu 5: this machine has 4 cores/))
    expect(lender.setting).toEqual(DEFAULT_SETTING)
    expect(world.kept.setting).toEqual(DEFAULT_SETTING)
    const broken = fakeLender({
      keep: () => {
        throw full
      },
    })
    broken.lender.start()
    expect(() => broken.lender.set({ cores: 1 })).toThrow(full)
    expect(broken.lender.cores).toBe(4)
    expect(() => fakeLender({ given: { cores: 5 } })).toThrow(usage(/^--cpu 5/))
  })

  test('given for a run is not kept, and ends with one that is', async () => {
    const { lender, world } = fakeLender({ given: { cores: 1, storeBytes: 5 }, kept: kept({ cores: 3 }) })
    lender.start()
    expect(lender.cores).toBe(1)
    lender.set({ when: 'always' })
    expect(world.kept.setting).toMatchObject({ cores: 3, storeBytes: null })
    expect(await lender.view()).toMatchObject({ cores: 1, given: ['cores', 'storeBytes'], setting: { cores: 1 } })
    lender.set({ cores: 2 })
    expect(await lender.view()).toMatchObject({ cores: 2, given: ['storeBytes'] })
    expect(world.kept.setting).toMatchObject({ cores: 2, storeBytes: null })
  })
})

describe('the speed of the machine', () => {
  test('is the median of the runs, and kept with its date and place', async () => {
    const { lender, world, time } = fakeLender()
    world.load = { ...world.load, tasksRunning: 3 }
    lender.start()
    const [one, other] = await Promise.all([lender.measure(), lender.measure()])
    expect(world.benchmarks).toBe(1)
    expect(one).toEqual(other)
    expect(one).toEqual({
      mips: 2000, // 2e8 operations in 100 ms
      runs: [1667, 2000, 2222],
      measuredAtMs: time.now(),
      machine: 'Fake CPU, 4 cores',
      engine: world.engine,
      level: 'os',
      tasksRunning: 3,
    })
    expect(world.kept.speed).toEqual(one)
    expect(await lender.view()).toMatchObject({ speed: one, speedHolds: true })
  })

  test('is not measured by itself before somebody has asked, and then again when machine, engine or level change', async () => {
    const { lender, world, wait } = fakeLender()
    lender.start()
    await wait(600_000)
    expect(world.benchmarks).toBe(0)
    await lender.measure()
    await wait(600_000)
    expect(world.benchmarks).toBe(1)
    for (const change of [{ engine: 'js/v8-14' }, { sandbox: PROCESS }] as const) {
      const later = fakeLender({ kept: world.kept })
      Object.assign(later.world, change, { load: { ...world.load, busy: 1 } })
      later.lender.start()
      expect(await later.lender.view()).toMatchObject({ speedHolds: false })
      await later.wait(130_000)
      expect(later.world.benchmarks).toBe(0) // not beside a task
      later.world.load = world.load
      await later.wait(60_000)
      expect(later.world.benchmarks).toBe(1)
      expect(await later.lender.view()).toMatchObject({ speedHolds: true })
    }
    const same = fakeLender({ kept: world.kept })
    same.lender.start()
    await same.wait(200_000)
    expect(same.world.benchmarks).toBe(0)
  })

  test('a machine that cannot be measured lends all the same', async () => {
    const none = new ChoraleError('config', 'foreign code cannot be run here')
    const first = fakeLender()
    await first.lender.measure()
    const { lender, world, wait } = fakeLender({ kept: first.world.kept, benchmark: () => Promise.reject(none) })
    world.engine = 'js/other'
    lender.start()
    await wait(61_000)
    await expect(lender.measure()).rejects.toBe(none)
    expect(lender.cores).toBe(4)
    expect(world.kept.speed).toEqual(first.world.kept.speed)
  })
})
