import { expect, test } from 'vitest'
import { MAX_KNOWN_PEERS } from '../../../src/core/limits.ts'
import { seededRandom } from '../../../src/core/random.ts'
import { type ToldCoordinate, told } from '../../../src/dht/coordinates.ts'
import { Vicinity } from '../../../src/dht/vicinity.ts'
import type { Transport } from '../../../src/net/transport.ts'

/** A vicinity among peers at these round-trip times. */
function among(rtts: Readonly<Record<string, number>>): Vicinity {
  const transport = { peer: 'self', rtt: (peer: string) => rtts[peer] } as Partial<Transport> as Transport
  return new Vicinity(transport, seededRandom(1))
}

const at = (x: number, y: number): ToldCoordinate => told({ place: [x, y, 0], heightMs: 1, error: 0.1 })

test('answers of peers whose way was measured make a coordinate, which predicts ways to others', () => {
  const peers = { a: at(0, 0), b: at(100, 0), c: at(0, 100), d: at(100, 100) }
  const vicinity = among({ a: 70, b: 70, c: 70, d: 70 })
  const [x, y] = [at(50, 50), at(250, 50)]
  expect(vicinity.predictedMs(x)).toBeUndefined() // nothing is known yet
  for (let i = 0; i < 100; i++)
    for (const [peer, coordinate] of Object.entries(peers)) vicinity.answered(peer, coordinate)
  // 70 ms from every corner, whose centre is 71 ms from each.
  expect(vicinity.predictedMs(x)).toBeLessThan(15)
  expect(vicinity.predictedMs(y)! - vicinity.predictedMs(x)!).toBeGreaterThan(170)
})

test('what was told without a measurement moves nothing, and our own word to ourselves neither', () => {
  const vicinity = among({ self: 10 })
  const before = vicinity.at
  vicinity.answered('stranger', at(500, 0))
  vicinity.answered('self', at(500, 0))
  vicinity.answered('silent', undefined)
  vicinity.heard('a', at(1, 2))
  vicinity.heard('b', undefined)
  expect(vicinity.at).toEqual(before)
  expect(vicinity.coordinateOf('a')).toEqual(at(1, 2))
  expect(vicinity.coordinateOf('stranger')).toEqual(at(500, 0))
  expect(vicinity.coordinateOf('b')).toBeUndefined()
  expect(vicinity.coordinateOf('self')).toBeUndefined()
})

test('the way to ourselves takes no time; to a stranger it is not known', () => {
  const vicinity = among({ a: 30 })
  expect([vicinity.measuredMs('self'), vicinity.measuredMs('a'), vicinity.measuredMs('b')]).toEqual([0, 30, undefined])
})

test('one peer that answers all the time does not outshout the others', () => {
  const vicinity = among({ loud: 10, a: 100, b: 100 })
  const loud = at(0, 0)
  for (let i = 0; i < 600; i++) {
    vicinity.answered('loud', loud)
    if (i % 20 === 0) {
      vicinity.answered('a', at(100, 0))
      vicinity.answered('b', at(0, 100))
    }
  }
  for (const [coordinate, ms] of [
    [at(100, 0), 100],
    [at(0, 100), 100],
  ] as const) {
    expect(Math.abs(vicinity.predictedMs(coordinate)! - ms)).toBeLessThan(20)
  }
})

test('as many peers as may come: those heard of last are remembered', () => {
  const vicinity = among({})
  for (let i = 0; i < 3 * MAX_KNOWN_PEERS; i++) vicinity.answered(`p${i}`, at(i % 100, 0))
  expect(vicinity.coordinateOf('p0')).toBeUndefined()
  expect(vicinity.coordinateOf(`p${3 * MAX_KNOWN_PEERS - 1}`)).toBeDefined()
})
