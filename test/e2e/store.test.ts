/** Files in an overlay of real processes, as a user keeps and fetches them. */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CarBufferWriter } from '@ipld/car'
import * as dagPb from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { expect, test } from 'vitest'
import { cidOf } from '../../src/dht/cid.ts'
import { Bench, MAIN } from './processes.ts'

const HELLO = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'

class Overlay {
  readonly bench: Bench
  address = ''
  readonly #space: string

  constructor(bench: Bench, space = 'ring') {
    this.bench = bench
    this.#space = space
  }

  async up(name: string, ...more: string[]) {
    const join = this.address ? ['--bootstrap', this.address] : []
    const options = ['--network', 'store', '--space', this.#space, '--lend', '0', ...join, ...more]
    const node = this.bench.start('up', '--json', '--home', this.home(name), ...options)
    const { address } = await node.line('ready')
    this.address ||= address as string
    return node
  }

  home(name: string): string {
    return join(this.bench.root, name)
  }

  run(name: string, ...args: string[]) {
    return this.bench.run(...args, '--home', this.home(name))
  }

  json(name: string, ...args: string[]) {
    return this.bench.json(...args, '--home', this.home(name))
  }

  file(name: string, bytes: Uint8Array | string): string {
    writeFileSync(this.home(name), bytes)
    return this.home(name)
  }
}

/** Standard input and output as bytes; stops reading after `enough`. */
function pipe(
  input: string | undefined,
  enough: number,
  ...args: string[]
): Promise<{ code: number | null; out: Buffer; err: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [MAIN, ...args])
    const pieces: Buffer[] = []
    let size = 0
    let err = ''
    child.stdout.on('data', (piece: Buffer) => {
      pieces.push(piece)
      size += piece.length
      if (size >= enough) child.stdout.destroy()
    })
    child.stderr.on('data', (piece) => {
      err += piece
    })
    child.once('close', (code) => resolve({ code, out: Buffer.concat(pieces), err }))
    child.stdin.end(input)
  })
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

test.each(['ring', 'torus2'])(
  'files, trees, pins and CARs on three nodes on %s; what was acknowledged outlives kill -9',
  async (space) => {
    await using bench = new Bench()
    const overlay = new Overlay(bench, space)
    const first = await overlay.up('a')
    const [second] = await Promise.all([overlay.up('b'), overlay.up('c')])

    // In through one node, out through another.
    expect(await overlay.json('a', 'add', overlay.file('hello', 'hello world'))).toEqual({
      v: 1,
      type: 'added',
      cid: HELLO,
      bytes: 11,
      blocks: 1,
    })
    const large = randomBytes(6_000_000)
    mkdirSync(join(overlay.home('tree'), 'docs', 'nothing'), { recursive: true })
    overlay.file('tree/docs/a.txt', 'a\n')
    overlay.file('tree/.hidden', '')
    overlay.file('tree/large', large)
    const added = await Promise.all([
      overlay.json('a', 'add', overlay.file('empty', '')),
      overlay.json('a', 'add', overlay.home('tree/large')),
      overlay.json('b', 'add', overlay.home('tree')),
      pipe('hello world', 1e9, 'add', '-', '-q', '--home', overlay.home('b')),
    ])
    const [empty, cid, tree] = added.map((one) => ('cid' in one ? (one.cid as string) : '')) as [string, string, string]
    expect({ ...added[3], out: added[3].out.toString() }).toEqual({ code: 0, err: '', out: `${HELLO}\n` })

    const copy = overlay.home('copy')
    const a = `${tree}/docs/a.txt`
    const [whole, some] = await Promise.all([
      pipe(undefined, 1e9, 'cat', cid, '--home', overlay.home('c')),
      pipe(undefined, 1000, 'cat', cid, '--home', overlay.home('c')), // `chorale cat CID | head`
    ])
    expect({ code: whole.code, digest: digest(whole.out) }).toEqual({ code: 0, digest: digest(large) })
    expect(some).toMatchObject({ code: 0, err: '' })
    const read = await Promise.all([
      overlay.run('b', 'cat', HELLO),
      overlay.run('c', 'cat', HELLO, '--offset', '6', '--length', '3'),
      overlay.run('b', 'cat', empty),
      overlay.run('c', 'cat', a),
      overlay.run('c', 'ls', tree),
      overlay.run('c', 'get', tree, '-o', copy),
      overlay.run('c', 'get', a, '-o', overlay.home('hello')),
    ])
    expect(read.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0, 0, 2])
    expect(read.slice(0, 4).map(({ out }) => out)).toEqual(['hello world', 'wor', '', 'a\n'])
    const listing = /^bafk\S+ +0 {2}\.hidden\nbafy\S+ +- {2}docs\/\nbafy\S+ +6000000 {2}large\n$/
    expect(read[4].out).toMatch(listing)
    expect(readdirSync(copy, { recursive: true }).sort().join(' ')).toBe('.hidden docs docs/a.txt docs/nothing large')
    expect(digest(readFileSync(join(copy, 'large')))).toBe(digest(large))
    expect(read[6].err).toMatch(/hello exists already.*--force/)
    expect(readFileSync(overlay.home('hello'), 'utf8')).toBe('hello world')

    // A record: set twice by one node, read by another, and nobody else's.
    await overlay.json('a', 'record', 'set', 'site', HELLO)
    const { peer, seq } = await overlay.json('a', 'record', 'set', 'site', tree)
    expect(seq).toBeGreaterThan(1e12)
    const records = await Promise.all([
      overlay.run('c', 'record', 'get', 'site', '--of', peer as string),
      overlay.run('c', 'record', 'get', 'site'),
      overlay.run('c', 'record', 'get', 'site', '--of', 'nobody'),
      overlay.run('b', 'record', 'set', 'x'.repeat(257), 'v'),
    ])
    expect(records.map(({ code, out }) => [code, out])).toEqual([
      [0, tree],
      [2, ''],
      [2, ''],
      [2, ''],
    ])
    expect(records[2].err).toMatch(/nobody is not the peer id/)
    expect(records[3].err).toMatch(/1 to 256 bytes/)

    // Pins and CARs.
    const car = overlay.home('tree.car')
    const [pinned, forced, exported, block] = await Promise.all([
      overlay.run('b', 'pin', '-q'),
      overlay.run('c', 'get', a, '-o', overlay.home('hello'), '--force'),
      overlay.run('c', 'export', tree, '-o', car),
      overlay.json('c', 'block', 'stat', HELLO),
    ])
    const pins = pinned.out.trimEnd().split('\n')
    expect(pins.map((line) => line.split(' ')[0]).sort()).toEqual([HELLO, tree].sort())
    expect([forced.code, readFileSync(overlay.home('hello'), 'utf8')]).toEqual([0, 'a\n'])
    expect(exported.code).toBe(0)
    expect(block).toMatchObject({ type: 'block', bytes: 11, copies: 3, wanted: 3 })
    overlay.file('cut.car', readFileSync(car).subarray(0, 5_000_000))
    const [imported, cut, unpinned] = await Promise.all([
      overlay.json('a', 'import', car),
      overlay.run('a', 'import', '-q', overlay.home('cut.car')), // no progress, however slow the machine is
      overlay.run('b', 'unpin', tree),
    ])
    expect(imported).toMatchObject({ type: 'imported', roots: [tree] })
    expect(cut).toMatchObject({ code: 2, err: expect.stringMatching(/^chorale: .*cut short.*\n$/) })
    expect(unpinned.code).toBe(0)
    const [again, once] = await Promise.all([overlay.run('b', 'unpin', HELLO), overlay.run('b', 'pin', tree)])
    expect([again.code, once.code, once.out]).toEqual([0, 0, `${tree}\n`])
    const [stat, status, none] = await Promise.all([
      overlay.json('a', 'store', 'stat'),
      overlay.json('a', 'status'),
      overlay.run('b', 'unpin', HELLO),
    ])
    expect(stat).toMatchObject({ type: 'store', full: false, pins: 4 })
    expect(status).toMatchObject({ store: { capacityBytes: 10 * 1024 ** 3, pins: 4 } })
    expect(none).toMatchObject({ code: 2, err: expect.stringMatching(/is not pinned/) })

    // Two of three are killed; what the third acknowledged with them is there when they are back.
    process.kill(first.pid, 'SIGKILL')
    process.kill(second.pid, 'SIGKILL')
    await Promise.all([first.ended, second.ended])
    await Promise.all([overlay.up('a', '--bootstrap', await addressOf(overlay, 'c')), overlay.up('b')])
    const [back, text, kept] = await Promise.all([
      pipe(undefined, 1e9, 'cat', cid, '--home', overlay.home('a')),
      overlay.run('b', 'cat', a),
      overlay.run('a', 'pin'),
    ])
    expect({ code: back.code, digest: digest(back.out) }).toEqual({ code: 0, digest: digest(large) })
    expect(text).toMatchObject({ code: 0, out: 'a\n' })
    expect(kept.out).toContain(cid)
  },
)

async function addressOf(overlay: Overlay, name: string): Promise<string> {
  const { ip, port } = (await overlay.json(name, 'status')).address as { ip: string; port: number }
  return `${ip}:${port}`
}

test('a leaf adds and reads through a member, and keeps nothing; a node that dies in the middle is an error', async () => {
  await using bench = new Bench()
  const overlay = new Overlay(bench)
  const member = await overlay.up('a')
  const leaf = bench.startUndialable(
    ...[
      'up',
      '--json',
      '--home',
      overlay.home('leaf'),
      '--network',
      'store',
      '--lend',
      '0',
      '--bootstrap',
      overlay.address,
    ],
  )
  expect(await leaf.line('ready')).toMatchObject({ role: 'leaf' })
  const large = randomBytes(20_000_000)
  const { cid } = (await overlay.json('leaf', 'add', overlay.file('large', large))) as { cid: string }
  const [read, status] = await Promise.all([
    pipe(undefined, 1e9, 'cat', cid, '--home', overlay.home('a')),
    overlay.json('leaf', 'status'),
  ])
  expect(digest(read.out)).toBe(digest(large))
  expect(status).toMatchObject({ role: 'leaf', store: { blocks: 0, bytes: 0, capacityBytes: 0, pins: 1 } })
  const back = await pipe(undefined, 1e9, 'cat', cid, '--home', overlay.home('leaf'))
  expect(digest(back.out)).toBe(digest(large))

  // Nobody reads on before it is dead, so it cannot have been quicker.
  const child = spawn(process.execPath, [MAIN, 'cat', cid, '--home', overlay.home('leaf')])
  await new Promise((resolve) => child.stdout.once('readable', resolve))
  process.kill(leaf.pid, 'SIGKILL')
  await leaf.ended
  let err = ''
  child.stderr.on('data', (text) => {
    err += text
  })
  child.stdout.resume()
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(3)
  expect(err).toMatch(/^chorale: the node went away.*\n$/)
  process.kill(member.pid, 'SIGTERM')
  expect(await member.ended).toMatchObject({ code: 0 })
})

test('what cannot be is one line, its exit code, and leaves nothing behind', async () => {
  await using bench = new Bench()
  const overlay = new Overlay(bench)
  const node = await overlay.up('a', '--store', '1MiB')
  const evil = (name: string) => {
    const leaf = Buffer.from('evil')
    const node = dagPb.prepare({
      Data: new UnixFS({ type: 'directory' }).marshal(),
      Links: [{ Name: name, Hash: cidOf('raw', leaf), Tsize: 4 }],
    })
    const root = dagPb.encode(node)
    const blocks = [root, leaf]
    const cids = [cidOf('dag-pb', root), cidOf('raw', leaf)]
    const writer = CarBufferWriter.createWriter(new ArrayBuffer(2000), { roots: [cids[0]!] })
    blocks.forEach((bytes, i) => {
      writer.write({ cid: cids[i]!, bytes })
    })
    overlay.file(`evil-${Buffer.from(name).toString('hex')}.car`, writer.close({ resize: true }))
    return cids[0]!.toString()
  }
  const roots = ['..', '../up', 'a\\b'].map(evil)
  const cars = readdirSync(bench.root).filter((name) => name.startsWith('evil'))
  const imports = await Promise.all(cars.map((file) => overlay.run('a', 'import', overlay.home(file))))
  expect(imports.map(({ code }) => code)).toEqual([0, 0, 0])
  mkdirSync(overlay.home('links'))
  symlinkSync('..', overlay.home('links/up'))
  mkdirSync(overlay.home('out'))
  const target = ['-o', overlay.home('out/x')]
  const cases: Array<[string[], number, RegExp]> = [
    ...roots.map((root): [string[], number, RegExp] => [['get', root, ...target], 2, /the name ".*" is refused/]),
    [['get', `${roots[0]}/..`], 2, /-o/],
    [['get', HELLO, ...target], 2, /nobody/],
    [['get', HELLO, '-o', overlay.home('nowhere/x')], 2, /no directory/],
    [['cat', roots[0]!], 2, /is a directory/],
    [['cat', 'nonsense'], 2, /is not a CID/],
    [['cat', 'bafyrmiew'], 2, /is not a CID/],
    [['add', overlay.home('none')], 2, /no such file/],
    [['add', overlay.home('links')], 2, /symbolic link/],
    [['add', overlay.file('big', randomBytes(3_000_000))], 2, /full|quota|has used/],
    [['add', '--lines', overlay.file('line', Buffer.alloc(1_100_000, 'x'))], 2, /line/],
    [['import', overlay.home('big')], 2, /CAR/],
    [['block', 'stat', HELLO], 2, /nobody/],
  ]
  const results = await Promise.all(cases.map(([args]) => overlay.run('a', '-q', ...args)))
  results.forEach((result, i) => {
    const [args, code, line] = cases[i]!
    expect({ args, ...result }).toEqual({ args, code, signal: null, out: '', err: expect.stringMatching(line) })
    expect(result.err.trimEnd().split('\n')).toHaveLength(1)
  })
  expect(readdirSync(overlay.home('out'))).toEqual([])
  expect(existsSync(join(bench.root, 'up'))).toBe(false)
  // A full store refuses and lives on.
  expect(await overlay.json('a', 'status')).toMatchObject({ role: 'member', store: { capacityBytes: 1024 ** 2 } })
  const started = performance.now()
  process.kill(node.pid, 'SIGTERM')
  expect(await node.ended).toMatchObject({ code: 0 })
  expect(performance.now() - started).toBeLessThan(5000)
})

test('demo store adds, reads back elsewhere, compares, and leaves nothing behind', async () => {
  await using bench = new Bench()
  const file = join(bench.root, 'file')
  writeFileSync(file, 'hello world')
  const result = await bench.json('demo', 'store', '--file', file, '--nodes', '2')
  expect(result).toEqual({ v: 1, type: 'result', cid: HELLO, bytes: 11, equal: true })
  expect([bench.leftovers(), bench.files()]).toEqual([[], ['file']])
})
