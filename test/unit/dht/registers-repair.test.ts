import { afterEach, expect, test } from 'vitest'
import { hashKey, type Key } from '../../../src/core/ids.ts'
import { seededRandom, shuffled } from '../../../src/core/random.ts'
import { RegisterPut } from '../../../src/dht/store/messages.ts'
import { REPAIR_PERIOD_MS } from '../../../src/dht/store/registers.ts'
import { keysOf, RegisterNetwork, type RegisterNode, words, wordsKind } from '../../fakes/registers.ts'
import { seeds } from '../../nightly.ts'

const key = hashKey('a register')

let network: RegisterNetwork
afterEach(() => network.stopAll())

test('registers at the cap of size travel one by one', async () => {
  network = await RegisterNetwork.of({ seed: 27 }, 5)
  const keys = keysOf(6)
  for (const each of keys) await network.update(network.nodes[0]!, each, each.repeat(765))
  network.join()
  network.ring.kill(network.nodes[1]!.host)
  await network.ring.run(3 * REPAIR_PERIOD_MS)
  for (const each of keys) expect(new Set(network.holders(each))).toEqual(new Set(network.group(each)))
})

test('a node that left the group hands over, and deletes only after that', async () => {
  network = await RegisterNetwork.of({ seed: 7, replicas: 2 }, 4)
  const keys = keysOf(50)
  for (const each of keys) await network.update(network.nodes[0]!, each, 'v')
  for (let i = 0; i < 12; i++) network.join()
  for (let step = 0; step < 200; step++) {
    await network.ring.run(25)
    for (const each of keys) expect(network.holders(each).length).toBeGreaterThanOrEqual(2)
  }
  await network.ring.run(3 * REPAIR_PERIOD_MS)
  for (const each of keys) expect(new Set(network.holders(each))).toEqual(new Set(network.group(each)))
})

test('what is astray is kept as long as the group does not confirm', async () => {
  network = await RegisterNetwork.of({ seed: 8, replicas: 2 }, 4)
  const keys = keysOf(20)
  for (const each of keys) await network.update(network.nodes[0]!, each, 'v')
  const old = network.live
  for (let i = 0; i < 12; i++) {
    const { host } = network.join()
    host.handlers.delete(RegisterPut.name) // takes nothing
  }
  await network.ring.run(3 * REPAIR_PERIOD_MS)
  const fresh = keys.filter((each) => network.group(each).every((node) => !old.includes(node)))
  expect(fresh.length).toBeGreaterThan(3)
  for (const each of fresh) expect(network.holders(each).length).toBeGreaterThanOrEqual(2)
})

test('who sees a dead owner asks for the group, and hands over to it', async () => {
  network = await RegisterNetwork.of({ seed: 28 }, 8)
  const dead = network.nodes[0]!
  const place = dead.host.contact.id // its own id is a key that it owned
  network.ring.kill(dead.host)
  await network.ring.run(1)
  const group = network.group(place)
  const [astray, other] = network.live.filter((node) => !group.includes(node)) as [RegisterNode, RegisterNode]
  await network.update(other, place, 'v')
  const copies = [{ kind: wordsKind.name, key: place, ageMs: 0, value: words('v') }]
  await network.ring.until(other.host.transport.request(astray.host.contact, RegisterPut, { copies }))
  // From where it is, the dead node owns the key and itself comes next.
  const { overlay } = astray.host
  Object.assign(overlay, {
    replicas: (key: Key) => (key === place ? [dead.host.contact, astray.host.contact] : []),
    lookup: other.host.overlay.lookup,
  })
  await network.ring.run(3 * REPAIR_PERIOD_MS)
  expect(new Set(network.holders(place))).toEqual(new Set(group))
})

const waves = 'all but one of every group die again and again: nothing is lost (seed %i)'
test.each(seeds(4))(waves, async (seed) => {
  network = await RegisterNetwork.of({ seed, viewLagMs: 800, loss: 0.01 }, 12)
  const random = seededRandom(seed)
  const keys = keysOf(30)
  const acknowledged = new Map<Key, Set<string>>(keys.map((each) => [each, new Set()]))
  for (let wave = 0; wave < 4; wave++) {
    const updates = keys.map(async (each) => {
      const node = network.live[random.int(network.live.length)]!
      await node.store.update(wordsKind, each, words(`wave ${wave}`), { deadlineMs: 30_000 })
      acknowledged.get(each)!.add(`wave ${wave}`)
    })
    await network.ring.until(Promise.all(updates))
    await network.ring.run(2 * REPAIR_PERIOD_MS)
    const groups = keys.map((each) => network.group(each))
    for (const node of shuffled(network.live, random)) {
      const survives = groups.every((group) => group.some((member) => member !== node && member.host.alive))
      if (survives) network.ring.kill(node.host)
    }
    expect(network.live.length).toBeLessThan(9)
    for (let i = network.live.length; i < 12; i++) network.join()
    await network.ring.run(2 * REPAIR_PERIOD_MS)
  }
  for (const [each, expected] of acknowledged) {
    const value = await network.read(network.live[0]!, each)
    expect(new Set(value?.words)).toEqual(expected)
    expect(new Set(network.holders(each))).toEqual(new Set(network.group(each)))
  }
})

test('an acknowledged update survives a minority that dies before any repair', async () => {
  network = await RegisterNetwork.of({ seed: 13 }, 9)
  for (const each of keysOf(10)) {
    await network.update(network.live[0]!, each, 'v')
    const [owner] = network.group(each) as [RegisterNode]
    network.ring.kill(owner.host)
    const reader = network.live[0] as RegisterNode
    expect(await network.read(reader, each)).toEqual(words('v'))
    network.join()
    await network.ring.run(2 * REPAIR_PERIOD_MS)
  }
})

test('in a quiet network repair costs two small messages per neighbour and period, however much is held', async () => {
  network = await RegisterNetwork.of({ seed: 20 }, 6)
  const keys = keysOf(400)
  await network.ring.until(Promise.all(keys.map((each) => network.nodes[0]!.store.update(wordsKind, each, words('v')))))
  await network.ring.run(3 * REPAIR_PERIOD_MS)
  network.ring.delivered.clear()
  network.ring.deliveredBytes = 0
  const periods = 20
  await network.ring.run(periods * REPAIR_PERIOD_MS)
  const perPeer = 2 * 3 // as owner to three replicas, as replica to three owners
  expect([...network.ring.delivered.keys()]).toEqual(['register/compare'])
  expect(network.ring.delivered.get('register/compare')).toBeLessThan(periods * 6 * perPeer * 1.2)
  expect(network.ring.deliveredBytes / (network.ring.delivered.get('register/compare') ?? 1)).toBeLessThan(700)
})

test('a single difference among many costs a handful of messages', async () => {
  network = await RegisterNetwork.of({ seed: 21 }, 4)
  const keys = keysOf(2_000)
  await network.ring.until(Promise.all(keys.map((each) => network.nodes[0]!.store.update(wordsKind, each, words('v')))))
  await network.ring.run(2 * REPAIR_PERIOD_MS)
  const [owner, late] = network.group(key) as [RegisterNode, RegisterNode]
  const put = late.host.handlers.get(RegisterPut.name)!
  late.host.handlers.delete(RegisterPut.name)
  await network.update(owner, key, 'late')
  late.host.handlers.set(RegisterPut.name, put)
  network.ring.delivered.clear()
  network.ring.deliveredBytes = 0
  await network.ring.run(2 * REPAIR_PERIOD_MS)
  expect(late.store.local(wordsKind, key)).toEqual(words('late'))
  const { delivered } = network.ring
  expect((delivered.get('register/offer') ?? 0) + (delivered.get('register/put') ?? 0)).toBeLessThanOrEqual(4)
  expect(network.ring.deliveredBytes).toBeLessThan(120_000)
})

test('a node that stops politely hands over what only it has', async () => {
  network = await RegisterNetwork.of({ seed: 22 }, 5)
  const keys = keysOf(30)
  const [leaver, ...others] = network.nodes as [RegisterNode, ...RegisterNode[]]
  // Alone at first, as the others have not been seen: nothing has been copied when they appear.
  for (const node of others) network.ring.leave(node.host)
  await network.ring.run(1)
  for (const each of keys) await network.update(leaver, each, 'v')
  for (const node of others) network.ring.join(node.host)
  await network.ring.run(1)
  await network.ring.until(leaver.store.stop())
  network.ring.leave(leaver.host)
  network.ring.kill(leaver.host)
  for (const each of keys) expect(await network.read(others[0]!, each)).toEqual(words('v'))
})

test('registers expire everywhere, and repair does not bring them back', async () => {
  network = await RegisterNetwork.of({ seed: 25 }, 6)
  await network.update(network.nodes[0]!, key, 'v')
  await network.ring.run(wordsKind.expiresAfterMs + 1_000)
  expect(network.holders(key)).toEqual([])
  expect(await network.read(network.nodes[0]!, key)).toBeUndefined()
  await network.ring.run(4 * REPAIR_PERIOD_MS)
  expect(network.nodes.map(({ store }) => [store.size, store.bytes])).toEqual(network.nodes.map(() => [0, 0]))
})
