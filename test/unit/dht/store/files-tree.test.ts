/** Directories: what IPFS makes of them, large ones, paths, listings, and names that must not reach a disk. */
import fc from 'fast-check'
import { UnixFS } from 'ipfs-unixfs'
import { importer } from 'ipfs-unixfs-importer'
import type { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { MAX_PATH_DEPTH } from '../../../../src/core/limits.ts'
import type { TreeSource } from '../../../../src/dht/store/files/add.ts'
import { Files } from '../../../../src/dht/store/files/files.ts'
import { nameFlaw } from '../../../../src/dht/store/files/names.ts'
import { allOf, bytesOf, each, failure, MemoryIo, patterned, pieces } from '../../../fakes/block-io.ts'

const text = (value: string) => new TextEncoder().encode(value)

function sources(tree: Readonly<Record<string, Uint8Array | undefined>>): AsyncIterable<TreeSource> {
  return each(Object.entries(tree).map(([path, bytes]) => (bytes ? { path, content: pieces(bytes) } : { path })))
}

async function treeOf(files: Files, cid: CID): Promise<Record<string, string>> {
  const out: Record<string, string> = {}
  for await (const entry of files.walk(cid)) {
    out[entry.path] = entry.type === 'file' ? Buffer.from(await bytesOf(entry.content())).toString('latin1') : '/'
  }
  return out
}

/** The importer's own way over paths. */
async function reference(tree: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const blackHole = { put: async <C>(cid: C) => cid }
  const candidates = Object.entries(tree).map(([path, content]) => ({ path, content }))
  const results = await allOf(importer(candidates, blackHole as never, { cidVersion: 1, wrapWithDirectory: true }))
  return results.at(-1)!.cid.toString()
}

test('a directory has the CID that the importer gives it, in whatever order its entries come', async () => {
  const tree = { 'b/c.txt': text('c'), 'a.txt': text('a'), 'b/a/d': patterned(300_000), 'ä z': text('') }
  const expected = await reference(tree)
  const io = new MemoryIo()
  const files = new Files(io)
  const added = await files.addTree(sources(tree))
  expect(added.cid.toString()).toBe(expected)
  expect(added).toMatchObject({ bytes: 300_002, blocks: io.puts })
  const reversed = Object.fromEntries(Object.entries(tree).reverse())
  expect((await files.addTree(sources(reversed))).cid.toString()).toBe(expected)
  expect(await allOf(files.ls(added.cid))).toMatchObject([
    { name: 'a.txt', type: 'file', bytes: 1 },
    { name: 'b', type: 'directory', bytes: undefined },
    { name: 'ä z', type: 'file', bytes: 0 },
  ])
  expect(await allOf(files.ls(`${added.cid}/b/a`))).toMatchObject([{ name: 'd', type: 'file', bytes: 300_000 }])
  const cat = await bytesOf(files.cat(`/ipfs/${added.cid}/b/c.txt`))
  expect(Buffer.from(cat).toString()).toBe('c')
})

test('empty directories stay, alone, at the root, and named before or after what is in them', async () => {
  const files = new Files(new MemoryIo())
  const nothing = await files.addTree(each([]))
  expect(nothing.cid.toString()).toBe('bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354')
  expect(await allOf(files.ls(nothing.cid))).toEqual([])
  const tree = { 'a/b': undefined, a: undefined, 'a/c': text('c'), 'd/e': text('e'), d: undefined }
  const { cid } = await files.addTree(sources(tree))
  expect(await treeOf(files, cid)).toEqual({ '': '/', a: '/', 'a/b': '/', 'a/c': 'c', d: '/', 'd/e': 'e' })
})

test('any tree comes back as it was', async () => {
  const name = fc.string({ minLength: 1, maxLength: 6, unit: 'grapheme' }).filter((value) => !nameFlaw(value))
  const file = fc.record({ path: fc.array(name, { minLength: 1, maxLength: 4 }), size: fc.nat(3000) })
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 12 }), fc.boolean(), async (list, lines) => {
      const expected = new Map<string, string>([['', '/']])
      const given: TreeSource[] = []
      for (const [index, { path, size }] of list.entries()) {
        const joined = path.join('/')
        const parents = path.slice(0, -1).map((_, depth) => path.slice(0, depth + 1).join('/'))
        if (expected.has(joined) || parents.some((parent) => (expected.get(parent) ?? '/') !== '/')) continue
        for (const parent of parents) expected.set(parent, '/')
        const bytes = patterned(size + index)
        expected.set(joined, Buffer.from(bytes).toString('latin1'))
        given.push({ path: joined, content: pieces(bytes) })
      }
      const files = new Files(new MemoryIo())
      const { cid } = await files.addTree(each(given), { lines })
      expect(new Map(Object.entries(await treeOf(files, cid)))).toEqual(expected)
    }),
    { numRuns: 60 },
  )
})

test('a directory above 256 KiB is sharded as in IPFS, and can be listed and searched', async () => {
  const tree = Object.fromEntries(
    Array.from({ length: 5000 }, (_, index) => [`a file with number ${index}`, text(`${index}`)]),
  )
  const io = new MemoryIo()
  const files = new Files(io)
  const { cid } = await files.addTree(sources(tree))
  expect(cid.toString()).toBe(await reference(tree))
  const listed = await allOf(files.ls(cid))
  expect(listed.map(({ name }) => name).sort()).toEqual(Object.keys(tree).sort())
  for (const index of [0, 1, 77, 4999]) {
    io.asked.length = 0
    const found = await bytesOf(files.cat(`${cid}/a file with number ${index}`))
    expect(Buffer.from(found).toString()).toBe(`${index}`)
    expect(io.asked.length).toBeLessThanOrEqual(5)
  }
  expect(await failure(files.resolve(`${cid}/a file with number 5000`))).toContain('not-found')
  expect(Object.keys(await treeOf(files, cid))).toHaveLength(5001)
})

test('a directory of many directories stays within a block too', async () => {
  const files = new Files(new MemoryIo())
  const names = Array.from({ length: 6000 }, (_, index) => `${'a directory whose name is long '.repeat(7)}${index}`)
  const { cid } = await files.addTree(each(names.map((path) => ({ path }))))
  let count = 0
  for await (const { type } of files.ls(cid)) if (type === 'directory') count++
  expect(count).toBe(6000)
})

test.each([
  ['', 'it is empty'],
  ['/etc/passwd', 'it is empty'],
  ['a//b', 'it is empty'],
  ['../a', 'it names a directory'],
  ['a/..', 'it names a directory'],
  ['./a', 'it names a directory'],
  ['a\\b', 'separator'],
  ['a\0', 'NUL'],
  ['\ud800', 'no Unicode'],
  ['x'.repeat(256), 'longer than 255'],
])('the path %j is refused on the way in', async (path, flaw) => {
  const told = await failure(new Files(new MemoryIo()).addTree(sources({ [path]: text('x') })))
  expect(told).toMatch(/^usage: /)
  expect(told).toContain(flaw)
})

test('paths that exclude each other, doubles and depth are refused on the way in', async () => {
  const files = new Files(new MemoryIo())
  const file = (path: string) => ({ path, content: each([text('x')]) })
  expect(await failure(files.addTree(each([file('a'), file('a')])))).toBe('usage: a is given twice')
  expect(await failure(files.addTree(each([file('a'), file('a/b')])))).toContain('which is a file already')
  expect(await failure(files.addTree(each([file('a/b'), file('a')])))).toBe('usage: a is given twice')
  expect(await failure(files.addTree(each([file('a'), { path: 'a' }])))).toContain('which is a file already')
  expect(await failure(files.addTree(each([file(`${'d/'.repeat(MAX_PATH_DEPTH)}f`)])))).toContain('nested 65 deep')
  const deepest = await files.addTree(each([file(`${'d/'.repeat(MAX_PATH_DEPTH - 1)}f`)]))
  expect(Object.keys(await treeOf(files, deepest.cid))).toHaveLength(MAX_PATH_DEPTH + 1)
})

test.each(['..', '.', '', '/', 'a/b', '/etc', '..\\x', 'a\0b'])(
  'the name %j is refused on the way out',
  async (name) => {
    const io = new MemoryIo()
    const files = new Files(io)
    const cid = io.directory([{ Name: name, Hash: io.raw('x') }])
    const below = io.directory({ fine: cid })
    for (const root of [cid, below]) expect(await failure(allOf(files.walk(root)))).toMatch(/^usage: .* is refused: /)
    expect(await allOf(files.ls(cid))).toMatchObject([{ name }])
  },
)

test('two entries of one name are refused, wherever they are', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const flat = io.directory([
    { Name: 'a', Hash: io.raw('1') },
    { Name: 'a', Hash: io.raw('2') },
  ])
  expect(await failure(allOf(files.walk(flat)))).toBe('bad-message: the directory has two entries named "a"')
  expect(await failure(files.resolve(`${flat}/a`))).toContain('two entries named "a"')
  const shard = io.node(new UnixFS({ type: 'hamt-sharded-directory', fanout: 256n, hashType: 0x22n }), [
    { Name: '00a', Hash: io.raw('1') },
    { Name: '01a', Hash: io.raw('2') },
  ])
  expect(await failure(allOf(files.walk(shard)))).toContain('two entries named "a"')
})

test('symbolic links are listed, and neither followed nor written', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const link = io.node(new UnixFS({ type: 'symlink', data: text('/etc/passwd') }))
  const cid = io.directory({ link })
  expect(await allOf(files.ls(cid))).toMatchObject([{ name: 'link', type: 'symlink', bytes: undefined }])
  expect(await failure(allOf(files.cat(`${cid}/link`)))).toMatch(/^usage: .*symbolic link, which is not followed/)
  expect(await failure(allOf(files.walk(cid)))).toMatch(/^usage: link is a symbolic link/)
  expect(await failure(allOf(files.walk(link)))).toMatch(/symbolic link/)
})

test('what is asked of the wrong kind is answered with one clear line', async () => {
  const io = new MemoryIo()
  const files = new Files(io)
  const { cid } = await files.addTree(sources({ 'a/b': text('x') }))
  expect(await failure(allOf(files.cat(cid)))).toBe(
    `usage: ${cid} is a directory: list it with chorale ls, fetch it with chorale get`,
  )
  expect(await failure(allOf(files.ls(`${cid}/a/b`)))).toMatch(/is a file, not a directory$/)
  expect(await failure(files.resolve(`${cid}/a/b/c`))).toBe(`usage: ${cid}/a/b is a file, not a directory`)
  expect(await failure(files.resolve(`${cid}/a/c`))).toBe(`not-found: ${cid}/a has no "c"`)
  expect(await failure(files.resolve('a/b'))).toMatch(/^usage: "a" is not a CID/)
  expect(await treeOf(files, await files.resolve(`ipfs://${cid}/a/b`))).toEqual({ '': 'x' })
})
