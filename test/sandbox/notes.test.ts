/** What a task says on its way out of the sandbox: it comes in order, before the answer, and is as hostile as the rest. */
import { expect, test } from 'vitest'
import { silentLogger } from '../../src/core/env.ts'
import { systemClock } from '../../src/core/system.ts'
import { Child } from '../../src/mapreduce/sandbox/child.ts'
import { moduleOf, sandboxed } from './sandboxed.ts'

function listened(map: string, options: { taskMs?: number } = {}) {
  const { executor, spec } = sandboxed(moduleOf(map), options)
  const heard: Array<[number, string | number]> = []
  const notes = {
    log: (task: number, text: string) => void heard.push([task, text]),
    progress: (task: number, share: number) => void heard.push([task, share]),
  }
  const run = async (mask: number) =>
    executor.run({ spec: await spec(), segment: 0, mask }, { signal: new AbortController().signal, notes })
  return { heard, run }
}

test('lines and shares of every task come in order, and change no byte of the result', async () => {
  const said = listened(`const { log, progress } = context
    for (let i = 0; i < 10; i++) log('line', i)
    progress(0.5)
    return task`)
  const { partials } = await said.run(0b111)
  const lines = (task: number) => Array.from({ length: 10 }, (_, i): [number, string] => [task, `line ${i}`])
  const wanted = [0, 1, 2].flatMap((task) => [...lines(task), [task, 0.5], [task, 1]])
  expect(said.heard).toEqual(wanted)
  const silent = await listened('return task').run(0b111)
  expect(partials).toEqual(silent.partials)
})

test('what a task said before it failed, or was ended, has been heard', async () => {
  const throws = listened("context.log('here'); throw new Error('no')")
  await expect(throws.run(1)).rejects.toThrow('failed in task 0: no')
  expect(throws.heard).toEqual([[0, 'here']])
  const loops = listened("context.log('here'); context.progress(0.25); for (;;);", { taskMs: 1000 })
  await expect(loops.run(1)).rejects.toThrow('took longer')
  expect(loops.heard).toEqual([
    [0, 'here'],
    [0, 0.25],
  ])
})

test('a task that talks without end is heard now and then', async () => {
  const said = listened("for (let i = 0; i < 1e5; i++) { context.log('line', i); context.progress(i / 1e5) }; return 1")
  await said.run(1)
  const lines = said.heard.filter(([, what]) => typeof what === 'string')
  expect(lines).toHaveLength(21)
  expect(lines.at(-1)).toEqual([0, 'line 99999'])
  expect(said.heard).toHaveLength(21 + 101)
})

test('what a task is given to say something with leads nowhere', async () => {
  const said =
    listened(`const reach = (f) => { try { return typeof f.constructor('return process')() } catch { return 'no' } }
    const { log, progress } = context
    let proxied = 0
    log(new Proxy({}, { get: () => { proxied++ }, ownKeys: () => [] }), { toJSON: () => ({ constructor: 'x' }) })
    return [reach(log), reach(progress), reach(log.bind), Object.isFrozen(context)].join()`)
  const { partials } = await said.run(1)
  expect(Buffer.from(partials[0]!.bytes).toString('latin1')).toContain('no,no,no,true')
})

/** A process that belongs to the attacker, and says this in answer to any frame. */
function speaking(said: string): Child {
  const code = `
    const frame = (head) => {
      const text = Buffer.from(JSON.stringify(head))
      const lengths = Buffer.alloc(8)
      lengths.writeUInt32LE(4 + text.length, 0)
      lengths.writeUInt32LE(text.length, 4)
      return Buffer.concat([lengths, text])
    }
    process.stdout.write(frame({ op: 'up' }))
    process.stdin.once('data', () => { ${said} })`
  return new Child(
    { file: process.execPath, args: ['-e', code], filter: undefined } as never,
    systemClock,
    silentLogger,
  )
}

test.each([
  [
    'without end',
    'const one = frame({ op: "note", id: 1, task: 0, said: "x" }); const all = Buffer.concat(Array(5000).fill(one)); setInterval(() => process.stdout.write(all))',
  ],
  ['to nobody', 'process.stdout.write(frame({ op: "note", id: 7, task: 0, said: "x" }))'],
  ['what it may not', 'process.stdout.write(frame({ op: "note", id: 1, task: 0, said: "bad" }))'],
])('a process that says something %s is ended', async (_, said) => {
  const child = speaking(said)
  await child.up
  const onNote = (_task: unknown, what: unknown) => {
    if (what === 'bad') throw new Error('not that')
  }
  const answer = child.request({ op: 'call' }, new Uint8Array(0), { timeoutMs: 10_000, onNote })
  await expect(answer).rejects.toThrow('broke the protocol')
  await child.gone
})
