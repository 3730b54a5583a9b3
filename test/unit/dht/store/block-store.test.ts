import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { CrashDisk } from '../../../../sim/crash-disk.ts'
import { silentLogger } from '../../../../src/core/env.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import type { BlockStore } from '../../../../src/dht/blocks.ts'
import { openDiskStore } from '../../../../src/dht/store/disk/disk-store.ts'
import { nodeFs } from '../../../../src/dht/store/disk/fs.ts'
import { MemoryBlocks } from '../../../../src/dht/store/memory-blocks.ts'
import { bodyOf, metaOf, StoreModel, someWaves } from './store-model.ts'

const random = seededRandom('block store')
const disk = (dir: string, fs: CrashDisk | typeof nodeFs, capacityBytes: number) =>
  openDiskStore({ dir, fs, capacityBytes, random, log: silentLogger, segmentBytes: 2000 })

const STORES: readonly (readonly [name: string, open: (capacityBytes: number) => Promise<BlockStore>])[] = [
  ['in memory', async (capacityBytes) => new MemoryBlocks(capacityBytes)],
  ['on a disk of the tests', (capacityBytes) => disk('store', new CrashDisk(), capacityBytes)],
  [
    'on a real disk',
    (capacityBytes) => {
      const home = mkdtempSync(join(tmpdir(), 'chorale-blocks-'))
      onTestFinished(() => rmSync(home, { recursive: true }))
      return disk(join(home, 'blocks'), nodeFs, capacityBytes)
    },
  ],
]

/** One test for each store. */
function each(name: string, run: (store: BlockStore) => Promise<void>, capacityBytes = 1e6): void {
  for (const [where, open] of STORES) {
    test(`${name}: ${where}`, async () => {
      const store = await open(capacityBytes)
      await run(store)
      await store.close()
    })
  }
}

each('a block is given back, with what is known of it', async (store) => {
  const meta = metaOf(1, 500)
  await store.put(meta, bodyOf(1))
  expect(await store.get(meta.key)).toEqual(bodyOf(1))
  expect(store.meta(meta.key)).toMatchObject(meta)
  expect([...store.entries()]).toMatchObject([meta])
  expect([store.count, store.bytes, store.capacityBytes]).toEqual([1, bodyOf(1).length, 1e6])
})

each('a block that is not here', async (store) => {
  const { key } = metaOf(1, 500)
  expect([store.meta(key), await store.get(key), await store.extend(key, 900)]).toEqual([undefined, undefined, false])
  await store.delete(key)
  expect(store.count).toBe(0)
})

each('an empty block is a block', async (store) => {
  const empty = new Uint8Array(0)
  await store.put({ key: hashKey(empty), sizeBytes: 0, expiresAtMs: 1, publisher: '' }, empty)
  expect(await store.get(hashKey(empty))).toEqual(empty)
})

each('leases only get longer, whoever puts it again', async (store) => {
  const { key } = metaOf(1, 0)
  const lease = () => store.meta(key)?.expiresAtMs
  await store.put(metaOf(1, 500), bodyOf(1))
  await store.put({ ...metaOf(1, 400), publisher: 'another' }, bodyOf(1))
  expect(lease()).toBe(500)
  await store.put({ ...metaOf(1, 600), publisher: 'another' }, bodyOf(1))
  expect([lease(), store.meta(key)?.publisher]).toEqual([600, metaOf(1, 0).publisher])
  expect([await store.extend(key, 550), lease()]).toEqual([true, 600])
  expect([await store.extend(key, 700), lease()]).toEqual([true, 700])
  await store.delete(key)
  await store.put(metaOf(1, 100), bodyOf(1))
  expect(lease()).toBe(100)
})

each(
  'a full store refuses, and takes again what fits',
  async (store) => {
    await store.put(metaOf(5, 1), bodyOf(5))
    const both = await Promise.allSettled([8, 7].map((block) => store.put(metaOf(block, 1), bodyOf(block))))
    expect(both).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'limit' } }])
    expect(store.meta(metaOf(7, 1).key)).toBeUndefined()
    await store.put(metaOf(8, 9), bodyOf(8)) // known: a lease takes no room
    await store.delete(metaOf(5, 1).key)
    await store.put(metaOf(7, 1), bodyOf(7))
    expect([store.count, store.bytes]).toEqual([2, 232 + 203])
  },
  450,
)

each('does what the model does', async (store) => {
  const model = new StoreModel()
  await model.run(store, someWaves(seededRandom('model'), 150))
  expect(await model.adopt(store)).toEqual([])
})

each('a closed store refuses', async (store) => {
  const { key } = metaOf(1, 500)
  await store.close()
  const answers = [store.put(metaOf(1, 500), bodyOf(1)), store.get(key), store.extend(key, 1), store.delete(key)]
  for (const answer of answers) await expect(answer).rejects.toMatchObject({ code: 'aborted' })
})

each('bytes of another length than said are our own mistake', async (store) => {
  const put = async () => store.put({ ...metaOf(1, 1), sizeBytes: 3 }, bodyOf(1))
  await expect(put()).rejects.toMatchObject({ code: 'internal' })
  expect(store.count).toBe(0)
})
