/**
 * Blocks of 256 KiB over one connection between two processes: `npm run bench -- bulk [--seconds 5] [--json]`. Against
 * the bytes that one plain libp2p stream carries between the same two processes in the same run, with libp2p as it comes.
 *
 * - get, put: MB (10^6 bytes of blocks) a second, with 8 and 16 requests in flight
 * - ratio: to the raw stream in the same direction
 * - smallMs: one small request after the other during the 16 gets, and without anything else
 */
import { parseArgs } from 'node:util'
import { BLOCK_BYTES, Get, Put, startHost } from './bulk/peer.ts'
import { megabytesPerSecond, rawRate, startPeer } from './bulk/raw.ts'
import { measure, round } from './measure.ts'

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
})
const seconds = Number(values.seconds)

const { child, place } = await startPeer()
const { contact, raw } = place
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
  return megabytesPerSecond(count * BLOCK_BYTES, performance.now() - startMs)
}

const warmUp = Array.from({ length: 16 }, async () => {
  for (let i = 0; i < 20; i++) await Promise.all([get(), put()])
})
await Promise.all(warmUp)
const rawIn = await rawRate(raw, true, seconds)
const get8 = await blocks(8, get)
const get16 = await blocks(16, get)
const rawOut = await rawRate(raw, false, seconds)
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
child.stdin?.end()
