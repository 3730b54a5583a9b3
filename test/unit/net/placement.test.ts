import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { arcsOf, maskedInBlock } from '../../../src/market/sybil.ts'
import { contactAt } from '../../../src/net/contact.ts'
import { arcEnd, holdersOf, idAt, maskedIp, PREFIX_SLOTS, prefixOf } from '../../../src/net/placement.ts'

const at = (ip: string, peer = 'p', port = 4001) => ({ peer, ip, port })
const ipv4 = fc.tuple(...Array.from({ length: 4 }, () => fc.nat(255))).map((bytes) => bytes.join('.'))
const place = fc.record({ peer: fc.string({ minLength: 1 }), ip: ipv4, port: fc.integer({ min: 1, max: 65_535 }) })
const slot = fc.nat(255)
const arcOf = (id: string) => id.slice(0, 6)

/** The arcs in which an address may have ids. */
const arcs = (ip: string) => new Set(Array.from({ length: PREFIX_SLOTS }, (_, i) => prefixOf(maskedIp(ip), i)))

test('under ip-port an id is the hash of ip, port and slot, whoever is there', () => {
  const id = 'd126a0519b9887f6794b972acee81d1ea84459e7bd735e02eec2ab98096438f9' // of 10.0.0.1|4001|3
  expect(contactAt({ ...at('10.0.0.1'), incarnation: 7 }, 3).id).toBe(id)
  expect(idAt(at('10.0.0.1', 'another'), 3, 'ip-port')).toBe(id)
})

describe('under ip-prefix', () => {
  test('whatever keys, ports and slots an address takes, its ids are in its eight arcs', () => {
    fc.assert(
      fc.property(place, slot, (where, number) => {
        expect(arcs(where.ip)).toContain(arcOf(idAt(where, number, 'ip-prefix')))
      }),
    )
    const keys = Array.from({ length: 200 }, (_, i) => arcOf(idAt(at('203.0.113.9', `key ${i}`), 0, 'ip-prefix')))
    expect(new Set(keys)).toEqual(arcs('203.0.113.9')) // hosts behind one address spread over all of them
    expect(new Set(keys).size).toBe(arcsOf(1))
  })

  test('the virtual nodes of a host are in arcs of their own, up to eight', () => {
    const first = Array.from({ length: PREFIX_SLOTS + 1 }, (_, i) => arcOf(idAt(at('203.0.113.9'), i, 'ip-prefix')))
    expect(new Set(first).size).toBe(PREFIX_SLOTS)
  })

  test('every part of a contact is in its id: no other can be taken for it', () => {
    fc.assert(
      fc.property(place, place, slot, slot, (a, b, i, j) => {
        const same = a.peer === b.peer && a.ip === b.ip && a.port === b.port && i === j
        expect(idAt(a, i, 'ip-prefix') === idAt(b, j, 'ip-prefix')).toBe(same)
      }),
    )
    expect(idAt(at('1.2.3.4', 'p', 1), 0, 'ip-prefix')).not.toBe(idAt(at('1.2.3.4', 'p', 2), 0, 'ip-prefix'))
    expect(idAt(at('1.2.3.4'), 0, 'ip-prefix')).not.toBe(idAt(at('5.2.3.4'), 0, 'ip-prefix')) // of one arc all the same
    expect(idAt(at('1.2.3.4'), 0, 'ip-prefix')).not.toBe(idAt(at('1.2.3.4'), 0, 'ip-port'))
  })

  test('the bits that count are those of BEP 42', () => {
    expect(maskedIp('255.255.255.255')).toBe('030f3fff')
    expect(maskedIp('192.168.129.7')).toBe('00080107')
    expect(maskedIp('1.2.3.4')).toBe(maskedIp('5.18.67.4'))
    fc.assert(
      fc.property(ipv4, fc.nat(255), (ip, last) => {
        const other = `${ip.slice(0, ip.lastIndexOf('.'))}.${last}`
        expect(maskedIp(ip) === maskedIp(other)).toBe(ip === other)
      }),
    )
    const block = Array.from({ length: 256 }, (_, i) => maskedIp(`198.51.100.${i}`))
    expect(new Set(block).size).toBe(maskedInBlock(24))
  })

  test('of IPv6 the first 64 bits count', () => {
    expect(maskedIp('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2')
    expect(arcs('2001:db8:1:2::1')).toEqual(arcs('2001:db8:1:2:ffff::1'))
    expect(arcs('2001:db8:1:2::1')).not.toEqual(arcs('2001:db8:1:3::1'))
  })
})

test('an arc ends where the next begins, and the last one at 0', () => {
  const rest = '5'.repeat(58)
  expect(arcEnd(`00ffff${rest}` as never)).toBe(`010000${'0'.repeat(58)}`)
  expect(arcEnd(`ffffff${rest}` as never)).toBe('0'.repeat(64))
})

test('a block of addresses is one party, and so are addresses that share arcs', () => {
  const share = (a: string, b: string) => holdersOf(a).some((holder) => holdersOf(b).includes(holder))
  expect(share('203.0.113.1', '203.0.113.254')).toBe(true)
  expect(share('203.0.113.1', '203.0.114.1')).toBe(false)
  expect(share('1.2.3.4', '5.18.67.4')).toBe(true)
  expect(share('2001:db8::1', '2001:db8::ffff:0:0:1')).toBe(true)
  expect(share('2001:db8::1', '2001:db8:0:1::1')).toBe(false)
})
