/** Hosts on loopback for the tests of the transport: well-behaved ones, and a peer whose frames are made by hand. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { Type } from 'typebox'
import { expect } from 'vitest'
import { silentLogger } from '../../src/core/env.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import { systemEnv } from '../../src/core/system.ts'
import { type Contact, contactAt } from '../../src/net/contact.ts'
import { decodeFrame, encodeFrame, type Frame, FrameReader } from '../../src/net/frame.ts'
import { generateHostKey } from '../../src/net/host-key.ts'
import { createLibp2pTransport, type Libp2pTransport, type Libp2pTransportOptions } from '../../src/net/libp2p.ts'
import { multiaddrOf, startLibp2p } from '../../src/net/libp2p-node.ts'
import { ContactSchema, defineMessage, record } from '../../src/net/message.ts'
import { networkId, rpcProtocol } from '../../src/net/network-id.ts'
import type { Delivery } from '../../src/net/transport.ts'

export const LOOPBACK = '127.0.0.1'
export const NETWORK = networkId({ name: 'test', placement: 'ip-port', successors: 4, replicas: 4 })
const env = systemEnv(silentLogger)

export const Echo = defineMessage('test.echo', {
  request: record({ text: Type.String(), who: Type.Optional(ContactSchema) }),
  reply: record({ text: Type.String(), who: Type.Optional(ContactSchema) }),
})
export const Bytes = defineMessage('test.bytes', {
  request: record({ bytes: Type.Unsafe<Uint8Array>(Type.Unknown()) }),
  reply: record({}),
})

const closing: Array<() => Promise<void>> = []
/** For `afterEach`. */
export async function closeAll(): Promise<void> {
  await Promise.all(closing.splice(0).map((close) => close()))
}

export async function start(options: Partial<Libp2pTransportOptions> = {}): Promise<Libp2pTransport> {
  const transport = await createLibp2pTransport({
    env,
    key: await generateHostKey(),
    listen: { ip: LOOPBACK, port: 0 },
    network: NETWORK,
    incarnation: 1,
    ...options,
  })
  closing.push(() => transport.stop())
  transport.handle(Echo, (message) => message)
  return transport
}

export async function founder(options: Partial<Libp2pTransportOptions> = {}): Promise<[Libp2pTransport, Contact]> {
  const transport = await start(options)
  const address = await transport.confirmAddress([])
  if (!address) throw new Error('a founder has an address')
  return [transport, contactAt(address, 0)]
}

/** A peer without manners: the libp2p node alone, its frames made by hand. */
export async function rawPeer(to: Libp2pTransport) {
  const key = await generateHostKey()
  const { node, port } = await startLibp2p(key, { ip: LOOPBACK, port: 0 }, 10)
  closing.push(async () => {
    await Promise.resolve(node.stop()).catch(() => {}) // it may be stuck in what it did to its own connection
  })
  const connection = await node.dial(multiaddrOf(to.listen, to.peer))
  const stream = await connection.newStream(rpcProtocol(NETWORK))
  const received: Frame[] = []
  const reader = new FrameReader()
  stream.addEventListener('message', ({ data }) =>
    reader.push(data.subarray(), (payload) => received.push(decodeFrame(payload))),
  )
  const send = (frame: Frame) => stream.send(encodeFrame(frame))
  const hello = (address: { ip: string; port: number } | undefined) =>
    send({ type: 'hello', version: 1, address, incarnation: 1 })
  return { peer: key.peer, port, node, connection, stream, received, send, hello }
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

export async function failure(promise: Promise<unknown>): Promise<ChoraleError> {
  const error = await promise.then(
    () => undefined,
    (reason) => reason,
  )
  expect(error).toBeInstanceOf(ChoraleError)
  return error as ChoraleError
}

/** Who asked, as the handler saw it. */
export function senders(transport: Libp2pTransport): Delivery[] {
  const seen: Delivery[] = []
  transport.handle(Echo, (message, delivery) => {
    seen.push(delivery)
    return message
  })
  return seen
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, LOOPBACK)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
