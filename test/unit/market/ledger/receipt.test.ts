import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fakeVerify } from '../../../../sim/fake-keys.ts'
import { encode } from '../../../../src/core/cbor.ts'
import { hashKey, type Key } from '../../../../src/core/ids.ts'
import { encodeGenesis, type Genesis, networkOf } from '../../../../src/market/ledger/genesis.ts'
import type { PublicKey } from '../../../../src/market/ledger/keys.ts'
import type { EpochHeader } from '../../../../src/market/ledger/receipt/epochs.ts'
import type { Fault } from '../../../../src/market/ledger/receipt/fault.ts'
import {
  type Certificate,
  certificateOf,
  finalizeBytes,
  type Header,
  headerDigest,
  headerOf,
} from '../../../../src/market/ledger/receipt/header.ts'
import { operationPath, operationsRoot, rootOfPath } from '../../../../src/market/ledger/receipt/operations-tree.ts'
import {
  decodeReceiptFile,
  encodeReceiptFile,
  type Receipt,
  receiptFault,
  receiptFileFault,
  receiptOf,
} from '../../../../src/market/ledger/receipt/receipt.ts'
import type { Result } from '../../../../src/market/ledger/state/refusal.ts'
import { seeds } from '../../../nightly.ts'
import { Books, genesisWith, idOf } from './books.ts'

const HOUR_MS = 3_600_000

function certify(books: Books, header: Header, signers: readonly PublicKey[], view = 3): Certificate {
  const bytes = finalizeBytes(books.state.network, view, headerDigest(books.state.network, header))
  return certificateOf(
    view,
    signers.map((signer) => ({ signer, signature: books.keyOf(signer).sign(bytes) })),
  )
}

/** A ledger of four bankers, and of seven after an epoch; a receipt of a block with five operations in each epoch. */
function chain() {
  const books = new Books(genesisWith([1, 2, 3, 4])).open('anna', 'ben')
  const join = [5, 6, 7].flatMap((number) => {
    const [owner, host] = [`owner ${number}`, books.id(`banker ${number}`)]
    const amount = books.state.settings.bond
    return [{ kind: 'open' }, { kind: 'link', host }, { kind: 'bond', host, amount }, { kind: 'admit', host }].map(
      (action) => [owner, action as never] as const,
    )
  })
  for (const [owner, action] of join) books.must(owner, action)
  let parent: Key = books.state.network
  const finalized = (operations: readonly Uint8Array[], afterMs = 0) => {
    const { before, block, applied } = books.block(operations, afterMs)
    const header = headerOf(before, block, applied, parent)
    parent = headerDigest(books.state.network, header)
    const certificate = certify(books, header, before.committee)
    return { header, certificate, block, applied }
  }
  const busy = () => {
    const names = ['anna', 'ben', 'cleo', 'dora', 'eve']
    const opens = names.map((name) => books.operation(name, { kind: 'open' }, { nonce: 0 }))
    const sealed = finalized(opens, 1)
    return receiptOf(books.state.network, sealed, sealed.block, sealed.applied, 3)
  }
  const first = busy()
  const { header, certificate } = finalized([books.operation('anna', { kind: 'end-epoch' })], HOUR_MS)
  const epochs: EpochHeader[] = [{ header, certificate, next: [...books.state.committee] }]
  const second = busy()
  return { books, genesis: books.genesis, epochs, first, second }
}

const { books, genesis, epochs, first, second } = chain()
const network = networkOf(genesis)
const codeOf = (fault: Fault | undefined) => fault?.code ?? 'good'
const judge = (receipt: Receipt, headers = epochs, from: Genesis = genesis) =>
  codeOf(receiptFault(receipt, from, headers, fakeVerify))

test('a receipt of any epoch is good, and says what became of the operation', () => {
  expect(books.state).toMatchObject({ epoch: 1 })
  expect(books.state.committee).toHaveLength(7)
  expect([first.result, second.result]).toEqual(['applied', 'account-exists'])
  expect([judge(first), judge(second), judge(first, [])]).toEqual(['good', 'good', 'good'])
})

test('a header says whether it is the last of its epoch, and its digest covers every field and the network', () => {
  expect([first.header.last, epochs[0]!.header.last, second.header.last]).toEqual([false, true, false])
  const { header } = second
  const digests = Object.entries(header).map(([name, value]) => {
    const other = typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : hashKey(value)
    return headerDigest(network, { ...header, [name]: other })
  })
  digests.push(headerDigest(network, header), headerDigest(hashKey('x'), header))
  expect(new Set(digests).size).toBe(Object.keys(header).length + 2)
})

test('a quorum is enough, and one less is not', () => {
  const signed = (receipt: Receipt, count: number) => {
    const { view, signatures } = receipt.certificate
    return judge({ ...receipt, certificate: { view, signatures: signatures.slice(0, count) } })
  }
  expect([4, 3, 2, 0].map((count) => signed(first, count))).toEqual([
    'good',
    'good',
    ...repeated('too-few-signatures', 2),
  ])
  expect([7, 5, 4].map((count) => signed(second, count))).toEqual(['good', 'good', 'too-few-signatures'])
})

const repeated = <T>(value: T, count: number) => new Array<T>(count).fill(value)

describe('what is wrong with a bad receipt is named:', () => {
  const { header, certificate } = second
  const { committee } = books.state
  const signedBy = (receipt: Receipt, changes: Partial<Header>, signers = committee): Receipt => {
    const changed = { ...receipt.header, ...changes }
    return { ...receipt, header: changed, certificate: certify(books, changed, signers) }
  }
  const strangers = [...committee.slice(0, 4), idOf('stranger')].sort()
  const cases: ReadonlyArray<readonly [string, Receipt, Fault['code']]> = [
    ['another network', { ...second, network: hashKey('x') }, 'wrong-network'],
    ['another operation', { ...second, operation: first.operation.toReversed() }, 'broken-path'],
    ['another result', { ...second, result: 'applied' }, 'broken-path'],
    ['another place', { ...second, index: 2 }, 'broken-path'],
    ['a place outside', { ...second, index: 5 }, 'broken-path'],
    ['a larger block', { ...second, count: 6 }, 'broken-path'],
    ['a path too short', { ...second, path: second.path.slice(1) }, 'broken-path'],
    ['a path too long', { ...second, path: [...second.path, hashKey('x')] }, 'broken-path'],
    ['a path elsewhere', { ...second, path: second.path.with(0, hashKey('x')) }, 'broken-path'],
    ['a changed header', { ...second, header: { ...header, stateRoot: hashKey('x') } }, 'bad-signature'],
    ['another height', { ...second, header: { ...header, height: header.height + 1 } }, 'bad-signature'],
    ['another view', { ...second, certificate: { ...certificate, view: 4 } }, 'bad-signature'],
    ['a committee that was not', signedBy(second, { committee: hashKey('x') }), 'wrong-committee'],
    ['the committee before', signedBy(first, { epoch: 1, height: header.height }), 'wrong-committee'],
    ['a stranger among the signers', signedBy(second, {}, strangers), 'unknown-signer'],
    ['signers in another order', reordered(second), 'bad-signature'],
    ['a signer twice', doubled(second), 'bad-signature'],
    ['one forged signature of seven', forgedLast(second), 'bad-signature'],
    ['a height of the epoch before', signedBy(second, { height: 1 }), 'epoch-chain'],
    ['an epoch that nobody showed', signedBy(second, { epoch: 2 }), 'epoch-chain'],
    ['a height after its epoch', signedBy(first, { height: 99 }), 'epoch-chain'],
  ]
  test.each(cases)('%s', (_, receipt, code) => {
    expect(judge(receipt)).toBe(code)
  })

  test('another genesis', () => {
    expect(judge(second, epochs, genesisWith([1, 2, 3, 5]))).toBe('wrong-network')
  })
})

function reordered(receipt: Receipt): Receipt {
  const { view, signatures } = receipt.certificate
  return { ...receipt, certificate: { view, signatures: signatures.toReversed() } }
}

function doubled(receipt: Receipt): Receipt {
  const { view, signatures } = receipt.certificate
  return { ...receipt, certificate: { view, signatures: repeated(signatures[0]!, 5) } }
}

function forgedLast(receipt: Receipt): Receipt {
  const { view, signatures } = receipt.certificate
  const last = { ...signatures[6]!, signature: new Uint8Array(64) }
  return { ...receipt, certificate: { view, signatures: signatures.with(6, last) } }
}

describe('what is wrong with a chain of epochs is named:', () => {
  const link = epochs[0]!
  const signed = (changes: Partial<Header>, next = link.next): EpochHeader => {
    const header = { ...link.header, ...changes }
    return { header, certificate: certify(books, header, [...genesis.bankers.map(({ host }) => host)]), next }
  }
  const namedNext = (next: PublicKey[]) => signed({ next: hashKey(encode(['chorale committee', ...next])) }, next)
  const cases: ReadonlyArray<readonly [string, EpochHeader[], RegExp]> = [
    ['it is missing', [], /lead to epoch 0 only/],
    ['it is not the last', [signed({ last: false })], /not the last of its epoch/],
    ['it comes twice', [link, link], /last header of epoch 1: it is of epoch 0/],
    ['it was signed by others', [{ ...link, certificate: certify(books, link.header, link.next) }], /unknown-signer/],
    ['it has no quorum', [{ ...link, certificate: { view: 3, signatures: [] } }], /too-few-signatures/],
    [
      'it was changed',
      [{ ...link, header: { ...link.header, blockTimeMs: link.header.blockTimeMs + 1 } }],
      /bad-signature/,
    ],
    ['its next is another', [{ ...link, next: [...link.next.slice(1), idOf('x')].sort() }], /does not name the next/],
    ['its height goes back', [signed({ height: 0 })], /height 0 is not after 0/],
    ['its time goes back', [signed({ blockTimeMs: 1 })], /time is before/],
    ['its next has five', [namedNext(link.next.slice(0, 5))], /has 5 seats/],
    ['its next leaps', [namedNext(Array.from({ length: 10 }, (_, i) => hashKey(`${i}`)).sort())], /more than one step/],
    ['its next is not in order', [namedNext(link.next.toReversed())], /twice or out of order/],
  ]
  test.each(cases)('%s', (_, headers, message) => {
    expect(signed({})).toEqual(link)
    expect(receiptFault(second, genesis, headers, fakeVerify)).toEqual({
      code: 'epoch-chain',
      message: expect.stringMatching(message),
    })
  })

  test('its next is above the cap', () => {
    const small = new Books(genesisWith([1], { committeeCap: 1 }))
    const { before, block, applied } = small.block([], 1)
    const next = [1, 2, 3, 4].map((number) => small.id(`banker ${number}`)).sort()
    const header = {
      ...headerOf(before, block, applied, small.state.network),
      last: true,
      next: hashKey(encode(['chorale committee', ...next])),
    }
    const headers = [{ header, certificate: certify(small, header, before.committee), next }]
    const receipt = { ...second, network: small.state.network }
    expect(receiptFault(receipt, small.genesis, headers, fakeVerify)?.message).toMatch(/has 4 seats/)
  })
})

describe('a file', () => {
  const bytes = encodeReceiptFile({ genesis: encodeGenesis(genesis), epochs, receipt: second })

  test('holds all that one needs who knows the network', () => {
    expect(receiptFileFault(bytes, network, fakeVerify)).toBeUndefined()
    expect(encode(decodeReceiptFile(bytes))).toEqual(bytes)
    expect(codeOf(receiptFileFault(bytes, hashKey('another'), fakeVerify))).toBe('wrong-network')
  })

  test('is bad with one bit flipped, whichever it is', () => {
    const stride = seeds(1).length > 1 ? 1 : 23 // odd, so that every bit of a byte has its turn
    for (let bit = 0; bit < bytes.length * 8; bit += stride) {
      const at = bit >> 3
      const flipped = bytes.with(at, bytes[at]! ^ (1 << (bit & 7)))
      expect(receiptFileFault(flipped, network, fakeVerify), `bit ${bit}`).toBeDefined()
    }
  })

  test('of other bytes is malformed, and nothing throws', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.nat(bytes.length - 1).map((end) => bytes.slice(0, end)),
        ),
        (other) => {
          expect(codeOf(receiptFileFault(other, network, fakeVerify))).toBe('malformed')
        },
      ),
    )
    const odd = new Uint8Array([1, 2, 3])
    const file = encodeReceiptFile({ genesis: odd, epochs, receipt: second })
    expect(codeOf(receiptFileFault(file, hashKey(odd), fakeVerify))).toBe('malformed')
  })
})

test('the tree of operations shows each of them at its place, and nowhere else', () => {
  const results: Result[] = ['applied', 'replayed', 'malformed']
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(), fc.nat(), (count, a, b) => {
      const operations = Array.from({ length: count }, (_, i) => Uint8Array.of(i % 3))
      const ends = operations.map((_, i) => results[i % 2]!)
      const root = operationsRoot(operations, ends)
      const [index, other] = [a % count, b % count]
      const path = operationPath(operations, ends, index)
      const placed = { operation: operations[index]!, result: ends[index]!, index, count, path }
      expect(rootOfPath(placed)).toBe(root)
      expect(path.length).toBeLessThanOrEqual(Math.ceil(Math.log2(count)))
      const same = other % 3 === index % 3 && other % 2 === index % 2
      const moved = { ...placed, operation: operations[other]!, result: ends[other]! }
      expect(rootOfPath(moved) === root).toBe(same)
      expect(rootOfPath({ ...placed, count: count + 1 })).not.toBe(root)
    }),
  )
  expect(operationsRoot([], [])).not.toBe(operationsRoot([new Uint8Array()], ['applied']))
})
