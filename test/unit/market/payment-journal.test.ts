import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fakeKeyPair } from '../../../sim/fake-keys.ts'
import { paymentJournal } from '../../../src/ledger-journal.ts'
import { amount } from '../../../src/market/ledger/state/amount.ts'
import type { Owed } from '../../../src/market/payments.ts'

test('what is owed is read again as it was written; what is damaged is not forgotten in silence', () => {
  const home = mkdtempSync(join(tmpdir(), 'chorale-test-'))
  const file = join(home, 'payments.json')
  try {
    const journal = paymentJournal(home)
    expect(journal.kept).toEqual([])
    const to = fakeKeyPair('worker').publicKey
    const begun: Owed = { job: 'bafyone', price: amount(1n), sinceMs: 1.5 }
    const counted: Owed = {
      ...begun,
      job: 'bafytwo',
      wages: [{ to, tasks: 3, amount: amount(2n ** 62n) }],
      escrow: { id: to, deadlineMs: 7 },
      paid: true,
    }
    const late: Owed = {
      ...begun,
      job: 'bafythree',
      released: 2,
      openingMs: 9,
      escrow: { id: to, deadlineMs: 8, over: true },
    }
    journal.keep([begun, counted, late])
    expect(paymentJournal(home).kept).toEqual([begun, counted, late])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const text = readFileSync(file, 'utf8')
    for (const damaged of ['', '{}', text.slice(0, -5), text.replace('"price":"1"', '"price":"-1"')]) {
      writeFileSync(file, damaged)
      expect(() => paymentJournal(home)).toThrow(/payments\.json is damaged: restore it/)
    }
  } finally {
    rmSync(home, { recursive: true })
  }
})
