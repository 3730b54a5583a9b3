/** The bulletin board on a fake ring: what is posted is found, by whoever looks, whoever keeps it dies. */
import { afterEach, expect, test } from 'vitest'
import { fakeVerify } from '../../../../sim/fake-keys.ts'
import { errorCode } from '../../../../src/core/errors.ts'
import { MAX_PAGE_OFFERS } from '../../../../src/core/limits.ts'
import { Board } from '../../../../src/market/board/board.ts'
import { decodeOffer, offerId } from '../../../../src/market/offers/offer.ts'
import { boardKey, SLOT_MS } from '../../../../src/market/offers/price-slot.ts'
import { RegisterNetwork, type RegisterNode } from '../../../fakes/registers.ts'
import { HOUR_MS, network, selling } from './offers.ts'

/** Hosts that a test has not stopped, with their boards. */
let ring: RegisterNetwork
const boards = new Map<RegisterNode, Board>()
const never = { signal: new AbortController().signal }

afterEach(async () => {
  for (const board of boards.values()) await ring.ring.until(board.stop())
  boards.clear()
  await ring.stopAll()
})

function boardOn(node: RegisterNode, shards = 2): Board {
  const board = new Board({ env: node.host.env, registers: node.store, network, verify: fakeVerify, shards })
  boards.set(node, board)
  board.start()
  return board
}

async function start(count: number, seed: number, shards = 2): Promise<Board[]> {
  ring = await RegisterNetwork.of({ seed }, count)
  return ring.nodes.map((node) => boardOn(node, shards))
}

const until = <T>(work: Promise<T>): Promise<T> => ring.ring.until(work)
const now = () => ring.ring.hosts[0]!.env.clock.now()
const read = async (board: Board, slot = 0) => (await until(board.read(slot, never))).map(nameOf).sort()
const post = (board: Board, bytes: Uint8Array) => until(board.post(bytes, never))
const failed = (work: Promise<unknown>) => until(work.then(() => 'done', errorCode))
const nameOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const names = (...offers: Uint8Array[]) => offers.map(nameOf).sort()

test('what is posted anywhere is read anywhere, for the first two slots of its window', async () => {
  const all = await start(8, 1)
  const offers = all.map((_, i) => selling(`account ${i}`, 1, { untilMs: 4 * SLOT_MS }))
  for (const [i, board] of all.entries()) await post(board, offers[i]!)
  for (const board of all) expect(await read(board)).toEqual(names(...offers))
  expect(await read(all[0]!, 1)).toEqual(names(...offers))
  expect(await read(all[0]!, 2)).toEqual([])
  expect(all[3]!.counters).toMatchObject({ posts: 2, failedPosts: 0, failedReads: 0 })
})

test('a node alone, and a leaf that has no place in the ring', async () => {
  const [alone] = (await start(1, 2)) as [Board]
  const offer = selling('anna', 1)
  await post(alone, offer)
  expect(await read(alone)).toEqual(names(offer))
  const leaf = boardOn(ring.add())
  await post(leaf, selling('bert', 1))
  expect(await read(leaf)).toEqual(names(offer, selling('bert', 1)))
})

test('what is no offer now is not posted', async () => {
  const [board] = (await start(1, 3)) as [Board]
  for (const bytes of [
    new Uint8Array(9),
    selling('anna', 1, { expiresMs: now() }),
    selling('anna', 1, { network: boardKey(0, 0) }),
    selling('anna', 1, { account: boardKey(0, 0) }),
    selling('anna', 1, { untilMs: 400 * SLOT_MS }),
  ]) {
    expect(await failed(board.post(bytes, never))).toBe('usage')
  }
  expect(await read(board)).toEqual([])
})

test('an offer whose window is days away is posted when its slot comes near', async () => {
  const [board] = (await start(1, 4)) as [Board]
  const far = 20 * SLOT_MS
  const offer = selling('anna', 1, { fromMs: far, untilMs: far + HOUR_MS })
  await post(board, offer)
  expect(await read(board, 20)).toEqual([])
  await ring.ring.run(far - 7 * SLOT_MS - now())
  expect(await read(board, 20)).toEqual(names(offer))
})

test('it goes on when slots change and owners die, until it expires', async () => {
  const all = await start(9, 5)
  const last = all.at(-1)!
  const poster = ring.nodes.at(-1)!
  const [long, short] = [selling('anna', 1, { untilMs: 3 * SLOT_MS }), selling('bert', 1, { expiresMs: HOUR_MS })]
  await post(last, long)
  await post(last, short)
  for (let i = 0; i < 4; i++) {
    const owner = ring.group(boardKey(0, i % 2)).find((node) => node !== poster)!
    ring.ring.kill(owner.host)
    boards.delete(owner)
    const fresh = boardOn(ring.join())
    await ring.ring.run(30_000)
    expect(await read(fresh)).toEqual(names(long, short))
  }
  await ring.ring.run(HOUR_MS)
  expect(await read(last)).toEqual(names(long))
  await ring.ring.run(2 * SLOT_MS - now())
  expect(await read(last, 2)).toEqual(names(long))
  expect(poster.store.local({ name: 'board' } as never, boardKey(0, 0)), 'pages go with their slots').toBeUndefined()
})

test('an offer that all who kept it have lost is put back, and one that is forgotten is not', async () => {
  await start(12, 6, 1)
  const poster = ring.nodes.find((node) => !ring.group(boardKey(0, 0)).includes(node))!
  const [offer, withdrawn] = [selling('anna', 1), selling('anna', 2)]
  const board = boards.get(poster)!
  await post(board, offer)
  await post(board, withdrawn)
  const decoded = decodeOffer(withdrawn)
  if (typeof decoded !== 'string') board.forget(offerId(decoded))
  for (const node of ring.group(boardKey(0, 0))) {
    ring.ring.kill(node.host)
    boards.delete(node)
  }
  await ring.ring.run(30_000)
  expect(await read(board)).toEqual([])
  await ring.ring.run(HOUR_MS)
  expect(await read(board)).toEqual(names(offer))
})

test('a flood of one account leaves room, and who finds none is told', async () => {
  const all = await start(6, 7, 1)
  for (let i = 0; i < 40; i++) await failed(all[i % 6]!.post(selling('flood', i), never))
  const first = selling('anna', 1)
  await post(all[1]!, first)
  expect(await read(all[2]!)).toContain(nameOf(first))
  const accounts = Array.from({ length: 3 * MAX_PAGE_OFFERS }, (_, i) => selling(`account ${i}`, 1))
  const outcomes = await until(
    Promise.all(accounts.map((offer) => all[0]!.post(offer, never).then(() => 'done', errorCode))),
  )
  expect(new Set(outcomes)).toEqual(new Set(['done', 'limit']))
  expect(all[0]!.counters.crowdedOut).toBeGreaterThan(0)
  const there = await read(all[3]!)
  expect(there.length).toBe(MAX_PAGE_OFFERS)
  accounts.forEach((offer, i) => {
    if (outcomes[i] === 'limit') expect(there).not.toContain(nameOf(offer))
  })
  await ring.ring.run(30_000)
  for (const node of ring.group(boardKey(0, 0))) expect(await read(boards.get(node)!)).toEqual(there)
})

test('an aborted call ends, and with no answer there is nothing to read', async () => {
  const all = await start(6, 8)
  ring.ring.loss = 1
  const controller = new AbortController()
  const asked = failed(all[0]!.read(0, { signal: controller.signal }))
  controller.abort(new Error('enough'))
  expect(await asked).not.toBe('done')
  expect(await failed(all[0]!.read(0, never))).not.toBe('done')
  expect(all[0]!.counters.failedReads).toBeGreaterThan(0)
  ring.ring.loss = 0
})
