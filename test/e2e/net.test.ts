import { Socket } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { type Contact, contactAt } from '../../src/net/contact.ts'
import { generateHostKey } from '../../src/net/host-key.ts'
import type { Libp2pTransport } from '../../src/net/libp2p.ts'

import { closeAll, Echo, failure, founder, freePort, LOOPBACK, rawPeer, senders, start, until } from './net-hosts.ts'

afterEach(closeAll)

describe('requests', () => {
  it('go both ways over one connection, and contacts come with their ids', async () => {
    const [alice, atAlice] = await founder()
    const bob = await start()
    const seed = await bob.resolve(`${LOOPBACK}:${alice.listen.port}`)
    expect(seed).toEqual(atAlice)
    const self = await bob.confirmAddress([seed])
    expect(self).toMatchObject({ ip: LOOPBACK, port: bob.listen.port })
    const atBob = contactAt(self as NonNullable<typeof self>, 2)
    const seen = senders(alice)
    expect(await bob.request(atAlice, Echo, { text: 'hi', who: atBob }, { slot: 2 })).toEqual({
      text: 'hi',
      who: atBob,
    })
    expect(seen[0]?.from).toEqual({ peer: bob.peer, contact: atBob })
    expect(await alice.request(atBob, Echo, { text: 'back' })).toEqual({ text: 'back' })
    expect(alice.peers()).toMatchObject([{ peer: bob.peer, direction: 'inbound' }])
    expect(bob.peers()).toMatchObject([
      { peer: alice.peer, direction: 'outbound', address: `${LOOPBACK}:${seed.port}` },
    ])
    expect(await bob.ping(atAlice)).toBeGreaterThan(0)
    expect(bob.rtt(alice.peer)).toBeGreaterThanOrEqual(0)
  })

  it('know who asks from the first one on, when the asker has an address', async () => {
    const [alice, atAlice] = await founder()
    const [bob, atBob] = await founder()
    const seen = senders(alice)
    await bob.request(atAlice, Echo, { text: 'first' })
    expect(seen[0]?.from.contact).toEqual(atBob)
    expect(alice.counters.dialBacks).toBe(1)
    await alice.request(atBob, Echo, { text: 'back' })
    expect(alice.peers()).toHaveLength(1)
  })

  it('made at once share one dial', async () => {
    const [alice, atAlice] = await founder()
    const [bob] = await founder()
    await Promise.all(Array.from({ length: 20 }, (_, i) => bob.request(atAlice, Echo, { text: `${i}` })))
    expect(alice.peers()).toHaveLength(1)
    expect(bob.counters.requestsOut).toBe(20)
  })

  it('to oneself need no network', async () => {
    const [alice, atAlice] = await founder()
    const seen = senders(alice)
    await alice.request({ ...atAlice, slot: 1 }, Echo, { text: 'me' }, { slot: 3 })
    expect(seen[0]).toMatchObject({ slot: 1, from: { contact: { slot: 3, peer: alice.peer } } })
    expect((await failure(alice.request({ ...atAlice, incarnation: 0 }, Echo, { text: 'me' }))).code).toBe('gone')
    expect(alice.counters.bytesOut).toBe(0)
    alice.handle(Echo, () => new Promise(() => {}))
    expect((await failure(alice.request(atAlice, Echo, { text: 'me' }, { timeoutMs: 20 }))).code).toBe('timeout')
  })

  it('end when their signal fires, also while the connection is made', async () => {
    const [, atAlice] = await founder()
    const [bob] = await founder()
    const controller = new AbortController()
    const answer = failure(bob.request(atAlice, Echo, { text: 'never mind' }, { signal: controller.signal }))
    controller.abort()
    expect((await answer).code).toBe('aborted')
    expect((await failure(bob.request(atAlice, Echo, { text: '' }, { signal: controller.signal }))).code).toBe(
      'aborted',
    )
  })

  it('take one write each way', async () => {
    const [, atAlice] = await founder()
    const [bob] = await founder()
    await bob.request(atAlice, Echo, { text: 'warm up' })
    const original = Socket.prototype.uncork
    let writes = 0
    Socket.prototype.uncork = function uncork(this: Socket) {
      writes++
      original.call(this)
    }
    try {
      for (let i = 0; i < 50; i++) await bob.request(atAlice, Echo, { text: 'counted' })
    } finally {
      Socket.prototype.uncork = original
    }
    expect(writes).toBeGreaterThanOrEqual(100)
    expect(writes).toBeLessThanOrEqual(110)
  })
})

describe('addresses', () => {
  it('where nobody listens are unreachable, and the peer is down', async () => {
    const [alice] = await founder()
    const { peer } = await generateHostKey()
    const nobody = contactAt({ peer, ip: LOOPBACK, port: await freePort(), incarnation: 1 }, 0)
    const downs: string[] = []
    alice.onPeerDown((down) => downs.push(down))
    const error = await failure(alice.request(nobody, Echo, { text: 'hello?' }))
    expect(error.code).toBe('unreachable')
    expect(error.message).toContain(`${LOOPBACK}:${nobody.port}`)
    expect(downs).toEqual([peer])
    expect((await failure(alice.resolve(`${LOOPBACK}:${nobody.port}`))).code).toBe('unreachable')
    expect((await failure(alice.confirmAddress([nobody]))).code).toBe('unreachable')
  })

  it('in use are refused with a remedy', async () => {
    const [alice] = await founder()
    const error = await failure(start({ listen: alice.listen }))
    expect(error.code).toBe('io')
    expect(error.message).toMatch(/port in use: 127\.0\.0\.1:\d+; choose another port with --listen/)
    const foreign = await failure(start({ listen: { ip: '203.0.113.1', port: 0 } }))
    expect(foreign).toMatchObject({ code: 'config' })
  })

  it('of different classes do not mix', async () => {
    const alice = await start()
    const error = await failure(alice.resolve('192.168.77.1:4001'))
    expect(error.code).toBe('config')
    expect(error.message).toContain('--listen')
    const private1 = contactAt({ peer: alice.peer.slice(0, -1), ip: '10.0.0.1', port: 1, incarnation: 1 }, 0)
    expect((await failure(alice.request(private1, Echo, { text: '' }))).code).toBe('unreachable')
  })

  it('are written as ip:port', async () => {
    const [alice] = await founder()
    for (const place of ['here', '1.2.3.4', '1.2.3.4:0', '1.2.3.4:65536', 'example.org:80', ':80']) {
      expect((await failure(alice.resolve(place))).code, place).toBe('usage')
    }
    expect((await failure(alice.resolve(`${LOOPBACK}:${alice.listen.port}`))).code).toBe('usage')
  })

  it('of a host that listens everywhere are what its seed sees', async () => {
    const [alice] = await founder()
    const bob = await start({ listen: { ip: '0.0.0.0', port: 0 } })
    const seed = await bob.resolve(`localhost:${alice.listen.port}`)
    expect(await bob.confirmAddress([seed])).toMatchObject({ ip: LOOPBACK, port: bob.listen.port })
  })

  it('that are found while a peer has not said hello yet are told to it too', async () => {
    const host = await start()
    const raw = await rawPeer(host)
    await until(() => raw.received.length > 0)
    expect(raw.received).toEqual([expect.not.objectContaining({ address: expect.anything() })])
    await host.confirmAddress([])
    await until(() => raw.received.length > 1)
    expect(raw.received[1]).toMatchObject({ type: 'hello', address: { ip: LOOPBACK, port: host.listen.port } })
  })
})

describe('connections', () => {
  it('make room for each other: the idle one used least lately goes, and that is no death', async () => {
    const [alice] = await founder({ maxConnections: 3 })
    const others = await Promise.all(Array.from({ length: 5 }, () => founder()))
    const downs: string[] = []
    alice.onPeerDown((peer) => downs.push(peer))
    for (const [other] of others) other.onPeerDown((peer) => downs.push(peer))
    for (const [, at] of others) expect(await alice.request(at, Echo, { text: 'hi' })).toEqual({ text: 'hi' })
    expect(alice.counters.evictedConnections).toBe(2)
    await until(() => alice.peers().length === 3)
    await until(() => others.filter(([other]) => other.connected(alice.peer)).length === 3)
    expect(downs).toEqual([])
    const [, evicted] = others[0] as [Libp2pTransport, Contact]
    expect(await alice.request(evicted, Echo, { text: 'again' })).toEqual({ text: 'again' })
  })

  it('that make room lose no request that is on its way', async () => {
    const [alice, atAlice] = await founder({ maxConnections: 3 })
    const others = await Promise.all(Array.from({ length: 6 }, () => founder()))
    for (let round = 0; round < 60; round++) {
      const [, to] = others[round % 6] as [Libp2pTransport, Contact]
      const [from] = others[(round * 5 + 3) % 6] as [Libp2pTransport, Contact]
      const text = `${round}`
      const answers = await Promise.all([alice.request(to, Echo, { text }), from.request(atAlice, Echo, { text })])
      expect(answers).toEqual([{ text }, { text }])
    }
    expect(alice.counters.evictedConnections).toBeGreaterThan(10)
  })
})
