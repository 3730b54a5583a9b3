import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MAX_HANDLING_PER_PEER, PEER_BYTES_BURST, PEER_HANDLER_MS_BURST } from '../../../src/core/limits.ts'
import { CappedMap } from '../../../src/net/capped-map.ts'
import { canonicalIp, ipClass, ipPrefix, isCanonicalIp } from '../../../src/net/ip.ts'
import { PeerLimits } from '../../../src/net/peer-limits.ts'
import { TokenBucket } from '../../../src/net/token-bucket.ts'

describe('token bucket', () => {
  it('lets the burst through, then the rate', () => {
    const bucket = new TokenBucket(1000, 500, 0)
    bucket.spend(500, 0)
    expect(bucket.waitMs(0)).toBe(0)
    bucket.spend(250, 0)
    expect(bucket.waitMs(0)).toBe(250)
    expect(bucket.waitMs(100)).toBe(150)
    expect(bucket.waitMs(250)).toBe(0)
  })

  it('never gives more than burst + rate x time, in whatever steps', () => {
    const steps = fc.array(fc.record({ afterMs: fc.nat(50), amount: fc.nat(300) }), { maxLength: 200 })
    fc.assert(
      fc.property(steps, (list) => {
        const bucket = new TokenBucket(1000, 500, 0)
        let nowMs = 0
        let taken = 0
        for (const { afterMs, amount } of list) {
          nowMs += afterMs
          if (bucket.waitMs(nowMs) > 0) continue
          bucket.spend(amount, nowMs)
          taken += amount
          expect(taken).toBeLessThanOrEqual(500 + nowMs + amount + 1e-6)
        }
      }),
    )
  })

  it('gives nothing for a clock that was set back', () => {
    const bucket = new TokenBucket(1000, 500, 1000)
    bucket.spend(600, 1000)
    expect(bucket.waitMs(0)).toBe(100)
    expect(bucket.waitMs(1000)).toBe(100)
  })
})

describe('peer limits', () => {
  it('outlive connections: coming back gives no fresh budget', () => {
    const limits = new PeerLimits()
    limits.allowance('mallory', '1.2.3.4', 0).received(PEER_BYTES_BURST * 2, 0)
    expect(limits.allowance('mallory', '1.2.3.4', 0).received(1, 0)).toBeGreaterThan(0)
    expect(limits.allowance('alice', '9.2.3.4', 0).received(1, 0)).toBe(0)
  })

  it('count peers of one /24 together, but not those of loopback', () => {
    for (const [ip, shared] of [
      ['1.2.3', true],
      ['127.0.0', false],
    ] as const) {
      const limits = new PeerLimits()
      for (let i = 0; i < 10; i++) limits.allowance(`peer ${i}`, `${ip}.${i}`, 0).received(PEER_BYTES_BURST, 0)
      expect(limits.allowance('one more', `${ip}.200`, 0).received(1, 0) > 0).toBe(shared)
    }
  })

  it('cap the requests in work and the time that they take', () => {
    const allowance = new PeerLimits().allowance('alice', '1.2.3.4', 0)
    for (let i = 0; i < MAX_HANDLING_PER_PEER; i++) expect(allowance.enter(0)).toBe(true)
    expect(allowance.enter(0)).toBe(false)
    allowance.leave()
    expect(allowance.enter(0)).toBe(true)
    allowance.leave()
    allowance.spent(PEER_HANDLER_MS_BURST + 1, 0)
    expect(allowance.enter(0)).toBe(false)
    expect(allowance.enter(1000)).toBe(true)
  })
})

describe('capped map', () => {
  it('holds at most its cap, and keeps what was used lately', () => {
    const operations = fc.array(fc.record({ key: fc.nat(60), set: fc.boolean() }), { maxLength: 300 })
    fc.assert(
      fc.property(operations, (list) => {
        const map = new CappedMap<number, number>(16)
        const used: number[] = []
        for (const { key, set } of list) {
          if (set) map.set(key, key)
          else if (map.get(key) === undefined) continue
          used.push(key)
          expect(map.size).toBeLessThanOrEqual(16)
        }
        const lately = [...new Set(used.reverse())].slice(0, 8)
        for (const key of lately) expect(map.get(key)).toBe(key)
      }),
    )
  })
})

describe('IP addresses', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.9.9.9', 'loopback'],
    ['::1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.16.0.1', 'private'],
    ['172.32.0.1', 'public'],
    ['192.168.0.1', 'private'],
    ['192.169.0.1', 'public'],
    ['169.254.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['100.128.0.1', 'public'],
    ['fd00::1', 'private'],
    ['fe80::1', 'private'],
    ['2001:db8::1', 'public'],
    ['8.8.8.8', 'public'],
  ] as const)('%s is %s', (ip, expected) => {
    expect(ipClass(ip)).toBe(expected)
  })

  it('are taken in one form only', () => {
    for (const ip of ['1.2.3.4', '::1', '2001:db8::1']) expect(isCanonicalIp(ip)).toBe(true)
    for (const ip of [
      '1.2.3',
      '01.2.3.4',
      '::FFFF:1.2.3.4',
      '::ffff:1.2.3.4',
      '2001:DB8::1',
      'fe80::1%eth0',
      'x',
      '',
    ]) {
      expect(isCanonicalIp(ip)).toBe(false)
    }
    expect(canonicalIp('::ffff:1.2.3.4')).toBe('1.2.3.4')
    expect(canonicalIp('2001:DB8:0::1')).toBe('2001:db8::1')
    expect(canonicalIp('fe80::1%eth0')).toBe('fe80::1')
    expect(canonicalIp('localhost')).toBeUndefined()
  })

  it('share a prefix within /24 and /64', () => {
    expect(ipPrefix('1.2.3.4')).toBe('1.2.3')
    expect(ipPrefix('2001:db8::1')).toBe(ipPrefix('2001:db8:0:0:5::9'))
    expect(ipPrefix('2001:db8:1::1')).not.toBe(ipPrefix('2001:db8::1'))
    expect(ipPrefix('::1')).toBe('0:0:0:0')
  })
})
