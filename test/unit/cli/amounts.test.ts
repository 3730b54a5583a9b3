/** Amounts and addresses as people write them. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChoraleError } from '../../../src/core/errors.ts'
import { addressOf, parseAddress } from '../../../src/market/ledger/address.ts'
import { formatCredits, parseCredits, parseMillicredits, parsePayment } from '../../../src/market/ledger/credits.ts'
import { MAX_AMOUNT } from '../../../src/market/ledger/state/amount.ts'
import { keysOf } from '../../fakes/host-ledger.ts'

describe('amounts', () => {
  test.each([
    ['1', 1000n],
    ['1.5', 1500n],
    ['0.001', 1n],
    ['007.120', 7120n],
    ['9223372036854775.807', MAX_AMOUNT],
  ])('%s credits are %d millicredits', (text, millicredits) => expect(parsePayment(text)).toBe(millicredits))

  test.each(['', 'abc', '-1', '+1', '1.', '.5', '1.0001', '1e3', '1,5', '1 000', '0x10', '١', ' 1', '1\n', 'NaN'])(
    '%j is no amount',
    (text) =>
      expect(() => parsePayment(text)).toThrow(/no amount: write credits, with at most three decimals, as 1\.5$/),
  )

  test('nothing is no payment, though a setting may be 0, and too much is too much', () => {
    expect(() => parsePayment('0.000')).toThrow('0.000 credits are nothing')
    expect(parseCredits('0')).toBe(0n)
    for (const text of [`${2n ** 200n}`, '9223372036854775.808', '9'.repeat(40)]) {
      expect(() => parsePayment(text)).toThrow(/more than there can be/)
    }
    expect(() => parsePayment('9'.repeat(1000))).toThrow(/no amount/)
  })

  test.each(['', '0', '-1', '1.5', '1e3', 'abc', `${2n ** 63n}`, `${2n ** 200n}`, ' 1'])(
    'a program may not send %j',
    (text) => expect(() => parseMillicredits(text)).toThrow(/millicredits from 1 to 9223372036854775807/),
  )

  test('what is written is read again', () => {
    const amounts = fc.bigInt({ min: 1n, max: MAX_AMOUNT })
    fc.assert(fc.property(amounts, (amount) => parsePayment(formatCredits(amount)) === amount))
    fc.assert(fc.property(amounts, (amount) => parseMillicredits(`${amount}`) === amount))
    expect([0n, -1n, -1500n, 50_000n].map(formatCredits)).toEqual(['0', '-0.001', '-1.5', '50'])
  })
})

describe('addresses', () => {
  const account = keysOf(2).publicKey
  const address = addressOf(account)

  test('an address is read again, in capitals too', () => {
    expect(address).toMatch(/^[0-9a-f]{72}$/)
    expect([parseAddress(address), parseAddress(address.toUpperCase())]).toEqual([account, account])
  })

  test('one digit that is another, two that changed places, one too few or too many: refused', () => {
    const digits = [...address]
    for (let i = 0; i < digits.length; i++) {
      for (const digit of '0123456789abcdef') {
        if (digit !== digits[i]) expect(() => parseAddress(digits.with(i, digit).join(''))).toThrow(/mistyped/)
      }
      const swapped = [...digits.slice(0, i), ...digits.slice(i, i + 2).reverse(), ...digits.slice(i + 2)].join('')
      if (swapped !== address) expect(() => parseAddress(swapped)).toThrow(ChoraleError)
      expect(() => parseAddress(digits.toSpliced(i, 1).join(''))).toThrow(/71 digits, not 72/)
    }
  })

  test.each([
    ['the key alone', account, /checksum of 8 digits is missing/],
    ['nothing', '', /0 digits, not 72/],
    ['a peer id', '12D3KooWFakeFakeFake', /other characters/],
    ['a flood', 'z'.repeat(5000), /^'z{80}\.\.\.' is no address/],
  ])('%s is refused', (_, text, line) => expect(() => parseAddress(text)).toThrow(line))
})
