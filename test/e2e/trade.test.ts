/** The market as strangers meet it: one lends, another buys; and what becomes of one that is paid for nothing. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { countHits } from '../../jobs/pi.ts'
import { connectHost, type RemoteHost } from '../../src/api/client.ts'
import type { EntryBody, LedgerBody } from '../../src/api/ledger-views.ts'
import type { PurchaseBody, QuoteBody, SaleBody } from '../../src/api/market-views.ts'
import { Bench, eventually, linesOf } from './processes.ts'

/** A match, signatures and windows each take some blocks, and the machine may be busy. */
const PATIENCE_MS = 60_000
const [SAMPLES, TASK_SAMPLES, SEED] = [200_000_000, 2 ** 20, 42]
const TASKS = Math.ceil(SAMPLES / TASK_SAMPLES)
const PI = ['builtin:pi', '--samples', `${SAMPLES}`, '--seed', `${SEED}`]
/** At the price below the job costs some credits, though it is short. */
const BUY = ['--max-cost', '35', '--verify', 'sample', '--wait']
const LEND = ['--cpu', '1', '--memory', '1GiB', '--min-price']

interface Upped {
  readonly cheats?: boolean
  /** Least price, in credits. */
  readonly price?: string
}

/** Nodes of one network, each a stranger to the others: a home, a key and an account of its own. */
class Town implements AsyncDisposable {
  readonly bench = new Bench()
  readonly #hosts = new Map<string, RemoteHost>()
  #address: string | undefined

  /** The first one founds the network. */
  async up(name: string, { cheats = false, price }: Upped = {}): Promise<void> {
    if (price !== undefined) await this.json(name, 'lend', 'set', ...LEND, price)
    const others = this.#address === undefined ? [] : ['--bootstrap', this.#address]
    const lend = price === undefined ? ['--lend', '0'] : []
    const args = ['--json', ...this.home(name), '--listen', '127.0.0.1:0', '--network', 'trade', ...lend, ...others]
    const node = cheats ? this.bench.startCheating('up', ...args) : this.bench.start('up', ...args)
    const { address, socket } = await node.line('ready')
    this.#address ??= address as string
    const host = connectHost(socket as string)
    this.#hosts.set(name, host)
    await eventually(`the account of ${name} is open`, async () => {
      const { opened, hosts } = await host.ledger.account('mine')
      return opened && hosts.length === 1
    })
  }

  home(name: string): string[] {
    return ['--home', join(this.bench.root, name)]
  }

  host(name: string): RemoteHost {
    return this.#hosts.get(name)!
  }

  async json<T>(name: string, ...args: string[]): Promise<T> {
    return (await this.bench.json(...args, ...this.home(name))) as T
  }

  async lines<T>(name: string, ...args: string[]): Promise<T[]> {
    return (await this.bench.lines(...args, ...this.home(name))) as T[]
  }

  /** What an account has at hand, in millicredits: the node's own, or that at an address. */
  async has(name: string, address = 'mine'): Promise<bigint> {
    const { free, granted } = await this.host(name).ledger.account(address)
    return BigInt(free) + BigInt(granted)
  }

  /** It knows how fast its machine is, and its offer is in the book. */
  async offers(name: string): Promise<void> {
    await this.json(name, 'lend', 'show', '--measure')
    const isBooked = async () => {
      const { sells } = await this.host(name).market.book()
      return sells.some((offer) => offer.isOwn && offer.isBooked)
    }
    await eventually(`${name} is in the book`, isBooked, PATIENCE_MS)
  }

  async down(name: string): Promise<void> {
    expect(await this.bench.run('down', ...this.home(name))).toMatchObject({ code: 0 })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bench[Symbol.asyncDispose]()
  }
}

const sumOf = (amounts: readonly string[]) => amounts.reduce((sum, amount) => sum + BigInt(amount), 0n)
const countOf = (counts: readonly number[]) => counts.reduce((sum, count) => sum + count, 0)

function hitsInAll(): number {
  const tasks = Array.from({ length: TASKS }, (_, task) => task)
  return countOf(tasks.map((task) => countHits(SEED, task, Math.min(TASK_SAMPLES, SAMPLES - task * TASK_SAMPLES))))
}

test('a stranger does a job for credits, and the books agree', async () => {
  await using town = new Town()
  const { bench } = town
  await town.up('customer')
  await town.up('supplier', { price: '10000' })
  await town.offers('supplier')
  const before = { customer: await town.has('customer'), supplier: await town.has('supplier') }

  const told = await town.lines<Record<string, unknown>>('customer', 'job', 'submit', ...PI, ...BUY)
  const quote = told.find(({ type }) => type === 'quote') as unknown as QuoteBody
  expect(quote.tasks).toBe(TASKS)
  expect(BigInt(quote.low)).toBeGreaterThan(0n)
  const result = told.at(-1) as Record<string, unknown> & { purchase: PurchaseBody }
  expect(result).toMatchObject({
    ...{ type: 'result', status: 'succeeded' },
    value: { hits: hitsInAll(), samples: SAMPLES },
  })

  // What was paid, as both sides and the ledger tell it.
  const { purchase } = result
  const { suppliers } = purchase
  expect(purchase).toMatchObject({ state: 'settled', maxCost: '35000', locked: '0', tasks: TASKS })
  expect(suppliers.some(({ isConvicted }) => isConvicted)).toBe(false)
  expect(countOf(suppliers.map(({ paidTasks }) => paidTasks))).toBe(TASKS)
  expect(countOf(suppliers.map(({ tested }) => tested))).toBeGreaterThan(TASKS / 10)
  const [paid, fees] = [BigInt(purchase.paid), BigInt(purchase.fees)]
  expect(sumOf(suppliers.map((part) => part.paid))).toBe(paid)
  expect(paid).toBeGreaterThan(1_000n)
  expect(paid + fees).toBeLessThanOrEqual(35_000n)
  expect(await town.json('customer', 'job', 'show', result.job as string)).toMatchObject({ purchase })
  const sales = await town.lines<SaleBody>('supplier', 'market', 'sales')
  expect(sumOf(sales.map(({ earned }) => earned))).toBe(paid)
  expect(countOf(sales.map(({ paidTasks }) => paidTasks))).toBe(TASKS)

  // All that left one came to the other: wages, and fees for handing in offers. Nothing is locked any more.
  const gained = (await town.has('supplier')) - before.supplier
  expect(before.customer - (await town.has('customer'))).toBe(gained)
  expect(gained).toBeGreaterThanOrEqual(paid)
  expect(gained).toBeLessThanOrEqual(paid + fees)
  const ofGenesis = { customer: 50_000n, supplier: 0n } // a founder's grant is in no block
  const histories = { customer: [] as EntryBody[], supplier: [] as EntryBody[] }
  for (const name of ['customer', 'supplier'] as const) {
    histories[name] = await town.lines<EntryBody>(name, 'wallet', 'history', '--limit', '1000')
    const moved = histories[name].flatMap(({ free, granted }) => [free, granted])
    expect(sumOf(moved) + ofGenesis[name]).toBe(await town.has(name))
  }
  const ledger = await town.json<LedgerBody>('supplier', 'ledger', 'status')
  expect(ledger.burnt).toBe('0')

  // A receipt of a wage, where nobody has heard of the network; and the supplier's own copy of the books.
  const wage = histories.supplier.find(({ action, result }) => action.kind === 'approve' && result === 'applied')!
  const receipt = join(bench.root, 'wage.receipt')
  await town.json('supplier', 'receipt', 'show', `${wage.height}/${wage.index}`, '-o', receipt)
  const verify = ['receipt', 'verify', receipt, '--ledger', ledger.network]
  expect(await town.json('elsewhere', ...verify)).toMatchObject({ good: true })
  await town.down('supplier')
  expect(await town.json('supplier', 'ledger', 'verify')).toMatchObject({ good: true, network: ledger.network })
})

test('who makes up results loses its deposit, and its customer pays nothing for them', async () => {
  await using town = new Town()
  await town.up('customer')
  // The cheaper one is asked first.
  await Promise.all([town.up('honest', { price: '15000' }), town.up('cheater', { price: '10000', cheats: true })])
  await town.json('honest', 'market', 'mediate', 'on')
  await Promise.all([town.offers('honest'), town.offers('cheater')])
  const before = { customer: await town.has('customer'), cheater: await town.has('cheater') }
  const { address } = await town.host('cheater').ledger.account('mine')

  const bought = town.bench.run('job', 'submit', ...PI, ...BUY, '--json', ...town.home('customer'))
  let sale: SaleBody | undefined
  const isFound = async () => {
    sale = (await town.host('cheater').market.sales()).find(({ state }) => state === 'cheated')
    return sale !== undefined
  }
  await eventually('it is found out', isFound, PATIENCE_MS)
  expect(sale).toMatchObject({ paidTasks: 0, earned: '0' })
  const deposit = BigInt(sale!.deposit)
  expect(deposit).toBeGreaterThan(100n)
  await town.down('cheater')

  const { code, out, err } = await bought
  expect({ code, err }).toMatchObject({ code: 9, err: expect.stringContaining('convicted of cheating') })
  const { purchase } = linesOf(out).at(-1) as unknown as { purchase: PurchaseBody }
  expect(purchase).toMatchObject({ state: 'settled', locked: '0' })
  const convicted = purchase.suppliers.filter(({ isConvicted }) => isConvicted)
  expect(convicted.length).toBeGreaterThan(0)
  for (const part of convicted) expect(part).toMatchObject({ paid: '0', paidTasks: 0, address })

  // The one has lost what it had at stake, the other has paid for nothing but work, matches and perhaps a mediator.
  const [fees, paid] = [BigInt(purchase.fees), BigInt(purchase.paid)]
  const left = await town.has('customer', address)
  expect(left).toBeLessThanOrEqual(before.cheater - deposit + fees)
  const customerHas = await town.has('customer')
  expect(before.customer - customerHas).toBeLessThanOrEqual(paid + fees + 100n * BigInt(convicted.length))
  const verdict = (await town.host('honest').ledger.history('mine', { limit: 1000 })).find(
    ({ action }) => action.kind === 'verdict',
  )
  expect(verdict?.result).toBe('applied')

  // What was burnt is gone; every other credit is somewhere.
  const [mine, honest] = await Promise.all(['customer', 'honest'].map((name) => town.host(name).ledger.status()))
  expect(BigInt(mine!.burnt)).toBeGreaterThan(0n)
  const bonds = BigInt(mine!.banker!.bond) + BigInt(honest!.banker!.bond)
  expect(left + customerHas + (await town.has('honest')) + bonds).toBe(BigInt(mine!.supply))
})
