import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { fakeKeyPair } from '../../../sim/fake-keys.ts'
import { hashKey } from '../../../src/core/ids.ts'
import { amount, ZERO } from '../../../src/market/ledger/state/amount.ts'
import { offerId, signOffer } from '../../../src/market/offers/offer.ts'
import type { Bought } from '../../../src/market/trading/bought.ts'
import { buyTerms } from '../../../src/market/trading/buy-terms.ts'
import { purchaseJournal } from '../../../src/market-journal.ts'

const home = mkdtempSync(join(tmpdir(), 'purchases-'))
afterEach(() => rmSync(join(home, 'market'), { recursive: true, force: true }))

const terms = buyTerms({
  ...{ job: hashKey('job'), tasks: 16, replicas: 1, taskWorkMi: 10_000, verify: { kind: 'auto' }, level: 'process' },
  ...{ maxPrice: amount(5000n), soonMs: 60_000, fromMs: 1_000_000, untilMs: 2_000_000 },
})
const unsigned = {
  network: hashKey('net'),
  account: fakeKeyPair('buyer').publicKey,
  number: 3,
  expiresMs: 2_000_000,
  terms,
}
const bought: Bought = {
  ...{ job: 'bafy', key: terms.job, offer: signOffer(unsigned, fakeKeyPair('buyer')), id: offerId(unsigned) },
  ...{ maxCost: amount(12_345n), verify: 'auto', tasks: 16, fromMs: 1_000_000, deadlineMs: 2_000_000 },
  over: { reason: 'not placed by the deadline', failure: 'not-placed' },
  settled: true,
  parts: [
    {
      ...{
        allocation: hashKey('a'),
        account: hashKey('b'),
        host: hashKey('c'),
        state: 'cheated',
        tasks: 16,
        paidTasks: 2,
      },
      ...{
        paid: amount(2n),
        tested: 1,
        isConvicted: true,
        isOpen: false,
        price: amount(16n),
        fee: amount(1n),
        locked: ZERO,
      },
    },
  ],
}

test('a journal of purchases is read as it was written', () => {
  expect(purchaseJournal(home).kept).toEqual([])
  purchaseJournal(home).keep([bought])
  expect(purchaseJournal(home).kept).toEqual([bought])
  const copied: Bought = { ...bought, succeeded: true, over: { reason: 'the job has succeeded', why: 'too few hosts' } }
  purchaseJournal(home).keep([copied])
  expect(purchaseJournal(home).kept).toEqual([copied])
})

test('a damaged journal is told, and not forgotten', () => {
  purchaseJournal(home).keep([bought])
  const file = join(home, 'market', 'purchases.json')
  const text = readFileSync(file, 'utf8')
  for (const bad of ['', '{"bought":3}', text.replace('"12345"', '"-1"'), text.replace('"offer":"', '"offer":"AAAA')]) {
    writeFileSync(file, bad)
    expect(() => purchaseJournal(home), bad.slice(0, 40)).toThrow(/is damaged: restore it/)
  }
})
