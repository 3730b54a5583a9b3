import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Schedule, SimEvent } from '../../../sim/schedule.ts'

class Act extends SimEvent {
  cancelled = false
  readonly #act: () => void
  readonly #mark: number

  constructor(act: () => void = () => {}, mark = 1) {
    super()
    this.#act = act
    this.#mark = mark
  }

  live(): boolean {
    return !this.cancelled
  }

  fire(): void {
    this.#act()
  }

  mark(): number {
    return this.#mark
  }
}

test('runs events by time, ties by the order in which they were added', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 }), async (times) => {
      const schedule = new Schedule()
      const ran: [number, number][] = []
      times.forEach((time, i) => {
        schedule.add(new Act(() => ran.push([schedule.nowMs, i])), time)
      })
      await schedule.run(20)
      const wanted = times.map((time, i) => [time, i] as [number, number]).sort((a, b) => a[0] - b[0] || a[1] - b[1])
      expect(ran).toEqual(wanted)
      expect(schedule.events).toBe(times.length)
    }),
    { numRuns: 30 },
  )
})

test('keeps the order over any distance in time, also of what events add, however the run is cut', async () => {
  const timeMs = fc.oneof(
    fc.integer({ min: 0, max: 10 }),
    fc.double({ min: 0, max: 20_000, noNaN: true }),
    fc.constant(1e9),
  )
  const plan = fc.array(fc.record({ atMs: timeMs, thenMs: timeMs }), { maxLength: 40 })
  await fc.assert(
    fc.asyncProperty(plan, fc.array(timeMs, { maxLength: 5 }), async (events, cuts) => {
      const schedule = new Schedule()
      const ran: number[] = []
      const note = () => ran.push(schedule.nowMs)
      for (const { atMs, thenMs } of events) {
        const act = () => {
          note()
          schedule.add(new Act(note), schedule.nowMs + thenMs)
        }
        schedule.add(new Act(act), atMs)
      }
      for (const cut of cuts.sort((a, b) => a - b)) await schedule.run(cut)
      await schedule.run(3e9)
      const wanted = events.flatMap(({ atMs, thenMs }) => [atMs, atMs + thenMs])
      expect(ran).toEqual(wanted.sort((a, b) => a - b))
    }),
    { numRuns: 50 },
  )
})

test('runs up to a time and moves the clock there; the past is now', async () => {
  const schedule = new Schedule()
  const ran: number[] = []
  schedule.add(new Act(() => schedule.add(new Act(() => ran.push(schedule.nowMs)), 3)), 10)
  schedule.add(new Act(() => ran.push(-1)), 10.5)
  await schedule.run(10)
  expect(ran).toEqual([10])
  expect(schedule.nowMs).toBe(10)
  await schedule.run(10.4)
  expect(schedule.nowMs).toBe(10.4)
  expect(ran).toEqual([10])
  await schedule.run(20)
  expect(ran).toEqual([10, -1])
  expect(schedule.nowMs).toBe(20)
})

test('waits for a promise no longer than it takes', async () => {
  const schedule = new Schedule()
  expect(await schedule.until(Promise.resolve('at once'))).toBe('at once')
  expect(schedule.nowMs).toBe(0)
  const later = new Promise((resolve) => schedule.add(new Act(() => resolve('later')), 5))
  expect(await schedule.until(later)).toBe('later')
  expect(schedule.nowMs).toBe(5)
  await expect(schedule.until(new Promise(() => {}), 100)).rejects.toThrow('within 100 ms')
})

test('passes over what was cancelled, and does not count it', async () => {
  const schedule = new Schedule()
  const ran: string[] = []
  const cancelled = new Act(() => ran.push('cancelled'))
  schedule.add(new Act(() => (cancelled.cancelled = true)), 1)
  schedule.add(cancelled, 2)
  await schedule.run(5)
  expect(ran).toEqual([])
  expect(schedule.events).toBe(1)
})

test('between two events all microtasks run, however long the chain of awaits', async () => {
  const schedule = new Schedule()
  const log: string[] = []
  const chain = async (name: string) => {
    for (let i = 0; i < 1000; i++) await undefined
    await Promise.all([Promise.resolve().then(() => Promise.resolve()), (async () => await null)()])
    log.push(`${name} done`)
  }
  for (const name of ['a', 'b', 'c']) {
    schedule.add(
      new Act(() => {
        log.push(name)
        void chain(name)
      }),
      1,
    )
  }
  await schedule.run(1)
  expect(log).toEqual(['a', 'a done', 'b', 'b done', 'c', 'c done'])
})

test('errors that nobody catches end the run: thrown, rejected, or reported', async () => {
  for (const act of [
    (_: Schedule) => {
      throw new Error('escaped')
    },
    (_: Schedule) => {
      void Promise.resolve().then(() => {
        throw new Error('escaped')
      })
    },
    (schedule: Schedule) => schedule.fail(new Error('escaped')),
  ]) {
    const schedule = new Schedule()
    schedule.add(new Act(() => act(schedule)), 1)
    await expect(schedule.run(2)).rejects.toThrow('escaped')
    let later = false
    schedule.add(new Act(() => (later = true)), 3) // told once; the next run is a new one
    await schedule.run(4)
    expect(later).toBe(true)
  }
})

test('the digest is a function of times, marks and what was folded in, in order', async () => {
  const digest = async (events: [number, number][], folds: number[] = []) => {
    const schedule = new Schedule()
    for (const [time, mark] of events) schedule.add(new Act(undefined, mark), time)
    await schedule.run(100)
    for (const value of folds) schedule.fold(value)
    return schedule.digest
  }
  const one = await digest([[1, 1], [2, 2]]) // biome-ignore format: pairs
  expect(one).toMatch(/^[0-9a-f]{16}$/)
  expect(await digest([[2, 2], [1, 1]])).toBe(one) // biome-ignore format: pairs
  const others = [
    await digest([]),
    await digest([[1, 1]]),
    await digest([[1, 2], [2, 1]]), // biome-ignore format: pairs
    await digest([[1, 1], [2.001, 2]]), // biome-ignore format: pairs
    await digest([[1, 1], [2, 2]], [0]), // biome-ignore format: pairs
    await digest([[1, 1], [2, 2]], [1, 2]), // biome-ignore format: pairs
    await digest([[1, 1], [2, 2]], [2, 1]), // biome-ignore format: pairs
  ]
  expect(new Set([one, ...others]).size).toBe(others.length + 1)
})

test('`until` runs to the event that settles a promise, and no further', async () => {
  const schedule = new Schedule()
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  schedule.add(new Act(() => resolve('done')), 50)
  schedule.add(new Act(), 60)
  expect(await schedule.until(promise)).toBe('done')
  expect(schedule.nowMs).toBe(50)
  const failed = Promise.withResolvers<void>()
  schedule.add(new Act(() => failed.reject(new Error('no'))), 70)
  await expect(schedule.until(failed.promise)).rejects.toThrow('no')
  await expect(schedule.until(new Promise(() => {}), 1000)).rejects.toThrow('1000 ms of virtual time')
  reject(undefined)
})

test('runs after V8 has thrown away all code that it may throw away', () => {
  const code = `
    import { Schedule, SimEvent } from '${new URL('../../../sim/schedule.ts', import.meta.url)}'
    class Act extends SimEvent { live() { return true } fire() {} mark() { return 1 } }
    gc()
    gc()
    const schedule = new Schedule()
    schedule.add(new Act(), 1)
    await schedule.run(1)
    console.log(schedule.events)`
  const flags = ['--expose-gc', '--stress-flush-code', '--input-type=module']
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, '-e', code], { encoding: 'utf8' })
  expect({ stdout, stderr }).toEqual({ stdout: '1\n', stderr: '' })
})
