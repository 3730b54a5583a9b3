import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { connectHost } from '../../../src/api/client.ts'
import { decodeTree, encodeTree, type TreeItem } from '../../../src/api/frames.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import { keyOfCid, parseCid } from '../../../src/dht/cid.ts'
import { allOf, bytesOf, each, failure, patterned, pieces } from '../../fakes/block-io.ts'
import { bench } from '../cli/fake-host.ts'

const text = (value: string) => pieces(new TextEncoder().encode(value))

test('a file goes in and out as it is, whole or a range of it', async () => {
  await using b = await bench()
  const { store } = connectHost(b.socketPath)
  const bytes = patterned(3_000_000)
  const progress: number[] = []
  const added = await store.addFile(pieces(bytes), { onProgress: (now) => progress.push(now.bytes) })
  expect(added).toEqual({ cid: expect.stringMatching(/^bafybei/), bytes: 3_000_000, blocks: 13 })
  expect(await bytesOf(store.cat(added.cid))).toEqual(bytes)
  const range = await bytesOf(store.cat(added.cid, { offset: 262_140, length: 10 }))
  expect(range).toEqual(bytes.subarray(262_140, 262_150))
  const hello = await store.addFile(text('hello world'))
  expect(hello.cid).toBe('bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e')
  const empty = await store.addFile(text(''))
  expect(empty.bytes).toBe(0)
  expect(await bytesOf(store.cat(empty.cid))).toHaveLength(0)
})

test('what is added is pinned unless told otherwise; pins come and go', async () => {
  await using b = await bench()
  const { store } = connectHost(b.socketPath)
  const { cid } = await store.addFile(text('kept'))
  await store.addFile(text('not kept'), { pin: false })
  expect((await store.pins()).map((pin) => pin.cid)).toEqual([cid])
  expect(b.host.extended).toEqual([]) // it was put just now
  expect(await store.unpin(cid)).toBe(true)
  expect(await store.unpin(cid)).toBe(false)
  expect(await store.pin(cid)).toMatchObject({ cid, missing: 0 })
  expect(b.host.extended).toEqual([cid])
  b.host.io.blocks.clear()
  expect(await failure(store.pin(cid))).toBe(`not-found: nobody has 1 block of ${cid}: add it again`)
  expect(await store.stat()).toMatchObject({ pins: 1, counters: { served: 2 } })
})

test('a tree goes in and out, with empty files and directories', async () => {
  await using b = await bench()
  const { store } = connectHost(b.socketPath)
  const items: TreeItem[] = [
    { path: 'docs/a.txt', kind: 'file', content: text('hello') },
    { path: 'docs/large', kind: 'file', content: pieces(patterned(700_000)) },
    { path: 'nothing', kind: 'directory' },
    { path: 'zero', kind: 'file', content: text('') },
  ]
  const { cid, bytes } = await store.addTree(each(items))
  expect(bytes).toBe(700_005)
  expect((await allOf(store.ls(cid))).map(({ name, kind }) => [name, kind])).toEqual([
    ['docs', 'directory'],
    ['nothing', 'directory'],
    ['zero', 'file'],
  ])
  expect((await bytesOf(store.cat(`${cid}/docs/a.txt`))).toString()).toBe(new TextEncoder().encode('hello').toString())
  const seen: Record<string, number | string> = {}
  for await (const { path, kind, content } of store.walk(cid)) {
    seen[path] = kind === 'file' ? (await bytesOf(content ?? each([]))).length : kind
  }
  expect(seen).toEqual({
    '': 'directory',
    docs: 'directory',
    'docs/a.txt': 5,
    'docs/large': 700_000,
    nothing: 'directory',
    zero: 0,
  })
  expect(await failure(allOf(store.ls(`${cid}/docs/b`)))).toMatch(/^not-found: .*has no "b"/)
})

test('a CAR goes out of one host and into another; a cut one is refused', async () => {
  await using one = await bench()
  await using other = await bench()
  const from = connectHost(one.socketPath).store
  const to = connectHost(other.socketPath).store
  const { cid } = await from.addFile(pieces(patterned(600_000)))
  const car = await bytesOf(from.exportCar(cid))
  expect(await failure(to.importCar(pieces(car.subarray(0, car.length - 1000))))).toMatch(/^bad-message: .*cut short/)
  expect(await to.importCar(pieces(car))).toMatchObject({ roots: [cid], blocks: 4 })
  expect((await to.pins()).map((pin) => pin.cid)).toEqual([cid])
  expect(await bytesOf(to.cat(cid))).toEqual(patterned(600_000))
})

test('bytes that fail in the middle are an error, with our client and with any other', async () => {
  await using b = await bench()
  const { store } = connectHost(b.socketPath)
  const { cid } = await store.addFile(pieces(patterned(9_000_000)))
  const blocks = [...b.host.io.blocks.keys()]
  const lost = blocks[30]!
  b.host.io.blocks.delete(lost)
  expect(await failure(bytesOf(store.cat(cid)))).toMatch(/^not-found: nobody has/)
  expect(await failure(allOf(store.walk(cid)))).toMatch(/^not-found: nobody has/)
  const plain = new Promise((resolve) => {
    request({ socketPath: b.socketPath, path: `/v1/files/${cid}`, agent: false }, (response) => {
      expect(response.statusCode).toBe(200)
      response.resume()
      response.once('end', () => resolve('taken for whole')).once('error', () => resolve('cut off'))
    }).end()
  })
  expect(await plain).toBe('cut off')
  b.host.io.blocks.delete(keyOfCid(parseCid(cid)))
  expect(await failure(bytesOf(store.cat(cid)))).toMatch(/^not-found/) // before the first byte
})

test('a node that refuses in the middle of an upload is heard, and the source is given up', async () => {
  await using b = await bench()
  const { store } = connectHost(b.socketPath)
  b.host.io.put = async () => {
    throw new ChoraleError('limit', 'the stores of the replica group are full')
  }
  let read = 0
  const endless = async function* () {
    for (;;) {
      yield new Uint8Array(65_536)
      read += 65_536
      await sleep(0)
    }
  }
  expect(await failure(store.addFile(endless()))).toBe('limit: the stores of the replica group are full')
  const readThen = read
  await sleep(20)
  expect(read - readThen).toBeLessThanOrEqual(65_536)
  expect(await store.pins()).toEqual([])
})

test('a source that fails is forgotten by the node', async () => {
  await using b = await bench()
  const { store } = connectHost(b.socketPath)
  const broken = async function* () {
    yield patterned(300_000)
    throw new ChoraleError('io', 'the disk is gone')
  }
  expect(await failure(store.addFile(broken()))).toBe('io: the disk is gone')
  expect(await store.pins()).toEqual([])
})

test('a reader that stops costs no more than what was under way', async () => {
  await using b = await bench()
  const { store } = connectHost(b.socketPath)
  const { cid } = await store.addFile(pieces(patterned(60_000_000), [1_000_000]))
  b.host.io.asked.length = 0
  for await (const piece of store.cat(cid)) {
    expect(piece.length).toBeGreaterThan(0)
    await sleep(100) // the node would be through with the file by now
    break
  }
  expect(b.host.io.asked.length).toBeLessThan(100) // of 229
})

test.each([
  ['GET', '/v1/files/nonsense', 400, 'usage'],
  ['GET', '/v1/files/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e?offset=-1', 400, 'usage'],
  ['GET', '/v1/files/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e', 404, 'not-found'],
  ['GET', '/v1/files', 404, 'not-found'],
  ['POST', '/v1/files?pin=yes', 400, 'usage'],
  ['POST', '/v1/trees', 400, 'usage'],
  ['POST', '/v1/cars', 400, 'bad-message'],
  ['DELETE', '/v1/files/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e', 404, 'not-found'],
  ['GET', '/v1/blocks/bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e', 404, 'not-found'],
] as const)('%s %s: %d %s', async (method, path, status, code) => {
  await using b = await bench()
  const answer = new Promise<{ status: number | undefined; body: string }>((resolve, reject) => {
    const outgoing = request({ socketPath: b.socketPath, method, path, agent: false }, async (response) => {
      let body = ''
      for await (const chunk of response) body += chunk
      resolve({ status: response.statusCode, body })
    })
    outgoing.once('error', reject)
    outgoing.end(method === 'POST' ? '{"data":5}\nhello' : undefined)
  })
  const { status: got, body } = await answer
  expect({ got, ...JSON.parse(body).error }).toMatchObject({ got: status, code })
})

test('frames: content that nobody reads is skipped, and what is cut is refused', async () => {
  const items: TreeItem[] = [
    { path: 'a', kind: 'file', bytes: 5, content: text('hello') },
    { path: 'b', kind: 'directory' },
    { path: 'c', kind: 'file', content: pieces(patterned(1000), [7, 0, 300]) },
  ]
  const whole = await bytesOf(encodeTree(each(items)))
  for (const sizes of [[1], [3, 50], [10_000]]) {
    const paths: string[] = []
    for await (const { path, content } of decodeTree(pieces(whole, sizes))) {
      paths.push(path)
      if (path === 'c') expect(await bytesOf(content ?? each([]))).toEqual(patterned(1000))
    }
    expect(paths).toEqual(['a', 'b', 'c'])
  }
  expect(await failure(allOf(decodeTree(pieces(whole.subarray(0, whole.length - 1)))))).toMatch(
    /usage: .*within a file/,
  )
  expect(await failure(allOf(decodeTree(text('{"path":"a"'))))).toMatch(/usage: .*within a line/)
  expect(await failure(allOf(decodeTree(text('{"path":"a","kind":"directory"}\n{"data":1}\nx'))))).toMatch(/of no file/)
})
