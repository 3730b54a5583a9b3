import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  cores,
  duration,
  endpoint,
  formatEndpoint,
  integer,
  LIVE_SPACES,
  lent,
  liveSpace,
  parameter,
  share,
} from '../../../src/cli/values.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import { spaceNamed } from '../../../src/vhash/spaces.ts'

const whole = integer('--n', { min: 0, max: 1e15, example: '5' })

test.each([
  ['0', 0],
  ['1e9', 1e9],
  ['1.5e6', 1_500_000],
  ['1_000_000', 1_000_000],
  ['+7', 7],
  ['1E3', 1000],
])('%s is %d', (text, value) => expect(whole(text)).toBe(value))

test('whatever is typed is a number in range, or one usage line', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.double().map(String), fc.integer().map(String)), (text) => {
      try {
        const value = whole(text)
        expect(Number.isSafeInteger(value) && value >= 0 && value <= 1e15).toBe(true)
        expect(value).toBe(Number(text.replaceAll('_', '')))
      } catch (error) {
        expect(error).toBeInstanceOf(ChoraleError)
        expect(error).toMatchObject({ code: 'usage' })
      }
    }),
  )
})

test.each([
  ['0', 0],
  ['.3', 0.3],
  ['0.999', 0.999],
])('share %s', (text, value) => expect(share('--c', '0.3')(text)).toBe(value))

test.each([
  ['5', 5000],
  ['250ms', 250],
  ['1.5s', 1500],
  ['2m', 120_000],
  ['1h', 3_600_000],
])('%s is %d ms', (text, value) => expect(duration('--t')(text)).toBe(value))

test.each(['', '-1', '1e3', '5 days', '9999h', '0', 'Infinity'])('%j is no duration', (text) => {
  expect(() => duration('--t')(text)).toThrow(/--t must be a time/)
})

test.each([
  ['2cpu', 2],
  ['2', 2],
  ['1CPU', 1],
  ['0', 0],
])('lend %s', (text, value) => {
  expect(cores('--lend', 4)(text)).toBe(value)
  expect(lent('--lend', 4)(text)).toEqual({ cores: value })
  expect(lent('--lend', 4)(`${text},2GiB`)).toEqual({ cores: value, memoryBytes: 2 ** 31 })
})

test.each([
  ['all', /^--lend must be a number of cores, not 'all': try --lend 2cpu$/],
  ['5cpu,2GiB', /^--lend 5cpu: this machine has 4 cores: try --lend 4cpu$/],
  ['2cpu,', /^--lend must be a number of bytes, not '': try --lend 2cpu,4GiB$/],
  ['2cpu,much', /^--lend must be a number of bytes, not 'much': try --lend 2cpu,4GiB$/],
  ['2cpu,4GiB,8GiB', /^--lend must be cores, or cores and memory, not '2cpu,4GiB,8GiB': try --lend 2cpu,4GiB$/],
])('%j is nothing to lend', (text, line) => expect(() => lent('--lend', 4)(text)).toThrow(line))

test.each([
  ['127.0.0.1:4001', '127.0.0.1:4001'],
  ['localhost:4001', '127.0.0.1:4001'],
  ['[::1]:4001', '[::1]:4001'],
  ['/ip4/10.0.0.7/tcp/4001', '10.0.0.7:4001'],
  ['/ip4/10.0.0.7/tcp/4001/p2p/12D3KooW', '10.0.0.7:4001'],
  ['/ip6/::1/tcp/4001', '[::1]:4001'],
])('%s is %s', (text, place) => expect(formatEndpoint(endpoint('--b', { anyPort: false })(text))).toBe(place))

test.each([
  '',
  ':',
  ':1',
  '1.2.3.4',
  '1.2.3.4:0',
  '1.2.3.4:70000',
  '999.1.1.1:1',
  'host:1',
  '::1:4001',
  '/ip4/1.2.3.4',
])('%j is no address to join', (text) => expect(() => endpoint('--b', { anyPort: false })(text)).toThrow(/^--b /))

test('to listen, a port may be left to the system', () => {
  const listen = endpoint('--l', { anyPort: true })
  expect([listen('127.0.0.1'), listen('127.0.0.1:0'), listen('::1')]).toEqual([
    { ip: '127.0.0.1', port: 0 },
    { ip: '127.0.0.1', port: 0 },
    { ip: '::1', port: 0 },
  ])
})

test.each([
  ['a=1e9', 'a', 1e9],
  ['a=-2.5', 'a', -2.5],
  ['a=true', 'a', true],
  ['a=[1,2]', 'a', [1, 2]],
  ['a=b=c', 'a', 'b=c'],
  ['a=', 'a', ''],
])('%s', (text, name, value) => expect(parameter(text)).toEqual([name, value]))

test('the spaces that can be typed are the ring and those that may be lived in', () => {
  for (const name of LIVE_SPACES) {
    expect(liveSpace('--space')(name)).toBe(name)
    if (name !== 'ring') expect(spaceNamed(name)).toMatchObject({ name, live: true })
  }
  for (const name of ['symmetric', 'torus1', 'torus6', 'cube1', 'cube6', 'hyperbolic2', 'xor']) {
    expect(spaceNamed(name).live).toBe(false)
    expect(() => liveSpace('--space')(name)).toThrow(/--space must be one of ring, torus2, .*: try --space torus2$/)
  }
  for (const bad of ['', 'Ring', 'torus', 'torus02', 'torus17', 'torus2 ']) {
    expect(() => liveSpace('--space')(bad)).toThrow(ChoraleError)
  }
})
