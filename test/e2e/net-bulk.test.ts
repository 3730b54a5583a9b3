/** Blocks over real TCP on loopback: on a stream of their own, whose troubles are not those of the small messages. */
import { Type } from 'typebox'
import { afterEach, describe, expect, it } from 'vitest'
import { MAX_BLOCK_BYTES, MAX_BULK_FRAME_BYTES, MAX_BULK_WRITE_BUFFER_BYTES } from '../../src/core/limits.ts'
import { contactAt } from '../../src/net/contact.ts'
import { decodeFrame, encodeFrame, type Frame, FrameReader } from '../../src/net/frame.ts'
import type { Libp2pTransport } from '../../src/net/libp2p.ts'
import { defineMessage } from '../../src/net/message.ts'
import { blockProtocol } from '../../src/net/network-id.ts'
import { closeAll, Echo, failure, founder, LOOPBACK, NETWORK, rawPeer, until } from './net-hosts.ts'

afterEach(closeAll)

const Any = Type.Unsafe<Uint8Array>(Type.Unknown())
const EchoBlock = defineMessage('test.echo-block', { request: Any, reply: Any }, { bulk: true })
const block = new Uint8Array(MAX_BLOCK_BYTES)
for (let i = 0; i < block.length; i++) block[i] = (i * 2_654_435_761) >>> 24

/** A peer without manners that has its block stream open. */
async function rawBulkPeer(alice: Libp2pTransport) {
  const raw = await rawPeer(alice)
  raw.hello({ ip: LOOPBACK, port: raw.port })
  await until(() => alice.connected(raw.peer))
  const bulk = await raw.connection.newStream(blockProtocol(NETWORK))
  const received: Frame[] = []
  const reader = new FrameReader(MAX_BULK_FRAME_BYTES)
  bulk.addEventListener('message', ({ data }) =>
    reader.push(data.subarray(), (payload) => received.push(decodeFrame(payload))),
  )
  const send = (frame: Frame) => bulk.send(encodeFrame(frame, MAX_BULK_FRAME_BYTES))
  const ask = (number: number, kind: string, body: unknown) =>
    send({ type: 'request', number, kind, toSlot: 0, fromSlot: 0, toIncarnation: 1, body })
  const hello = () => send({ type: 'hello', version: 1, address: undefined, incarnation: 1 })
  const contact = contactAt({ peer: raw.peer, ip: LOOPBACK, port: raw.port, incarnation: 1 }, 0)
  return { raw, bulk, received, ask, hello, contact }
}

describe('blocks', () => {
  it('of 1 MiB go there and back over one connection, whoever asks', async () => {
    const [alice, atAlice] = await founder()
    const [bob, atBob] = await founder()
    for (const host of [alice, bob]) host.handle(EchoBlock, (bytes) => bytes)
    const there = await bob.request(atAlice, EchoBlock, block)
    expect(Buffer.compare(there, block)).toBe(0)
    expect(Buffer.compare(await alice.request(atBob, EchoBlock, block), block)).toBe(0)
    const [crossing] = await Promise.all([
      Promise.all(Array.from({ length: 24 }, () => alice.request(atBob, EchoBlock, block))),
      Promise.all(Array.from({ length: 24 }, () => bob.request(atAlice, EchoBlock, block))),
    ])
    expect(crossing.every((bytes) => Buffer.compare(bytes, block) === 0)).toBe(true)
    expect(alice.peers()).toHaveLength(1)
    expect(bob.peers()).toHaveLength(1)
  })

  it('asked for by both ends at once, first of all, come', async () => {
    const [alice, atAlice] = await founder()
    const [bob, atBob] = await founder()
    for (const host of [alice, bob]) host.handle(EchoBlock, (bytes) => bytes)
    await bob.request(atAlice, Echo, { text: 'connect' })
    const [there, back] = await Promise.all([
      alice.request(atBob, EchoBlock, block),
      bob.request(atAlice, EchoBlock, block),
    ])
    expect([there.length, back.length]).toEqual([MAX_BLOCK_BYTES, MAX_BLOCK_BYTES])
  })

  it('may be the first thing that a new connection is asked for', async () => {
    const [alice, atAlice] = await founder()
    alice.handle(EchoBlock, (bytes) => bytes)
    for (let i = 0; i < 20; i++) {
      const [bob] = await founder()
      expect((await bob.request(atAlice, EchoBlock, block)).length).toBe(MAX_BLOCK_BYTES)
    }
    expect(alice.counters.extraStreams).toBe(0)
  })

  it('of a byte more are refused with one clear error, and nothing is closed', async () => {
    const Limited = Type.Refine(Any, (value) => value instanceof Uint8Array && value.length <= MAX_BLOCK_BYTES)
    const Strict = defineMessage(EchoBlock.name, { request: Limited, reply: Limited }, { bulk: true })
    const [alice, atAlice] = await founder()
    const [bob] = await founder()
    alice.handle(Strict, (bytes) => bytes)
    const down: string[] = []
    bob.onPeerDown((peer) => down.push(peer))
    const more = new Uint8Array(MAX_BLOCK_BYTES + 1)
    expect((await failure(bob.request(atAlice, EchoBlock, more))).code).toBe('bad-message')
    const error = await failure(bob.request(atAlice, EchoBlock, new Uint8Array(MAX_BULK_FRAME_BYTES)))
    expect(error.code).toBe('limit')
    expect(error.message).toMatch(/does not fit/)
    expect((await bob.request(atAlice, EchoBlock, block)).length).toBe(MAX_BLOCK_BYTES)
    expect(await bob.request(atAlice, Echo, { text: 'still here' })).toEqual({ text: 'still here' })
    expect(alice.counters).toMatchObject({ schemaErrors: 1, oversizeFrames: 0 })
    expect([down, alice.peers().length]).toEqual([[], 1])
  })

  it('do not stand in front of small messages', async () => {
    const [alice, atAlice] = await founder()
    const [bob] = await founder()
    alice.handle(EchoBlock, (bytes) => bytes)
    await bob.request(atAlice, EchoBlock, block)
    const order: string[] = []
    const blocks = Array.from({ length: 64 }, async () => {
      await bob.request(atAlice, EchoBlock, block)
      order.push('block')
    })
    for (let i = 0; i < 5; i++) {
      await bob.request(atAlice, Echo, { text: `${i}` })
      order.push('small')
    }
    await Promise.all(blocks)
    expect(order.lastIndexOf('small')).toBeLessThan(32)
  })

  it('fail at once when their connection goes', async () => {
    const [alice, atAlice] = await founder()
    const [bob] = await founder()
    alice.handle(EchoBlock, () => new Promise(() => {}))
    const waiting = failure(bob.request(atAlice, EchoBlock, block, { timeoutMs: 60_000 }))
    await until(() => alice.counters.requestsIn === 1)
    await alice.stop()
    expect((await waiting).code).toBe('unreachable')
  })
})

describe('a peer that', () => {
  it('sends what belongs on the other lane is told so', async () => {
    const [alice] = await founder()
    alice.handle(EchoBlock, (bytes) => bytes)
    const { raw, received, hello, ask } = await rawBulkPeer(alice)
    hello()
    ask(1, Echo.name, { text: 'hi' })
    await until(() => received.length === 2)
    expect(received[1]).toMatchObject({ type: 'failure', code: 'bad-message' })
    const body = new Uint8Array(10)
    raw.send({ type: 'request', number: 2, kind: EchoBlock.name, toSlot: 0, fromSlot: 0, toIncarnation: 1, body })
    await until(() => raw.received.length === 2)
    expect(raw.received[1]).toMatchObject({ type: 'failure', code: 'bad-message' })
    expect(alice.counters.wrongLanes).toBe(2)
  })

  it('talks nonsense on its block stream loses that, and may open another', async () => {
    const [alice] = await founder()
    alice.handle(EchoBlock, (bytes) => bytes)
    const { raw, bulk, hello } = await rawBulkPeer(alice)
    hello()
    bulk.send(new Uint8Array([0, 0x20, 0, 0]))
    await until(() => bulk.status !== 'open')
    expect(alice.counters.oversizeFrames).toBe(1)
    raw.send({
      type: 'request',
      number: 1,
      kind: Echo.name,
      toSlot: 0,
      fromSlot: 0,
      toIncarnation: 1,
      body: { text: '' },
    })
    await until(() => raw.received.length === 2)
    expect(raw.received[1]).toMatchObject({ type: 'reply' })
    const again = await raw.connection.newStream(blockProtocol(NETWORK))
    const extra = await raw.connection.newStream(blockProtocol(NETWORK))
    await until(() => extra.status !== 'open')
    expect([again.status, alice.counters.extraStreams]).toEqual(['open', 1])
  })

  it('stops reading blocks costs bounded memory, and its own requests only', async () => {
    const [alice] = await founder()
    const [bob, atBob] = await founder()
    bob.handle(EchoBlock, (bytes) => bytes)
    let served = 0
    alice.handle(EchoBlock, () => {
      served++
      return block
    })
    const { raw, bulk, hello, ask, contact } = await rawBulkPeer(alice)
    hello()
    bulk.pause()
    for (let number = 1; number <= 300; number++) ask(number, EchoBlock.name, new Uint8Array(1))
    const own = failure(alice.request(contact, EchoBlock, block, { timeoutMs: 500 }))
    await until(() => alice.counters.busyHandling > 100)
    expect(served).toBeLessThan(MAX_BULK_WRITE_BUFFER_BYTES / MAX_BLOCK_BYTES + 4)
    expect((await own).code).toBe('timeout')
    expect(alice.connected(raw.peer)).toBe(true)
    expect((await alice.request(atBob, EchoBlock, block)).length).toBe(MAX_BLOCK_BYTES)
    raw.send({
      type: 'request',
      number: 1,
      kind: Echo.name,
      toSlot: 0,
      fromSlot: 0,
      toIncarnation: 1,
      body: { text: '' },
    })
    await until(() => raw.received.length === 2)
    expect(raw.received[1]).toMatchObject({ type: 'reply' })
  })
})
