/**
 * The other process of `bench/bulk.ts` and `raw.ts`: answers for blocks, and on one plain libp2p stream sends and takes bytes. Prints
 * where it is as JSON, and ends with its standard input.
 */
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import type { Stream } from '@libp2p/interface'
import { tcp } from '@libp2p/tcp'
import { createLibp2p, type Libp2p } from 'libp2p'
import { Type } from 'typebox'
import { silentLogger } from '../../src/core/env.ts'
import { systemEnv } from '../../src/core/system.ts'
import { type Contact, contactAt } from '../../src/net/contact.ts'
import { generateHostKey } from '../../src/net/host-key.ts'
import { createLibp2pTransport, type Libp2pTransport } from '../../src/net/libp2p.ts'
import { defineMessage, record } from '../../src/net/message.ts'

const Bytes = Type.Unsafe<Uint8Array>(Type.Unknown())
export const Get = defineMessage('bench.get', { request: record({}), reply: record({ bytes: Bytes }) }, { bulk: true })
export const Put = defineMessage('bench.put', { request: record({ bytes: Bytes }), reply: record({}) }, { bulk: true })

export const BLOCK_BYTES = 256 * 1024
/** The asker opens it and says with one byte whether it wants bytes; if not, it sends some. */
export const RAW_PROTOCOL = '/bench/raw/1.0.0'
export const RAW_WRITE_BYTES = 64 * 1024

export interface Place {
  readonly contact: Contact
  readonly raw: string
}

export async function startHost(): Promise<{ host: Libp2pTransport; contact: Contact }> {
  const host = await createLibp2pTransport({
    env: systemEnv(silentLogger),
    key: await generateHostKey(),
    listen: { ip: '127.0.0.1', port: 0 },
    network: 'bench',
    incarnation: 1,
  })
  const address = await host.confirmAddress([])
  if (!address) throw new Error('a founder has an address')
  return { host, contact: contactAt(address, 0) }
}

/** libp2p as it comes. */
export function startRaw(): Promise<Libp2p> {
  return createLibp2p({
    addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
  })
}

/** Sends until `more` says no. Not by `onDrain()`, which from its second call on does not wait. */
export async function pour(stream: Stream, more: () => boolean): Promise<void> {
  const bytes = new Uint8Array(RAW_WRITE_BYTES).fill(7)
  while (more() && stream.status === 'open') {
    if (stream.send(bytes)) continue
    await new Promise((resolve) => {
      for (const event of ['drain', 'close'] as const) stream.addEventListener(event, resolve, { once: true })
    })
  }
}

if (import.meta.main) {
  const block = new Uint8Array(BLOCK_BYTES).fill(7)
  const { host, contact } = await startHost()
  host.handle(Get, () => ({ bytes: block }))
  host.handle(Put, () => ({}))
  const raw = await startRaw()
  await raw.handle(RAW_PROTOCOL, (stream) => {
    let begun = false
    stream.addEventListener('message', ({ data }) => {
      if (!begun && data.subarray()[0] === 1) void pour(stream, () => true)
      begun = true
    })
  })
  const place: Place = { contact, raw: String(raw.getMultiaddrs()[0]) }
  console.log(JSON.stringify(place))
  process.stdin.resume().on('end', () => process.exit(0))
}
