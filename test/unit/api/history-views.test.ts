/** What the history of an account says of its trades, by trades that were made on a real state. */
import { expect, test } from 'vitest'
import { historyBody } from '../../../src/api/history-views.ts'
import { entryRow, told } from '../../../src/cli/ledger-text.ts'
import { slotText, tradeSentence } from '../../../src/cli/trade-text.ts'
import { addressOf } from '../../../src/market/ledger/address.ts'
import type { HistoryEntry } from '../../../src/market/ledger/ledger.ts'
import { PATIENCE } from '../../../src/market/ledger/state/allocations/allocation.ts'
import { decodeOperation, KINDS, type Operation } from '../../../src/market/ledger/state/operation.ts'
import { slotAt, slotName, slotOfDay } from '../../../src/market/offers/price-slot.ts'
import { MarketBooks } from '../market/ledger/market-books.ts'

/** Keeps what moved whom. */
class Recorded extends MarketBooks {
  readonly #blocks: Array<ReturnType<MarketBooks['block']>> = []

  override block(...args: Parameters<MarketBooks['block']>) {
    const tried = super.block(...args)
    if (#blocks in this) this.#blocks.push(tried) // not in the constructor of the class above
    return tried
  }

  jobOf = (_: object): string | undefined => undefined

  entries(name: string): HistoryEntry[] {
    const account = this.id(name)
    const all = this.#blocks.flatMap(({ before, block, applied }) => {
      const [was, is] = [before.accounts.get(account), applied.state.accounts.get(account)]
      const free = (is?.free ?? 0n) - (was?.free ?? 0n)
      const granted = (is?.granted ?? 0n) - (was?.granted ?? 0n)
      return block.operations.flatMap((bytes, index): HistoryEntry[] => {
        const operation = decodeOperation(bytes) as Operation
        if (operation.account !== account && free === 0n && granted === 0n) return []
        const place = { height: block.height, index, timeMs: block.blockTimeMs }
        return [{ ...place, operation, result: applied.results[index]!, effect: { free, granted } }]
      })
    })
    return all.reverse()
  }

  /** As `chorale wallet history` prints it, without time and place. */
  lines(name: string, limit = 100): string[] {
    const account = this.id(name)
    const body = historyBody(this.entries(name), { account, state: this.state, limit, jobOf: this.jobOf })
    return body.map((entry) => entryRow(entry, addressOf(account)).slice(2).join(' '))
  }
}

function market(...mediators: string[]): Recorded {
  const books = new Recorded()
  books.supplier('ben').open('anna')
  books.mediator(...mediators)
  return books
}

test('both sides of a trade read what was locked, earned and given back, for what', () => {
  const books = market()
  const id = books.contract('ben', 'anna')
  const { price, bond, fee, deposit, job } = books.allocation(id)
  for (let from = 0; from < 80; from += 10) {
    books.play(id, 'commit', 'supplier', [[from, from + 10]])
    books.play(id, 'reveal', 'customer')
    books.play(id, 'approve', 'customer')
  }
  const of = `of job ${job.slice(0, 12)}`
  const by = books.id('anna').slice(0, 12)
  const ben = books.lines('ben')
  const credits = (sum: bigint) => `${Number(sum) / 1000}`
  expect(ben[0]).toBe(
    `+${credits(deposit + 100n)} wage of 0.1 for 10 tasks ${of}, and the deposit of ${credits(deposit)} back: a window of work ` +
      `approved, 1 task done again, allocation ${id.slice(0, 12)} by ${by}`,
  )
  expect(ben[2]).toMatch(new RegExp(`^\\+0\\.1 wage for 10 tasks ${of}: a window of work approved`))
  expect(ben[1]).toMatch(/^ 10 tasks committed to as window 7, allocation/)
  expect(ben.find((line) => line.startsWith('-'))).toMatch(
    new RegExp(
      `^-${credits(deposit)} locked as deposit for 80 tasks ${of}: offers matched for 2023-11-15 00-06 UTC by`,
    ),
  )
  const anna = books.lines('anna')
  expect(anna[0]).toMatch(
    new RegExp(
      `^\\+${credits(bond)} contract ${of} over, bond and what was not earned back; last step: a window of work approved`,
    ),
  )
  expect(anna.find((line) => line.startsWith('-'))).toMatch(
    new RegExp(`^-${credits(price + bond + fee)} locked as price, bond and fee for 80 tasks ${of}: offers matched`),
  )
  expect(books.lines('owner 1').find((line) => line.startsWith('+'))).toMatch(
    /^\+0\.008 allocator's fee: offers matched for 2023-11-15 00-06 UTC$/,
  )
  // A page that ends before the commit of its last window still tells of it.
  expect(books.lines('ben', 1)).toEqual([ben[0]])
  // Who knows which job it is reads its own id.
  books.jobOf = (allocation) => ((allocation as { job: string }).job === job ? 'bafyreib3k2aaaaaaaaaaaaaa' : undefined)
  for (const name of ['ben', 'anna']) {
    const known = books.lines(name).filter((line) => line.includes(' job '))
    expect(known.length).toBeGreaterThan(0)
    for (const line of known) expect(line).toContain(' job bafyreib3k2aaaaa')
  }
})

test('what nobody keeps any more is told as far as the operation goes', () => {
  const books = market()
  const id = books.contract('ben', 'anna')
  books.play(id, 'commit', 'supplier')
  books.play(id, 'approve', 'customer')
  books.must('anna', { kind: 'end', allocation: id })
  books.must('owner 1', { kind: 'expire', allocation: id }, PATIENCE.lastWindow + 1)
  expect(books.lines('ben')[0]).toMatch(/^\+[\d.]+ deposit back, of job [0-9a-f]{12}: a deadline of a contract over/)
  expect(books.lines('anna')[0]).toMatch(
    /^\+[\d.]+ contract of job [0-9a-f]{12} over, bond and what was not earned back; last step: a deadline/,
  )
  books.must('owner 1', { kind: 'expire', allocation: id }, 24 * 3_600_000 + 1)
  expect(books.state.allocations.size).toBe(0)
  const ben = books.lines('ben')
  expect(ben[0]).toMatch(/^\+[\d.]+ wage, or what was locked comes back: a deadline/)
  expect(ben[1]).toMatch(/^\+0\.1 wage: a window of work approved/)
  expect(ben.find((line) => line.startsWith('-'))).toMatch(
    / locked for what was matched: price, bond and fee of own jobs/,
  )
})

test('a mediator reads what its fee was for, and no word of it stands in the history of others', () => {
  const judges = Array.from({ length: 11 }, (_, i) => `judge ${i}`)
  const books = market(...judges)
  const id = books.contract('ben', 'anna')
  const drawn = books.disputed(id)
  expect(drawn).toHaveLength(11)
  books.must('owner 1', { kind: 'hand-in', offers: [books.sell('ben')] })
  for (const line of books.lines('anna', 3))
    expect(line).toMatch(/^ (part of the draw|a result disputed|task 3 of a window)/)
  const [account, host] = [books.id('judge 0'), books.id('host of judge 0')]
  const entry = books.entries('judge 0').find(({ operation }) => operation.action.kind === 'mediate')!
  const [body] = historyBody([entry], { account, state: books.state, limit: 1, jobOf: books.jobOf })
  expect(told(body!, addressOf(account))).toBe(`host ${host.slice(0, 12)} volunteers as a mediator`)
  const verdict = { kind: 'verdict', allocation: id, host, finding: 'unstable', salt: 'ab'.repeat(32) } as const
  const paid = {
    ...entry,
    operation: { ...entry.operation, action: verdict },
    effect: { free: 100n, granted: 0n },
  } as HistoryEntry
  const row = entryRow(
    historyBody([paid], { account, state: books.state, limit: 1, jobOf: books.jobOf })[0]!,
    addressOf(account),
  )
  expect(row.slice(2).join(' ')).toMatch(
    /^\+0\.1 fee as a mediator for job [0-9a-f]{12}: a mediator's finding told: no two runs agree/,
  )
})

test('every kind of operation of the market has words', () => {
  const ours = KINDS.slice(KINDS.indexOf('hand-in'), KINDS.indexOf('expire') + 1)
  expect(ours).toHaveLength(17)
  for (const kind of ours) {
    const which = {
      allocation: 'a'.repeat(64),
      offers: ['x'],
      tasks: [[0, 3]],
      offer: 'b',
      host: 'c',
      slot: 1,
      maxPrice: '12000',
      tests: 2,
    }
    const action = { kind, ...which, window: 1, position: 4, finding: 'unstable', willing: true }
    expect(tradeSentence(action), kind).toMatch(/^[a-z0-9' ]{6}/)
    expect(tradeSentence(action)).not.toMatch(/undefined|NaN/)
  }
})

test('slots are named as offers name them', () => {
  const first = slotAt(Date.UTC(2026, 0, 31))
  for (let i = 0; i < 4; i++) expect(slotText(first + i)).toBe(`2026-01-31 ${slotName(slotOfDay(first + i))} UTC`)
})
