import { Type } from 'typebox'
import { describe, expect, it } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import {
  MAX_FRAME_BYTES,
  MAX_HANDLING_PER_PEER,
  MAX_REQUESTS_PER_PEER,
  MAX_WRITE_BUFFER_BYTES,
} from '../../../src/core/limits.ts'
import { encodeFrame } from '../../../src/net/frame.ts'
import { defineMessage, record } from '../../../src/net/message.ts'
import { codeOf, End, joined, Loop } from './rpc-harness.ts'

const Double = defineMessage('test.double', {
  request: record({ n: Type.Integer() }),
  reply: record({ n: Type.Integer() }),
})
const Blob = defineMessage('test.blob', {
  request: record({}),
  reply: Type.Unsafe<Uint8Array>(Type.Unknown()),
})

describe('a request/response stream', () => {
  it('lets either side ask, and matches replies that come out of order', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    const gates: Array<() => void> = []
    bob.handlers.set(Double, async ({ n }) => {
      await new Promise<void>((resolve) => gates.push(resolve))
      return { n: 2 * n }
    })
    alice.handlers.set(Double, ({ n }) => ({ n: -n }))
    const answers = [alice.request(Double.name, { n: 1 }), alice.request(Double.name, { n: 2 })]
    const back = bob.request(Double.name, { n: 3 })
    await loop.turn()
    expect(await back).toEqual({ n: -3 })
    for (const open of gates.reverse()) open()
    await loop.turn()
    expect(await Promise.all(answers)).toEqual([{ n: 2 }, { n: 4 }])
    expect([alice.rpc.inFlight, bob.rpc.inFlight]).toEqual([0, 0])
  })

  it('sends what one turn brings in one write', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    const sizes: number[] = []
    const deliver = alice.onWrite
    alice.onWrite = (bytes) => {
      sizes.push(bytes.length)
      deliver(bytes)
    }
    bob.handlers.set(Double, ({ n }) => ({ n }))
    const answers = Promise.all(Array.from({ length: 50 }, (_, n) => alice.request(Double.name, { n })))
    await loop.turn()
    expect(await answers).toHaveLength(50)
    expect(sizes).toHaveLength(1)
  })

  it('passes on the code that a handler throws, and hides what went wrong inside', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, ({ n }) => {
      if (n === 1) throw new ChoraleError('not-owner', 'ask another')
      if (n === 2) throw new TypeError('secret')
      return { n: 0.5 }
    })
    const failures = [1, 2, 3].map((n) => alice.request(Double.name, { n }).catch((error) => error))
    await loop.turn()
    const [known, fault, misfit] = (await Promise.all(failures)) as ChoraleError[]
    expect(known).toMatchObject({ code: 'not-owner', message: 'ask another' })
    expect(fault).toMatchObject({ code: 'internal', message: 'the handler failed' })
    expect(misfit).toMatchObject({ code: 'internal' })
    expect(bob.counters.handlerFaults).toBe(2)
    expect(bob.faults).toHaveLength(2)
  })

  it('answers unknown kinds and bad bodies with a code', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, ({ n }) => ({ n }))
    const codes = [codeOf(alice.request('test.unheard', {})), codeOf(alice.request(Double.name, { n: 'one' }))]
    await loop.turn()
    expect(await Promise.all(codes)).toEqual(['unsupported', 'bad-message'])
    expect(bob.counters).toMatchObject({ unknownKinds: 1, schemaErrors: 1 })
  })

  it('says so when a reply does not fit a frame', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Blob, () => new Uint8Array(MAX_FRAME_BYTES))
    const answer = codeOf(alice.request(Blob.name, {}))
    await loop.turn()
    expect(await answer).toBe('limit')
    expect(await codeOf(alice.request(Blob.name, new Uint8Array(MAX_FRAME_BYTES)))).toBe('limit')
  })

  it('gives up at the deadline that follows the round-trip time, with one timer for all requests', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, ({ n }) => (n === 0 ? new Promise(() => {}) : { n }))
    for (let i = 0; i < 20; i++) {
      const answer = alice.request(Double.name, { n: 1 })
      await loop.turn()
      await answer
    }
    expect(alice.rtt.timeoutMs()).toBe(50)
    const slow = codeOf(alice.request(Double.name, { n: 0 }))
    for (let i = 0; i < 20; i++) void alice.request(Double.name, { n: 0 }).catch(() => {})
    await loop.turn()
    expect(loop.timers).toBe(1)
    await loop.advance(80)
    expect(await slow).toBe('timeout')
    expect(alice.rtt.timeoutMs()).toBe(100) // one silence, one doubling
    expect(alice.rpc.inFlight).toBe(0)
    expect(loop.timers).toBe(0)
  })

  it('waits a little longer while blocks of the peer come, and no longer than that', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, ({ n }) => (n === 0 ? new Promise(() => {}) : { n }))
    const ended: Array<[string, number]> = []
    const ask = (timeoutMs?: number) =>
      void codeOf(alice.request(Double.name, { n: 0 }, { timeoutMs })).then((code) => ended.push([code, loop.nowMs]))
    ask()
    ask(300)
    for (let i = 0; i < 40; i++) {
      await loop.advance(100)
      alice.rpc.lives()
    }
    const [[, hardMs], [code, endedMs]] = ended as [[string, number], [string, number]]
    expect(hardMs).toBeLessThan(400)
    expect(code).toBe('timeout')
    expect(endedMs).toBeGreaterThan(2_000)
    expect(endedMs).toBeLessThan(2_700)
  })

  it('does not blame the peer for a stall of its own', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, ({ n }) => ({ n }))
    const inSocket: Uint8Array[] = []
    bob.onWrite = (bytes) => inSocket.push(bytes)
    const answer = alice.request(Double.name, { n: 1 })
    await loop.turn()
    loop.nowMs += 5000 // the reply has come, but nobody reads: timers are first when this process wakes up
    loop.fireDue()
    for (const bytes of inSocket) alice.rpc.receive(bytes)
    await loop.advance(100)
    expect(await answer).toEqual({ n: 1 })
  })

  it('counts a reply that comes too late, and does not take it for another', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    let open = () => {}
    bob.handlers.set(Double, () => new Promise((resolve) => (open = () => resolve({ n: 1 }))))
    const late = codeOf(alice.request(Double.name, { n: 1 }))
    await loop.advance(1000)
    expect(await late).toBe('timeout')
    open()
    await loop.turn()
    expect(alice.counters.strayReplies).toBe(1)
    expect(alice.closedWith).toBeUndefined()
  })

  it('takes a peer for dead after time-outs in a row', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, () => new Promise(() => {}))
    for (let i = 0; i < 4; i++) {
      const answer = codeOf(alice.request(Double.name, { n: 1 }))
      await loop.advance(5000)
      expect(await answer).toBe('timeout')
    }
    expect(alice.closedWith?.code).toBe('unreachable')
    expect(alice.counters.silentPeers).toBe(1)
    expect(alice.aborts).toBe(1)
  })

  it('lets go of a request when its signal fires', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, () => new Promise(() => {}))
    const controller = new AbortController()
    const answer = codeOf(alice.request(Double.name, { n: 1 }, { signal: controller.signal }))
    await loop.turn()
    controller.abort()
    expect(await answer).toBe('aborted')
    expect(alice.rpc.inFlight).toBe(0)
  })

  it('rejects what waits when the connection goes', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, () => new Promise(() => {}))
    const answer = codeOf(alice.request(Double.name, { n: 1 }))
    await loop.turn()
    alice.rpc.close(new ChoraleError('unreachable', 'gone'))
    expect(await answer).toBe('unreachable')
    expect(await codeOf(alice.request(Double.name, { n: 1 }))).toBe('unreachable')
    expect(loop.timers).toBe(0)
  })

  it('knows a goodbye that makes room from one for good', async () => {
    for (const leaving of [true, false]) {
      const loop = new Loop()
      const { alice, bob } = await joined(loop)
      bob.rpc.sendBye(leaving)
      await loop.turn()
      alice.rpc.close(new ChoraleError('unreachable', 'closed'))
      expect(alice.polite).toBe(!leaving)
    }
  })

  it('caps the requests that wait for one peer', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, () => new Promise(() => {}))
    for (let i = 0; i < MAX_REQUESTS_PER_PEER; i++) void alice.request(Double.name, { n: 1 }).catch(() => {})
    expect(await codeOf(alice.request(Double.name, { n: 1 }))).toBe('busy')
    expect(alice.counters.busyRequests).toBe(1)
  })

  it('caps the requests of one peer that are worked on', async () => {
    const loop = new Loop()
    const bob = new End(loop, 'mallory')
    bob.handlers.set(Double, () => new Promise(() => {}))
    bob.rpc.receive(encodeFrame({ type: 'hello', version: 1, address: undefined, incarnation: 1 }))
    for (let number = 0; number < MAX_HANDLING_PER_PEER + 10; number++) {
      const request = { number, kind: Double.name, toSlot: 0, fromSlot: 0, toIncarnation: 1, body: { n: 1 } }
      bob.rpc.receive(encodeFrame({ type: 'request', ...request }))
    }
    expect(bob.rpc.inFlight).toBe(MAX_HANDLING_PER_PEER)
    expect(bob.counters.busyHandling).toBe(10)
  })

  it('drops a peer that stops reading, once the buffer is full', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Blob, () => new Uint8Array(60_000))
    bob.open = false
    bob.onWrite = () => {}
    let most = 0
    for (let i = 0; i < 40 && !bob.closedWith; i++) {
      void alice.request(Blob.name, {}).catch(() => {})
      await loop.turn()
      most = Math.max(most, bob.rpc.buffered)
    }
    expect(bob.closedWith?.message).toContain('stopped reading')
    expect(bob.counters.droppedWriters).toBe(1)
    expect(most).toBeLessThanOrEqual(MAX_WRITE_BUFFER_BYTES)
    expect(bob.rpc.buffered).toBe(0)
  })

  it('goes on writing when the peer reads again', async () => {
    const loop = new Loop()
    const { alice, bob } = await joined(loop)
    bob.handlers.set(Double, ({ n }) => ({ n }))
    bob.open = false
    const answers = []
    for (let n = 0; n < 3; n++) {
      answers.push(alice.request(Double.name, { n }))
      await loop.turn()
    }
    expect(bob.rpc.buffered).toBeGreaterThan(0) // the first write went out, the rest waits
    bob.open = true
    bob.rpc.drained()
    await loop.turn()
    expect(await Promise.all(answers)).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }])
  })

  it('stops reading from a peer that sends too fast, for as long as it takes', async () => {
    const loop = new Loop()
    const bob = new End(loop, 'mallory')
    bob.rpc.receive(encodeFrame({ type: 'hello', version: 1, address: undefined, incarnation: 1 }))
    const reply = encodeFrame({ type: 'reply', number: 1, body: new Uint8Array(65_000) })
    for (let i = 0; i < 2000 && !bob.paused; i++) bob.rpc.receive(reply)
    expect(bob.paused).toBe(true)
    expect(bob.counters.throttledReads).toBe(1)
    await loop.advance(1000)
    expect(bob.paused).toBe(false)
  })

  it.each([
    ['oversizeFrames', new Uint8Array([0xff, 0, 0, 0])],
    ['malformedFrames', new Uint8Array([0, 0, 0, 1, 0xff])],
    ['earlyFrames', encodeFrame({ type: 'reply', number: 1, body: null })],
  ] as const)('closes on %s', async (counter, bytes) => {
    const bob = new End(new Loop(), 'mallory')
    bob.rpc.receive(bytes)
    bob.rpc.receive(bytes)
    expect(bob.counters[counter]).toBe(1)
    expect(bob.closedWith?.code).toBe('bad-message')
    expect(bob.aborts).toBe(1)
  })

  it('takes unknown error codes of a peer for its internal errors', async () => {
    const loop = new Loop()
    const alice = new End(loop, 'mallory')
    alice.hello()
    await loop.turn()
    alice.rpc.receive(encodeFrame({ type: 'hello', version: 1, address: undefined, incarnation: 1 }))
    const answer = codeOf(alice.request(Double.name, { n: 1 }))
    const payload = encode([3, 1, 'made-up', 'text'])
    alice.rpc.receive(new Uint8Array([0, 0, 0, payload.length, ...payload]))
    expect(await answer).toBe('internal')
  })
})
