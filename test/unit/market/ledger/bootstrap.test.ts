import type { CID } from 'multiformats/cid'
import { beforeAll, expect, test } from 'vitest'
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import { MemoryChain } from '../../../../sim/ledger/memory-chain.ts'
import { decode, encode } from '../../../../src/core/cbor.ts'
import { silentLogger } from '../../../../src/core/env.ts'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { MAX_SNAPSHOT_CHUNKS } from '../../../../src/core/limits.ts'
import { systemEnv } from '../../../../src/core/system.ts'
import { cidOf } from '../../../../src/dht/cid.ts'
import { audit, type Stand } from '../../../../src/market/ledger/audit.ts'
import { bootstrap } from '../../../../src/market/ledger/bootstrap.ts'
import { Chain } from '../../../../src/market/ledger/chain.ts'
import type { FinalRun } from '../../../../src/market/ledger/consensus/messages.ts'
import { decodeRun, Epochs } from '../../../../src/market/ledger/messages.ts'
import { decodeEpochHeader, type EpochHeader } from '../../../../src/market/ledger/receipt/epochs.ts'
import { putSnapshot, type SnapshotBlocks } from '../../../../src/market/ledger/snapshot-blocks.ts'
import { type Action, signersOf, signOperation } from '../../../../src/market/ledger/state/operation.ts'
import { snapshotChunks } from '../../../../src/market/ledger/state/snapshot.ts'
import { type State, stateRoot } from '../../../../src/market/ledger/state/state.ts'
import { contactAt } from '../../../../src/net/contact.ts'
import { SoleLedger } from '../../../fakes/ledger.ts'
import { genesisWith } from './books.ts'

class FakeBlocks implements SnapshotBlocks {
  readonly held = new Map<string, Uint8Array>()
  puts = 0

  async put(cid: CID, bytes: Uint8Array): Promise<void> {
    this.puts++
    this.held.set(`${cid}`, bytes)
  }

  async get(cid: CID): Promise<Uint8Array> {
    const bytes = this.held.get(`${cid}`)
    if (!bytes) throw new ChoraleError('not-found', `nobody here has ${cid}`)
    return bytes
  }

  async extend(cids: readonly CID[]): Promise<CID[]> {
    return cids.filter((cid) => !this.held.has(`${cid}`))
  }
}

/** A chain of three epochs that are over, and one that is not. The state is another at the end of each. */
class LongChain {
  readonly ledger: SoleLedger
  readonly chain: Chain
  /** By epoch. */
  readonly ends: State[] = []

  constructor(ledger: SoleLedger) {
    this.ledger = ledger
    this.chain = new Chain(ledger.genesis, new MemoryChain(), fakeVerify)
    this.chain.events.on('epoch', (state) => this.ends.push(state))
    for (const run of ledger.runs) this.chain.append(run)
  }

  get headers(): Uint8Array[] {
    return this.chain.store.epochHeaders(Number.MAX_SAFE_INTEGER)
  }

  /** Runs above the end of an epoch. */
  runsAfter(epoch: number): FinalRun[] {
    const above = this.ends[epoch]!.height
    const all = { maxRuns: 1000, maxBytes: 1e9 }
    return this.chain.store.runs(above + 1, all).map(({ bytes }) => decodeRun(bytes)!)
  }
}

async function longChain(banker: number): Promise<LongChain> {
  const ledger = new SoleLedger(genesisWith([banker]), fakeKeyPair(`banker ${banker}`))
  const act = async (name: string, action: Action) => {
    const { publicKey: account } = fakeKeyPair(name)
    const nonce = ledger.state.accounts.get(account)?.nonce ?? 0
    const unsigned = { network: ledger.network, account, nonce, action }
    expect(signersOf(unsigned)).toEqual([account])
    const { result } = await ledger.submit(signOperation(unsigned, [fakeKeyPair(name)]))
    expect(result).toBe('applied')
  }
  for (let epoch = 0; epoch < 3; epoch++) {
    await act(`user ${epoch}`, { kind: 'open' })
    await act(`friend ${epoch}`, { kind: 'open' })
    ledger.nowMs += 3_600_000
    await act(`owner ${banker}`, { kind: 'end-epoch' })
  }
  await act('late', { kind: 'open' })
  return new LongChain(ledger)
}

let long: LongChain
let foreign: LongChain
/** Of the last end of an epoch. */
let chunks: Uint8Array[]
beforeAll(async () => {
  long = await longChain(1)
  foreign = await longChain(2)
  chunks = [...snapshotChunks(long.ends[2]!)]
})

const SHORT_CHAIN = 3
const placeOf = (number: number) =>
  contactAt({ peer: `peer ${number}`, ip: `10.0.0.${number + 1}`, port: 4001, incarnation: 1 }, 0)

interface World {
  readonly blocks: FakeBlocks
  /** What each neighbour tells of epochs. */
  readonly headers?: readonly (readonly Uint8Array[])[]
  /** What the banker offers, time after time. */
  readonly offer?: { readonly epoch: number; readonly root: string }
  readonly hurried?: boolean
  readonly store?: MemoryChain
}

/** The chain of one that has joined. One header is on a page. */
async function joined({ blocks, headers = [long.headers], offer, hurried = false, store }: World): Promise<Chain> {
  const chain = new Chain(long.ledger.genesis, store ?? new MemoryChain(), fakeVerify)
  const courier = {
    request: async (to: { peer: string }, kind: unknown, { from }: { from: number }) => {
      expect(kind).toBe(Epochs)
      const told = headers[Number(to.peer.split(' ')[1])]
      if (!told) throw new ChoraleError('unreachable', 'nobody is there')
      return { headers: told.slice(from, from + 1) }
    },
    ask: async (_: unknown, kind: unknown, { from }: { from: number }) => {
      if (kind === Epochs) return { headers: long.headers.slice(from, from + 1) }
      if (!offer) throw new ChoraleError('not-found', 'there is none')
      return offer
    },
  } as never
  const env = systemEnv(silentLogger)
  const parts = { verify: fakeVerify, shortChain: SHORT_CHAIN, isHurried: () => hurried, leave: async () => {} }
  const neighbours = () => headers.map((_, number) => placeOf(number))
  await bootstrap({ env, chain, courier, blocks, neighbours, ...parts }, placeOf(0), new AbortController().signal)
  return chain
}

async function put(blocks: FakeBlocks, what: Iterable<Uint8Array>): Promise<string> {
  return `${await putSnapshot(blocks, what, {})}`
}

function expectNothing(chain: Chain): void {
  expect([chain.tip.height, chain.store.height, chain.store.base, chain.store.snapshot()]).toEqual([0, 0, 0, undefined])
}

test('a joiner begins at the end of the last epoch, follows from there, and finds it all again', async () => {
  const blocks = new FakeBlocks()
  const store = new MemoryChain()
  const chain = await joined({ blocks, store, offer: { epoch: 3, root: await put(blocks, chunks) } })
  const end = long.ends[2]!
  expect([chain.tip.height, chain.tip.view, chain.epoch]).toEqual([9, 0, 3])
  expect(stateRoot(chain.state)).toBe(stateRoot(end))
  expect([store.base, store.height, store.epochHeaders(9)]).toEqual([9, 9, long.headers])
  expect(store.runs(1, { maxRuns: 9, maxBytes: 1e6 })).toEqual([])
  for (const run of long.runsAfter(2)) expect(chain.append(run)).toBe(true)
  expect(stateRoot(chain.state)).toBe(stateRoot(long.chain.state))

  const again = new Chain(chain.genesis, store, fakeVerify)
  again.replay()
  expect([again.tip, again.base, store.height]).toEqual([chain.tip, chain.base, chain.tip.height])
  expect(stateRoot(again.state)).toBe(stateRoot(chain.state))

  // A later snapshot that is rotten is passed over; where the chain stands on nothing, it begins anew.
  await store.keepSnapshot(10, [new Uint8Array(5)])
  const older = new Chain(chain.genesis, store, fakeVerify)
  older.replay()
  expect([older.tip, store.height]).toEqual([chain.tip, chain.tip.height])
  await store.keepSnapshot(9, [new Uint8Array(5)])
  const lost = new Chain(chain.genesis, store, fakeVerify)
  lost.replay()
  expectNothing(lost)
  expect(store.height, 'it is cut off').toBe(0)
})

test('what others have put is not put again, and chunks that did not change are shared', async () => {
  const blocks = new FakeBlocks()
  const root = await put(blocks, chunks)
  const { puts } = blocks
  expect(puts).toBe(chunks.length + 1)
  expect(await put(blocks, chunks)).toBe(root)
  expect(blocks.puts).toBe(puts)
  blocks.held.delete(root)
  await put(blocks, chunks)
  expect(blocks.puts).toBe(puts + 1)
})

test('a byte that was changed in any chunk is found', async () => {
  expect(chunks.length).toBeGreaterThan(3)
  for (const [index, chunk] of chunks.entries()) {
    for (let at = 0; at < chunk.length; at += Math.ceil(chunk.length / 40)) {
      const blocks = new FakeBlocks()
      const changed = chunks.with(index, chunk.with(at, chunk[at]! ^ 1))
      expectNothing(await joined({ blocks, offer: { epoch: 3, root: await put(blocks, changed) } }))
    }
  }
})

const linked = (count: number) => encode({ v: 1, chunks: new Array(count).fill(cidOf('raw', new Uint8Array(1))) })

test.each<[string, (blocks: FakeBlocks) => Promise<string> | string]>([
  ['a chunk is left out', (blocks) => put(blocks, chunks.slice(0, -1))],
  ['a chunk is there twice', (blocks) => put(blocks, [...chunks, chunks.at(-1)!])],
  ['a chunk is of another network', (blocks) => put(blocks, chunks.with(1, [...snapshotChunks(foreign.ends[2]!)][1]!))],
  ['a chunk is of an older state', (blocks) => put(blocks, chunks.with(1, [...snapshotChunks(long.ends[1]!)][1]!))],
  ['it is of another network', (blocks) => put(blocks, snapshotChunks(foreign.ends[2]!))],
  ['it is of an older state', (blocks) => put(blocks, snapshotChunks(long.ends[1]!))],
  ['it is of a later state', (blocks) => put(blocks, snapshotChunks(long.chain.state))],
  ['it has no chunk', (blocks) => put(blocks, [])],
  ['it has a chunk that is too long', (blocks) => put(blocks, chunks.with(1, new Uint8Array(300 * 1024)))],
  ['its root is a chunk', (blocks) => put(blocks, chunks).then(() => `${cidOf('dag-cbor', chunks[0]!)}`)],
  ['its root is nowhere', () => `${cidOf('dag-cbor', new Uint8Array(7))}`],
  ['its root has no name', () => 'root'],
  [
    'nobody has a chunk',
    async (blocks) => {
      const root = await put(blocks, chunks)
      blocks.held.delete(`${cidOf('dag-cbor', chunks[1]!)}`)
      return root
    },
  ],
  [
    'it has too many chunks',
    async (blocks) => {
      const bytes = linked(MAX_SNAPSHOT_CHUNKS + 1)
      await blocks.put(cidOf('dag-cbor', bytes), bytes)
      await blocks.put(cidOf('raw', new Uint8Array(1)), new Uint8Array(1))
      return `${cidOf('dag-cbor', bytes)}`
    },
  ],
])('a snapshot is refused when %s, and nothing of it stays', async (_, spoilt) => {
  const blocks = new FakeBlocks()
  expectNothing(await joined({ blocks, offer: { epoch: 3, root: await spoilt(blocks) } }))
})

test('an old end of an epoch is good, if nobody tells of a newer one', async () => {
  const blocks = new FakeBlocks()
  const old = { epoch: 2, root: await put(blocks, snapshotChunks(long.ends[1]!)) }
  const chain = await joined({ blocks, offer: old, headers: [long.headers.slice(0, 2)] })
  expect([chain.tip.height, chain.epoch]).toEqual([6, 2])
  for (const run of long.runsAfter(1)) chain.append(run)
  expect(stateRoot(chain.state)).toBe(stateRoot(long.chain.state))

  // Of several hosts the one that knows most counts, and who offers a newer one is asked for its headers.
  const last = { epoch: 3, root: await put(blocks, chunks) }
  const many = [long.headers.slice(0, 1), [], long.headers, long.headers.slice(0, 2)]
  expect((await joined({ blocks, offer: last, headers: many })).epoch).toBe(3)
  expect((await joined({ blocks, offer: last, headers: [long.headers.slice(0, 1)] })).epoch).toBe(3)
  expectNothing(await joined({ blocks, offer: { ...last, epoch: 4 } }))
  expectNothing(await joined({ blocks, offer: { ...last, epoch: 2 } }))
  expectNothing(await joined({ blocks, offer: { ...last, epoch: 0 } }))
})

test('headers of another network, and such as are spoilt, lead nowhere; others may', async () => {
  const blocks = new FakeBlocks()
  const offer = { epoch: 3, root: await put(blocks, chunks) }
  const { headers } = long
  const spoilt = (index: number, change: (header: EpochHeader) => object) =>
    headers.with(index, encode(change(decodeEpochHeader(headers[index]!)!)))
  const bad = [
    foreign.headers,
    headers.slice(1),
    spoilt(0, ({ certificate, ...rest }) => ({ ...rest, certificate: [] })),
    spoilt(0, ({ header, ...rest }) => ({ ...rest, header: { ...header, stateRoot: header.parent } })),
    spoilt(0, ({ next, ...rest }) => ({ ...rest, next: [fakeKeyPair('liar').publicKey] })),
    [new Uint8Array(9)],
  ]
  for (const told of bad) expectNothing(await joined({ blocks, offer, headers: [told] }))
  expect((await joined({ blocks, offer, headers: [...bad, headers] })).epoch).toBe(3)
})

test('a chain that is short, that somebody waits at, or that has no snapshot is followed from its beginning', async () => {
  const blocks = new FakeBlocks()
  const offer = { epoch: 3, root: await put(blocks, chunks) }
  expectNothing(await joined({ blocks }))
  expectNothing(await joined({ blocks, offer, hurried: true }))
  const early = { epoch: 1, root: await put(blocks, snapshotChunks(long.ends[0]!)) }
  expect((await joined({ blocks, offer: early, headers: [long.headers.slice(0, 1)] })).tip.height).toBe(SHORT_CHAIN)
  expectNothing(await joined({ blocks, offer: early, headers: [[]] }))
})

test('power that goes before the end leaves a chain that begins anew', async () => {
  const blocks = new FakeBlocks()
  const offer = { epoch: 3, root: await put(blocks, chunks) }
  const store = new MemoryChain()
  store.begin = () => {
    throw new ChoraleError('io', 'power')
  }
  const chain = await joined({ blocks, offer, store })
  expectNothing(chain)
  const again = new Chain(chain.genesis, store, fakeVerify)
  again.replay()
  expect(again.tip.height).toBe(0)
  for (const run of long.ledger.runs) again.append(run)
  expect(stateRoot(again.state)).toBe(stateRoot(long.chain.state))
})

test('the audit of such a chain checks what it stands on, and says so', async () => {
  async function* each(runs: readonly FinalRun[]) {
    yield* runs
  }
  const { genesis } = long.ledger
  const good: Stand = { epochHeaders: long.headers, chunks }
  const check = (stand: Partial<Stand>) => audit(genesis, each(long.runsAfter(2)), fakeVerify, { ...good, ...stand })
  const { minted } = long.chain.state
  expect(await check({})).toMatchObject({
    base: 9,
    height: 10,
    epoch: 3,
    operations: 1,
    held: minted,
    fault: undefined,
  })
  expect(await check({ epochHeaders: [] })).toMatchObject({ height: 0, fault: expect.stringContaining('no header') })
  const older = { epochHeaders: long.headers.slice(0, 2) }
  expect((await check(older)).fault).toBe('the snapshot is not that of the state root')
  expect((await check({ ...older, chunks: snapshotChunks(long.ends[1]!) })).fault).toMatch(
    /^block 10: it follows block 6$/,
  )
  expect((await check({ chunks: chunks.slice(1) })).fault).toBe('the snapshot does not begin with its books')
  expect((await check({ epochHeaders: foreign.headers })).fault).toMatch(/^the last header of epoch 0: /)
  expect((await check({ epochHeaders: long.headers.with(1, new Uint8Array(3)) })).fault).toMatch(/epoch 1 is none$/)
  const changed = decode(long.headers[2]!) as EpochHeader
  const forged = encode({ ...changed, header: { ...changed.header, stateRoot: changed.header.parent } })
  expect((await check({ epochHeaders: long.headers.with(2, forged) })).fault).toMatch(/epoch 2: bad-signature: /)
})
