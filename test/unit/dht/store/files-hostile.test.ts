/** DAGs that no importer makes: loops, sizes that lie, too wide, too deep, unknown kinds. One clear line, and an end. */
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { expect, test } from 'vitest'
import { ERROR_CODES } from '../../../../src/core/errors.ts'
import { MAX_DAG_DEPTH, MAX_DAG_PENDING } from '../../../../src/core/limits.ts'
import { cidOf, keyOfCid } from '../../../../src/dht/cid.ts'
import { Files } from '../../../../src/dht/store/files/files.ts'
import { allOf, bytesOf, failure, MemoryIo, pieces } from '../../../fakes/block-io.ts'

const text = (value: string) => new TextEncoder().encode(value)

/** A file of `first` and many leaves of one byte, put together by hand: encoders check a million links one by one. */
function wideFile(first: CID, firstBytes: number, leaf: CID, leaves: number): Uint8Array {
  const link = ({ bytes }: CID) => Buffer.from([0x12, bytes.length + 2, 0x0a, bytes.length, ...bytes])
  const blockSizes = [BigInt(firstBytes), ...Array<bigint>(leaves).fill(1n)]
  const data = dagPb.encode({ Data: new UnixFS({ type: 'file', blockSizes }).marshal(), Links: [] })
  return new Uint8Array(Buffer.concat([link(first), Buffer.alloc(leaves * link(leaf).length, link(leaf)), data]))
}

/** Every way to read. */
function readings(files: Files, cid: CID): (() => Promise<unknown>)[] {
  const drain = async (source: AsyncIterable<unknown>) => {
    for await (const _ of source) {
      // Only its end matters.
    }
  }
  const ways = [files.cat(cid), files.ls(cid), files.walk(cid), files.exportCar(cid), files.blocksOf(cid)]
  return [...ways.map((way) => () => drain(way)), () => files.resolve(`${cid}/a`)]
}

test('a leaf that is longer or shorter than its parent says ends the file there', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const [a, b] = [io.raw('aaaa'), io.raw('bbbb')] as const
  for (const lie of [3, 5]) {
    const cid = io.fileOf([a, b], [4, lie])
    const got: Uint8Array[] = []
    const reading = (async () => {
      for await (const part of files.cat(cid)) got.push(part)
    })()
    expect(await failure(reading)).toBe(`bad-message: ${b} has 4 bytes of the file, its parent says ${lie}`)
    expect(Buffer.concat(got).toString()).toBe('aaaa')
  }
  const inner = io.fileOf([a], [4])
  expect(await failure(bytesOf(files.cat(io.fileOf([inner], [1_000_000]))))).toContain('its parent says 1000000')
})

test('parts that claim nothing are not read, however many they are', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  let cid = io.raw('')
  for (let depth = 0; depth < 10; depth++) cid = io.fileOf(Array(1000).fill(cid), Array(1000).fill(0))
  expect(await bytesOf(files.cat(cid))).toHaveLength(0)
  expect(io.asked).toHaveLength(1)
  // 1000^10 ways through ten blocks: each is named once.
  expect(await allOf(files.blocksOf(cid))).toHaveLength(11)
  expect((await bytesOf(files.exportCar(cid))).length).toBeLessThan(1_000_000)
})

test('a file that is a bomb streams in bounded memory until its reader has enough', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  let cid = io.raw('x'.repeat(100))
  let size = 100n
  for (let depth = 0; depth < 4; depth++) {
    cid = io.fileOf(Array(1000).fill(cid), Array(1000).fill(size))
    size *= 1000n
  }
  let read = 0
  for await (const part of files.cat(cid, { offset: 50_000_000_000_000 - 1, length: 100_001 })) read += part.length
  expect(read).toBe(100_001)
  expect(io.asked.length).toBeLessThan(1200)
  cid = io.fileOf(Array(1000).fill(cid), Array(1000).fill(size))
  expect(await failure(bytesOf(files.cat(cid)))).toMatch(/^bad-message: .* claims 100000000000000000 bytes$/)
})

test('loops end, should a store ever give blocks that do not hash to their names', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const self = cidOf('dag-pb', text('not yet'))
  const loops = [
    new UnixFS({ type: 'file', blockSizes: [10n] }),
    new UnixFS({ type: 'directory' }),
    new UnixFS({ type: 'hamt-sharded-directory', fanout: 256n, hashType: 0x22n }),
  ]
  for (const unixfs of loops) {
    const Name = unixfs.type === 'file' ? '' : unixfs.type === 'directory' ? 'a' : '00'
    const node = dagPb.encode(dagPb.prepare({ Data: unixfs.marshal(), Links: [{ Name, Hash: self, Tsize: 1 }] }))
    io.blocks.set(keyOfCid(self), node)
    for (const read of readings(files, self)) expect(await failure(read())).toMatch(/^(done|usage|limit|not-found)/)
  }
  expect(await failure(allOf(files.ls(self)))).toMatch(/^limit: .* lies 129 blocks deep, the most is 128$/)
  expect(await allOf(files.blocksOf(self))).toHaveLength(1)
})

test('a DAG is read down to its cap, and refused below it', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  let cid = io.raw('x')
  for (let depth = 1; depth < MAX_DAG_DEPTH; depth++) cid = io.fileOf([cid], [1])
  expect(Buffer.from(await bytesOf(files.cat(cid))).toString()).toBe('x')
  cid = io.fileOf([cid], [1])
  for (const read of [files.cat(cid), files.blocksOf(cid), files.exportCar(cid)]) {
    expect(await failure(allOf<unknown>(read))).toContain('blocks deep, the most is 128')
  }
})

test('a million links are refused, in one block and on the way down', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const leaf = io.raw('x')
  const million = io.pb(wideFile(leaf, 1, leaf, 999_999))
  expect(await failure(bytesOf(files.cat(million)))).toMatch(/has \d+ bytes, the most is 1048576$/)
  // Links to nothing are short, so that one block holds many.
  const identity = CID.createV1(0x55, Digest.create(0, new Uint8Array(0)))
  const wide = io.pb(dagPb.encode({ Links: Array(100_000).fill({ Hash: identity }) }))
  expect(await failure(allOf(files.blocksOf(wide)))).toBe(`limit: ${wide} has 100000 links, the most is 32768`)
  let cid = leaf
  let size = 1
  for (let depth = 0; depth < 12; depth++) {
    cid = io.pb(wideFile(cid, size, leaf, 22_500))
    size += 22_500
  }
  expect(await failure(bytesOf(files.cat(cid)))).toMatch(`limit: more than ${MAX_DAG_PENDING} links wait`)
})

test('unknown codecs and hash functions are named, at the root and below', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const { multihash } = cidOf('raw', text('x'))
  const cases = [
    [CID.createV1(0x0129, multihash), 'codec 0x129'],
    [CID.createV1(0x55, Digest.create(0x1e, new Uint8Array(32))), 'hash function 0x1e'],
    [CID.createV1(0x55, Digest.create(0, text('inline'))), 'hash function 0x0'],
  ] as const
  for (const [bad, named] of cases) {
    const below = [io.fileOf([bad], [1]), io.directory({ a: bad }), io.directory({ sub: io.directory({ a: bad }) })]
    for (const read of readings(files, bad)) expect(await failure(read())).toContain(named)
    expect(await failure(allOf(files.cat(below[0]!)))).toContain(named)
    for (const cid of below)
      expect(await failure(allOf(files.blocksOf(cid)))).toMatch(new RegExp(`^usage: .* links to .*${named}`))
    for (const cid of below.slice(1)) expect(await failure(allOf(files.walk(cid)))).toContain(named)
  }
})

test('what is no file says what it is', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const cbor = dagCbor.encode({ hello: 'world' })
  io.raw(cbor)
  const data = cidOf('dag-cbor', cbor)
  for (const way of [files.cat(data), files.ls(data), files.walk(data)]) {
    expect(await failure(allOf<unknown>(way))).toBe(`usage: ${data} is dag-cbor data, not a file or directory`)
  }
  expect(await allOf(files.blocksOf(data))).toHaveLength(1)
  const plain = io.pb(dagPb.encode({ Links: [] }))
  expect(await failure(allOf(files.cat(plain)))).toContain('is dag-pb without UnixFS data')
  const other = io.pb(dagPb.encode({ Data: text('not protobuf'), Links: [] }))
  expect(await failure(allOf(files.cat(other)))).toContain('is not UnixFS')
  const metadata = io.node(new UnixFS({ type: 'metadata' }))
  expect(await failure(allOf(files.cat(metadata)))).toContain('the UnixFS type metadata')
  const broken = io.pb(text('not dag-pb'))
  expect(await failure(allOf(files.blocksOf(broken)))).toContain('is not dag-pb')
  const uneven = io.fileOf([data], [])
  expect(await failure(allOf(files.cat(uneven)))).toContain('has 1 links and sizes for 0')
})

test.each([0n, 1n, 3n, 2n ** 40n, undefined])('a sharded directory of %s ways is refused', async (fanout) => {
  const io = new MemoryIo()
  const options = { type: 'hamt-sharded-directory', hashType: 0x22n } as const
  const cid = io.node(new UnixFS(fanout === undefined ? options : { ...options, fanout }))
  for (const read of readings(new Files(io), cid).slice(1, 3))
    expect(await failure(read())).toContain('sharded directory of')
})

test('a shard that hides a file, a directory or a nameless entry is refused', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const shard = (Name: string, Hash: CID) =>
    io.node(new UnixFS({ type: 'hamt-sharded-directory', fanout: 256n, hashType: 0x22n }), [{ Name, Hash, Tsize: 1 }])
  const inner = io.directory({ '../x': io.raw('x') })
  expect(await failure(allOf(files.ls(shard('00', inner))))).toContain('is a directory where a shard')
  expect(await failure(allOf(files.ls(shard('00', io.raw('x')))))).toContain('is a file where a shard')
  expect(await failure(allOf(files.ls(shard('0', inner))))).toContain('a name that is too short')
})

test('deeply nested dag-cbor and links within it are found without recursion', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const leaf = io.raw('x')
  const linking = dagCbor.encode({ a: [{ b: leaf }, leaf], c: 'text', d: new Uint8Array(3), e: null })
  io.raw(linking)
  expect((await allOf(files.blocksOf(cidOf('dag-cbor', linking)))).map(String)).toEqual([
    cidOf('dag-cbor', linking).toString(),
    leaf.toString(),
  ])
  const deep = new Uint8Array(1_000_000).fill(0x81)
  io.raw(deep)
  expect(await failure(allOf(files.blocksOf(cidOf('dag-cbor', deep))))).toMatch(/^bad-message: .* is not dag-cbor/)
})

test('the same bytes as a leaf and as a node are both kept', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const node = io.fileOf([io.raw('hidden')], [6])
  const asLeaf = CID.createV1(0x55, node.multihash)
  const root = io.directory({ a: asLeaf, b: node })
  const car = await bytesOf(files.exportCar(root))
  const other = new MemoryIo()
  await new Files(other).importCar(pieces(car))
  expect(Buffer.from(await bytesOf(new Files(other).cat(`${root}/b`))).toString()).toBe('hidden')
})

test('blocks of any bytes end with an answer or a known error', async () => {
  const mutation = fc.record({ at: fc.nat(), to: fc.nat(255) })
  const origin = new MemoryIo()
  const directory = origin.directory({
    a: origin.fileOf([origin.raw('xx'), origin.raw('y')], [2, 1]),
    b: origin.raw('z'),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 4 }), fc.boolean(), async (list, file) => {
      const io = new MemoryIo()
      for (const [key, bytes] of origin.blocks) io.blocks.set(key, bytes)
      const root = file ? await new Files(origin).resolve(`${directory}/a`) : directory
      const bytes = origin.blocks.get(keyOfCid(root))!.slice()
      for (const { at, to } of list) bytes[at % bytes.length] = to
      for (const read of readings(new Files(io), io.pb(bytes))) {
        const told = await failure(read())
        expect(['done', ...ERROR_CODES.filter((code) => code !== 'internal')]).toContain(told.split(':')[0])
      }
    }),
    { numRuns: 300 },
  )
})
