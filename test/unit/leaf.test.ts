import { expect, test } from 'vitest'
import { type Env, silentLogger } from '../../src/core/env.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import { keepMembers } from '../../src/leaf.ts'
import { type Contact, contactAt } from '../../src/net/contact.ts'

const member = (peer: string, incarnation = 1): Contact =>
  contactAt({ peer, ip: '10.0.0.1', port: peer.charCodeAt(0), incarnation }, 0)
const placeOf = ({ ip, port }: Contact) => `${ip}:${port}`
const [a, b, c] = [member('a'), member('b'), member('c')]

/** A leaf in a network where `alive` answer. As in Chord, the first member that is told is asked first. */
async function leafWith(members: Contact[], alive: Contact[]) {
  const network = { alive, silent: [] as Contact[], told: [] as string[], kept: [] as readonly string[] }
  let used = members
  let timer: (() => void) | undefined
  let onDown = (_peer: string) => {}
  const answers = (contact: Contact) => network.alive.includes(contact)
  const env: Env = {
    random: seededRandom('leaf'),
    log: silentLogger,
    clock: {
      now: () => 0,
      sleep: async () => {},
      timer: (_ms, fire) => {
        timer = fire
        return () => {
          if (timer === fire) timer = undefined
        }
      },
      deadline: () => ({ signal: new AbortController().signal, [Symbol.dispose]() {} }),
    },
  }
  const stop = await keepMembers({
    env,
    members,
    places: members.map(placeOf),
    placeOf,
    transport: {
      resolve: async (place) => {
        const found = [...network.alive, ...network.silent].find((contact) => placeOf(contact) === place)
        if (!found) throw new ChoraleError('unreachable', place)
        return found
      },
      onPeerDown: (handler) => {
        onDown = handler
        return () => {
          onDown = () => {}
        }
      },
    },
    overlay: {
      join: async (next) => {
        used = [...next]
      },
      lookup: async () => {
        const owner = network.silent.includes(used[0]!) ? undefined : used.find(answers)
        if (!owner) throw new ChoraleError('no-route', 'no member answers')
        return { owner, replicas: network.alive, hops: 1 }
      },
    },
    onChange: (places) => {
      network.kept = places
    },
  })
  return {
    network,
    stop,
    used: () => used.map(({ peer, incarnation }) => `${peer}${incarnation}`),
    down: (peer: string) => onDown(peer),
    waits: () => timer !== undefined,
    async tick() {
      const fire = timer
      timer = undefined
      fire?.()
      for (let i = 0; i < 20; i++) await undefined
    },
  }
}

test('it learns of members that it was not told of, and keeps their addresses', async () => {
  const leaf = await leafWith([a], [a, b, c])
  expect(leaf.used()).toEqual(['a1', 'b1', 'c1'])
  expect(leaf.network.kept).toEqual([a, b, c].map(placeOf))
})

test('a member that is gone is not used any more, unless it is the last', async () => {
  const leaf = await leafWith([a], [a, b])
  leaf.down('a')
  expect(leaf.used()).toEqual(['b1'])
  leaf.down('b')
  expect(leaf.used()).toEqual(['b1'])
  leaf.network.alive = [b, c]
  await leaf.tick()
  expect(leaf.used()).toEqual(['b1', 'c1'])
})

test('a member that is silent has its turn last', async () => {
  const leaf = await leafWith([a], [a, b, c])
  leaf.network.alive = [b, c]
  leaf.network.silent = [a]
  await leaf.tick()
  expect(leaf.used()).toEqual(['b1', 'c1', 'a1'])
  await leaf.tick()
  expect(leaf.used()).toEqual(['b1', 'c1'])
})

test('when all are gone it finds those who come back as other incarnations', async () => {
  const leaf = await leafWith([a], [a, b])
  leaf.network.alive = []
  await leaf.tick()
  await leaf.tick()
  leaf.network.alive = [member('a', 2)]
  await leaf.tick()
  expect(leaf.used()).toContain('a2')
  await leaf.tick()
  expect(leaf.used()[0]).toBe('a2')
})

test('of many members it keeps eight, and nothing goes on once it is stopped', async () => {
  const many = Array.from('abcdefghijklmnopqrst', (name) => member(name))
  const leaf = await leafWith(many.slice(0, 1), many)
  expect(leaf.used()).toHaveLength(8)
  leaf.stop()
  expect(leaf.waits()).toBe(false)
  leaf.down('a')
  expect(leaf.waits()).toBe(false)
})
