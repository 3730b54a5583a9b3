/** A node that starts before the one that it wants to join, or while that one is too busy to answer. */
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startHost } from '../../src/node.ts'
import { Bench, eventually, type Running } from './processes.ts'

const IDLE = ['--network', 'seeds', '--lend', '0'] as const

const up = (bench: Bench, name: string, ...more: string[]) =>
  bench.start('up', '--json', '--home', join(bench.root, name), ...IDLE, ...more)

/** Lines of the log that have this text. */
function hears({ child }: Running): (text: string) => number {
  let err = ''
  child.stderr?.on('data', (more: string) => {
    err += more
  })
  return (text) => err.split('\n').filter((line) => line.includes(text)).length
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

test('a node waits for a seed that starts a little later', async () => {
  await using bench = new Bench()
  const listen = { ip: '127.0.0.1', port: await freePort() }
  const early = up(bench, 'early', '--bootstrap', `127.0.0.1:${listen.port}`, '-v')
  const heard = hears(early)
  await eventually('it has been refused', () => heard('nobody is there yet') > 0)
  // In this process, whose code is loaded: on a busy machine another one could need longer than the node waits.
  const home = join(bench.root, 'late')
  const seed = await startHost({ home, listen, bootstrap: [], network: 'seeds', lendCores: 0 })
  try {
    expect(await early.line('ready')).toMatchObject({ role: 'member' })
    await eventually('the two are one ring', () => seed.status().ring.nodes[0]?.sizeEstimate === 2)
  } finally {
    await seed.stop()
  }
})

test('a node waits for a seed that is silent, says so once, and gives up at once when it is told to', async () => {
  await using bench = new Bench()
  const seed = up(bench, 'seed')
  const address = (await seed.line('ready')).address as string
  process.kill(seed.pid, 'SIGSTOP')
  const nodes = ['a', 'b'].map((name) => up(bench, name, '--bootstrap', address))
  const heard = nodes.map(hears)
  const note = `no answer yet from ${address}, trying again`
  await eventually('both have said so', () => heard.every((count) => count(note) === 1))
  const [patient, impatient] = nodes as [Running, Running]
  const toldAtMs = performance.now()
  process.kill(impatient.pid, 'SIGTERM')
  expect(await impatient.ended).toMatchObject({ code: 130, signal: null })
  expect(performance.now() - toldAtMs).toBeLessThan(2500)
  process.kill(seed.pid, 'SIGCONT')
  expect(await patient.line('ready')).toMatchObject({ role: 'member' })
  expect(heard[0]?.(note)).toBe(1)
})
