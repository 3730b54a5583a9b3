/**
 * What one plain libp2p stream carries between two processes, with libp2p as it comes: what our own figures for blocks
 * are compared with, in the same run.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { multiaddr } from '@multiformats/multiaddr'
import { round } from '../measure.ts'
import { type Place, pour, RAW_PROTOCOL, RAW_WRITE_BYTES, startRaw } from './peer.ts'

/** The other process. It ends with its standard input, so with us at the latest. */
export async function startPeer(): Promise<{ child: ChildProcess; place: Place }> {
  const child = spawn(process.execPath, [fileURLToPath(new URL('peer.ts', import.meta.url))], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { child, place: JSON.parse(line) as Place }
}

/** MB/s that come, or that the peer takes: a writer that heeds back-pressure is a window ahead at most. */
export async function rawRate(address: string, incoming: boolean, seconds: number): Promise<number> {
  const node = await startRaw()
  const connection = await node.dial(multiaddr(address))
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
      bytes += RAW_WRITE_BYTES
      return time()
    })
  }
  const rate = megabytesPerSecond(bytes, performance.now() - startMs)
  connection.abort(new Error('enough'))
  await node.stop()
  return rate
}

export function megabytesPerSecond(bytes: number, ms: number): number {
  return round(bytes / 1e6 / (ms / 1000))
}
