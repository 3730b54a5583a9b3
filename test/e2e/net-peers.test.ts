/** The transport over real TCP on loopback, against peers that restart, lie, stall, talk nonsense or go away. */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { MessageStream } from '@libp2p/interface'
import { afterEach, describe, expect, it } from 'vitest'
import { seededRandom } from '../../src/core/random.ts'
import { contactAt } from '../../src/net/contact.ts'
import { DialBack } from '../../src/net/dial-back.ts'
import { generateHostKey, type HostKey } from '../../src/net/host-key.ts'
import { networkId } from '../../src/net/network-id.ts'

import {
  Bytes,
  closeAll,
  Echo,
  failure,
  founder,
  freePort,
  LOOPBACK,
  NETWORK,
  rawPeer,
  senders,
  start,
  until,
} from './net-hosts.ts'

afterEach(closeAll)

describe('a peer that', () => {
  it('was restarted at its place is not taken for the one before', async () => {
    const key: HostKey = await generateHostKey()
    const [first, before] = await founder({ key, incarnation: 1 })
    const [bob] = await founder()
    await bob.request(before, Echo, { text: 'hi' })
    const down = new Promise<string>((resolve) => bob.onPeerDown(resolve))
    await first.stop()
    expect(await down).toBe(first.peer)
    expect((await failure(bob.request(before, Echo, { text: 'hi' }))).code).toBe('unreachable')
    const [, after] = await founder({ key, incarnation: 2, listen: { ip: LOOPBACK, port: before.port } })
    expect(after.id).toBe(before.id)
    expect((await failure(bob.request(before, Echo, { text: 'hi' }))).code).toBe('gone')
    expect(await bob.request(after, Echo, { text: 'hi' })).toEqual({ text: 'hi' })
  })

  it('is asked for an earlier life says so, and counts it', async () => {
    const [alice] = await founder({ incarnation: 5 })
    const raw = await rawPeer(alice)
    raw.hello(undefined)
    raw.send({
      type: 'request',
      number: 1,
      kind: Echo.name,
      toSlot: 0,
      fromSlot: 0,
      toIncarnation: 4,
      body: { text: '' },
    })
    await until(() => raw.received.length === 2)
    expect(raw.received[1]).toMatchObject({ type: 'failure', code: 'gone' })
    expect(alice.counters.wrongIncarnations).toBe(1)
  })

  it('is of another network is refused with both names', async () => {
    const [alice] = await founder()
    const other = networkId({ name: 'other', placement: 'ip-port', successors: 4, replicas: 4 })
    const bob = await start({ network: other })
    const error = await failure(bob.resolve(`${LOOPBACK}:${alice.listen.port}`))
    expect(error.code).toBe('wrong-network')
    expect(error.message).toContain(NETWORK)
    expect(error.message).toContain(other)
  })

  it('speaks another version of the hello is refused', async () => {
    const [alice] = await founder()
    const raw = await rawPeer(alice)
    raw.send({ type: 'hello', version: 2, address: undefined, incarnation: 1 })
    await until(() => alice.counters.wrongNetworks === 1 && alice.peers().length === 0)
  })

  it('stops reading is dropped once the buffers are full', async () => {
    const [alice] = await founder()
    const raw = await rawPeer(alice)
    raw.hello({ ip: LOOPBACK, port: raw.port })
    await until(() => alice.connected(raw.peer))
    const at = contactAt({ peer: raw.peer, ip: LOOPBACK, port: raw.port, incarnation: 1 }, 0)
    const bytes = new Uint8Array(60_000)
    const ask = () => failure(alice.request(at, Bytes, { bytes }, { timeoutMs: 20_000 }))
    const first = ask()
    await until(() => raw.received.length === 2)
    raw.stream.pause()
    const codes = (await Promise.all(Array.from({ length: 20 }, ask))).map(({ code }) => code)
    expect(codes.slice(0, 15)).toEqual(Array(15).fill('unreachable'))
    expect((await first).code).toBe('unreachable')
    expect(alice.counters.droppedWriters).toBe(1)
    expect(alice.peers()).toEqual([])
  })

  it('claims the address of another is never confirmed', async () => {
    const [alice] = await founder()
    const [, atVictim] = await founder()
    const seen = senders(alice)
    const liar = await rawPeer(alice)
    liar.hello({ ip: LOOPBACK, port: atVictim.port })
    const request = { kind: Echo.name, toSlot: 0, fromSlot: 0, toIncarnation: 1, body: { text: 'trust me' } }
    for (let number = 1; number <= 3; number++) {
      liar.send({ type: 'request', number, ...request })
      await until(() => liar.received.length === number + 1)
    }
    expect(seen.map(({ from }) => from)).toEqual(Array(3).fill({ peer: liar.peer, contact: undefined }))
    expect(alice.counters).toMatchObject({ dialBacks: 1, failedDialBacks: 1 })
    // A contact with the lie in it leads to the place that it names, and there is somebody else.
    const lie = contactAt({ peer: liar.peer, ip: LOOPBACK, port: atVictim.port, incarnation: 1 }, 0)
    expect((await failure(alice.request(lie, Echo, { text: 'who is there?' }))).code).toBe('unreachable')
  })

  it('claims an address that it is not seen at is not even dialled', async () => {
    const [alice] = await founder()
    const seen = senders(alice)
    const liar = await rawPeer(alice)
    for (const [number, ip] of ['127.0.0.2', '10.0.0.1'].entries()) {
      liar.hello({ ip, port: liar.port })
      const body = { text: 'trust me' }
      liar.send({ type: 'request', number, kind: Echo.name, toSlot: 0, fromSlot: 0, toIncarnation: 1, body })
      await until(() => seen.length === number + 1)
      expect(seen[number]?.from.contact).toBeUndefined()
    }
    expect(alice.counters).toMatchObject({ dialBacks: 0, mixedClasses: 1 })
  })

  it('cannot be dialled learns it, and asks as a leaf', async () => {
    const [alice] = await founder()
    const raw = await rawPeer(alice)
    raw.hello(undefined)
    const port = await freePort()
    const ask = { toSlot: 0, fromSlot: 0, toIncarnation: 1 }
    raw.send({ type: 'request', number: 1, kind: 'net.dialback', ...ask, body: { port } })
    await until(() => raw.received.length === 2)
    expect(raw.received[1]).toMatchObject({ type: 'reply', body: { ip: LOOPBACK, reachable: false } })
    raw.send({ type: 'request', number: 2, kind: 'net.dialback', ...ask, body: { port: raw.port } })
    await until(() => raw.received.length === 3)
    expect(raw.received[2]).toMatchObject({ type: 'reply', body: { ip: LOOPBACK, reachable: true } })
    raw.send({ type: 'request', number: 3, kind: Echo.name, ...ask, body: { text: 'still here' } })
    await until(() => raw.received.length === 4)
    expect(raw.received[3]).toMatchObject({ type: 'reply', body: { text: 'still here' } })
  })

  it('is told so by its seed stays a leaf, and may still ask', async () => {
    const [alice, atAlice] = await founder()
    alice.handle(DialBack, () => ({ ip: LOOPBACK, reachable: false }))
    const bob = await start()
    expect(await bob.confirmAddress([atAlice])).toBeUndefined()
    expect(bob.self).toBeUndefined()
    const seen = senders(alice)
    expect(await bob.request(atAlice, Echo, { text: 'hi' })).toEqual({ text: 'hi' })
    expect(seen[0]?.from).toEqual({ peer: bob.peer, contact: undefined })
  })

  it('talks nonsense loses its connection, and nobody else does', async () => {
    const [alice, atAlice] = await founder()
    const [bob] = await founder()
    const raw = await rawPeer(alice)
    raw.hello(undefined)
    raw.stream.send(new Uint8Array([0xff, 0xff, 0xff, 0xff]))
    await until(() => raw.connection.status !== 'open')
    expect(alice.counters.oversizeFrames).toBe(1)
    expect(await bob.request(atAlice, Echo, { text: 'hi' })).toEqual({ text: 'hi' })
    const plain = connect(alice.listen.port, LOOPBACK).on('error', () => {})
    await once(plain, 'connect')
    plain.write('GET / HTTP/1.1\r\n\r\n')
    plain.resetAndDestroy()
    expect(await bob.request(atAlice, Echo, { text: 'hi' })).toEqual({ text: 'hi' })
  })

  it('breaks the rules of the layers below loses its connection, and nobody else does', async () => {
    const [alice, atAlice] = await founder()
    const [bob] = await founder()
    const random = seededRandom('layers')
    for (let i = 0; i < 40; i++) {
      const raw = await rawPeer(alice)
      raw.hello(undefined)
      const { muxer, maConn } = raw.connection as unknown as Record<'muxer' | 'maConn', MessageStream>
      const header = [0, random.int(5), 0, random.int(16), 0, 0, 0, random.int(3), 0, 0, random.int(4), random.int(256)]
      const garbage = new Uint8Array([...(i % 2 ? header : []), ...random.bytes(random.int(100))])
      if (i % 3 === 0) maConn.send(garbage)
      else muxer.send(garbage)
      if (i % 5 === 0) raw.connection.abort(new Error('enough'))
    }
    expect(await bob.request(atAlice, Echo, { text: 'hi' })).toEqual({ text: 'hi' })
    expect(alice.counters.handlerFaults).toBe(0)
  })

  it('goes away fails what waits for it, and is reported', async () => {
    const [alice, atAlice] = await founder()
    const [bob] = await founder()
    alice.handle(Echo, () => new Promise(() => {}))
    const waiting = failure(bob.request(atAlice, Echo, { text: 'hi' }, { timeoutMs: 30_000 }))
    await until(() => alice.counters.requestsIn === 1)
    const down = new Promise<string>((resolve) => bob.onPeerDown(resolve))
    await alice.stop()
    expect((await waiting).code).toBe('unreachable')
    expect(await down).toBe(alice.peer)
    expect(bob.connected(alice.peer)).toBe(false)
  })
})
