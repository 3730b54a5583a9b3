import { expect, test } from 'vitest'
import { encode } from '../../../../src/core/cbor.ts'
import { errorMessage } from '../../../../src/core/errors.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import { decodeGenesis, encodeGenesis, networkOf } from '../../../../src/market/ledger/genesis.ts'
import { type Amount, MAX_AMOUNT } from '../../../../src/market/ledger/state/amount.ts'
import { genesisState } from '../../../../src/market/ledger/state/state.ts'
import { GRANT, genesisWith, idOf } from './books.ts'

const genesis = genesisWith([1, 2, 3, 4])
const { settings, bankers } = genesis

test('comes back as it was, and names the network by its hash', () => {
  const bytes = encodeGenesis(genesis)
  expect(decodeGenesis(bytes)).toEqual(genesis)
  expect(networkOf(genesis)).toBe(hashKey(bytes))
  expect(networkOf({ ...genesis, createdAtMs: genesis.createdAtMs + 1 })).not.toBe(networkOf(genesis))
})

test('gives its first bankers their seats, grants and bonds', () => {
  const state = genesisState(genesis)
  expect(state.committee).toEqual(bankers.map(({ host }) => host))
  expect(state.minted).toBe(4n * (GRANT + settings.bond))
  expect(state.accounts.get(idOf('owner 3'))).toEqual({ free: 0n, granted: GRANT, earned: 0n, nonce: 1 })
  const shared = genesisState({ ...genesis, bankers: bankers.map(({ host }) => ({ host, account: idOf('one') })) })
  expect(shared.minted).toBe(GRANT + 4n * settings.bond)
})

test.each([
  ['no map', 7, /object/],
  ['an unknown setting', { ...genesis, settings: { ...settings, tax: 1 } }, /settings/],
  ['a later version', { ...genesis, v: 2 }, /\/v/],
  ['nobody', { ...genesis, bankers: [] }, /\/bankers/],
  ['two bankers', { ...genesis, bankers: bankers.slice(0, 2) }, /has 2 bankers: a committee has 1, 4, 7/],
  ['a banker twice', { ...genesis, bankers: new Array(4).fill(bankers[0]) }, /twice or out of order/],
  ['bankers in another order', { ...genesis, bankers: bankers.toReversed() }, /twice or out of order/],
  ['a cap of 30', { ...genesis, settings: { ...settings, committeeCap: 30 } }, /cap that is not 1, 4, 7/],
  ['a cap below its bankers', { ...genesis, settings: { ...settings, committeeCap: 1 } }, /more bankers than/],
  ['bankers without a bond', { ...genesis, settings: { ...settings, bond: 0n } }, /asks no bond/],
  ['a negative grant', { ...genesis, settings: { ...settings, grant: -1n } }, /has a grant that is no amount/],
  ['a bond of 2^63', { ...genesis, settings: { ...settings, bond: 2n ** 63n } }, /has a bond that is no amount/],
  [
    'too little to give',
    { ...genesis, settings: { ...settings, mintCap: 239_999n } },
    /more credits than its mint cap/,
  ],
  ['too much to give', { ...genesis, settings: { ...settings, grant: MAX_AMOUNT } }, /more credits than its mint cap/],
  ['work that nobody checks', { ...genesis, settings: { ...settings, grantWork: 'argon2' } }, /grantWork/],
])('cannot have %s', (_, value, reason) => {
  expect(() => decodeGenesis(encode(value))).toThrow(reason)
})

test('is not read from other bytes', () => {
  const bytes = encodeGenesis(genesis)
  for (const other of [new Uint8Array(), bytes.subarray(1), Uint8Array.of(...bytes, 0)]) {
    expect(reason(() => decodeGenesis(other))).toBe('the genesis is not canonical dag-cbor')
  }
  const exact = { ...genesis, settings: { ...settings, mintCap: 240_000n as Amount } }
  expect(reason(() => encodeGenesis(exact))).toBe('fine')
  expect(reason(() => encodeGenesis({ ...genesis, bankers: [] }))).toMatch(/bankers/)
})

function reason(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    return errorMessage(error)
  }
  return 'fine'
}
