/** What was done for money, after power cuts at every point. */
import { expect, test } from 'vitest'
import { CrashDisk } from '../../../../sim/crash-disk.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { MAX_WORK_LOGS } from '../../../../src/core/limits.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { localSpec } from '../../../../src/mapreduce/spec.ts'
import { WorkLogs } from '../../../../src/market/contracts/work-log.ts'
import { seeds } from '../../../nightly.ts'
import { rightDigest } from './floor.ts'

const DIR = '/work'
const contract = hashKey('contract')

function specOf(of: Key, tasks = 1_000) {
  const plan = { name: 'waves', params: { tasks }, tasks, engine: 'fake/1' }
  return { ...localSpec({ module: 'builtin:waves', params: { tasks }, seed: 7 }, plan), contract: of }
}

test('digests and ranges are what was added, in any order, each once', async () => {
  const logs = await WorkLogs.open(new CrashDisk(), DIR)
  const log = (await logs.begin(contract, specOf(contract), 1))!
  const tasks = [5, 3, 4, 999, 0, 200, 201]
  expect(tasks.map((task) => log.add(task, rightDigest(task)))).toEqual(tasks.map(() => true))
  expect([log.add(5, hashKey('other')), log.add(1_000, hashKey('other'))]).toEqual([false, false])
  expect(log.done).toEqual([
    [0, 1],
    [3, 6],
    [200, 202],
    [999, 1_000],
  ])
  expect(log.digest(5)).toBe(rightDigest(5))
  expect(log.digest(6)).toBeUndefined()
  log.add(6, rightDigest(6))
  expect(log.done[1]).toEqual([3, 7])
})

test.each(seeds(20))(
  'a power cut at any time loses nothing that was synced, and makes nothing up: seed %i',
  async (seed) => {
    const random = seededRandom(seed)
    let disk = new CrashDisk()
    const added = new Map<number, Key>()
    let synced = 0
    for (let life = 0; life < 6; life++) {
      const cutAt = disk.count + 2 + random.int(25)
      const logs = await WorkLogs.open(disk, DIR)
      disk.faults = (number, operation) => (number >= cutAt && operation !== 'read' ? 'power' : undefined)
      try {
        const log = (await logs.begin(contract, specOf(contract), 1))!
        expect(log.count).toBeGreaterThanOrEqual(synced)
        for (const [task, digest] of added) expect(log.digest(task) ?? digest).toBe(digest)
        synced = log.count
        for (let i = 0; i < 40; i++) {
          const task = random.int(1_000)
          const digest = hashKey(`${seed} ${task}`)
          if (log.add(task, digest)) added.set(task, digest)
          if (random.int(4) > 0) continue
          const count = log.count
          await log.sync()
          synced = count
        }
      } catch {
        // the power is gone
      }
      disk = disk.reboot(random, 'some')
    }
    const log = (await WorkLogs.open(disk, DIR)).get(contract)
    expect(log?.count ?? 0).toBeGreaterThanOrEqual(synced)
    for (const [from, to] of log?.done ?? []) {
      for (let task = from; task < to; task++) expect(log!.digest(task)).toBe(hashKey(`${seed} ${task}`))
    }
  },
)

test('a record that has rotted is passed over, and a torn tail is cut', async () => {
  const disk = new CrashDisk()
  const logs = await WorkLogs.open(disk, DIR)
  const log = (await logs.begin(contract, specOf(contract), 1))!
  for (let task = 0; task < 10; task++) log.add(task, rightDigest(task))
  await log.sync()
  await logs.close()
  const bytes = disk.files().get(`${DIR}/${contract}`)!.slice()
  bytes[bytes.length - 3 * 40 + 7]! ^= 1
  const torn = new CrashDisk(new Map([[`${DIR}/${contract}`, bytes.subarray(0, bytes.length - 11)]]))
  const again = (await WorkLogs.open(torn, DIR)).get(contract)!
  expect(again.done).toEqual([
    [0, 7],
    [8, 9],
  ])
  again.add(9, rightDigest(9))
  again.add(7, rightDigest(7))
  await again.sync()
  expect((await WorkLogs.open(torn, DIR)).get(contract)!.done).toEqual([[0, 10]])
})

test('a disk that is full loses nothing: what could not be written is written later', async () => {
  const disk = new CrashDisk()
  const log = (await (await WorkLogs.open(disk, DIR)).begin(contract, specOf(contract), 1))!
  log.add(1, rightDigest(1))
  disk.faults = () => 'ENOSPC'
  await expect(log.sync()).rejects.toMatchObject({ code: 'io' })
  disk.faults = () => undefined
  log.add(2, rightDigest(2))
  await log.sync()
  expect((await WorkLogs.open(disk, DIR)).get(contract)!.done).toEqual([[1, 3]])
})

test('there are so many logs at most, and one that is removed makes room', async () => {
  const logs = await WorkLogs.open(new CrashDisk(), DIR)
  const name = (i: number) => hashKey(`contract ${i}`)
  const made = Array.from({ length: MAX_WORK_LOGS + 1 }, (_, i) => logs.begin(name(i), specOf(name(i)), 1))
  expect((await Promise.all(made)).filter((log) => log === undefined)).toHaveLength(1)
  await logs.remove(name(0))
  expect(await logs.begin(name(MAX_WORK_LOGS), specOf(name(MAX_WORK_LOGS)), 1)).toBeDefined()
})
