/** CAR files: out and in again, by the library's own reader and writer, and cut at every byte. */
import { CarReader, CarWriter } from '@ipld/car'
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { expect, test } from 'vitest'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { MAX_BLOCK_BYTES } from '../../../../src/core/limits.ts'
import { cidOf } from '../../../../src/dht/cid.ts'
import { Files } from '../../../../src/dht/store/files/files.ts'
import { allOf, bytesOf, each, failure, MemoryIo, patterned, pieces } from '../../../fakes/block-io.ts'

const text = (value: string) => new TextEncoder().encode(value)
const SMALL = { 'a/b': 'one', 'a/c': 'two', d: 'one', e: '' }

async function smallTree(files: Files): Promise<CID> {
  const entries = Object.entries(SMALL).map(([path, content]) => ({ path, content: each([text(content)]) }))
  return (await files.addTree(each(entries))).cid
}

/** A CAR file of whatever blocks, as others write it. */
async function carOf(roots: CID[], blocks: readonly { cid: CID; bytes: Uint8Array }[]): Promise<Uint8Array> {
  const { writer, out } = CarWriter.create(roots)
  const writing = (async () => {
    for (const block of blocks) await writer.put(block)
    await writer.close()
  })()
  const bytes = await bytesOf(out)
  await writing
  return bytes
}

test('a DAG goes out depth first, each block once, always the same, and comes in again', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const cid = await smallTree(files)
  const car = await bytesOf(files.exportCar(cid))
  let turn = 0
  io.delay = () => (turn = (turn * 5 + 3) % 7) // the order must not depend on who answers first
  for (let i = 0; i < 5; i++) expect(await bytesOf(files.exportCar(cid))).toEqual(car)
  const reader = await CarReader.fromBytes(car)
  expect((await reader.getRoots()).map(String)).toEqual([cid.toString()])
  const order = (await allOf(reader.blocks())).map((block) => block.cid.toString())
  expect(new Set(order).size).toBe(order.length)
  expect(order).toEqual((await allOf(files.blocksOf(cid))).map(String))
  expect(order.slice(0, 3)).toEqual(
    [cid, await files.resolve(`${cid}/a`), await files.resolve(`${cid}/a/b`)].map(String),
  )

  const other = new MemoryIo()
  const imported = await new Files(other).importCar(pieces(car, [1, 2, 30]))
  expect(imported.roots.map(String)).toEqual([cid.toString()])
  expect(imported.blocks).toBe(order.length)
  expect([...other.blocks.keys()].sort()).toEqual([...io.blocks.keys()].sort())
})

test('a large file goes through both ways as a stream', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const bytes = patterned(200 * 262_144 + 5)
  const { cid, blocks } = await files.addFile(pieces(bytes))
  const other = new Files(new MemoryIo())
  expect((await other.importCar(files.exportCar(cid))).blocks).toBe(blocks)
  expect(Buffer.from(await bytesOf(other.cat(cid))).equals(bytes)).toBe(true)
})

test('the blocks of a file are named without fetching its leaves', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const { cid, blocks } = await files.addFile(pieces(patterned(400 * 262_144)))
  io.asked.length = 0
  expect(await allOf(files.blocksOf(cid))).toHaveLength(blocks)
  expect(io.asked).toHaveLength(blocks - 400)
})

test('a CAR cut at any byte is refused, and its roots are never told', async () => {
  const files = new Files(new MemoryIo())
  const cid = await smallTree(files)
  const car = await bytesOf(files.exportCar(cid))
  for (let end = 0; end < car.length; end++) {
    const told = await failure(new Files(new MemoryIo()).importCar(pieces(car.subarray(0, end), [7])))
    expect(told, `cut at ${end} of ${car.length}`).toMatch(/^bad-message: the CAR is cut short/)
  }
  expect(await failure(new Files(new MemoryIo()).importCar(each([car])))).toBe('done')
})

test('a partial CAR is complete with what the overlay has, and only then', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const cid = await smallTree(files)
  const all = await allOf((await CarReader.fromBytes(await bytesOf(files.exportCar(cid)))).blocks())
  const partial = await carOf([cid], all.slice(0, 1))
  expect((await files.importCar(each([partial]))).roots.map(String)).toEqual([cid.toString()])
  const lacking = new MemoryIo()
  for (const { bytes } of all.slice(0, -1)) lacking.raw(bytes)
  const told = await failure(new Files(lacking).importCar(each([partial])))
  expect(told).toContain(`nobody has ${all.at(-1)!.cid}`)
})

test('version 2 is read', async () => {
  const files = new Files(new MemoryIo())
  const cid = await smallTree(files)
  const v1 = await bytesOf(files.exportCar(cid))
  const pragma = Buffer.from('0aa16776657273696f6e02', 'hex')
  const head = Buffer.alloc(40)
  head.writeBigUInt64LE(BigInt(pragma.length + 40), 16)
  head.writeBigUInt64LE(BigInt(v1.length), 24)
  const v2 = Buffer.concat([pragma, head, v1, text('an index, which nobody needs')])
  const other = new MemoryIo()
  expect((await new Files(other).importCar(pieces(v2, [11]))).roots.map(String)).toEqual([cid.toString()])
  head.writeBigUInt64LE(3n, 16)
  const backwards = Buffer.concat([pragma, head, v1])
  expect(await failure(files.importCar(each([backwards])))).toBe('bad-message: the CAR points backwards')
})

test('blocks that are not what they say, or not kept, are refused by name', async () => {
  const bytes = text('x')
  const good = cidOf('raw', bytes)
  const wrong = await carOf([good], [{ cid: good, bytes: text('y') }])
  const files = new Files(new MemoryIo())
  expect(await failure(files.importCar(each([wrong])))).toMatch(
    `usage: the CAR holds a block that is refused: the bytes are not those that ${good}`,
  )
  const json = CID.createV1(0x0129, good.multihash)
  expect(await failure(files.importCar(each([await carOf([json], [{ cid: json, bytes }])])))).toContain(
    'the codec 0x129',
  )
  const sha512 = CID.createV1(0x55, Digest.create(0x13, new Uint8Array(64)))
  expect(await failure(files.importCar(each([await carOf([sha512], [])])))).toContain('the hash function 0x13')
  const link = dagCbor.encode({ to: sha512 })
  const linking = cidOf('dag-cbor', link)
  const told = await failure(files.importCar(each([await carOf([linking], [{ cid: linking, bytes: link }])])))
  expect(told).toMatch(/^usage: .* links to what is not kept: .* the hash function 0x13/)
})

test('a frame that claims more than a block is refused before it is gathered', async () => {
  const car = await carOf([cidOf('raw', text('x'))], [])
  const name = cidOf('raw', text('y')).bytes
  const huge = Buffer.concat([car, Buffer.from('808080808001', 'hex'), name])
  let read = 0
  const source = (async function* () {
    yield huge
    for (; ; read++) yield new Uint8Array(65_536)
  })()
  const told = await failure(new Files(new MemoryIo()).importCar(source))
  expect(told).toMatch(/^bad-message: the CAR has a block of \d+ bytes, the most is 1048576/)
  expect(read).toBeLessThan(2)
  const large = new Uint8Array(MAX_BLOCK_BYTES + 1)
  const over = await carOf([], [{ cid: cidOf('raw', large), bytes: large }])
  expect(await failure(new Files(new MemoryIo()).importCar(pieces(over)))).toContain('the most is 1048576')
})

test.each([
  ['text', text('This is no CAR file, but a letter of some length to somebody.')],
  ['zeros', new Uint8Array(100)],
  ['a header without roots', Buffer.from('0aa16776657273696f6e01', 'hex')],
  ['ones', new Uint8Array(100).fill(255)],
])('%s are refused as no CAR', async (_name, bytes) => {
  expect(await failure(new Files(new MemoryIo()).importCar(each([bytes])))).toMatch(/^bad-message: /)
})

test('an import ends with its source, with a signal, and with a full store', async () => {
  const files = new Files(new MemoryIo())
  const cid = await smallTree(files)
  const car = await bytesOf(files.exportCar(cid))
  const broken = (async function* () {
    yield car.subarray(0, 200)
    throw new ChoraleError('io', 'the disk went away')
  })()
  expect(await failure(new Files(new MemoryIo()).importCar(broken))).toBe('io: the disk went away')
  const controller = new AbortController()
  const stuck = (async function* () {
    yield car.subarray(0, 200)
    await new Promise(() => {})
  })()
  const waiting = failure(new Files(new MemoryIo()).importCar(stuck, { signal: controller.signal }))
  controller.abort()
  expect(await waiting).toBe('aborted: given up')
  const full = new MemoryIo()
  full.put = () => Promise.reject(new ChoraleError('limit', 'full'))
  expect(await failure(new Files(full).importCar(each([car])))).toBe('limit: full')
})

test('a root that nobody has leaves no half of a CAR', async () => {
  const out: Uint8Array[] = []
  const exporting = (async () => {
    for await (const chunk of new Files(new MemoryIo()).exportCar(cidOf('raw', text('x')))) out.push(chunk)
  })()
  expect(await failure(exporting)).toContain('not-found')
  expect(out).toEqual([])
})
