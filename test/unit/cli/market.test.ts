/** `chorale market ...` and jobs that are bought, against a market that says what the test does. */
import { expect, test } from 'vitest'
import { connectHost } from '../../../src/api/client.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import { amount } from '../../../src/market/ledger/state/amount.ts'
import type { Purchase } from '../../../src/market/trading/market.ts'
import { keysOf } from '../../fakes/host-ledger.ts'
import { fromMs, idOf, part, purchase, QUOTE, SLOT } from '../../fakes/market.ts'
import { bench, jobView, runCli } from './fake-host.ts'

const job = jobView().id
const done = jobView({ state: 'succeeded', reason: 'done', value: { pi: 3.125, ci95: 0.0012 } })
const PI = ['builtin:pi', '--samples', '1e6', '--seed', '42']
const json = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

test('a market in which nothing happened says so, and what to do', async () => {
  await using b = await bench()
  expect(await b.chorale('market', 'prices')).toMatchObject({
    code: 0,
    out: 'nothing was traded yet; nobody offers work: chorale lend set --cpu 2 does; 0 offers to buy\n',
  })
  expect((await b.chorale('market', 'history')).err).toBe(
    'nothing was traded yet: chorale market book shows what is offered\n',
  )
  expect(await b.chorale('market', 'book')).toEqual({ code: 0, out: '', err: 'no offers\n' })
  expect((await b.chorale('market', 'sales')).err).toMatch(/^chorale lend show says what became/)
  expect(json((await b.chorale('market', 'prices', '--json')).out)).toEqual([
    { v: 1, type: 'prices', atMs: fromMs, slots: [], last: null },
  ])
  for (const what of ['history', 'sales']) expect((await b.chorale('market', what, '--json')).out).toBe('')
})

function offers() {
  const own = { account: keysOf(2).publicKey, isOwn: true, expiresMs: fromMs + 5, isBooked: true }
  const window = { fromMs, untilMs: fromMs + 3_600_000, memoryBytes: 2 ** 30, level: 'process' as const }
  const other = { ...own, account: keysOf(7).publicKey, isOwn: false, isBooked: false }
  const size = { host: keysOf(8).publicKey, coresMilli: 1500, speedMips: 2000, storeBytes: 0 }
  const work = {
    job: idOf('1'),
    tasks: 100,
    taskWorkMi: 36_000,
    replicas: 2,
    rate: 'auto' as const,
    deadlineMs: fromMs,
    minServiceMs: 60_000,
    soonMs: 3_600_000,
  }
  return {
    sells: [{ ...other, id: idOf('b'), terms: { kind: 'sell' as const, ...size, ...window, minPrice: amount(250n) } }],
    buys: [
      { ...own, id: idOf('c'), left: 50, terms: { kind: 'buy' as const, ...work, ...window, maxPrice: amount(900n) } },
    ],
  }
}

test('prices, history and book, for people and for programs', async () => {
  await using b = await bench()
  const { market } = b.host
  market.bookView = offers()
  expect((await b.chorale('market', 'prices')).out).toBe(
    'nothing was traded yet; 1 offer to sell, from 0.25 credits for a core-hour; 1 offer to buy\n',
  )
  const known = { slot: SLOT, resource: 'process' as const, low: 200n, likely: 420n, high: 900n, slots: 9, errors: 0 }
  const forecast = { process: { ...known, supplyMi: 1, demandMi: 2 }, os: undefined }
  const last = { slot: SLOT, atMs: fromMs, price: amount(410n) }
  const slots = [{ slot: SLOT, fromMs, untilMs: fromMs + 1, forecast }]
  market.priceView = { atMs: fromMs, slots, last }
  const { out } = await b.chorale('market', 'prices')
  expect(out).toMatch(/\n2026-01-02 06-12 {2}process {2}0\.2 {2}0\.42 {4}0\.9 {3}9 slots, a guess\n/)
  expect(out).toMatch(/\nlast price 0\.41 credits, 2026-01-02 06:00:00 UTC, for 2026-01-02 06-12\n$/)
  expect(json((await b.chorale('market', 'prices', '--json')).out)[0]).toMatchObject({
    ...{ slots: [{ name: '06-12', fromMs, forecast: { process: { low: '200', likely: '420' } } }] },
    last: { name: '06-12', price: '410' },
  })

  const traded = { slot: SLOT, resource: 'os' as const, unsoldMi: 36_000_000n, unservedMi: 0n }
  market.records = [
    { ...traded, slot: SLOT - 1, workMi: 0n, value: 0n },
    { ...traded, workMi: 7_200_000n, value: 7_200_000n * 400n },
  ]
  expect((await b.chorale('market', 'history')).out.split('\n')[1]).toMatch(/^2026-01-02 06-12 {2}os +2 +0\.4 +10 +0$/)
  expect(json((await b.chorale('market', 'history', '--json')).out)).toEqual([
    expect.objectContaining({ type: 'traded', workMi: '7200000', price: '400', name: '06-12' }),
  ])

  const book = (await b.chorale('market', 'book')).out
  expect(book).toMatch(
    /\n0\.25 +1\.5 +2,000 MIPS +1\.0 GiB +process +2026-01-02 06:00 to 07:00 +board only +[0-9a-f]{12}\n/,
  )
  expect(book).toMatch(/\n0\.9 +200 +2 +50 of 200 +process +2026-01-02 06:00 to 07:00 +book +yours\n$/)
  expect(json((await b.chorale('market', 'book', '--json')).out)[0]).toMatchObject({
    ...{ type: 'book', sells: [{ terms: { minPrice: '250' }, address: expect.stringMatching(/^[0-9a-f]{72}$/) }] },
    buys: [{ isOwn: true, left: 50 }],
  })
})

test('a quote says what, when, why, and what is cheaper; nothing is submitted', async () => {
  await using b = await bench()
  const { out, err } = await b.chorale('market', 'quote', ...PI, '--verify', 'sample=5%', '--slot', 'cheapest')
  expect(out.split('\n').map((line) => line.replace(/ +/g, ' '))).toEqual([
    'cost 0.42 credits likely, 0.2 to 1.5',
    'slot 2026-01-02 06-12 UTC',
    'why 100 tasks of 2.5 s on a core of 1000 MIPS: 0.0694 core-hours',
    ' more is offered than wanted',
    'cheaper 2026-01-02 18-24 UTC, 0.3 credits likely: --slot cheapest',
    '',
  ])
  expect(err).toMatch(/^nothing was submitted/)
  const request = { module: 'builtin:pi', params: { samples: 1e6 }, seed: 42 }
  const verify = { kind: 'sample', share: 50_000, probability: 950_000 }
  expect(b.host.market.asked).toEqual([{ quote: request, verify, when: 'cheapest' }])
  expect(b.host.requests).toEqual([])
  b.host.market.quoted = { ...QUOTE, isGuess: true, cheaper: undefined }
  expect((await b.chorale('market', 'quote', ...PI)).out).toMatch(/; a guess\n[\s\S]*nothing was traded yet/)
  expect(json((await b.chorale('market', 'quote', ...PI, '--json')).out)[0]).toMatchObject({
    ...{ type: 'quote', low: '200', likely: '420', high: '1500', name: '06-12', cheaper: null, isGuess: true },
  })
})

test.each([
  [['--verify', 'auto'], /--verify is for a job that the market does for credits: add --max-cost, as 2/],
  [['--slot', 'now'], /--slot is for a job .*: add --max-cost/],
  [['--deadline', '2h'], /--deadline is for a job .*: add --max-cost/],
  [['--max-cost', '0'], /--max-cost must be credits above zero, with at most 3 decimals, not '0': try --max-cost 2/],
  [['--max-cost', 'much'], /--max-cost must be/],
  [['--max-cost', '2', '--verify', 'maybe'], /cannot verify by "maybe": none, sample/],
  [['--max-cost', '2', '--slot', '6-12'], /--slot must be now, cheapest, 00-06.*not '6-12': try --slot cheapest/],
  [['--max-cost', '2', '--deadline', '5s'], /--deadline must be a time of 150 s to 7 days/],
])('job submit %j: one clear line', async (args, line) => {
  for (const command of ['submit', 'plan']) {
    const { code, out, err } = await runCli(['job', command, ...PI, ...args])
    expect({ code, out, err }).toEqual({ code: 2, out: '', err: expect.stringMatching(line) })
    expect(err.trimEnd().split('\n')).toHaveLength(1)
  }
})

test('a job is bought: quote, progress, result, cost', async () => {
  await using b = await bench()
  const { host } = b
  host.add(jobView(), done)
  const open: Purchase = purchase({ state: 'settling', paid: amount(160n), suppliers: [part()] })
  host.market.purchases.push(open, open, purchase())
  const { code, out, err } = await b.chorale('job', 'submit', ...PI, '--max-cost', '2', '--wait')
  expect({ code, out }).toEqual({ code: 0, out: '3.1250 ± 0.0012\n' })
  expect(err).toMatch(/^cost +0\.42 credits likely, 0\.2 to 1\.5\n/)
  expect(err).toMatch(/\ncap +2 credits, which should do\n/)
  expect(err).toMatch(/\n {2}paid 0\.416 of at most 2 credits, fees 0\.004, 10 tasks tested\n$/)
  const paid = { verify: { kind: 'auto' }, when: 'now', maxCost: 2000n }
  expect(host.market.asked[1]).toEqual({
    submit: { module: 'builtin:pi', params: { samples: 1e6 }, seed: 42 },
    ...paid,
  })
  const lines = json((await b.chorale('job', 'submit', ...PI, '--max-cost', '2', '--wait', '--json')).out)
  expect(lines[0]).toMatchObject({ type: 'quote', likely: '420' })
  expect(lines.at(-1)).toMatchObject({ type: 'result', status: 'succeeded', purchase: { paid: '416', fees: '4' } })
})

test('without --wait the id, and the deadline counts from when it may begin', async () => {
  await using b = await bench()
  b.host.market.quoted = { ...QUOTE, slot: SLOT + 40_000 }
  const beginMs = fromMs + 40_000 * 6 * 3_600_000
  const { code, out } = await b.chorale(
    'job',
    'submit',
    ...PI,
    '--max-cost',
    '0.3',
    '--slot',
    '06-12',
    '--deadline',
    '2h',
  )
  expect({ code, out }).toEqual({ code: 0, out: `${job}\n` })
  expect(b.host.market.asked[1]).toMatchObject({ maxCost: 300n, when: '06-12', deadlineMs: beginMs + 7_200_000 })
  const [line] = json((await b.chorale('job', 'submit', ...PI, '--max-cost', '2', '--json')).out)
  expect(line).toMatchObject({ type: 'job', id: job, quote: { likely: '420' } })
})

const lost = jobView({ state: 'cancelled', reason: 'given up' })
test.each([
  [
    6,
    lost,
    { failure: 'not-placed', reason: 'not placed by the deadline: no host offers anything now', suppliers: [] },
    /given up: not placed by the deadline: no host .*: try a higher --max-cost, another --slot/,
  ],
  [
    7,
    lost,
    { failure: 'credits', reason: 'the account has 0.1 credits' },
    /given up: the account has .*: try a higher --max-cost, or see chorale wallet balance/,
  ],
  [
    9,
    done,
    { suppliers: [part(), part({ isConvicted: true })] },
    /convicted of cheating, so the result is not to be trusted/,
  ],
  [5, jobView({ state: 'failed', reason: 'it threw' }), {}, /^chorale: the job failed: it threw$/m],
] as const)('exit code %d', async (code, end, change, line) => {
  await using b = await bench()
  b.host.add(jobView(), end)
  b.host.market.purchases.push(purchase(change))
  const ended = await b.chorale('job', 'submit', ...PI, '--max-cost', '2', '--wait', '-q')
  expect(ended).toEqual({ code, out: code === 9 ? '3.1250 ± 0.0012\n' : '', err: expect.stringMatching(line) })
  expect(ended.err.trimEnd().split('\n')).toHaveLength(1)
  const shown = await b.chorale('job', 'show', job)
  expect(shown.out.includes('not to be trusted')).toBe(code === 9)
})

test('a cap that the market refuses is exit code 7; a wait for what is not settled ends in time', async () => {
  await using b = await bench()
  b.host.add(jobView(), done)
  b.host.market.purchases.push(purchase({ state: 'settling' }))
  expect(await b.chorale('job', 'submit', ...PI, '--max-cost', '2', '--wait', '--timeout', '1ms')).toMatchObject({
    code: 8,
  })
  const refused = new ChoraleError('credits', 'the cap is below 0.2 credits')
  b.host.market.submit = () => Promise.reject(refused)
  expect(await b.chorale('job', 'submit', ...PI, '--max-cost', '0.1')).toMatchObject({
    ...{ code: 7, out: '' },
    err: expect.stringMatching(
      /\ncap +0\.1 credits, below all of that[\s\S]*\nchorale: the cap is below 0\.2 credits\n$/,
    ),
  })
})

test('job show tells what a bought job costs; of others nothing is said', async () => {
  await using b = await bench()
  b.host.add(done)
  expect((await b.chorale('job', 'show', job)).out).not.toMatch(/\npaid|\nmarket/)
  b.host.market.purchases.push(purchase({ state: 'running', reason: '1 supplier works', locked: amount(250n) }))
  const { out } = await b.chorale('job', 'show', job)
  expect(out).toMatch(
    /\nmarket +running: 1 supplier works\npaid +0\.416 of at most 2 credits, fees 0\.004, 10 tasks tested\n/,
  )
  expect(out).toMatch(/\nlocked +0\.25 credits for work that is not paid yet/)
  expect(out).toMatch(/\nsupplier +[0-9a-f]{12} {2}running: 100 of 100 tasks paid, 0\.16 credits, 10 tested\n$/)
  expect(json((await b.chorale('job', 'show', job, '--json')).out)[0].purchase).toMatchObject({ locked: '250' })
})

test('job plan with a cap quotes, too', async () => {
  await using b = await bench()
  for (const args of [['plan'], ['submit', '--dry-run']]) {
    const { code, out } = await b.chorale('job', ...args, ...PI, '--max-cost', '1')
    expect(code).toBe(0)
    expect(out).toMatch(
      /\nhosts +of others, with a contract; this account checks only\n\ncost +0\.42 credits likely[\s\S]*\ncap +1 credit, which is likely to do\n/,
    )
  }
  expect(b.host.market.asked.every((each) => 'quote' in (each as object))).toBe(true)
})

test('sales, one by one', async () => {
  await using b = await bench()
  b.host.market.sold.push({
    ...{ allocation: idOf('a'), customer: keysOf(7).publicKey, job: idOf('1'), state: 'running' },
    ...{
      deadlineMs: fromMs,
      backByMs: fromMs,
      tasks: 40,
      doneTasks: 20,
      paidTasks: 10,
      price: amount(400n),
      earned: amount(100n),
      deposit: amount(900n),
    },
  })
  const { out } = await b.chorale('market', 'sales')
  expect(out).toMatch(/\na{12} +1{12} +[0-9a-f]{12} +running +20 of 40 +10 +0\.1 of 0\.4 +0\.9\n$/)
  const [line] = json((await b.chorale('market', 'sales', '--json')).out)
  expect(line).toMatchObject({ type: 'sale', price: '400', customerAddress: expect.stringMatching(/^[0-9a-f]{72}$/) })
})

test('a job that was bought says why it waits, what cancelling means, and who has given it up', async () => {
  await using b = await bench()
  const { host } = b
  host.add(jobView({ state: 'waiting' }))
  const reason = 'no host offers anything now'
  host.market.purchases.push(purchase({ state: 'bidding', reason, suppliers: [] }))
  const timedOut = await b.chorale('job', 'watch', job, '--timeout', '1500ms')
  expect(timedOut.err).toMatch(/bidding, 0 suppliers, paid 0\.416 of 2, .* elapsed, no host offers anything now\n/)
  expect(await b.chorale('job', 'cancel', job)).toMatchObject({
    out: 'cancelled: by the submitter\n',
    err: expect.stringMatching(/^what suppliers have committed to is still checked and paid, the rest comes back: /),
  })
  host.add(jobView({ state: 'cancelled', reason: 'by its submitter' }))
  expect((await b.chorale('job', 'show', job)).out).toMatch(/\nstate +cancelled: by its submitter\n/)
  host.market.purchases[0] = purchase({ reason: `not placed by the deadline: ${reason}`, failure: 'not-placed' })
  expect((await b.chorale('job', 'show', job)).out).toMatch(
    /\nstate +cancelled: given up by the market, not placed by the deadline: no host offers anything now\n/,
  )
})

test('a job that was bought or sold goes by both of its names', async () => {
  await using b = await bench()
  b.host.add(jobView())
  const sale = {
    ...{ allocation: idOf('a'), customer: keysOf(7).publicKey, job: idOf('1'), deadlineMs: fromMs, backByMs: fromMs },
    ...{ tasks: 40, doneTasks: 20, paidTasks: 10, price: amount(400n), earned: amount(100n), deposit: amount(900n) },
  }
  b.host.market.sold.push({ ...sale, state: 'done' }, { ...sale, state: 'done', jobId: job })
  const [, unknown, known] = (await b.chorale('market', 'sales')).out.split('\n')
  expect(unknown).toMatch(/^a{12} +1{12} /)
  expect(known).toMatch(new RegExp(`^a{12} +${job.slice(0, 16)} `))
  expect(json((await b.chorale('job', 'list', '--json')).out)[0]).not.toHaveProperty('key')
  b.host.market.purchases.push(purchase())
  expect((await b.chorale('job', 'show', job)).out).toMatch(new RegExp(`\nin the ledger +${idOf('1')}\n`))
  expect(json((await b.chorale('job', 'list', '--json')).out)[0]).toMatchObject({ id: job, key: idOf('1') })
})

test('who leaves or pauses with open contracts reads what is at stake, and until when', async () => {
  await using b = await bench()
  const sale = {
    ...{ allocation: idOf('a'), customer: keysOf(7).publicKey, job: idOf('1'), deadlineMs: fromMs },
    ...{ tasks: 40, doneTasks: 20, paidTasks: 10, price: amount(400n), earned: amount(100n), deposit: amount(900n) },
  }
  b.host.market.sold.push({ ...sale, state: 'done', backByMs: fromMs - 5 })
  expect((await b.chorale('lend', 'pause')).err).toBe('')
  b.host.market.sold.push({ ...sale, state: 'running', backByMs: fromMs + 60_000 })
  b.host.market.sold.push({ ...sale, state: 'challenged', backByMs: fromMs })
  const stake = '2 open contracts, with 1.8 credits of deposit at stake'
  expect(await b.chorale('lend', 'pause')).toMatchObject({
    code: 0,
    err: `${stake}: resume by 2026-01-02 06:00:00 UTC\n`,
  })
  const { code, err } = await b.chorale('down')
  expect({ code, err }).toEqual({ code: 0, err: `${stake}: start it again by 2026-01-02 06:00:00 UTC\n` })
  expect(b.host.stopped).toBe(true)
})

test('a host volunteers as a mediator with a bond, once, and ends it', async () => {
  await using b = await bench()
  const { books } = b.host
  books.wallet = books.walletOf(keysOf(3), keysOf(4))
  await books.wallet.settleIn({ signal: new AbortController().signal })
  const { state } = books.ledger
  expect(state.mediators.get(books.wallet.host)).toBeUndefined()
  const on = await b.chorale('market', 'mediate', 'on')
  expect(on).toMatchObject({ code: 0, out: 'this node is a mediator\n' })
  expect(on.err).toMatch(/^locked as its bond, out of the balance: 15 credits; /)
  expect(books.ledger.state.mediators.get(books.wallet.host)).toBeDefined()
  expect(books.ledger.banker(books.wallet.host)).toMatchObject({ granted: 15_000n, candidate: false })
  expect((await b.chorale('market', 'mediate', 'on')).out).toBe('this node is a mediator already\n')
  expect(books.ledger.state.accounts.get(books.wallet.account)).toMatchObject({ granted: 35_000n })
  const { out } = await b.chorale('wallet', 'balance')
  expect(out).toMatch(/^balance +35 credits\n/)
  expect(out).toMatch(/\nlocked +15 credits, beside the balance\n {2}bonds +15 credits in 1 bond\naddress/)
  expect(JSON.parse((await b.chorale('wallet', 'balance', '--json')).out)).toMatchObject({
    ...{ total: '35000', locked: { total: '15000', bonds: { amount: '15000', count: 1 } } },
  })
  expect((await b.chorale('market', 'mediate', 'off')).out).toBe('this node is no mediator\n')
  expect((await b.chorale('market', 'mediate', 'off')).out).toBe('this node is no mediator already\n')
  expect(await b.chorale('market', 'mediate', 'maybe')).toMatchObject({ code: 2 })
})

test.each([
  [{ maxCost: '1.5' }],
  [{ maxCost: '0' }],
  [{ maxCost: 2000 }],
  [{}],
  [{ maxCost: '2000', when: 'soon' }],
  [{ maxCost: '2000', verify: 'maybe' }],
  [{ maxCost: '2000', deadlineMs: -1 }],
  [{ maxCost: '2000', colour: 'red' }],
  [{ maxCost: '2000', request: { module: 'builtin:pi', params: {}, seed: 1, paid: true } }],
])('the API refuses a job with %j', async (body) => {
  await using b = await bench()
  const request = { module: 'builtin:pi', params: {}, seed: 1 }
  const { market } = connectHost(b.socketPath)
  await expect(market.submit({ request, ...body } as never)).rejects.toMatchObject({ code: 'usage' })
  await expect(market.volunteer('yes' as never)).rejects.toMatchObject({ code: 'usage' })
  expect(b.host.market.asked).toEqual([])
})

test('a node that takes no part in the market says so, and still shows jobs', async () => {
  await using b = await bench()
  b.host.add(done)
  Object.assign(b.host, { market: undefined })
  expect(await b.chorale('market', 'prices')).toMatchObject({ err: 'chorale: this node takes no part in the market\n' })
  expect((await b.chorale('job', 'show', job)).code).toBe(0)
})

test.each(['prices', 'history', 'book', 'quote', 'sales', 'mediate'])(
  'market %s --help shows an example',
  async (name) => {
    expect((await runCli(['market', name, '--help'])).out).toMatch(/Examples:\n {2}\$ chorale market/)
  },
)
