import { Type } from 'typebox'
import { describe, expect, test } from 'vitest'
import { type NetworkOptions, type SimHost, SimNetwork } from '../../../sim/network.ts'
import { ChoraleError, errorCode } from '../../../src/core/errors.ts'
import { MAX_CONNECTIONS } from '../../../src/core/limits.ts'
import { contactAt } from '../../../src/net/contact.ts'
import { defineMessage, record } from '../../../src/net/message.ts'
import type { RequestOptions } from '../../../src/net/transport.ts'

const Text = record({ text: Type.String() })
const Echo = defineMessage('test.echo', { request: Text, reply: Text })

/** 10 ms one way, always. */
const steady = () => 10

/** Hosts that answer what they are asked, and count it. */
class Net {
  readonly network: SimNetwork
  readonly heard = new Map<SimHost, string[]>()

  constructor(options: Partial<NetworkOptions> = {}) {
    this.network = new SimNetwork({ seed: 1, latency: steady, ...options })
  }

  host(...args: Parameters<SimNetwork['host']>): SimHost {
    const host = this.network.host(...args)
    const heard: string[] = []
    this.heard.set(host, heard)
    host.handle(Echo, (message) => {
      heard.push(message.text)
      return { text: message.text }
    })
    return host
  }

  get nowMs(): number {
    return this.network.schedule.nowMs
  }

  /** What will come of a request, and after how long. */
  async send(from: SimHost, to: SimHost, text = 'a', options?: RequestOptions): Promise<[unknown, number]> {
    const startMs = this.nowMs
    const outcome = await from
      .request(to.contact(), Echo, { text }, options)
      .then((reply: { text: string }) => reply.text, errorCode)
    return [outcome, this.nowMs - startMs]
  }

  /** The same, and time passes until then. */
  ask(...args: Parameters<Net['send']>): Promise<[unknown, number]> {
    return this.network.schedule.until(this.send(...args))
  }

  run(ms: number): Promise<void> {
    return this.network.schedule.run(this.nowMs + ms)
  }
}

test('the first request pays for the connection, a round trip and a half; later ones do not', async () => {
  const net = new Net()
  const [a, b] = [net.host(), net.host()]
  expect(a.connected(b.peer)).toBe(false)
  expect(await net.ask(a, b)).toEqual(['a', 50])
  expect(a.connected(b.peer)).toBe(true)
  expect(b.connected(a.peer)).toBe(true) // one connection serves both ways
  expect(await net.ask(a, b)).toEqual(['a', 20])
  expect(await net.ask(b, a)).toEqual(['a', 20])
  expect(await net.ask(a, a)).toEqual(['a', 0])
  expect(b.rtt(a.peer)).toBe(20)
})

test('connections are bounded: the one used least lately is closed', async () => {
  const net = new Net()
  const hub = net.host()
  const others = Array.from({ length: MAX_CONNECTIONS + 1 }, () => net.host())
  for (const other of others) await net.ask(hub, other)
  expect(hub.links.size).toBe(MAX_CONNECTIONS)
  expect(hub.connected(others[0]!.peer)).toBe(false)
  expect(hub.connected(others[1]!.peer)).toBe(true)
})

describe('deadlines', () => {
  test('a host that was never there, or is dead, does not answer', async () => {
    const net = new Net()
    const [a, b] = [net.host(), net.host()]
    b.kill()
    expect(await net.ask(a, b)).toEqual(['timeout', 750])
  })

  test('one that dies with the answer on its way: the answer comes; one that dies before: a time-out', async () => {
    const net = new Net()
    const [a, b, c] = [net.host(), net.host(), net.host()]
    await net.ask(a, b)
    await net.ask(a, c)
    const first = net.send(a, b)
    await net.run(15)
    b.kill()
    expect(await net.network.schedule.until(first)).toEqual(['a', 20])
    const second = net.send(a, c)
    await net.run(5)
    c.kill()
    const [code, ms] = await net.network.schedule.until(second)
    expect(code).toBe('timeout')
    expect(ms).toBeGreaterThanOrEqual(200)
    expect(net.heard.get(c)).toEqual(['a'])
  })

  test('they follow round-trip times, unless the caller sets one; slow handlers run into them', async () => {
    const net = new Net()
    const [a, b] = [net.host(), net.host()]
    for (let i = 0; i < 20; i++) await net.ask(a, b)
    b.handle(Echo, async (message) => {
      await b.env.clock.sleep(500)
      return message
    })
    expect(await net.ask(a, b)).toEqual(['timeout', 200])
    expect((await net.ask(a, b, 'a', { timeoutMs: 700 }))[0]).toBe('a')
  })

  test('`aborted` at once', async () => {
    const net = new Net()
    const [a, b] = [net.host(), net.host()]
    const controller = new AbortController()
    const asked = net.send(a, b, 'a', { signal: controller.signal })
    await net.run(5)
    controller.abort()
    expect(await asked).toEqual(['aborted', 5])
    expect(await net.ask(a, b, 'a', { signal: AbortSignal.abort() })).toEqual(['aborted', 0])
  })
})

test('a restarted host tells those who mean the old one that it is gone', async () => {
  const net = new Net()
  const [a, b] = [net.host(), net.host()]
  b.kill()
  const again = net.host({ ...b.self, incarnation: 2 })
  expect(await net.ask(a, b)).toEqual(['gone', 50])
  expect(net.heard.get(again)).toEqual([])
  expect((await net.ask(a, again))[0]).toBe('a')
  expect(contactAt(again.self, 0).id).toBe(contactAt(b.self, 0).id)
})

test('handlers answer with codes; our own bugs stop the run', async () => {
  const net = new Net()
  const [a, b] = [net.host(), net.host()]
  b.handle(Echo, () => {
    throw new ChoraleError('limit', 'enough')
  })
  expect((await net.ask(a, b))[0]).toBe('limit')
  b.handlers.clear()
  expect((await net.ask(a, b))[0]).toBe('unsupported')
  b.handle(Echo, () => {
    throw new TypeError('a bug')
  })
  await expect(net.ask(a, b)).rejects.toThrow('a bug')
})

test('messages are frozen; with the codec they are copies, held to their schema', async () => {
  const plain = new Net()
  const [a, b] = [plain.host(), plain.host()]
  b.handle(Echo, (message) => {
    expect(Object.isFrozen(message)).toBe(true)
    return message
  })
  expect((await plain.ask(a, b))[0]).toBe('a')
  const coded = new Net({ codec: true })
  const [c, d] = [coded.host(), coded.host()]
  d.handle(Echo, () => ({ text: 1 as never }))
  await expect(coded.ask(c, d)).rejects.toThrow(/does not fit its schema/)
})

describe('faults', () => {
  const COUNT = 2000

  async function many(options: Partial<NetworkOptions>) {
    const net = new Net(options)
    const [a, b] = [net.host(), net.host()]
    await net.ask(a, b, 'first', { timeoutMs: 60_000 })
    const outcomes: unknown[] = []
    for (let i = 0; i < COUNT; i++) {
      const asked = a.request(b.contact(), Echo, { text: `${i}` }, { timeoutMs: 2000 })
      asked.then(() => outcomes.push(`${i}`), (error) => outcomes.push(errorCode(error))) // biome-ignore format: a pair
      await net.run(1)
    }
    await net.run(5000)
    expect(outcomes.length).toBe(COUNT)
    return { outcomes, heard: net.heard.get(b)!.slice(1) }
  }

  test('loss: requests and answers alike', async () => {
    const { outcomes, heard } = await many({ loss: 0.1 })
    expect(heard.length / COUNT).toBeCloseTo(0.9, 1)
    const answered = outcomes.filter((outcome) => outcome !== 'timeout').length
    expect(answered / COUNT).toBeCloseTo(0.81, 1)
    expect(answered).toBeLessThan(heard.length)
  })

  test('duplication: some requests arrive twice, and are answered once', async () => {
    const { outcomes, heard } = await many({ duplication: 0.1 })
    expect(heard.length / COUNT).toBeCloseTo(1.1, 1)
    expect(heard.length).toBeGreaterThan(COUNT)
    expect(new Set(outcomes).size).toBe(COUNT)
  })

  test('reordering: some are overtaken, none is lost', async () => {
    const { outcomes, heard } = await many({ reordering: 0.1 })
    expect(heard.length).toBe(COUNT)
    const inOrder = Array.from({ length: COUNT }, (_, i) => `${i}`)
    expect(heard).not.toEqual(inOrder)
    expect(new Set(outcomes)).toEqual(new Set(inOrder))
    expect((await many({})).heard).toEqual(inOrder)
  })

  test('a partition cuts both ways, what is under way too, and heals', async () => {
    const net = new Net()
    const [a, b, c] = [net.host(), net.host(), net.host()]
    await net.ask(a, b)
    const underWay = net.send(a, b, 'under way')
    await net.run(5)
    net.network.partition((host) => (host === b ? 1 : 0))
    expect((await net.network.schedule.until(underWay))[0]).toBe('timeout')
    expect((await net.ask(a, b))[0]).toBe('timeout')
    expect((await net.ask(b, a))[0]).toBe('timeout')
    expect((await net.ask(a, c))[0]).toBe('a')
    expect(net.heard.get(b)).toEqual(['a'])
    net.network.partition(undefined)
    expect((await net.ask(a, b, 'again'))[0]).toBe('again')
  })

  test('where it is known, a host that is dead or on the other side is unreachable, and one that is silent is not', async () => {
    const net = new Net({ unreachable: true })
    const [a, b, c] = [net.host(), net.host(), net.host()]
    net.network.partition((host) => (host === b ? 1 : 0))
    expect(await net.ask(a, b, 'a', { timeoutMs: 10_000 })).toEqual(['unreachable', 3000])
    net.network.partition(undefined)
    expect((await net.ask(a, b, 'again'))[0]).toBe('again')
    b.pause(10_000)
    expect((await net.ask(a, b))[0]).toBe('timeout')
    c.kill()
    expect((await net.ask(a, c))[0]).toBe('unreachable')
  })

  test('a frozen host: messages and timers wait until it thaws', async () => {
    const net = new Net()
    const [a, b] = [net.host(), net.host()]
    await net.ask(a, b)
    const fired: number[] = []
    b.env.clock.timer(100, () => fired.push(net.nowMs))
    const cancel = b.env.clock.timer(200, () => fired.push(-1))
    const thawsAtMs = net.nowMs + 1000
    b.pause(1000)
    const asked = net.send(a, b, 'b', { timeoutMs: 3000 })
    await net.run(500)
    cancel()
    expect(fired).toEqual([])
    expect(net.heard.get(b)).toEqual(['a'])
    const [text, ms] = await net.network.schedule.until(asked)
    expect([text, ms]).toEqual(['b', 1010])
    expect(fired).toEqual([thawsAtMs])
  })

  test('the dead do nothing any more', async () => {
    const net = new Net()
    const [a, b] = [net.host(), net.host()]
    let fired = false
    a.env.clock.timer(10, () => {
      fired = true
    })
    let settled = false
    const asked = a.request(b.contact(), Echo, { text: 'a' })
    asked.then(() => (settled = true), () => (settled = true)) // biome-ignore format: a pair
    a.kill()
    await net.run(5000)
    expect({ fired, settled }).toEqual({ fired: false, settled: false })
  })
})

test('the clock: sleeps, deadlines and their parents', async () => {
  const net = new Net()
  const { clock } = net.host().env
  const log: string[] = []
  const note = (name: string) => () => log.push(`${name} ${net.nowMs}`)
  void clock.sleep(30).then(note('slept'))
  const controller = new AbortController()
  clock.sleep(1000, { signal: controller.signal }).catch((error) => note(errorCode(error))())
  using short = clock.deadline(20)
  short.signal.addEventListener('abort', note('short'))
  using child = clock.deadline(500, controller.signal)
  child.signal.addEventListener('abort', note('child'))
  const done = clock.deadline(40)
  done.signal.addEventListener('abort', note('disposed'))
  done[Symbol.dispose]()
  await net.run(50)
  controller.abort()
  await net.run(1000)
  expect(log).toEqual(['short 20', 'slept 30', 'child 50', 'aborted 50'])
  expect(clock.deadline(10, controller.signal).signal.aborted).toBe(true)
  await expect(clock.sleep(10, { signal: controller.signal })).rejects.toMatchObject({ code: 'aborted' })
})
