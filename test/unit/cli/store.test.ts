import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { CLOSED_PIPE } from '../../../src/cli/cli.ts'
import * as format from '../../../src/cli/format.ts'
import { defaultTarget, Landing, readTree } from '../../../src/cli/local-files.ts'
import { Pace, transferLine } from '../../../src/cli/transfer.ts'
import { bytes } from '../../../src/cli/values.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import { allOf, failure, pieces } from '../../fakes/block-io.ts'
import { bench, runCli } from './fake-host.ts'

const HELLO = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'
const text = (value: string) => pieces(new TextEncoder().encode(value))

class Scratch implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'chorale-test-'))

  at(...names: string[]): string {
    return join(this.path, ...names)
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true })
  }
}

test.each([
  ['10GiB', 10 * 1024 ** 3],
  ['1.5 MiB', 1.5 * 1024 ** 2],
  ['500MB', 5e8],
  ['2tb', 2e12],
  ['4096', 4096],
  ['0', 0],
])('%s is %d bytes', (given, value) => expect(bytes('--store', { min: 1, example: '1GiB' })(given)).toBe(value))

test.each(['', '-1', '1e9', '5 GiBs', '1..5MB', '99999TiB', 'MB'])('%j is no size', (given) => {
  expect(() => bytes('--store', { min: 1, example: '1GiB' })(given)).toThrow(/--store must be .* try --store 1GiB/)
})

test('names that a terminal would obey are shown as what they are', () => {
  expect(format.safeName('a b.txt')).toBe('a b.txt')
  expect(format.safeName('été 日本')).toBe('été 日本')
  expect(format.safeName('\u001b[2Jx\n\u202etxt')).toBe('"\\u001b[2Jx\\n\\u{202e}txt"')
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (name) => {
      expect(format.safeName(name)).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u)
    }),
  )
})

test('the pace is that of the last seconds, and unknown at first', () => {
  const pace = new Pace(0)
  expect(transferLine({ verb: 'added', totalBytes: undefined }, 0, pace.bytesPerSecond)).toBe('added 0 B')
  for (let s = 1; s <= 10; s++) pace.add(s * 1000, s * 1024 ** 2)
  expect(transferLine({ verb: 'added', totalBytes: 20 * 1024 ** 2 }, 10 * 1024 ** 2, pace.bytesPerSecond)).toBe(
    'added 10 MiB of 20 MiB, 50 %, 1.0 MiB/s, about 10.0 s left',
  )
  for (let s = 11; s <= 20; s++) pace.add(s * 1000, (10 + (s - 10) * 5) * 1024 ** 2)
  expect(pace.bytesPerSecond).toBeCloseTo(5 * 1024 ** 2)
})

test('a target appears whole or not at all, and is replaced only when told', async () => {
  using scratch = new Scratch()
  const target = scratch.at('x')
  const broken = async function* () {
    yield new Uint8Array(10)
    throw new ChoraleError('not-found', 'a block is gone')
  }
  const put = async (content: AsyncIterable<Uint8Array>, force = false) => {
    await using landing = await Landing.at(target, force)
    await landing.file('', content)
    expect(existsSync(target) && readFileSync(target, 'utf8')).not.toBe('second') // not yet
    await landing.finish()
  }
  expect(await failure(put(broken()))).toBe('not-found: a block is gone')
  expect(readdirSync(scratch.path)).toEqual([])
  await put(text('first'))
  expect(await failure(put(text('second')))).toMatch(/^usage: .*exists already/)
  expect(await failure(put(broken(), true))).toMatch(/gone/)
  expect(readFileSync(target, 'utf8')).toBe('first')
  await put(text('second'), true)
  expect(readFileSync(target, 'utf8')).toBe('second')
  expect(readdirSync(scratch.path)).toEqual(['x'])
})

test('what comes while a file is fetched is not replaced either', async () => {
  using scratch = new Scratch()
  const target = scratch.at('x')
  await using landing = await Landing.at(target, false)
  await landing.file('', text('ours'))
  writeFileSync(target, 'theirs')
  expect(await failure(landing.finish())).toMatch(/^usage: .*exists already/)
  expect(readFileSync(target, 'utf8')).toBe('theirs')
})

test('a directory takes the place of another only when told, and never of where we are', async () => {
  using scratch = new Scratch()
  const target = scratch.at('d')
  mkdirSync(target)
  writeFileSync(scratch.at('d', 'old'), '')
  expect(await failure(Landing.at(target, false))).toMatch(/^usage: .*exists already/)
  {
    await using landing = await Landing.at(target, true)
    await landing.directory('')
    await landing.directory('sub')
    await landing.file('sub/new', text('n'))
    expect(readdirSync(target)).toEqual(['old'])
    await landing.finish()
  }
  expect(readdirSync(scratch.path)).toEqual(['d'])
  expect(readdirSync(target, { recursive: true }).sort()).toEqual(['sub', join('sub', 'new')])
  for (const here of [process.cwd(), join(process.cwd(), '..'), '/']) {
    expect(await failure(Landing.at(here, true))).toMatch(/^usage: .*where you are/)
  }
})

test.each(['../x', 'a/../../x', '/x', 'a//x', '.', '..', './x'])(
  'the path %j leads elsewhere and is refused',
  async (path) => {
    using scratch = new Scratch()
    await using landing = await Landing.at(scratch.at('d'), false)
    await landing.directory('')
    expect(await failure(landing.file(path, text('evil')))).toMatch(/^usage: .*is refused/)
    expect(await failure(landing.directory(path))).toMatch(/^usage: .*is refused/)
  },
)

test('the name that something gets', () => {
  expect(defaultTarget(HELLO)).toBe(HELLO)
  expect(defaultTarget(`${HELLO}/docs/a.txt/`)).toBe('a.txt')
  for (const ref of [`${HELLO}/..`, `${HELLO}/.`]) expect(() => defaultTarget(ref)).toThrow(/say one with -o/)
  for (const ref of ['', '/']) expect(() => defaultTarget(ref)).toThrow(/is not a CID/)
})

test('a directory is read whole, or refused before anything is sent', async () => {
  using scratch = new Scratch()
  mkdirSync(scratch.at('a', 'b'), { recursive: true })
  writeFileSync(scratch.at('a', '.c'), 'cc')
  expect((await allOf(readTree(scratch.at('a')))).map(({ path, kind, bytes }) => [path, kind, bytes])).toEqual([
    ['.c', 'file', 2],
    ['b', 'directory', undefined],
  ])
  symlinkSync('.c', scratch.at('a', 'link'))
  await using b = await bench()
  expect(await b.chorale('add', scratch.at('a'))).toMatchObject({
    code: 2,
    err: expect.stringMatching(/symbolic link/),
  })
  expect(b.host.io.puts).toBe(0)
})

test('add, cat, ls, get, pin, unpin, export and import, for people and for programs', async () => {
  using scratch = new Scratch()
  await using b = await bench()
  mkdirSync(scratch.at('d'))
  writeFileSync(scratch.at('d', 'hello'), 'hello world')
  expect(await b.chorale('add', '-')).toMatchObject({ code: 0, out: `${HELLO}\n` })
  expect(await b.chorale('add', scratch.at('d', 'hello'), '--json')).toMatchObject({
    out: `{"v":1,"type":"added","cid":"${HELLO}","bytes":11,"blocks":1}\n`,
    err: '',
  })
  const two = await b.chorale('add', '-', scratch.at('d'), '--no-pin', '-q')
  expect(two.out).toMatch(new RegExp(`^${HELLO}  -\\nbafy\\w+  .*d\\n$`))
  const tree = two.out.split('\n')[1]!.split(' ')[0]!
  expect(await b.chorale('cat', `${tree}/hello`, '--offset', '6')).toMatchObject({ code: 0, out: 'world', err: '' })
  expect(await b.chorale('ls', tree)).toMatchObject({ out: `${HELLO}            11  hello\n` })
  expect(JSON.parse((await b.chorale('ls', tree, '--json')).out)).toMatchObject({
    type: 'entry',
    name: 'hello',
    kind: 'file',
  })
  const got = await b.chorale('get', tree, '-o', scratch.at('copy'), '--json')
  expect(JSON.parse(got.out)).toEqual({ v: 1, type: 'got', path: scratch.at('copy'), bytes: 11, files: 1 })
  expect(readFileSync(scratch.at('copy', 'hello'), 'utf8')).toBe('hello world')
  expect((await b.chorale('pin')).out).toMatch(new RegExp(`^${HELLO}  extended \\d{4}-.* UTC\\n$`))
  expect(await b.chorale('pin', tree)).toMatchObject({ code: 0, out: `${tree}\n` })
  expect(await b.chorale('unpin', tree)).toMatchObject({ code: 0 })
  expect(await b.chorale('unpin', tree)).toMatchObject({ code: 2, err: expect.stringMatching(/is not pinned here/) })
  expect(await b.chorale('export', tree, '-o', scratch.at('d.car'))).toMatchObject({ code: 0, out: '' })
  expect(await b.chorale('import', scratch.at('d.car'))).toMatchObject({ code: 0, out: `${tree}\n` })
  const onTerminal = await runCli(['export', tree, '--api', b.socketPath], { tty: true })
  expect(onTerminal).toMatchObject({ code: 2, err: expect.stringMatching(/-o FILE/) })
})

test('block stat and store stat', async () => {
  await using b = await bench()
  await b.chorale('add', '-')
  const { out } = await b.chorale('block', 'stat', HELLO)
  expect(out).toMatch(/size +11 B\ncopies +1 of 3, too few: repair makes more\n/)
  expect(out).toMatch(
    /127\.0\.0\.1:4002 .* owner +holds it +until .*\n127\.0\.0\.1:4003 .* replica +does not answer +-\n/,
  )
  expect(JSON.parse((await b.chorale('block', 'stat', HELLO, '--json')).out)).toMatchObject({
    type: 'block',
    copies: 1,
  })
  expect((await b.chorale('store', 'stat', '-v')).out).toMatch(
    /5\.0 MiB of 10 GiB, 0 %\nstate +has room[\s\S]*served 2\n/,
  )
  expect((await b.chorale('status')).out).toMatch(/keeps +3 blocks, 5\.0 MiB of 10 GiB; 1 pin\n/)
})

test('a reader that has enough is no error; a full disk behind stdout is', async () => {
  await using b = await bench()
  await b.chorale('add', '-')
  const cat = (error: ChoraleError) =>
    runCli(['cat', HELLO, '--api', b.socketPath], {
      write: async () => {
        throw error
      },
    })
  expect(await cat(CLOSED_PIPE)).toEqual({ code: 0, out: '', err: '' })
  expect(await cat(new ChoraleError('io', 'no space left'))).toEqual({
    code: 2,
    out: '',
    err: 'chorale: no space left\n',
  })
})

test('Ctrl-C while a file is fetched leaves nothing', async () => {
  using scratch = new Scratch()
  await using b = await bench()
  await b.chorale('add', '-')
  b.host.io.get = (_, { signal } = {}) =>
    new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
  const interrupt = new AbortController()
  const args = ['get', HELLO, '-o', scratch.at('x'), '--api', b.socketPath]
  const getting = runCli(args, { signal: interrupt.signal })
  interrupt.abort(new ChoraleError('interrupted', 'stopped by SIGINT'))
  expect(await getting).toMatchObject({ code: 130, err: 'chorale: stopped by SIGINT\n' })
  expect(readdirSync(scratch.path)).toEqual([])
})

test("record set and get: text, bytes from stdin, another's, and what is wrong", async () => {
  await using b = await bench()
  const set = await b.chorale('record', 'set', 'site', HELLO)
  expect(set).toMatchObject({
    code: 0,
    out: '',
    err: expect.stringMatching(/number 1, .*\n +chorale record get site --of 12D/),
  })
  expect(await b.chorale('record', 'get', 'site')).toEqual({ code: 0, out: HELLO, err: '' })
  expect((await b.chorale('record', 'get', 'site', '--of', b.host.status().peer)).out).toBe(HELLO)
  const input = () => pieces(Uint8Array.of(0xff, 0, 1))
  const piped = await runCli(['record', 'set', 'key', '-', '--expires', '30d', '--json', '--api', b.socketPath], {
    input,
  })
  expect(JSON.parse(piped.out)).toMatchObject({ v: 1, type: 'record', name: 'key', seq: 1, valueBase64: '/wAB' })
  expect(JSON.parse(piped.out)).not.toHaveProperty('value')
  expect(b.host.written.get('key')!.expiresAtMs).toBeGreaterThan(Date.now() + 29 * 86_400_000)
  expect(JSON.parse((await b.chorale('record', 'get', 'site', '--json')).out)).toMatchObject({ value: HELLO, seq: 1 })
  const wrong: [string[], RegExp][] = [
    [['record', 'get', 'none'], /has no record "none"/],
    [['record', 'get', 'site', '--of', 'somebody'], /somebody has no record "site"/],
    [['record', 'set', 'n', 'v', '--expires', '401d'], /10 s to 400 days.*--expires 30d/],
    [['record', 'set', 'n', 'v', '--expires', '1ms'], /of 10 s to 400 days/],
    [['record', 'get', 'n', '--of', '../store'], /has no record/],
    [['cat', `${HELLO}/../../stop`], /has no \. or \.\./],
    [['pin', '../store'], /has no \. or \.\./],
    [['cat', ''], /an empty name/],
    [['get', HELLO, '-o', '-'], /chorale cat/],
    [['get', HELLO, '-o', '/dev/null', '--force'], /is no file, and is not replaced/],
    [['record', 'set', 'n'], /missing required argument 'value'/],
  ]
  for (const [args, line] of wrong) {
    const result = await b.chorale(...args)
    expect(result).toMatchObject({ code: 2, out: '', err: expect.stringMatching(line) })
    expect(result.err.trimEnd().split('\n')).toHaveLength(1)
  }
  const large = () => pieces(new Uint8Array(5000))
  expect(await runCli(['record', 'set', 'n', '-', '--api', b.socketPath], { input: large })).toMatchObject({
    code: 2,
    err: expect.stringMatching(/4096 bytes: chorale add keeps more/),
  })
})
