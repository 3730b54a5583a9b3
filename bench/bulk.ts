/**
 * Blocks of 256 KiB over one connection between two processes: `npm run bench -- bulk [--seconds 5] [--json]`. Against
 * the bytes that one plain libp2p stream carries between the same two processes in the same run, with libp2p as it comes.
 *
 * - get, put: MB (10^6 bytes of blocks) a second, with 8 and 16 requests in flight
 * - ratio: to the raw stream in the same direction
 * - smallMs: one small request after the other during the 16 gets, and without anything else
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { multiaddr } from '@multiformats/multiaddr'
import { BLOCK_BYTES, Get, type Place, Put, pour, RAW_PROTOCOL, startHost, startRaw } from './bulk/peer.ts'
import { measure, round } from './measure.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
})
const seconds = Number(values.seconds)

const child = spawn(process.execPath, [fileURLToPath(new URL('bulk/peer.ts', import.meta.url))], {
  stdio: ['pipe', 'pipe', 'inherit'],
})
const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
const { contact, raw } = JSON.parse(line) as Place
const { host } = await startHost()

const block = new Uint8Array(BLOCK_BYTES).fill(7)
const get = () => host.request(contact, Get, {})
const put = () => host.request(contact, Put, { bytes: block })

async function blocks(width: number, ask: () => Promise<unknown>): Promise<number> {
  let count = 0
  const startMs = performance.now()
  const worker = async () => {
    for (; performance.now() - startMs < seconds * 1000; count++) await ask()
  }
  await Promise.all(Array.from({ length: width }, worker))
  return megabytes(count * BLOCK_BYTES, performance.now() - startMs)
}

/** Bytes that come, or the peer takes, over one plain stream: a writer that heeds back-pressure is a window ahead at most. */
async function rawBytes(incoming: boolean): Promise<number> {
  const node = await startRaw()
  const connection = await node.dial(multiaddr(raw))
  const stream = await connection.newStream(RAW_PROTOCOL)
  let bytes = 0
  const startMs = performance.now()
  const time = () => performance.now() - startMs < seconds * 1000
  stream.send(new Uint8Array([incoming ? 1 : 0]))
  if (incoming) {
    stream.addEventListener('message', ({ data }) => {
      bytes += data.byteLength
    })
    while (time()) await new Promise((resolve) => setTimeout(resolve, 10))
  } else {
    await pour(stream, () => {
      bytes += 64 * 1024
      return time()
    })
  }
  const rate = megabytes(bytes, performance.now() - startMs)
  connection.abort(new Error('enough'))
  await node.stop()
  return rate
}

function megabytes(bytes: number, ms: number): number {
  return round(bytes / 1e6 / (ms / 1000))
}

const warmUp = Array.from({ length: 16 }, async () => {
  for (let i = 0; i < 20; i++) await Promise.all([get(), put()])
})
await Promise.all(warmUp)
const rawIn = await rawBytes(true)
const get8 = await blocks(8, get)
const get16 = await blocks(16, get)
const rawOut = await rawBytes(false)
const put8 = await blocks(8, put)
const put16 = await blocks(16, put)
const alone = await measure(seconds / 5, () => host.ping(contact))
const [, busy] = await Promise.all([blocks(16, get), measure(seconds * 0.8, () => host.ping(contact))])

const result = {
  v: 1,
  type: 'result',
  rawMbPerSecond: { in: rawIn, out: rawOut },
  getMbPerSecond: { 8: get8, 16: get16 },
  putMbPerSecond: { 8: put8, 16: put16 },
  ratio: { get: round(Math.max(get8, get16) / rawIn), put: round(Math.max(put8, put16) / rawOut) },
  smallMs: {
    alone: { p50: alone.p50Ms, p95: alone.p95Ms },
    duringGets: { p50: busy.p50Ms, p95: busy.p95Ms },
  },
}
if (values.json) console.log(JSON.stringify(result))
else {
  console.log(`raw libp2p stream   ${rawIn} MB/s in, ${rawOut} MB/s out`)
  console.log(`get of 256 KiB      ${get8} MB/s with 8 in flight, ${get16} with 16; ${result.ratio.get} of raw`)
  console.log(`put of 256 KiB      ${put8} MB/s with 8 in flight, ${put16} with 16; ${result.ratio.put} of raw`)
  console.log(`a small request     ${alone.p50Ms} ms alone, ${busy.p50Ms} ms during 16 gets (p95 ${busy.p95Ms})`)
}
await host.stop()
child.stdin.end()
