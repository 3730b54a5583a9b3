import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { expect, onTestFinished, test } from 'vitest'
import { CrashDisk, type Fault } from '../../../../sim/crash-disk.ts'
import { silentLogger } from '../../../../src/core/env.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import type { BlockStore } from '../../../../src/dht/blocks.ts'
import { openDiskStore } from '../../../../src/dht/store/disk/disk-store.ts'
import { type DiskFs, nodeFs } from '../../../../src/dht/store/disk/fs.ts'
import { encodeHead } from '../../../../src/dht/store/disk/record.ts'
import { seeds } from '../../../nightly.ts'
import { type Action, bodyOf, metaOf, StoreModel, someWaves } from './store-model.ts'

/** Segments of a few blocks, so that the cleaner has much to do. */
const SEGMENT_BYTES = 700

const open = (fs: DiskFs, seed: string | number = 0, dir = 'store'): Promise<BlockStore> =>
  openDiskStore({
    dir,
    fs,
    capacityBytes: 1e6,
    random: seededRandom(`markers ${seed}`),
    log: silentLogger,
    segmentBytes: SEGMENT_BYTES,
  })

const KEEPS = ['nothing', 'everything', 'some', 'some', 'some'] as const

/** Runs the waves with a power cut at one operation, starts again, and says what is lost. */
async function lostAt(waves: readonly Action[][], cut: number, seed: string, prepare = (_: CrashDisk) => {}) {
  const lost: string[] = []
  for (const [i, keep] of KEEPS.entries()) {
    const disk = new CrashDisk()
    prepare(disk)
    disk.faults = (number) => (number === cut ? 'power' : undefined)
    const model = new StoreModel()
    const store = await open(disk, seed).catch(() => undefined)
    if (store) await model.run(store, waves, () => disk.off)
    const rebooted = disk.reboot(seededRandom(`${seed} ${cut} ${i}`), keep)
    const again = await open(rebooted, `${seed} again`)
    const missing = await model.adopt(again)
    lost.push(...missing.map((what) => `power cut at ${cut}, ${keep} kept: ${what}`))
    // It goes on, and a clean end keeps all.
    if (missing.length > 0) continue
    await model.run(again, waves.slice(0, 2))
    await again.close()
    const third = await open(rebooted, `${seed} third`)
    lost.push(...(await model.adopt(third)).map((what) => `closed after a cut at ${cut}: ${what}`))
    await third.close()
  }
  return lost
}

async function operationsOf(waves: readonly Action[][], seed: string): Promise<CrashDisk> {
  const disk = new CrashDisk()
  await new StoreModel().run(await open(disk, seed), waves)
  return disk
}

test.each(seeds(1))(
  'a power cut at every write boundary loses nothing that was acknowledged (seed %i)',
  async (seed) => {
    const waves = someWaves(seededRandom(`waves ${seed}`), 30)
    const whole = await operationsOf(waves, `${seed}`)
    expect(whole.made.filter((operation) => operation === 'remove').length).toBeGreaterThan(0) // the cleaner was at work
    for (let cut = 1; cut <= whole.count + 1; cut++) expect(await lostAt(waves, cut, `${seed}`)).toEqual([])
  },
)

test('the same test sees a store that acknowledges before it syncs', async () => {
  const waves = someWaves(seededRandom('waves 1'), 40)
  const { count } = await operationsOf(waves, '1')
  const lost: string[] = []
  const lies = (disk: CrashDisk) => {
    disk.syncs = false
  }
  for (let cut = 1; cut <= count; cut += 10) lost.push(...(await lostAt(waves, cut, '1', lies)))
  expect(lost.length).toBeGreaterThan(count / 10)
})

test('power cuts at any time, again and again, keep what was acknowledged', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.array(fc.nat(150), { maxLength: 4 }), async (seed, cuts) => {
      const random = seededRandom(seed)
      const model = new StoreModel()
      let disk = new CrashDisk()
      for (const [i, cut] of cuts.entries()) {
        disk.faults = (number) => (number === cut ? 'power' : undefined)
        const store = await open(disk, `${seed} ${i}`).catch(() => undefined)
        if (store) {
          const { faults } = disk
          disk.faults = () => undefined
          if (!disk.off) expect(await model.adopt(store)).toEqual([])
          disk.faults = faults
          await model.run(store, someWaves(random, 25), () => disk.off)
        }
        disk = disk.reboot(random, KEEPS[random.int(KEEPS.length)]!)
      }
      const store = await open(disk, `${seed} end`)
      expect(await model.adopt(store)).toEqual([])
      await store.close()
    }),
  )
})

test.each(['ENOSPC', 'EIO'] as const)(
  'a disk with %s at any operation: one error, nothing half-visible, and it goes on',
  async (code) => {
    for (const seed of seeds(1)) {
      const waves = someWaves(seededRandom(`${code} ${seed}`), 20)
      const { count } = await operationsOf(waves, `${seed}`)
      for (const lasts of [1, 12]) {
        for (let from = 1; from <= count; from++) {
          const disk = new CrashDisk()
          const fault = (number: number): Fault => (number >= from && number < from + lasts ? code : undefined)
          disk.faults = (number, operation) => (/^(read|list|open)$/.test(operation) ? undefined : fault(number))
          const model = new StoreModel()
          model.surelyDeletes = false
          const store = await open(disk, seed)
          await model.run(store, waves)
          disk.faults = () => undefined
          await model.run(store, waves.slice(0, 3))
          const rebooted = disk.reboot(seededRandom(from), KEEPS[from % KEEPS.length]!)
          const again = await open(rebooted, `${seed} again`)
          expect(await model.adopt(again), `${code} at ${from}, for ${lasts}`).toEqual([])
          await again.close()
        }
      }
    }
  },
)

test('on a full disk blocks can still go, and their room with them', async () => {
  const disk = new CrashDisk()
  const store = await open(disk)
  const blocks = Array.from({ length: 11 }, (_, i) => i + 1)
  await Promise.all(blocks.map((block) => store.put(metaOf(block, 1), bodyOf(block))))
  await store.put(metaOf(12, 1), bodyOf(12)) // so that the others are in a closed segment
  disk.faults = (_, operation) => (/^(write|create)$/.test(operation) ? 'ENOSPC' : undefined)
  await expect(store.put(metaOf(13, 1), bodyOf(13))).rejects.toMatchObject({
    code: 'io',
    message: expect.stringContaining('is full'),
  })
  await Promise.all(blocks.map((block) => store.delete(metaOf(block, 1).key)))
  expect(store.count).toBe(1)
  await store.put(metaOf(12, 1), bodyOf(12))
  disk.faults = () => undefined
  await store.put(metaOf(13, 1), bodyOf(13))
  await store.close()
  const again = await open(disk, 'again')
  expect([...again.entries()].map(({ key }) => key).sort()).toEqual([metaOf(12, 1).key, metaOf(13, 1).key].sort())
})

// --- rot ---

/** A closed store of blocks 0 to 11, and its files. */
async function filled(): Promise<CrashDisk> {
  const disk = new CrashDisk()
  const store = await open(disk)
  for (let block = 0; block < 12; block++) await store.put(metaOf(block, 7), bodyOf(block))
  await store.close()
  return disk
}

test('rot at any byte costs no more than the blocks it is in', async () => {
  const files = (await filled()).files()
  const places = [...files].flatMap(([path, bytes]) => Array.from(bytes, (_, at) => ({ path, at })))
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.constantFrom(...places), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 255 }),
      async (rotten, flip) => {
        const disk = new CrashDisk(new Map([...files].map(([path, bytes]) => [path, bytes.slice()])))
        for (const { path, at } of rotten) disk.files().get(path)![at]! ^= flip
        const store = await open(disk, 'again')
        let lost = 0
        for (let block = 0; block < 12; block++) {
          const { key } = metaOf(block, 7)
          const bytes = await store.get(key)
          if (bytes) expect(bytes).toEqual(bodyOf(block))
          else lost++
          expect(store.meta(key) !== undefined).toBe(bytes !== undefined) // dropped on this occasion
          await store.put(metaOf(block, 7), bodyOf(block))
        }
        expect(lost).toBeLessThanOrEqual(rotten.length)
        // What was put again stays, and what was rotten does not come back.
        await store.close()
        const again = await open(disk, 'third')
        for (let block = 0; block < 12; block++) expect(await again.get(metaOf(block, 7).key)).toEqual(bodyOf(block))
      },
    ),
  )
})

test('a block that looks like records is skipped as a block is, when its head is rotten', async () => {
  const disk = new CrashDisk()
  const store = await open(disk)
  await store.put(metaOf(1, 7), bodyOf(1))
  const marker = Buffer.alloc(8, 'guessed!')
  const evil = encodeHead(marker, { kind: 'delete', key: metaOf(1, 7).key, killed: 9 })
  await store.put({ key: hashKey(evil), sizeBytes: evil.length, expiresAtMs: 7, publisher: 'evil' }, evil)
  await store.put(metaOf(2, 7), bodyOf(2))
  await store.close()
  for (const bytes of disk.files().values()) {
    const at = Buffer.from(bytes.buffer).indexOf(Buffer.from(hashKey(evil), 'hex'))
    if (at >= 0) bytes[at]! ^= 1
  }
  const again = await open(disk, 'again')
  expect([...again.entries()].map(({ key }) => key)).toEqual([metaOf(1, 7).key, metaOf(2, 7).key])
})

test('a delete of a block that is gone from memory only is acknowledged when it is written', async () => {
  const disk = new CrashDisk()
  const store = await open(disk)
  const { key } = metaOf(5, 1)
  await store.put(metaOf(5, 1), bodyOf(5))
  disk.faults = () => 'EIO'
  expect(await store.get(key)).toBeUndefined() // it looks rotten
  await expect(store.delete(key)).rejects.toMatchObject({ code: 'io' })
  disk.faults = () => undefined
  await store.delete(key)
  const again = await open(disk.reboot(seededRandom(1), 'nothing'))
  expect(again.meta(key)).toBeUndefined()
  await again.close()
})

test('a rotten block is not carried on by the cleaner', async () => {
  const disk = new CrashDisk()
  const store = await open(disk)
  for (let block = 0; block < 12; block++) await store.put(metaOf(block, 7), bodyOf(block))
  const [first] = disk.files().values()
  first!.fill(0xff, 64, 120)
  await Promise.all([9, 10, 11, 8, 7].map((block) => store.delete(metaOf(block, 7).key)))
  for (let turn = 0; turn < 50; turn++) await store.extend(metaOf(6, 7).key, 8 + turn)
  expect(disk.made).toContain('remove')
  for (const { key } of [...store.entries()]) expect(hashKey((await store.get(key)) ?? '')).toBe(key)
})

// --- size, versions, locks ---

test('under steady puts and deletes the log stays a small multiple of what is live', async () => {
  const disk = new CrashDisk()
  const store = await open(disk)
  const body = (i: number) => Buffer.alloc(100, `${i} `)
  const size = () => [...disk.files().values()].reduce((sum, bytes) => sum + bytes.length, 0)
  for (let i = 0; i < 2000; i++) {
    const bytes = new Uint8Array(body(i))
    await store.put({ key: hashKey(bytes), sizeBytes: 100, expiresAtMs: i, publisher: 'p' }, bytes)
    if (i >= 50) await store.delete(hashKey(body(i - 50)))
  }
  expect(store.count).toBe(50)
  expect(size()).toBeLessThan(50 * 165 * 1.5 + 8 * SEGMENT_BYTES)
  await store.close()
  expect((await open(disk, 'again')).count).toBe(50)
})

test('a newer format is refused by name', async () => {
  const disk = new CrashDisk(new Map([['store/00000001-0123456789abcdef.blocks2', new Uint8Array(9)]]))
  await expect(open(disk)).rejects.toMatchObject({ code: 'config', message: expect.stringContaining('newer version') })
})

test('files of others in the directory are left alone', async () => {
  const disk = new CrashDisk(new Map([['store/.DS_Store', new Uint8Array(9)]]))
  await (await open(disk)).close()
  expect([...disk.files().keys()]).toEqual(['store/.DS_Store'])
})

test('two never have one store open, and a killed process leaves no lock', async () => {
  const home = mkdtempSync(join(tmpdir(), 'chorale-blocks-'))
  onTestFinished(() => rmSync(home, { recursive: true }))
  const source = fileURLToPath(new URL('../../../../src/dht/store/disk/fs.ts', import.meta.url))
  const hold = `import { nodeFs } from ${JSON.stringify(source)}
    console.log((await nodeFs.lock(${JSON.stringify(home)})) ? 'held' : 'refused'); setInterval(() => {}, 1e6)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', hold], { stdio: ['ignore', 'pipe', 'inherit'] })
  expect(String((await once(child.stdout, 'data'))[0])).toBe('held\n')
  const inUse = { code: 'config', message: expect.stringContaining('is open in another process') }
  await expect(open(nodeFs, 0, home)).rejects.toMatchObject(inUse)
  child.kill('SIGKILL')
  await once(child, 'exit')
  const store = await open(nodeFs, 0, home)
  await expect(open(nodeFs, 0, home)).rejects.toMatchObject(inUse)
  await store.close()
  await (await open(nodeFs, 0, home)).close()
})
