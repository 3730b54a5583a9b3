/** The leaves of a file, and files made of leaves: the same as when the file is added whole. */
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { expect, test } from 'vitest'
import { cidOf } from '../../../../src/dht/cid.ts'
import { Files } from '../../../../src/dht/store/files/files.ts'
import { type Leaf, leafBytes } from '../../../../src/dht/store/files/leaves.ts'
import { allOf, bytesOf, failure, MemoryIo, patterned, pieces } from '../../../fakes/block-io.ts'

const LEAF = 262_144
const named = (leaves: readonly Leaf[]) => leaves.map(({ cid, bytes }) => `${cid} ${bytes}`)

test.each([0, 1, LEAF, LEAF + 1, 3 * LEAF, 174 * LEAF, 175 * LEAF + 3, 174 * 175 * 5])(
  'a file of %d bytes: its leaves, and the file that they make',
  async (size) => {
    const io = new MemoryIo()
    const files = new Files(io)
    const bytes = patterned(size)
    const { cid } = await files.addFile(pieces(bytes))
    io.asked.length = 0
    const leaves = await allOf(files.leavesOf(cid))
    expect(io.asked.length).toBeLessThanOrEqual(1 + Math.ceil(leaves.length / 174))
    expect(leaves.map((leaf) => leaf.bytes)).toEqual(
      Array.from({ length: Math.max(1, Math.ceil(size / LEAF)) }, (_, i) => Math.min(LEAF, size - i * LEAF)),
    )
    expect((await files.join(size === 0 ? [] : leaves)).toString()).toBe(cid.toString())
  },
)

test('leaves of any length make a file that reads back', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const parts = Array.from({ length: 400 }, (_, i) => patterned(1 + ((i * 7919) % 1000)).map((byte) => byte ^ i))
  const leaves = parts.map((part) => ({ cid: cidOf('raw', part), bytes: part.length }))
  for (const [i, { cid }] of leaves.entries()) await io.put(cid, parts[i]!)
  const joined = await files.join(leaves)
  expect(Buffer.from(await bytesOf(files.cat(joined))).equals(Buffer.concat(parts))).toBe(true)
  expect(named(await allOf(files.leavesOf(joined)))).toEqual(named(leaves))
})

test('bytes within nodes are leaves too', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const inner = new UnixFS({ type: 'file', data: Buffer.from('inner') })
  const leaf = dagPb.encode(dagPb.prepare({ Data: inner.marshal(), Links: [] }))
  const leafCid = cidOf('dag-pb', leaf)
  await io.put(leafCid, leaf)
  const cid = await files.join([
    { cid: leafCid, bytes: 5 },
    { cid: leafCid, bytes: 5 },
  ])
  const leaf5 = `${leafCid} 5`
  expect(named(await allOf(files.leavesOf(cid)))).toEqual([leaf5, leaf5])
  expect(Buffer.from(leafBytes(leafCid, leaf)).toString()).toBe('inner')
})

test('a directory has no leaves', async () => {
  const files = new Files(new MemoryIo())
  async function* nothing() {}
  const { cid } = await files.addTree(nothing())
  expect(await failure(allOf(files.leavesOf(cid)))).toMatch(/^usage: .* is a directory, not a file/)
})
