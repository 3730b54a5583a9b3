/** The bulk lane in memory: what its frames, deadlines and queues do that those of the small lane do not. */
import { Type } from 'typebox'
import { describe, expect, it } from 'vitest'
import {
  BULK_FLOOR_BYTES_PER_SECOND,
  BULK_LOCAL_BYTES_BURST,
  BULK_PEER_BYTES_BURST,
  MAX_BLOCK_BYTES,
  MAX_BULK_BUFFER_BYTES,
  MAX_BULK_FRAME_BYTES,
  MAX_BULK_HANDLING_PER_PEER,
  MAX_BULK_HELD_BYTES_PER_PEER,
  MAX_BULK_REQUESTS_PER_PEER,
  MAX_BULK_WRITE_BUFFER_BYTES,
} from '../../../src/core/limits.ts'
import { encodeFrame } from '../../../src/net/frame.ts'
import { BULK_LANE, SMALL_LANE } from '../../../src/net/lane.ts'
import { defineMessage, record } from '../../../src/net/message.ts'
import { PeerLimits } from '../../../src/net/peer-limits.ts'
import type { StreamLane } from '../../../src/net/rpc-stream.ts'
import { bulkLane, codeOf, End, joined, Loop } from './rpc-harness.ts'

const Bytes = Type.Unsafe<Uint8Array>(Type.Unknown())
const Get = defineMessage('test.get', { request: record({}), reply: Bytes }, { bulk: true })
const Put = defineMessage('test.put', { request: Bytes, reply: record({}) }, { bulk: true })
const Small = defineMessage('test.small', { request: record({}), reply: record({}) })
const block = new Uint8Array(MAX_BLOCK_BYTES).fill(5)
const hello = encodeFrame({ type: 'hello', version: 1, address: undefined, incarnation: 1 })

function frameOf(number: number, kind: string, body: unknown): Uint8Array {
  const request = { number, kind, toSlot: 0, fromSlot: 0, toIncarnation: 1, body }
  return encodeFrame({ type: 'request', ...request }, MAX_BULK_FRAME_BYTES)
}

describe('a bulk stream', () => {
  it('carries whole blocks both ways, in pieces', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop, bulkLane())
    const sizes: number[] = []
    const deliver = bob.onWrite
    bob.onWrite = (bytes) => {
      sizes.push(bytes.length)
      deliver(bytes)
    }
    bob.handlers.set(Put, () => ({}))
    bob.handlers.set(Get, () => block)
    const answers = Promise.all([alice.request(Put.name, block), alice.request(Get.name, {})])
    await loop.turn()
    const [put, got] = await answers
    expect(put).toEqual({})
    expect(Buffer.compare(got as Uint8Array, block)).toBe(0)
    expect(Math.max(...sizes)).toBe(BULK_LANE.pieceBytes)
    expect([alice.rpc.buffered, bob.rpc.buffered]).toEqual([0, 0])
  })

  it('refuses what does not fit a frame, at either end, and goes on', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop, bulkLane())
    const giant = new Uint8Array(MAX_BULK_FRAME_BYTES)
    bob.handlers.set(Put, () => ({}))
    bob.handlers.set(Get, () => giant)
    const codes = [codeOf(alice.request(Put.name, giant)), codeOf(alice.request(Get.name, {}))]
    await loop.turn()
    expect(await Promise.all(codes)).toEqual(['limit', 'limit'])
    const after = codeOf(alice.request(Put.name, block))
    await loop.turn()
    expect(await after).toBe('none')
  })

  it.each([
    ['bulk', bulkLane, Small],
    ['small', (): undefined => undefined, Get],
  ] as const)('counts what belongs on the other lane: %s', async (_name, lane: () => StreamLane | undefined, kind) => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop, lane())
    bob.handlers.set(kind as typeof Small, () => ({}))
    const code = codeOf(alice.request(kind.name, {}))
    await loop.turn()
    expect(await code).toBe('bad-message')
    expect(bob.counters.wrongLanes).toBe(1)
    expect(bob.closedWith).toBeUndefined()
  })

  it('waits for a peer that is slow, as long as bytes move, and not for one that is dead', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop, bulkLane())
    bob.handlers.set(Get, () => block)
    const line: Uint8Array[] = []
    bob.onWrite = (bytes) => line.push(bytes)
    const slow = alice.request(Get.name, {})
    await loop.turn()
    const patienceMs = alice.rtt.timeoutMs()
    for (const bytes of line.splice(0)) {
      await loop.advance(patienceMs / 3)
      alice.rpc.receive(bytes) // 17 pieces: six times as long as an answer may take that does not move
    }
    await loop.turn()
    expect(Buffer.compare((await slow) as Uint8Array, block)).toBe(0)
    const dead = codeOf(alice.request(Get.name, {}))
    await loop.turn()
    for (const bytes of line.splice(0, 3)) alice.rpc.receive(bytes)
    const startMs = loop.nowMs
    await loop.advance(alice.rtt.timeoutMs() * 2)
    expect(await dead).toBe('timeout')
    expect(loop.nowMs - startMs).toBeLessThan(BULK_LANE.maxFrameBytes)
  })

  it('does not wait for ever for one that moves a byte now and then', async () => {
    const loop = new Loop()
    const { alice } = await joined(loop, bulkLane())
    alice.onWrite = () => {}
    const code = codeOf(alice.request(Get.name, {}))
    let settled = false
    void code.then(() => (settled = true))
    const longestMs = alice.rtt.timeoutMs() + (MAX_BULK_FRAME_BYTES / BULK_FLOOR_BYTES_PER_SECOND) * 1000
    alice.rpc.receive(new Uint8Array([0, 1, 0, 0]))
    for (let ms = 0; ms < longestMs - 500; ms += 400) {
      await loop.advance(400)
      alice.rpc.receive(new Uint8Array([1]))
    }
    expect(settled).toBe(false)
    await loop.advance(1000)
    expect(await code).toBe('timeout')
  })

  it('writes no more requests than fit its buffer, and the rest when the peer reads', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop, bulkLane())
    bob.handlers.set(Put, () => ({}))
    alice.open = false
    const answers = Array.from({ length: MAX_BULK_REQUESTS_PER_PEER }, () => alice.request(Put.name, block))
    expect(await codeOf(alice.request(Put.name, block))).toBe('busy')
    await loop.turn()
    expect(alice.rpc.buffered).toBeLessThanOrEqual(MAX_BULK_WRITE_BUFFER_BYTES + MAX_BULK_FRAME_BYTES + 4)
    alice.open = true
    for (let i = 0; i < MAX_BULK_REQUESTS_PER_PEER; i++) {
      alice.rpc.drained()
      await loop.turn()
    }
    expect(await Promise.all(answers)).toEqual(answers.map(() => ({})))
    expect([alice.rpc.buffered, alice.rpc.inFlight, bob.counters.busyHandling]).toEqual([0, 0, 0])
  })

  it('forgets requests that are given up before they are written', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop, bulkLane())
    bob.handlers.set(Put, () => ({}))
    alice.open = false
    const first = Array.from({ length: 8 }, () => alice.request(Put.name, block))
    await loop.turn()
    const controller = new AbortController()
    const late = codeOf(alice.request(Put.name, block, { signal: controller.signal }))
    controller.abort()
    expect(await late).toBe('aborted')
    alice.open = true
    alice.rpc.drained()
    await loop.turn()
    expect(await Promise.all(first)).toHaveLength(8)
    expect(bob.counters.requestsIn).toBe(8)
  })

  it('makes no more answers than fit its buffer for a peer that does not read, and then lets go of it', async () => {
    const loop = new Loop()
    const lane = bulkLane()
    const bob = new End(loop, 'mallory', undefined, new PeerLimits(BULK_LANE), lane)
    let served = 0
    bob.handlers.set(Get, () => {
      served++
      return block
    })
    bob.open = false
    bob.rpc.receive(hello)
    let most = 0
    for (let number = 1; number <= 500; number++) {
      bob.rpc.receive(frameOf(number, Get.name, {}))
      if (number % 20 === 0) await loop.turn()
      most = Math.max(most, bob.rpc.buffered)
    }
    expect(served).toBeLessThanOrEqual(MAX_BULK_WRITE_BUFFER_BYTES / MAX_BLOCK_BYTES + 1)
    expect(most).toBeLessThan(MAX_BULK_WRITE_BUFFER_BYTES + 2 * MAX_BULK_FRAME_BYTES)
    expect(bob.counters.busyHandling).toBeGreaterThan(400)
    await loop.advance(BULK_LANE.stallMs + 1)
    expect(bob.closedWith?.message).toContain('stopped reading')
    expect([bob.rpc.buffered, lane.shared.bytes, loop.timers]).toEqual([0, 0, 0])
  })

  it('works on a few requests of a peer at once, holds some, and refuses the rest', async () => {
    const loop = new Loop()
    const bob = new End(loop, 'mallory', undefined, new PeerLimits(BULK_LANE), bulkLane())
    const gates: Array<() => void> = []
    bob.handlers.set(Put, () => new Promise((resolve) => gates.push(() => resolve({}))))
    bob.rpc.receive(hello)
    for (let number = 1; number <= 60; number++) bob.rpc.receive(frameOf(number, Put.name, block))
    expect(gates).toHaveLength(MAX_BULK_HANDLING_PER_PEER)
    const held = bob.rpc.inFlight - MAX_BULK_HANDLING_PER_PEER
    expect(held).toBe(Math.floor(MAX_BULK_HELD_BYTES_PER_PEER / (MAX_BLOCK_BYTES + 30)))
    expect(bob.counters.busyHandling).toBe(60 - MAX_BULK_HANDLING_PER_PEER - held)
    for (let opened = 0; opened < gates.length; opened++) {
      gates[opened]?.()
      await loop.turn()
    }
    expect(gates).toHaveLength(MAX_BULK_HANDLING_PER_PEER + held)
    expect([bob.rpc.inFlight, bob.rpc.buffered]).toEqual([0, 0])
  })

  it('serves one block at a time when all streams together hold too much', async () => {
    const loop = new Loop()
    const lane = bulkLane()
    lane.shared.bytes = MAX_BULK_BUFFER_BYTES
    const bob = new End(loop, 'alice', undefined, new PeerLimits(BULK_LANE), lane)
    let served = 0
    bob.handlers.set(Get, () => {
      served++
      return block
    })
    bob.rpc.receive(hello)
    bob.open = false
    for (let number = 1; number <= 3; number++) bob.rpc.receive(frameOf(number, Get.name, {}))
    expect(served).toBe(1)
    bob.open = true
    await loop.turn()
    expect(served).toBe(2) // of the others one could be held
    expect(bob.counters.busyHandling).toBe(1)
    expect(lane.shared.bytes).toBe(MAX_BULK_BUFFER_BYTES)
  })
})

describe('limits of the bulk lane', () => {
  it('are its own: 400 MB/s of a peer nearby, less of one far away, and nothing of the small lane', () => {
    const limits = new PeerLimits(BULK_LANE)
    for (const ip of ['127.0.0.1', '192.168.1.5']) {
      const near = limits.allowance(ip, ip, 0)
      for (let ms = 0; ms < 10_000; ms += 10) expect(near.received(4_000_000, ms)).toBe(0)
      expect(near.received(2 * BULK_LOCAL_BYTES_BURST, 10_000)).toBeGreaterThan(0)
    }
    const far = limits.allowance('far', '1.2.3.4', 0)
    expect(far.received(BULK_PEER_BYTES_BURST, 0)).toBe(0)
    expect(far.received(BULK_PEER_BYTES_BURST, 0)).toBeGreaterThan(0)
    expect(new PeerLimits(SMALL_LANE).allowance('far', '1.2.3.4', 0).received(1, 0)).toBe(0)
  })
})
