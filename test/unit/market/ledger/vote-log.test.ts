import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CrashDisk } from '../../../../sim/crash-disk.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import type { LogRecord } from '../../../../src/market/ledger/consensus/effects.ts'
import { beginVoteLog, openVoteLog, removeOldLogs } from '../../../../src/market/ledger/vote-log.ts'
import { seeds } from '../../../nightly.ts'

const OWNER = { network: hashKey('network'), epoch: 3, member: hashKey('member') }
const vote = (view: number): LogRecord => {
  const signature = new Uint8Array(Buffer.from(hashKey(`signature ${view}`).repeat(2), 'hex'))
  return { type: 'vote', kind: 'notarize', view, digest: hashKey(`block ${view}`), member: 0, signature }
}
const votes = (count: number) => Array.from({ length: count }, (_, view) => vote(view + 1))

async function recordsIn(disk: CrashDisk) {
  const opened = await openVoteLog(disk, 'votes', OWNER)
  if (opened === 'rotten') return 'rotten'
  await opened.log.close()
  return opened.records
}

async function written(disk: CrashDisk, count: number): Promise<void> {
  const opened = await openVoteLog(disk, 'votes', OWNER)
  if (opened === 'rotten') throw new Error('a new log is not rotten')
  for (const record of votes(count)) await opened.log.append([record])
  await opened.log.close()
}

test('what was appended is there after a restart, in order, also after a cut', async () => {
  const disk = new CrashDisk()
  await written(disk, 5)
  expect(await recordsIn(disk)).toEqual(votes(5))
  const opened = await openVoteLog(disk, 'votes', OWNER)
  if (opened === 'rotten') throw new Error('it is whole')
  const all = votes(9)
  await Promise.all([opened.log.append([all[5]!]), opened.log.append([all[6]!]), opened.log.cut(all.slice(4, 7))])
  await opened.log.append(all.slice(7))
  await opened.log.close()
  expect(await recordsIn(disk)).toEqual(all.slice(4))
  expect([...disk.files().keys()]).toHaveLength(1)
})

test.each(seeds(100))('a power cut at any time loses nothing that was synced: seed %i', async (seed) => {
  const random = seededRandom(`vote log ${seed}`)
  const disk = new CrashDisk()
  const stopAt = random.int(40)
  disk.faults = (number) => (number === stopAt ? 'power' : undefined)
  const all = votes(60)
  let synced = 0
  let appended = 0
  let cutTo = 0
  try {
    const opened = await openVoteLog(disk, 'votes', OWNER)
    if (opened === 'rotten') throw new Error('a new log is not rotten')
    while (appended < all.length) {
      const group = all.slice(appended, appended + 1 + random.int(3))
      appended += group.length
      await opened.log.append(group)
      synced = appended
      if (random.int(6) > 0) continue
      // What is before may be there or not until the cut is over.
      const from = random.int(synced)
      await opened.log.cut(all.slice(from, synced))
      cutTo = Math.max(cutTo, from)
    }
  } catch (error) {
    expect(error).toMatchObject({ code: 'io' })
  }
  const found = await recordsIn(disk.reboot(random, random.int(2) === 0 ? 'some' : 'nothing'))
  if (found === 'rotten') return // it may be careful: a tear that looks like rot
  const last = found.at(-1)
  const until = last && 'view' in last ? last.view : 0
  expect(until).toBeGreaterThanOrEqual(synced)
  expect(found).toEqual(all.slice(until - found.length, until))
})

test('tears are seldom taken for rot', async () => {
  let rotten = 0
  for (let seed = 0; seed < 100; seed++) {
    const random = seededRandom(`tear ${seed}`)
    const disk = new CrashDisk()
    await written(disk, 3)
    const before = disk.count
    disk.faults = (number, operation) => (number > before && operation === 'sync' ? 'power' : undefined)
    const opened = await openVoteLog(disk, 'votes', OWNER).catch(() => undefined)
    if (!opened || opened === 'rotten') continue
    await opened.log.append(votes(6).slice(3)).catch(() => {})
    if ((await recordsIn(disk.reboot(random, 'some'))) === 'rotten') rotten++
  }
  expect(rotten).toBeLessThan(20)
})

test('one flipped bit anywhere but in a torn end is found', async () => {
  const disk = new CrashDisk()
  await written(disk, 6)
  const [[path, bytes]] = [...disk.files()] as [[string, Uint8Array]]
  const property = fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), async (at, bit) => {
    const flipped = bytes.slice()
    flipped[at]! ^= 1 << bit
    const found = await recordsIn(new CrashDisk(new Map([[path, flipped]])))
    expect(found).toBe('rotten')
  })
  await fc.assert(property, { numRuns: 300 })
})

test('a log that was cut, and of which nothing is whole, is rotten: it was synced before the one before it went', async () => {
  const disk = new CrashDisk()
  await written(disk, 6)
  const opened = await openVoteLog(disk, 'votes', OWNER)
  if (opened === 'rotten') throw new Error('it is whole')
  await opened.log.cut(votes(6).slice(4))
  await opened.log.close()
  const [[path, bytes]] = [...disk.files()] as [[string, Uint8Array]]
  const zeroed = bytes.slice().fill(0, 32, 64)
  expect(await recordsIn(new CrashDisk(new Map([[path, zeroed]])))).toBe('rotten')
  expect(await recordsIn(new CrashDisk(new Map([[path, new Uint8Array()]])))).toBe('rotten')
})

test('a log that was cut off anywhere is a shorter one', async () => {
  const disk = new CrashDisk()
  await written(disk, 4)
  const [[path, bytes]] = [...disk.files()] as [[string, Uint8Array]]
  for (let length = 0; length < bytes.length; length++) {
    const found = await recordsIn(new CrashDisk(new Map([[path, bytes.slice(0, length)]])))
    expect(found).toEqual(votes(4).slice(0, found.length))
    expect(found).not.toHaveLength(4)
  }
})

test('a log of another banker or network is refused, and a new one takes the place of a rotten one', async () => {
  const disk = new CrashDisk()
  await written(disk, 2)
  for (const other of [{ network: hashKey('other') }, { member: hashKey('other') }]) {
    await expect(openVoteLog(disk, 'votes', { ...OWNER, ...other })).rejects.toMatchObject({ code: 'config' })
  }
  const silence: LogRecord = { type: 'silence', view: 7 }
  const { log } = await beginVoteLog(disk, 'votes', OWNER, [silence])
  await log.append([vote(8)])
  await log.close()
  expect(await recordsIn(disk)).toEqual([silence, vote(8)])
  await removeOldLogs(disk, 'votes', OWNER.epoch)
  expect([...disk.files().keys()]).toHaveLength(1)
  await removeOldLogs(disk, 'votes', OWNER.epoch + 1)
  expect([...disk.files().keys()]).toEqual([])
})

test('a disk that fails once is not trusted again', async () => {
  const disk = new CrashDisk()
  const opened = await openVoteLog(disk, 'votes', OWNER)
  if (opened === 'rotten') throw new Error('a new log is not rotten')
  disk.faults = (_, operation) => (operation === 'sync' ? 'ENOSPC' : undefined)
  await expect(opened.log.append([vote(1)])).rejects.toThrow('full')
  disk.faults = () => undefined
  await expect(opened.log.append([vote(2)])).rejects.toThrow('full')
})
