import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fakeVerify } from '../../../../sim/fake-keys.ts'
import { encode } from '../../../../src/core/cbor.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { committeeDigest } from '../../../../src/market/ledger/committee.ts'
import type { Block, BlockHeader, Tip } from '../../../../src/market/ledger/consensus/block.ts'
import { digestOf, tipAt } from '../../../../src/market/ledger/consensus/block.ts'
import { statement } from '../../../../src/market/ledger/consensus/messages.ts'
import { encodeGenesis, type Genesis, networkOf } from '../../../../src/market/ledger/genesis.ts'
import type { PublicKey } from '../../../../src/market/ledger/keys.ts'
import { buildPayload, decodePayload, payloadDigest } from '../../../../src/market/ledger/payload.ts'
import type { EpochHeader } from '../../../../src/market/ledger/receipt/epochs.ts'
import type { Fault } from '../../../../src/market/ledger/receipt/fault.ts'
import {
  type Certificate,
  type Header,
  headerDigest,
  type Sealed,
  sealedIn,
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
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import type { Result } from '../../../../src/market/ledger/state/refusal.ts'
import { seeds } from '../../../nightly.ts'
import { Books, genesisWith, idOf } from './books.ts'

const HOUR_MS = 3_600_000

function certify(books: Books, certified: Header, signers: readonly PublicKey[]): Certificate {
  const { epoch, view } = certified
  const bytes = statement({ network: books.state.network, epoch }, 'finalize', view, headerDigest(certified))
  return signers.toSorted().map((signer) => ({ signer, signature: books.keyOf(signer).sign(bytes) }))
}

/** A ledger of four bankers, and of seven after an epoch. */
class Chain {
  readonly books = new Books(genesisWith([1, 2, 3, 4])).open('anna', 'ben')
  #view = 1
  #tip: Tip
  #deciding

  constructor() {
    const { books } = this
    const join = [5, 6, 7].flatMap((number) => {
      const [owner, host] = [`owner ${number}`, books.id(`banker ${number}`)]
      const amount = books.state.settings.bond
      return [{ kind: 'open' }, { kind: 'link', host }, { kind: 'bond', host, amount }, { kind: 'admit', host }].map(
        (action) => [owner, action as never] as const,
      )
    })
    for (const [owner, action] of join) books.must(owner, action)
    const { height, network, timeMs } = books.state
    this.#tip = { view: 0, height, digest: network, timeMs }
    this.#deciding = this.#now()
  }

  #now() {
    const { epoch, committee } = this.books.state
    return { epoch, hosts: committee, committee: committeeDigest(committee) }
  }

  /** The next block, by the rules, in a view of its own. */
  block(operations: readonly Uint8Array[], afterMs = 0): Block {
    const { books } = this
    const timeMs = this.#tip.timeMs + afterMs
    const { payload, state } = buildPayload(books.state, this.#deciding, timeMs, operations, fakeVerify)
    books.state = state
    const { height, digest: parent } = this.#tip
    const block = { height: height + 1, view: (this.#view += 2), parent, timeMs, payload }
    this.#tip = tipAt(block, digestOf(block, payloadDigest))
    return block
  }

  /** The first of these blocks, and what shows that it is final: all vote for the last of them. */
  seal(...blocks: readonly Block[]): Sealed {
    const { epoch, hosts } = this.#deciding
    const { view } = blocks.at(-1)!
    const digest = digestOf(blocks.at(-1)!, payloadDigest)
    const said = statement({ network: this.books.state.network, epoch }, 'finalize', view, digest)
    const members = hosts.map((_, member) => member)
    const signatures = hosts.map((host) => this.books.keyOf(host).sign(said))
    return sealedIn(
      { blocks, above: [], certificate: { type: 'certificate', kind: 'finalize', view, digest, members, signatures } },
      0,
      hosts,
    )
  }

  /** The tip begins the next epoch. */
  endEpoch(tip: Block): void {
    this.#tip = { ...tipAt(tip, digestOf(tip, payloadDigest)), view: 0 }
    this.#view = 0
    this.#deciding = this.#now()
  }
}

/** A receipt of a block with five operations in each epoch; the second has three blocks above it, the epoch's end two. */
function chain() {
  const chain = new Chain()
  const { books } = chain
  const nobody: Uint8Array[] = []
  const busy = (names: readonly string[]) => {
    const opens = names.map((name) => books.operation(name, { kind: 'open' }, { nonce: 0 }))
    return chain.block(opens, 1)
  }
  const receipt = (sealed: Sealed, block: Block) => {
    return receiptOf(books.state.network, sealed, decodePayload(block.payload)!, 3)
  }
  const one = busy(['cleo', 'dora', 'eve', 'finn', 'gus'])
  const first = receipt(chain.seal(one), one)
  const last = chain.block([books.operation('anna', { kind: 'end-epoch' })], HOUR_MS)
  const ended = chain.seal(last, chain.block(nobody, 1), chain.block(nobody, 1))
  const epochs: EpochHeader[] = [{ ...ended, next: [...books.state.committee] }]
  chain.endEpoch(last)
  const poor = books.operation('cleo', { kind: 'transfer', to: books.id('anna'), amount: amount(1n) })
  const opens = ['hal', 'ida', 'jo'].map((name) => books.operation(name, { kind: 'open' }))
  const two = chain.block([...opens, poor, books.operation('kim', { kind: 'open' })], 1)
  const second = receipt(chain.seal(two, busy(['lou']), chain.block(nobody), busy(['max'])), two)
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
  expect([first.result, second.result]).toEqual(['applied', 'granted-only'])
  expect([judge(first), judge(second), judge(first, [])]).toEqual(['good', 'good', 'good'])
})

test('a header says whether it is the last of its epoch, and its digest covers every field', () => {
  expect([first.header.last, epochs[0]!.header.last, second.header.last]).toEqual([false, true, false])
  expect([first.above, epochs[0]!.above, second.above].map((above) => above.length)).toEqual([0, 2, 3])
  const { header } = second
  const digests = Object.entries(header).map(([name, value]) => {
    const other = typeof value === 'number' ? value + 1 : typeof value === 'boolean' ? !value : hashKey(value)
    return headerDigest({ ...header, [name]: other })
  })
  expect(new Set([...digests, headerDigest(header)]).size).toBe(Object.keys(header).length + 1)
})

test('a quorum is enough, and one less is not', () => {
  const signed = (receipt: Receipt, count: number) => {
    return judge({ ...receipt, certificate: receipt.certificate.slice(0, count) })
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
  const { header, above } = second
  const { committee } = books.state
  const signedBy = (receipt: Receipt, changes: Partial<Header>, signers = committee): Receipt => {
    const changed = { ...receipt.header, ...changes }
    return { ...receipt, header: changed, above: [], certificate: certify(books, changed, signers) }
  }
  const [low, middle, high] = above as [BlockHeader, BlockHeader, BlockHeader]
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
    ['a changed header', { ...first, header: { ...first.header, stateRoot: hashKey('x') } }, 'bad-signature'],
    ['another height', { ...first, header: { ...first.header, height: first.header.height - 1 } }, 'bad-signature'],
    ['another view', { ...first, header: { ...first.header, view: 4 } }, 'bad-signature'],
    ['a changed header below others', { ...second, header: { ...header, stateRoot: hashKey('x') } }, 'broken-chain'],
    ['a changed header between', { ...second, above: [low, { ...middle, view: 8 }, high] }, 'broken-chain'],
    ['a changed header above', { ...second, above: [low, middle, { ...high, view: 99 }] }, 'bad-signature'],
    ['a header left out', { ...second, above: [low, high] }, 'broken-chain'],
    ['the lowest header left out', { ...second, above: [middle, high] }, 'broken-chain'],
    ['the header that was voted for left out', { ...second, above: [low, middle] }, 'bad-signature'],
    ['no header above', { ...second, above: [] }, 'bad-signature'],
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
  return { ...receipt, certificate: receipt.certificate.toReversed() }
}

function doubled(receipt: Receipt): Receipt {
  return { ...receipt, certificate: repeated(receipt.certificate[0]!, 5) }
}

function forgedLast(receipt: Receipt): Receipt {
  const { certificate } = receipt
  return { ...receipt, certificate: certificate.with(6, { ...certificate[6]!, signature: new Uint8Array(64) }) }
}

describe('what is wrong with a chain of epochs is named:', () => {
  const link = epochs[0]!
  const signed = (changes: Partial<Header>, next = link.next): EpochHeader => {
    const header = { ...link.header, ...changes }
    return {
      header,
      above: [],
      certificate: certify(books, header, [...genesis.bankers.map(({ host }) => host)]),
      next,
    }
  }
  const namedNext = (next: PublicKey[]) => signed({ next: hashKey(encode(['chorale committee', ...next])) }, next)
  const cases: ReadonlyArray<readonly [string, EpochHeader[], RegExp]> = [
    ['it is missing', [], /lead to epoch 0 only/],
    ['it is not the last', [signed({ last: false })], /not the last of its epoch/],
    ['it comes twice', [link, link], /last header of epoch 1: it is of epoch 0/],
    ['it was signed by others', [{ ...link, certificate: certify(books, link.header, link.next) }], /unknown-signer/],
    ['it has no quorum', [{ ...link, certificate: [] }], /too-few-signatures/],
    [
      'it was changed',
      [{ ...link, header: { ...link.header, blockTimeMs: link.header.blockTimeMs + 1 } }],
      /broken-chain/,
    ],
    ['its next is another', [{ ...link, next: [...link.next.slice(1), idOf('x')].sort() }], /does not name the next/],
    ['its height goes back', [signed({ height: 0 })], /height 0 is not after 0/],
    ['its time goes back', [signed({ blockTimeMs: 1 })], /time is before/],
    ['its next is empty', [namedNext([])], /has 0 seats/],
    ['its next leaps', [namedNext(Array.from({ length: 10 }, (_, i) => hashKey(`${i}`)).sort())], /more than one step/],
    ['its next is not in order', [namedNext(link.next.toReversed())], /twice or out of order/],
  ]
  test.each(cases)('%s', (_, headers, message) => {
    expect(receiptFault(second, genesis, [signed({})], fakeVerify)).toBeUndefined()
    expect(receiptFault(second, genesis, headers, fakeVerify)).toEqual({
      code: 'epoch-chain',
      message: expect.stringMatching(message),
    })
  })

  test('its next is above the cap', () => {
    const small = new Books(genesisWith([1], { committeeCap: 1 }))
    const { network, epoch, committee } = small.state
    const next = [1, 2, 3, 4].map((number) => small.id(`banker ${number}`)).sort()
    const header = {
      ...first.header,
      parent: network,
      committee: committeeDigest(committee),
      epoch,
      last: true,
      next: hashKey(encode(['chorale committee', ...next])),
    }
    const headers = [{ header, above: [], certificate: certify(small, header, committee), next }]
    const receipt = { ...second, network }
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
    const stride = seeds(1).length > 1 ? 1 : 61 // odd, so that every bit of a byte has its turn
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
