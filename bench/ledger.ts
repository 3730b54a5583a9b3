/**
 * `npm run bench -- ledger --members 7 --json`: operations a second that a committee makes final, each member in a process of
 * its own on loopback, with a real disk under each log. Every member has clients of its own, each of which pays another account
 * again and again: it signs a transfer, submits it, waits for the receipt, and goes on. What is measured is the time from the
 * submission to the receipt. There is no peer to compare with: the bare sync of the disk is printed beside it.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { encodeGenesis, type Genesis, PRIVATE_LEDGER } from '../src/market/ledger/genesis.ts'
import type { PublicKey } from '../src/market/ledger/keys.ts'
import type { FromMember, ToMember } from './ledger/member.ts'
import { quantile, round } from './measure.ts'
import { readOptions } from './options.ts'

const { numbers, json } = readOptions({
  members: { default: 7, min: 1, max: 31 },
  clients: { default: 12, min: 1, max: 256 },
  seconds: { default: 10, min: 1, max: 600 },
})
const { members, clients, seconds } = numbers
const START_MS = 120_000

const directory = mkdtempSync(join(tmpdir(), 'chorale-ledger-'))
const children: ChildProcess[] = []

/** The next message of a kind from a child; rejects when it ends before. */
function hear<T extends FromMember['type']>(child: ChildProcess, type: T): Promise<FromMember & { type: T }> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no '${type}' of a member`)), START_MS + seconds * 2000)
    const onMessage = (message: FromMember) => {
      if (message.type !== type) return
      end()
      resolve(message as FromMember & { type: T })
    }
    const onExit = () => {
      end()
      reject(new Error('a member has ended'))
    }
    const end = () => {
      clearTimeout(timer)
      child.off('message', onMessage)
      child.off('exit', onExit)
    }
    child.on('message', onMessage)
    child.on('exit', onExit)
  })
}

const tell = (child: ChildProcess, message: ToMember) => child.send(message)

/** Milliseconds that the disk takes to sync a small write, half of the time. */
function syncMs(): number {
  const file = openSync(join(directory, 'probe'), 'w')
  const times = Array.from({ length: 100 }, () => {
    writeSync(file, Buffer.alloc(512))
    const startMs = performance.now()
    fdatasyncSync(file)
    return performance.now() - startMs
  })
  closeSync(file)
  return quantile(
    times.sort((a, b) => a - b),
    0.5,
  )
}

try {
  const diskSyncMs = syncMs()
  const file = fileURLToPath(new URL('ledger/member.ts', import.meta.url))
  for (let number = 0; number < members; number++) {
    children.push(
      fork(file, [join(directory, String(number)), String(clients)], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      }),
    )
  }
  const here = await Promise.all(children.map((child) => hear(child, 'here')))
  const genesis: Genesis = {
    v: 1,
    settings: { name: 'bench', placement: 'ip-port', replicas: 4, successors: 4, ...PRIVATE_LEDGER },
    createdAtMs: Date.now(),
    bankers: here
      .map(({ host }) => ({ host: host as PublicKey, account: host as PublicKey }))
      .sort((a, b) => (a.host < b.host ? -1 : 1)),
  }
  const bytes = Buffer.from(encodeGenesis(genesis)).toString('base64')
  const ready = Promise.all(children.map((child) => hear(child, 'ready')))
  for (const [number, child] of children.entries()) {
    tell(child, { type: 'start', genesis: bytes, bootstrap: number === 0 ? undefined : here[0]!.place })
    if (number === 0) await hear(child, 'joined')
  }
  await ready
  if (!json) console.error(`${members} members are ready; ${members * clients} clients pay for ${seconds} s ...`)
  const done = Promise.all(children.map((child) => hear(child, 'measured')))
  for (const child of children) tell(child, { type: 'pay', ms: seconds * 1000 })
  const measured = await done
  const times = measured.flatMap((one) => one.times).sort((a, b) => a - b)
  const cpu = measured.reduce((sum, { cpuMs }) => sum + cpuMs, 0)
  const heights = measured.map(({ blocks }) => blocks)
  const result = {
    v: 1,
    type: 'bench',
    members,
    clients: members * clients,
    seconds,
    operationsPerSecond: round(times.length / seconds),
    p50Ms: round(quantile(times, 0.5)),
    p95Ms: round(quantile(times, 0.95)),
    blocksPerSecond: round(Math.max(...heights) / seconds),
    cpuMsPerOperation: round(cpu / times.length),
    diskSyncMs: round(diskSyncMs),
  }
  if (json) console.log(JSON.stringify(result))
  else {
    const { operationsPerSecond, p50Ms, p95Ms, blocksPerSecond, cpuMsPerOperation } = result
    console.log(`${operationsPerSecond} operations a second final, p50 ${p50Ms} ms, p95 ${p95Ms} ms`)
    console.log(`${blocksPerSecond} blocks a second, ${cpuMsPerOperation} ms of CPU for an operation at all members`)
    console.log(`a bare sync of this disk takes ${result.diskSyncMs} ms`)
  }
} finally {
  for (const child of children) if (child.connected) child.disconnect() // they end with it
  await Promise.all(children.map((child) => (child.exitCode === null ? once(child, 'exit') : undefined)))
  rmSync(directory, { recursive: true, force: true })
}
