import { afterEach, expect, test } from 'vitest'
import { hashKey } from '../../../src/core/ids.ts'
import { RegisterFetch, RegisterPut, RegisterUpdate } from '../../../src/dht/store/messages.ts'
import { REPAIR_PERIOD_MS } from '../../../src/dht/store/registers.ts'
import { keysOf, outcome, RegisterNetwork, type RegisterNode, words, wordsKind } from '../../fakes/registers.ts'

const key = hashKey('a register')

let network: RegisterNetwork
afterEach(() => network.stopAll())

test('a node alone keeps and merges registers without a message', async () => {
  network = await RegisterNetwork.of({ seed: 1 }, 1)
  const [alone] = network.nodes as [RegisterNode]
  expect(await network.read(alone, key)).toBeUndefined()
  expect(await network.update(alone, key, 'a')).toEqual(words('a'))
  expect(await network.update(alone, key, 'b')).toEqual(words('a', 'b'))
  expect(await network.read(alone, key)).toEqual(words('a', 'b'))
  expect([...alone.store.entries(wordsKind)]).toEqual([[key, words('a', 'b')]])
  expect(network.ring.delivered.size).toBe(0)
})

test('an update from anywhere is merged at the owner and is with a majority when it resolves', async () => {
  network = await RegisterNetwork.of({ seed: 2 }, 12)
  for (const [index, node] of network.nodes.entries()) {
    await network.update(node, key, `word ${index}`)
    const having = network
      .holders(key)
      .filter(({ store }) => store.local(wordsKind, key)?.words.includes(`word ${index}`))
    expect(having.length).toBeGreaterThanOrEqual(3)
  }
  const everything = words(...network.nodes.map((_, index) => `word ${index}`).sort())
  for (const node of network.nodes) expect(await network.read(node, key)).toEqual(everything)
})

test('updates at the same time all count, and share their copies', async () => {
  network = await RegisterNetwork.of({ seed: 3 }, 8)
  const expected = Array.from({ length: 60 }, (_, index) => `w${index}`)
  const updates = expected.map((word, index) => {
    return network.nodes[index % 8]!.store.update(wordsKind, key, words(word))
  })
  await network.ring.until(Promise.all(updates))
  expect((await network.read(network.nodes[0]!, key))?.words).toEqual(expected.sort())
  expect(network.ring.delivered.get(RegisterPut.name)).toBeLessThan(40)
})

test("a caller's value is its own again after the call", async () => {
  network = await RegisterNetwork.of({ seed: 4 }, 1)
  const value = { words: ['a'] }
  await network.ring.until(network.nodes[0]!.store.update(wordsKind, key, value))
  value.words.push('b')
  expect(await network.read(network.nodes[0]!, key)).toEqual(words('a'))
})

test('a joiner owns at once, and readers fall through to those that were there', async () => {
  network = await RegisterNetwork.of({ seed: 5, replicas: 3 }, 5)
  const keys = keysOf(40)
  for (const [index, each] of keys.entries()) await network.update(network.nodes[index % 5]!, each, `v${index}`)
  const joiners = Array.from({ length: 6 }, () => network.join())
  await network.ring.run(1)
  const reader = network.add() // not a member: asks as a leaf does
  let moved = 0
  for (const [index, each] of keys.entries()) {
    if (joiners.includes(network.group(each)[0]!)) moved++
    expect(await network.read(reader, each)).toEqual(words(`v${index}`))
  }
  expect(moved).toBeGreaterThan(10)
})

test('a whole group that has just joined asks those behind it', async () => {
  network = await RegisterNetwork.of({ seed: 6, replicas: 2 }, 3)
  const keys = keysOf(30)
  for (const each of keys) await network.update(network.nodes[0]!, each, 'v')
  const joiners = Array.from({ length: 12 }, () => network.join())
  await network.ring.run(0)
  const fresh = keys.filter((each) => network.group(each).every((node) => joiners.includes(node)))
  expect(fresh.length).toBeGreaterThan(5)
  const answers = await network.ring.until(
    Promise.all(fresh.map((each) => network.group(each)[0]!.store.read(wordsKind, each))),
  )
  // Two thirds of the joiners may stand between a key and an old node: one step behind is what is promised.
  const reachable = fresh.filter((each) => {
    const last = network.group(each).at(-1)!
    return network.group(last.host.contact.id).some((node) => !joiners.includes(node))
  })
  expect(reachable.length).toBeGreaterThan(2)
  for (const each of reachable) expect(answers[fresh.indexOf(each)]).toEqual(words('v'))
})

test('a new owner that missed the last update reads it from the others', async () => {
  network = await RegisterNetwork.of({ seed: 14 }, 9)
  await network.update(network.nodes[0]!, key, 'old')
  await network.ring.run(REPAIR_PERIOD_MS)
  const [owner, next] = network.group(key) as [RegisterNode, RegisterNode]
  const put = next.host.handlers.get(RegisterPut.name)!
  next.host.handlers.delete(RegisterPut.name)
  await network.update(owner, key, 'new')
  expect(next.store.local(wordsKind, key)).toEqual(words('old'))
  next.host.handlers.set(RegisterPut.name, put)
  network.ring.kill(owner.host)
  expect(await network.read(network.outsider(key), key)).toEqual(words('new', 'old'))
})

test('a majority that has nothing is not enough: the slowest replica may have it', async () => {
  network = await RegisterNetwork.of({ seed: 26 }, 6)
  await network.ring.run(60_000) // nobody is suspected to hand over any more
  const [owner, , , last] = network.group(key) as [RegisterNode, RegisterNode, RegisterNode, RegisterNode]
  const copies = [{ kind: wordsKind.name, key, ageMs: 0, value: words('v') }]
  await network.ring.until(owner.host.transport.request(last.host.contact, RegisterPut, { copies }))
  const fetch = last.host.handlers.get(RegisterFetch.name)!
  last.host.handlers.set(RegisterFetch.name, async (message, delivery) => {
    await last.host.env.clock.sleep(100)
    return fetch(message, delivery)
  })
  expect(await network.read(owner, key)).toEqual(words('v'))
})

test('asking the wrong node is answered not-owner, and the caller looks up again', async () => {
  network = await RegisterNetwork.of({ seed: 15, viewLagMs: 1_500 }, 6)
  const keys = keysOf(20)
  for (let i = 0; i < 6; i++) network.join() // the others do not see them yet
  const updates = keys.map((each, index) => network.nodes[index % 6]!.store.update(wordsKind, each, words('v')))
  await network.ring.until(Promise.all(updates))
  await network.ring.run(2 * REPAIR_PERIOD_MS)
  for (const each of keys) expect(await network.read(network.nodes[0]!, each)).toEqual(words('v'))

  const { transport } = network.nodes[0]!.host
  const stranger = network.outsider(key).host.contact
  const message = { kind: wordsKind.name, key, value: words('v') }
  expect(await network.ring.until(outcome(transport.request(stranger, RegisterUpdate, message)))).toBe('not-owner')
})

test('without a majority an update ends at its deadline, and is not lost', async () => {
  network = await RegisterNetwork.of({ seed: 16, viewLagMs: 60_000 }, 4)
  const [owner, ...others] = network.group(key) as [RegisterNode, ...RegisterNode[]]
  for (const node of others.slice(0, 2)) network.ring.kill(node.host)
  const started = owner.host.env.clock.now()
  const failed = outcome(owner.store.update(wordsKind, key, words('v'), { deadlineMs: 3_000 }))
  expect(await network.ring.until(failed)).toBe('timeout')
  expect(owner.host.env.clock.now() - started).toBeLessThan(3_100)
  expect(owner.store.local(wordsKind, key)).toEqual(words('v'))
})

test('an aborted call ends at once', async () => {
  network = await RegisterNetwork.of({ seed: 17, loss: 1 }, 6)
  const controller = new AbortController()
  const reading = outcome(network.outsider(key).store.read(wordsKind, key, { signal: controller.signal }))
  await network.ring.run(10)
  const reason = Object.assign(new Error('enough'))
  controller.abort(reason)
  expect(await network.ring.until(reading)).toBe('internal') // the reason itself, which is not one of our errors
})

test.each([
  ['a value against the schema', { words: 3 } as never, 'bad-message'],
  ['what dag-cbor cannot hold', { words: undefined } as never, 'bad-message'],
  ['what the kind does not admit', words('forbidden'), 'auth'],
  ['a value that is too big', words('x'.repeat(50_000)), 'limit'],
])('%s is refused at once, wherever the owner is', async (_name, value, code) => {
  network = await RegisterNetwork.of({ seed: 18 }, 6)
  const started = network.nodes[0]!.host.env.clock.now()
  for (const node of [network.group(key)[0]!, network.outsider(key)]) {
    expect(await network.ring.until(outcome(node.store.update(wordsKind, key, value)))).toBe(code)
  }
  expect(network.nodes[0]!.host.env.clock.now() - started).toBeLessThan(200)
  expect(network.holders(key)).toEqual([])
})

test('a kind that the owner does not know is refused and counted', async () => {
  network = await RegisterNetwork.of({ seed: 19 }, 6)
  const other = { ...wordsKind, name: 'test/other' }
  const node = network.outsider(key)
  node.store.define(other)
  expect(await network.ring.until(outcome(node.store.update(other, key, words('v'))))).toBe('unsupported')
  expect(await network.ring.until(outcome(node.store.read(other, key)))).toBe('unsupported')
  expect(network.group(key)[0]!.store.refused.unknownKind).toBe(2)
})

test('a node that stops acknowledges nothing any more', async () => {
  network = await RegisterNetwork.of({ seed: 23 }, 3)
  const [owner] = network.group(key) as [RegisterNode]
  await network.ring.until(owner.store.stop())
  const asked = owner.store.update(wordsKind, key, words('v'), { deadlineMs: 300 })
  expect(['timeout', 'not-owner']).toContain(await network.ring.until(outcome(asked)))
  expect(owner.store.local(wordsKind, key)).toBeUndefined()
})

test('handlers hear of every change at every replica, and of nothing else', async () => {
  network = await RegisterNetwork.of({ seed: 24 }, 6)
  const heard = new Map<RegisterNode, string[]>()
  for (const node of network.nodes) {
    heard.set(node, [])
    node.store.onUpdate(wordsKind, (_key, value) => heard.get(node)!.push(value.words.join()))
  }
  await network.update(network.nodes[0]!, key, 'a')
  await network.update(network.nodes[1]!, key, 'a')
  await network.update(network.nodes[2]!, key, 'b')
  await network.ring.run(REPAIR_PERIOD_MS * 2)
  const group = network.group(key)
  for (const node of network.nodes) expect(heard.get(node)).toEqual(group.includes(node) ? ['a', 'a,b'] : [])
})
