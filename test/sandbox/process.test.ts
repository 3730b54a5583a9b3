/** The process around foreign code: what it may touch, how it ends (SANDBOX: tests 12, 13, 14 and 16). */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test, vi } from 'vitest'
import { silentLogger } from '../../src/core/env.ts'
import { systemClock } from '../../src/core/system.ts'
import { Child } from '../../src/mapreduce/sandbox/child.ts'
import { type Command, commandOf, type Level, runnerFiles } from '../../src/mapreduce/sandbox/command.ts'
import { inspectMachine } from '../../src/mapreduce/sandbox/sandbox.ts'
import { levels, MemoryWatch, noBubblewrap } from './sandboxed.ts'

const LIMITS = { heapMb: 64, cpuSeconds: 20, dataMb: 128 }

/** A runner that belongs to the attacker: whatever it prints is a frame, or is not. */
async function hostile(level: Level, code: string): Promise<Command> {
  const folder = mkdtempSync(join(tmpdir(), 'chorale-hostile-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const runner = join(folder, 'runner.mjs')
  writeFileSync(runner, code)
  const files = await runnerFiles()
  return commandOf(level, { ...files, runner, files: [runner] }, LIMITS, undefined)
}

function start(command: Command): Child {
  const child = new Child(command, systemClock, silentLogger)
  onTestFinished(() => child.kill(new Error('the test is over') as never))
  return child
}

/** Frames are what the child's side writes; this one holds a text. */
const SAY = `
  import { writeSync } from 'node:fs'
  function say(head) {
    const text = Buffer.from(JSON.stringify(head))
    const frame = Buffer.alloc(8)
    frame.writeUInt32LE(4 + text.length, 0); frame.writeUInt32LE(text.length, 4)
    writeSync(1, Buffer.concat([frame, text]))
  }
`

test.skipIf(noBubblewrap !== undefined)('12. inside bubblewrap even the whole of Node finds nothing', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const { port } = server.address() as { port: number }
  const { file, args, filter } = await hostile(
    'os',
    `${SAY}
    import { readdirSync, readFileSync, writeFileSync, existsSync } from 'node:fs'
    import { spawnSync } from 'node:child_process'
    import { connect, createServer } from 'node:net'
    const found = []
    const attempt = (what, act) => { try { if (act()) found.push(what) } catch {} }
    attempt('etc', () => readdirSync('/etc').length)
    attempt('proc', () => readdirSync('/proc').length)
    attempt('home', () => readdirSync('/root').length || readdirSync('/home').length)
    attempt('passwd', () => readFileSync('/etc/passwd'))
    attempt('write', () => { writeFileSync('/planted', 'x'); return true })
    attempt('tmp', () => { writeFileSync(['', 'tmp', 'planted'].join('/'), 'x'); return true })
    attempt('shell', () => spawnSync('/bin/sh', ['-c', 'true']).status === 0)
    attempt('environment', () => Object.keys(process.env).filter((name) => name !== 'PWD').length)
    attempt('parent', () => process.kill(process.ppid > 1 ? process.ppid : ${process.pid}, 0))
    attempt('root', () => process.getuid() === 0)
    try { await new Promise((listening, failed) => createServer(() => {}).once('error', failed).listen(0, '127.0.0.1', listening)); found.push('listening') } catch {}
    const socket = connect(${port}, '127.0.0.1')
    const tell = () => say({ op: 'up', found: found.join() }) 
    socket.on('connect', () => { found.push('network'); finish() })
    socket.on('error', () => finish())
    function finish() { tell(); say({ op: 'done', id: 1 }); say({ found: found.join() }); setTimeout(() => {}, 100_000) }`,
  )
  // Without Node's own permissions, which are no wall.
  const bare = { file, args: args.filter((arg) => !/^--(permission|allow-)/.test(arg)) }
  const child = spawn(bare.file, bare.args, {
    cwd: '/',
    env: {},
    detached: true,
    stdio: ['pipe', 'pipe', 'inherit', 'pipe'],
  })
  ;(child.stdio[3] as Writable).end(filter)
  onTestFinished(() => void child.kill('SIGKILL'))
  let text = ''
  for await (const piece of child.stdout!) {
    text += String(piece)
    if (text.includes('"done"')) break
  }
  expect(/"op":"up","found":"(.*?)"/.exec(text)?.[1]).toBe('')
})

test.each(levels.filter((level) => level === 'process' || noBubblewrap === undefined))(
  '14. a process that breaks the protocol is ended: level %s',
  async (level) => {
    const forms = [
      `writeSync(1, Buffer.from('no frame at all, but long enough to look like one'))`,
      `writeSync(1, Buffer.from([255, 255, 255, 255, 4, 0, 0, 0]))`,
      `writeSync(1, Buffer.from([8, 0, 0, 0, 200, 0, 0, 0, 1, 2, 3, 4]))`,
      `say({ op: 'done', id: 99 })`,
      `say({ op: 'nothing', id: 1 })`,
      `say({ op: 'up' })`,
      `say({ op: 'failed', id: 1, message: 5 })`,
      'process.exit(0)',
    ]
    for (const form of forms) {
      const child = start(
        await hostile(
          level,
          `${SAY} say({ op: 'up' }); process.stdin.once('data', () => { ${form}; setTimeout(() => {}, 1e6) })`,
        ),
      )
      await child.up
      const answer = child.request({ op: 'call' }, new Uint8Array(0), { timeoutMs: 10_000 })
      await expect(answer, form).rejects.toMatchObject({ code: 'user-code' })
      await child.gone
    }
  },
)

/** A process and all below it. */
function descendants(pid: number): number[] {
  const parents = readdirSync('/proc').flatMap((name): [number, number][] => {
    if (!/^\d+$/.test(name)) return []
    try {
      const fields = readFileSync(`/proc/${name}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')
      return [[Number(name), Number(fields[1])]]
    } catch {
      return [] // it has ended meanwhile
    }
  })
  const below = (of: number): number[] => [
    of,
    ...parents.flatMap(([child, parent]) => (parent === of ? below(child) : [])),
  ]
  return below(pid)
}

test('what cannot be started is an error, for whoever asks', async () => {
  const child = start({ file: '/nowhere/sh', args: [], filter: new Uint8Array(8) })
  await expect(child.up).rejects.toMatchObject({
    code: 'io',
    message: expect.stringContaining('cannot start a sandbox'),
  })
  await expect(child.request({ op: 'call' }, new Uint8Array(0), { timeoutMs: 1000 })).rejects.toThrow()
  await child.gone
})

test('14. a flood of output and of complaints grows nothing here', async () => {
  const child = start(
    await hostile(
      'process',
      `${SAY} for (let i = 0; i < 200; i++) writeSync(2, 'z'.repeat(60_000)); say({ op: 'up' })
      process.stdin.once('data', () => { const frame = Buffer.alloc(8); frame.writeUInt32LE(1e6, 0); frame.writeUInt32LE(4, 4)
        for (;;) writeSync(1, Buffer.concat([frame, Buffer.alloc(1e6 - 4)])) })`,
    ),
  )
  await child.up
  const memory = new MemoryWatch()
  await expect(child.request({ op: 'call' }, new Uint8Array(0), { timeoutMs: 10_000 })).rejects.toMatchObject({
    code: 'user-code',
  })
  await child.gone
  expect(memory.end()).toBeLessThan(64 * 2 ** 20)
})

test.each(levels.filter((level) => level === 'process' || noBubblewrap === undefined))(
  '13. a node that is killed leaves no process behind: level %s',
  async (level) => {
    const script = `
      import { silentLogger } from './src/core/env.ts'
      import { systemClock } from './src/core/system.ts'
      import { inspectMachine, Sandbox } from './src/mapreduce/sandbox/sandbox.ts'
      import { encode } from './src/core/cbor.ts'
      const options = { cores: 1, clock: systemClock, log: silentLogger }
      const sandbox = await Sandbox.open(options, await inspectMachine('${level}'))
      const code = new TextEncoder().encode('export default { plan() { for (;;); }, map() {}, reduce() {}, finish() {} }')
      sandbox.call('job', code, 'plan', encode({}), { timeoutMs: 60_000 }).catch(() => {})
      setInterval(() => console.log(sandbox.pids.join(' ')), 200)`
    const node = spawn(process.execPath, ['--input-type=module-typescript', '--eval', script], {
      cwd: fileURLToPath(new URL('../..', import.meta.url)),
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void node.kill('SIGKILL'))
    let pid = 0
    node.stdout.on('data', (piece) => {
      pid ||= Number.parseInt(String(piece), 10) || 0
    })
    await vi.waitFor(() => expect(pid).toBeGreaterThan(0), { timeout: 20_000, interval: 20 })
    await sleep(500) // so that it is in its loop
    const family = descendants(pid)
    expect(family.length).toBeGreaterThanOrEqual(level === 'os' ? 2 : 1) // bubblewrap, and what runs in it
    node.kill('SIGKILL')
    await vi.waitFor(() => expect(family.filter((one) => existsSync(`/proc/${one}`))).toEqual([]), {
      timeout: 10_000,
      interval: 50,
    })
  },
)

test('16. without bubblewrap the lower level is taken, and said; asked for, it is refused', async () => {
  vi.stubEnv('PATH', '/nowhere')
  onTestFinished(() => void vi.unstubAllEnvs())
  const files = await runnerFiles()
  expect(files.node).toBe(process.execPath)
  expect(await inspectMachine()).toMatchObject({ level: 'process', why: expect.stringContaining('bubblewrap') })
  await expect(inspectMachine('os')).rejects.toMatchObject({ code: 'config' })
})
