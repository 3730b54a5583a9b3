import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  defaultHome,
  findSocket,
  inspectHome,
  MAX_SOCKET_PATH_BYTES,
  openHome,
  placeSocket,
  removeHome,
  removeUnusedHome,
} from '../../../src/home.ts'
import { homeError } from '../../../src/home-files.ts'

let root: string
let next = 0
const fresh = () => join(root, `home${next++}`)
const usable = (change: object) => expect.objectContaining({ name: 'ChoraleError', ...change })

beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'chorale-test-'))
})
afterAll(() => rmSync(root, { recursive: true }))

test.each([
  [{ CHORALE_HOME: '/x/y' }, 'linux', '/x/y'],
  [{}, 'linux', '/u/.local/share/chorale'],
  [{ XDG_DATA_HOME: '/d' }, 'linux', '/d/chorale'],
  [{}, 'darwin', '/u/Library/Application Support/chorale'],
  [{ LOCALAPPDATA: '/l' }, 'win32', '/l/chorale'],
] as const)('%j on %s: %s', (variables, platform, path) => {
  expect(defaultHome(variables, platform, '/u')).toBe(path)
})

test('only a home without a place is unused', () => {
  const path = fresh()
  const first = openHome(path, 1000)
  first.keepKey(new Uint8Array(40))
  removeUnusedHome(path)
  expect(existsSync(join(path, 'key'))).toBe(true) // its host starts just now
  first.close()
  removeUnusedHome(path)
  expect(existsSync(path)).toBe(false)
  const second = openHome(path, 2000)
  second.keepPlace({ peer: 'p', port: 4001 })
  second.close()
  removeUnusedHome(path)
  expect(inspectHome(path)).toMatchObject({ peer: 'p' })
  const foreign = fresh()
  mkdirSync(foreign)
  removeUnusedHome(foreign)
  expect(existsSync(foreign)).toBe(true)
})

test('key, place and incarnation last; nobody else may read', () => {
  const path = fresh()
  const first = openHome(path, 1000)
  expect(first).toMatchObject({ incarnation: 1000, port: 0, key: undefined })
  first.keepKey(new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]))
  first.keepPlace({ peer: '12D3', port: 4001 })
  expect(inspectHome(path)).toEqual({ incarnation: 1000, peer: '12D3', port: 4001, pid: process.pid })
  for (const file of readdirSync(path)) expect(statSync(join(path, file)).mode & 0o077).toBe(0)
  expect(statSync(path).mode & 0o777).toBe(0o700)
  first.close()
  expect(inspectHome(path)?.pid).toBeUndefined()
  const second = openHome(path, 5) // the clock was set back
  expect(second).toMatchObject({ incarnation: 1001, port: 4001, key: new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8]) })
  second.close()
})

test('a crash right after the start costs an incarnation all the same', () => {
  const path = fresh()
  openHome(path, 1000).close()
  expect(inspectHome(path)?.incarnation).toBe(1000)
})

test('two nodes never share a home', () => {
  const path = fresh()
  const home = openHome(path, 1)
  expect(() => openHome(path, 2)).toThrow(
    usable({ code: 'config', message: expect.stringMatching(/in use by process \d+: .*--home/) }),
  )
  home.close()
  openHome(path, 3).close()
  expect(readdirSync(path).filter((name) => name.startsWith('pid'))).toEqual([])
})

test('the lock of a dead process is taken over, also when another process has its id now', () => {
  const path = fresh()
  openHome(path, 1).close()
  const dead = spawnSync(process.execPath, ['-e', '']).pid
  writeFileSync(join(path, 'pid'), `${dead}\nanother boot 1\n`)
  openHome(path, 2).close()
  if (process.platform !== 'linux') return
  writeFileSync(join(path, 'pid'), `${process.pid}\nanother boot 1\n`)
  openHome(path, 3).close()
})

test('a newer format is refused, a damaged file is named', () => {
  const path = fresh()
  openHome(path, 1).close()
  for (const [file, text, message] of [
    ['format', '2\n', /has format 2, this version of chorale knows 1: update chorale, or .*--home/],
    ['format', 'x', /unreadable format/],
    ['host.json', '{', /host\.json is damaged/],
    ['host.json', '{"incarnation":-0.5,"port":1,"peer":""}', /host\.json is damaged/],
    ['key', '?', /host key .* is damaged/],
  ] as const) {
    const before = existsSync(join(path, file)) ? readFileSync(join(path, file)) : undefined
    writeFileSync(join(path, file), text)
    expect(() => openHome(path, 2)).toThrow(usable({ code: 'config', message: expect.stringMatching(message) }))
    if (before) writeFileSync(join(path, file), before)
    else rmSync(join(path, file))
  }
  openHome(path, 2).close() // no lock was left
})

test("somebody's own directory is left alone, with its mode", () => {
  const path = fresh()
  mkdirSync(path, { mode: 0o755 })
  writeFileSync(join(path, 'thesis.tex'), '')
  expect(() => openHome(path, 1)).toThrow(usable({ code: 'config', message: expect.stringMatching(/other files/) }))
  expect(statSync(path).mode & 0o777).toBe(0o755)
  expect(readdirSync(path)).toEqual(['thesis.tex'])
})

test('a home that cannot be is one line with a remedy', () => {
  const file = fresh()
  writeFileSync(file, '')
  const impossible = process.platform === 'linux' ? ['/proc/chorale', '/proc/chorale/below', '/dev/null'] : []
  for (const path of [file, join(file, 'below'), join(file, 'far', 'below'), ...impossible]) {
    expect(() => openHome(path, 1)).toThrow(
      usable({ code: 'config', message: expect.stringMatching(/^[^\n]*--home DIR$/) }),
    )
  }
})

test.each([
  ['ENOSPC', 'io', /no space left.*--home/],
  ['EDQUOT', 'io', /no space left/],
  ['EACCES', 'config', /cannot be written/],
  ['EROFS', 'config', /cannot be written/],
  ['EIO', 'io', /--home/],
])('%s', (system, code, message) => {
  const error = homeError('/h', Object.assign(new Error('system says'), { code: system }))
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) })
})

test('the control socket stays in the home, unless its path is too long for the system', () => {
  const short = fresh()
  openHome(short, 1)
  expect(placeSocket(short)).toBe(join(short, 'api.sock'))
  expect(findSocket(short)).toBe(join(short, 'api.sock'))
  const long = join(root, 'l'.repeat(120))
  openHome(long, 1)
  const socket = placeSocket(long)
  expect(Buffer.byteLength(socket)).toBeLessThanOrEqual(MAX_SOCKET_PATH_BYTES)
  expect(findSocket(long)).toBe(socket)
  expect(statSync(dirname(socket)).mode & 0o077).toBe(0)
  const again = placeSocket(long) // after a kill -9: the place of before is cleared
  expect(existsSync(dirname(socket))).toBe(false)
  removeHome(long)
  expect([existsSync(dirname(again)), existsSync(long)]).toEqual([false, false])
})

test('the last neighbours are remembered, network by network', () => {
  const path = fresh()
  const home = openHome(path, 1)
  expect(home.peersOf('lab')).toEqual([])
  home.keepPeers('lab', ['127.0.0.1:1', '127.0.0.1:2'])
  expect(home.peersOf('lab')).toEqual(['127.0.0.1:1', '127.0.0.1:2'])
  expect(home.peersOf('other')).toEqual([])
  writeFileSync(join(path, 'peers.json'), '{"network":"lab","addresses":[1,"127.0.0.1:3"]}')
  expect(home.peersOf('lab')).toEqual(['127.0.0.1:3'])
  writeFileSync(join(path, 'peers.json'), 'not JSON')
  expect(home.peersOf('lab')).toEqual([])
  home.close()
})

test('pins are kept whole, and never forgotten in silence', () => {
  const path = fresh()
  const home = openHome(path, 1000)
  const pins = [{ cid: 'bafy', pinnedAtMs: 1, refreshedAtMs: 2 }]
  expect(home.pins()).toEqual([])
  home.keepPins(pins)
  expect(home.pins()).toEqual(pins)
  for (const text of ['', '{}', '{"pins":[null]}', '{"pins":[{"cid":"bafy"}]}']) {
    writeFileSync(join(path, 'pins.json'), text)
    expect(() => home.pins()).toThrow(
      usable({ code: 'config', message: expect.stringMatching(/pins\.json is damaged/) }),
    )
  }
  home.close()
})
