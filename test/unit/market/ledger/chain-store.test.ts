import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryChain } from '../../../../sim/ledger/memory-chain.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { openChainDb } from '../../../../src/market/ledger/chain-db.ts'
import type { ChainStore, Posting } from '../../../../src/market/ledger/chain-store.ts'
import type { Evidence } from '../../../../src/market/ledger/consensus/messages.ts'

function temporaryFile(): string {
  const directory = mkdtempSync(join(tmpdir(), 'chain-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return join(directory, 'chain.db')
}

const [ANNA, BEN] = [hashKey('anna'), hashKey('ben')]
const bytesOf = (height: number) => new Uint8Array(100).fill(height)
const all = { maxRuns: 100, maxBytes: 1e6 }

/** Runs of one, two, one, two ... blocks; in each block anna pays ben. */
function filled(store: ChainStore, runs: number): ChainStore {
  for (let run = 0, height = 0; run < runs; run++) {
    const firstHeight = height + 1
    height += 1 + (run % 2)
    const postings: Posting[] = []
    for (let at = firstHeight; at <= height; at++) {
      const place = { height: at, index: 0, granted: 0n }
      postings.push(
        { ...place, account: ANNA, nonce: at, free: -(2n ** 62n) },
        { ...place, account: BEN, nonce: undefined, free: 2n ** 62n },
      )
    }
    const header = run % 3 === 2 ? bytesOf(200 + run) : undefined
    store.append({ firstHeight, lastHeight: height, bytes: bytesOf(height) }, postings, header)
  }
  return store
}

const stores = [
  { name: 'on disk', open: () => openChainDb(temporaryFile()) },
  { name: 'in memory', open: () => new MemoryChain() },
]

test.each(stores)('a chain $name gives back runs, postings, headers and evidence', ({ open }) => {
  const store = filled(open(), 10)
  expect(store.height).toBe(15)
  expect(store.runs(1, all).map(({ lastHeight }) => lastHeight)).toEqual([1, 3, 4, 6, 7, 9, 10, 12, 13, 15])
  expect(store.runs(5, { maxRuns: 2, maxBytes: 1e6 })).toMatchObject([
    { firstHeight: 5, lastHeight: 6, bytes: bytesOf(6) },
    { firstHeight: 7, lastHeight: 7, bytes: bytesOf(7) },
  ])
  expect(store.runs(5, { maxRuns: 9, maxBytes: 250 })).toHaveLength(2)
  expect(store.runs(5, { maxRuns: 9, maxBytes: 0 })).toHaveLength(1)
  expect(store.runs(16, all)).toEqual([])

  const last = store.postings(ANNA, { limit: 3 })
  expect(last).toMatchObject([
    { account: ANNA, height: 15, index: 0, nonce: 15, free: -(2n ** 62n), granted: 0n },
    { height: 14 },
    { height: 13 },
  ])
  expect(store.postings(BEN, { limit: 2, before: { height: 3, index: 0 } })).toMatchObject([
    { height: 2, nonce: undefined, free: 2n ** 62n },
    { height: 1 },
  ])
  expect(store.askedWith(ANNA, 4)).toMatchObject([{ height: 4, index: 0 }])
  expect(store.askedWith(BEN, 4)).toEqual([])
  expect(store.epochHeaders(2)).toEqual([bytesOf(202), bytesOf(205)])
  expect(store.epochHeaders(9)).toHaveLength(3)

  store.cut(7)
  expect(store.height).toBe(7)
  expect(store.postings(ANNA, { limit: 1 })).toMatchObject([{ height: 7 }])
  expect(store.epochHeaders(9)).toHaveLength(1)

  const evidence = { member: 2, view: 7 } as unknown as Evidence
  store.keepEvidence(3, BEN, evidence)
  store.keepEvidence(3, BEN, { ...evidence, view: 8 })
  expect(store.evidence()).toMatchObject([{ epoch: 3, host: BEN, evidence: { view: 7 } }])
  store.close()
})

test.each(stores)('a snapshot $name replaces the one before, and is none before it is whole', async ({ open }) => {
  const store = filled(open(), 10)
  expect(store.snapshot()).toBeUndefined()
  await store.keepSnapshot(3, [bytesOf(1), bytesOf(2)])
  await store.keepSnapshot(9, [bytesOf(3)])
  const broken = (function* () {
    yield bytesOf(4)
    throw new Error('power')
  })()
  await expect(store.keepSnapshot(12, broken)).rejects.toThrow('power')
  const found = store.snapshot()!
  expect([found.height, [...found.chunks]]).toEqual([9, [bytesOf(3)]])
  store.cut(7)
  expect(store.snapshot(), 'of a chain that is not there any more').toBeUndefined()
  store.close()
})

test.each(stores)('a chain $name may begin at the end of an epoch', async ({ open }) => {
  const store = open()
  await store.keepSnapshot(20, [bytesOf(1)])
  expect([store.snapshot(), store.height], 'of no chain yet').toEqual([undefined, 0])
  await store.keepSnapshot(30, [bytesOf(2), bytesOf(3)])
  store.begin(30, [bytesOf(201), bytesOf(202)])
  expect([store.base, store.height]).toEqual([30, 30])
  expect(() => store.begin(40, [])).toThrow('cannot begin')
  const chunksAt = (height?: number) => {
    const found = store.snapshot(height)
    return found && [found.height, ...found.chunks]
  }
  expect(chunksAt()).toEqual([30, bytesOf(2), bytesOf(3)])
  const run = (height: number) => ({ firstHeight: height, lastHeight: height, bytes: bytesOf(height) })
  store.append(run(31), [], bytesOf(203))
  store.append(run(32), [], undefined)
  store.append(run(33), [], bytesOf(204))
  expect(store.runs(31, all)).toHaveLength(3)
  expect(store.runs(30, all), 'what follows is not what was asked for').toEqual([])
  expect(store.epochHeaders(9)).toEqual([201, 202, 203, 204].map(bytesOf))
  expect(store.epochHeaders(3, 2)).toEqual([bytesOf(203)])

  // Beside the latest, those of the base and of the last epoch's end stay.
  for (const height of [31, 32, 33]) await store.keepSnapshot(height, [bytesOf(height)])
  store.append(run(34), [], undefined)
  await store.keepSnapshot(34, [bytesOf(34)])
  expect(chunksAt()).toEqual([34, bytesOf(34)])
  expect(chunksAt(33)).toEqual([33, bytesOf(33)])
  expect(chunksAt(32)).toEqual([30, bytesOf(2), bytesOf(3)])
  expect(chunksAt(29)).toBeUndefined()

  store.cut(30)
  expect([store.base, store.height, chunksAt()]).toEqual([30, 30, [30, bytesOf(2), bytesOf(3)]])
  expect(store.epochHeaders(9)).toHaveLength(2)
  store.cut(29)
  expect([store.base, store.height, chunksAt(), store.epochHeaders(9)]).toEqual([0, 0, undefined, []])
  store.begin(7, [bytesOf(201)])
  expect(store.base).toBe(7)
  store.close()
})

test('a chain on disk begins at once or not at all, and does so only once', async () => {
  const file = temporaryFile()
  const store = openChainDb(file)
  await store.keepSnapshot(30, [bytesOf(2)])
  expect(() => store.begin(30, [bytesOf(201), undefined as never])).toThrow()
  expect([store.base, store.height, store.epochHeaders(9)]).toEqual([0, 0, []])
  store.close()
  const again = openChainDb(file)
  expect([again.base, again.height, again.snapshot(), again.epochHeaders(9)]).toEqual([0, 0, undefined, []])
  again.begin(30, [bytesOf(201)])
  again.close()
  const third = openChainDb(file)
  expect([third.base, third.height, third.epochHeaders(9)]).toEqual([30, 30, [bytesOf(201)]])
  expect([...third.snapshot()!.chunks]).toEqual([bytesOf(2)])
  third.close()
})

test('a chain on disk is there after a restart, up to what is rotten', () => {
  const file = temporaryFile()
  filled(openChainDb(file), 10).close()
  const again = openChainDb(file)
  expect(again.height).toBe(15)
  expect(again.runs(1, all)).toHaveLength(10)
  again.close()
  const database = new DatabaseSync(file)
  database.exec(`UPDATE runs SET bytes = x'${'00'.repeat(100)}' WHERE last = 7`)
  database.close()
  const rotten = openChainDb(file)
  expect(rotten.runs(1, all).map(({ lastHeight }) => lastHeight)).toEqual([1, 3, 4, 6])
  rotten.close()
})

test.each([
  ['at its beginning', 0],
  ['further on', 8192],
])('a file that is damaged %s says what is lost and what is not, and what to do', (_, from) => {
  const file = temporaryFile()
  filled(openChainDb(file), 200).close()
  const bytes = readFileSync(file)
  expect(bytes.length).toBeGreaterThan(2 * from)
  writeFileSync(file, bytes.fill(0xa5, from))
  const line =
    /is damaged, the wallet is not: move .* away, .* fetches the chain again; with a seat, read .*docs\/ledger\.md/
  expect(() => openChainDb(file).runs(1, all)).toThrow(
    expect.objectContaining({ code: 'config', message: expect.stringMatching(line) }),
  )
})

test('a disk that fails is no damage', () => {
  expect(() => openChainDb(join(temporaryFile(), 'nowhere'))).toThrow(expect.objectContaining({ code: 'io' }))
})

test('a chain that is being read says that it is not synced to its end', () => {
  const file = temporaryFile()
  const store = filled(openChainDb(file), 2)
  const reader = new DatabaseSync(file)
  const rows = reader.prepare('SELECT * FROM runs').iterate()
  rows.next()
  store.append({ firstHeight: 4, lastHeight: 4, bytes: bytesOf(4) }, [], undefined)
  expect(store.sync()).toBe(false)
  rows.return?.()
  expect(store.sync()).toBe(true)
  reader.close()
  store.close()
})

test('a directory that is not there is an error with a remedy', () => {
  expect(() => openChainDb(join(temporaryFile(), 'nowhere', 'chain.db'))).toThrow('check the disk')
})
