/** Names of blocks: the CIDs that IPFS gives, and clear refusals. */
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { expect, test } from 'vitest'
import { hashKey } from '../../../src/core/ids.ts'
import { checkedKey, cidOf, keyOfCid, parseCid } from '../../../src/dht/cid.ts'

const HELLO = new TextEncoder().encode('hello world')
const HELLO_CID = 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e'

test('a raw block has the CID that IPFS gives it, and its digest is its key', () => {
  expect(cidOf('raw', HELLO).toString()).toBe(HELLO_CID)
  expect(keyOfCid(parseCid(HELLO_CID))).toBe(hashKey(HELLO))
  expect(keyOfCid(cidOf('dag-pb', HELLO))).toBe(keyOfCid(cidOf('raw', HELLO)))
})

test.each([
  ['nonsense', '"nonsense" is not a CID: chorale add prints one'],
  ['', 'is not a CID'],
  [CID.createV1(0x0129, cidOf('raw', HELLO).multihash).toString(), 'has the codec 0x129'],
  [CID.createV1(0x55, Digest.create(0x13, new Uint8Array(64))).toString(), 'has the hash function 0x13'],
  [CID.createV1(0x55, Digest.create(0x12, new Uint8Array(20))).toString(), 'has the hash function 0x12'],
])('%s is refused: %s', (text, message) => {
  expect(() => parseCid(text)).toThrow(message)
})

test('bytes that are not what the name says, or too many, are refused', () => {
  const cid = cidOf('raw', HELLO)
  expect(() => checkedKey(cid, HELLO.slice(1))).toThrow('not those that')
  const large = new Uint8Array(1024 * 1024 + 1)
  expect(() => checkedKey(cidOf('raw', large), large)).toThrow('the most is 1048576')
})
