import { expect, test } from 'vitest'
import { networkId } from '../../../src/net/network-id.ts'

const RING = { name: 'private', placement: 'ip-port', successors: 4, replicas: 3 } as const

test('a ring of the usual settings has the id that it always had', () => {
  expect(networkId(RING)).toBe('63f8531c3fdb3870')
})

test('whatever nodes of a network agree on makes another network', () => {
  const { successors: _, ...others } = RING
  const networks = [
    RING,
    { ...RING, name: 'lab' },
    { ...RING, successors: 5 },
    { ...RING, replicas: 4 },
    { ...RING, copies: 2 },
    { ...RING, placement: 'ip-prefix' as const },
    { ...others, space: 'torus2' },
    { ...others, space: 'torus3' },
    { ...others, space: 'cube2' },
    { ...others, space: 'torus2', replicas: 4 },
  ]
  expect(new Set(networks.map(networkId)).size).toBe(networks.length)
})
