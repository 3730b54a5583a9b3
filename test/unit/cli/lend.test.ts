import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connectHost } from '../../../src/api/client.ts'
import { amount } from '../../../src/market/ledger/state/amount.ts'
import { counted, EMPTY_FUNNEL, type OfferEvent } from '../../../src/market/lending/funnel.ts'
import { fakeLender, PROCESS } from '../../fakes/lender.ts'
import { bench, runCli } from './fake-host.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'chorale-lend-'))
})
afterEach(() => rmSync(root, { recursive: true }))

const offline = (...args: string[]) => runCli(['lend', ...args, '--home', join(root, 'home')])

test.each([
  [['--cpu', '0.5'], /^chorale: --cpu must be a number of cores, not '0.5': try --cpu \d+cpu\n$/],
  [['--cpu', '-1'], /--cpu must be a number of cores/],
  [['--cpu', '9999'], /^chorale: --cpu 9999: this machine has \d+ cores: try --cpu \d+cpu\n$/],
  [['--memory', '4 apples'], /^chorale: --memory must be a number of bytes, not '4 apples': try --memory 4GiB\n$/],
  [['--memory', '100MiB'], /^chorale: 100MiB of memory: one task may need 512MiB: try --memory 512MiB, or --cpu 0/],
  [['--memory', '1000TiB'], /^chorale: \d+MiB of memory: this machine has \d+MiB: try --memory auto\n$/],
  [['--store', '5'], /^chorale: --store must be a number of bytes of at least 1 MiB, or 0, not '5'/],
  [['--when', 'never'], /^chorale: --when must be always, idle, or hours of the day as 22:00-06:00, not 'never'/],
  [['--when', '25:00-06:00'], /--when must be/],
  [['--min-price', 'cheap'], /^chorale: --min-price must be auto or credits, not 'cheap': try --min-price 0.5\n$/],
  [['--min-price', '-1'], /--min-price must be auto or credits/],
  [['--level', 'vm'], /^chorale: --level must be os or process, not 'vm': try --level os\n$/],
  [[], /^chorale: nothing to set: try chorale lend set --cpu 2/],
])('lend set %j: one clear line', async (args, line) => {
  const ended = await offline('set', ...args)
  expect(ended).toMatchObject({ code: 2, out: '', err: expect.stringMatching(line) })
  expect(ended.err.trim().split('\n')).toHaveLength(1)
  expect(existsSync(join(root, 'home', 'lending.json'))).toBe(false)
})

test('without a node the home keeps it, and what is not said stays', async () => {
  expect((await offline('show')).out).toMatch(/^state +not paused\ncpu +all\n/)
  expect(existsSync(join(root, 'home'))).toBe(false)
  const set = await offline('set', '--cpu', '1', '--memory', '1GiB', '--store', '20GiB', '--when', '22:00-06:00')
  expect(set).toMatchObject({ code: 0, err: 'no node is running: the next one lends this\n' })
  await offline('set', '--min-price', '0.5', '--when', 'idle')
  await offline('pause')
  const shown = await offline('show', '--json')
  expect(JSON.parse(shown.out)).toEqual({
    ...{ v: 1, type: 'lend', running: false, speed: null },
    setting: {
      ...{ cores: 1, memoryBytes: 2 ** 30, storeBytes: 20 * 2 ** 30 },
      ...{ when: 'idle', minPrice: '500', level: 'process', paused: true },
    },
  })
  await offline('resume')
  await offline('set', '--cpu', 'all', '--memory', 'auto', '--min-price', 'auto')
  expect(JSON.parse((await offline('show', '--json')).out).setting).toMatchObject({
    ...{ cores: null, memoryBytes: null, storeBytes: 20 * 2 ** 30, minPrice: 'auto', paused: false },
  })
})

test('a damaged file is not taken for the default', async () => {
  await offline('pause')
  const file = join(root, 'home', 'lending.json')
  for (const text of ['{', '{}', '{"setting":{"paused":"no"}}', '{"setting":{},"speed":5}']) {
    writeFileSync(file, text)
    expect(await offline('show')).toMatchObject({ code: 2, err: expect.stringContaining('lending.json is damaged') })
    expect(await offline('resume')).toMatchObject({ code: 2 })
    expect(readFileSync(file, 'utf8')).toBe(text)
  }
})

test('a running node changes at once, and says what is still at work', async () => {
  await using b = await bench()
  const { world, lender } = b.host.lender
  expect((await b.chorale('lend', 'set', '--cpu', '1', '--min-price', '2')).out).toBe(
    'lends 1 slot for tasks, at all hours\n',
  )
  expect(lender.cores).toBe(1)
  expect(world.kept.setting).toMatchObject({ cores: 1, minPrice: 2000n })
  world.load = { ...world.load, busy: 1, tasksRunning: 3 }
  expect((await b.chorale('lend', 'pause')).out).toBe('paused: 3 tasks still run, and nothing new is begun\n')
  expect(lender.cores).toBe(0)
  const paused = await b.chorale('lend', 'show')
  expect(paused.out).toMatch(/^state +not lending: paused, until chorale lend resume; 3 tasks still run\n/)
  world.load = { ...world.load, busy: 0, tasksRunning: 0 }
  expect((await b.chorale('lend', 'pause')).out).toBe('paused: no task runs here\n')
  expect((await b.chorale('lend', 'resume')).out).toBe('lends 1 slot for tasks, at all hours\n')
  await b.chorale('lend', 'pause')
  world.minute = 0
  await b.chorale('lend', 'set', '--when', '09:00-17:00')
  expect((await b.chorale('lend', 'resume')).out).toBe(
    'not paused, but lends nothing now: outside 09:00-17:00, local time: it is 00:00\n',
  )
})

test('a node without bubblewrap refuses --level os in one line, and says so of one that was kept', async () => {
  await using b = await bench()
  b.host.lender.world.sandbox = PROCESS
  expect(await b.chorale('lend', 'set', '--level', 'os')).toMatchObject({
    code: 2,
    err: 'chorale: --level os cannot be had here: bubblewrap is not installed\n',
  })
})

test('show tells of setting, speed, work, and that there is no market', async () => {
  await using b = await bench()
  const { out } = await b.chorale('lend', 'show')
  expect(out).toMatch(
    /^state +lending: at all hours\ncpu +all of 4 cores\nmemory +as the cores need: .* 20 processes of 512 MiB/,
  )
  expect(out).toMatch(/\nspeed +not measured yet: chorale lend show --measure\ntasks +12 done since the node started\n/)
  expect(out).toMatch(/\nearned by flat pay +0 credits in 0 payments\n?$/)
  expect(out).not.toMatch(/earned by contracts/)
  expect(out).toMatch(/\nmarket +this network has none yet: no offers are seen/)
  const measured = await b.chorale('lend', 'show', '--measure')
  expect(measured.out).toMatch(
    /\nspeed +2,000 million instructions\/s on one core \(1,667 to 2,222 in 3 runs\), 20\d\d-.* UTC\n/,
  )
  b.host.lender.world.engine = 'js/other'
  expect((await b.chorale('lend', 'show')).out).toMatch(/the engine or the level has changed\n/)
  expect(JSON.parse((await b.chorale('lend', 'show', '--json')).out)).toMatchObject({
    ...{ v: 1, type: 'lend', running: true, state: 'lending', why: 'at all hours', slots: 4, cores: 4 },
    ...{ market: null, speedHolds: false, earnings: { amount: '0', payments: 0, isAll: true } },
    setting: { cores: null, when: 'always', minPrice: 'auto', level: 'process', paused: false },
  })
})

test('where there is a market, show tells what became of its offers', async () => {
  const events: OfferEvent[] = [
    { kind: 'seen', unfit: 'memory' },
    { kind: 'seen', unfit: undefined },
    { kind: 'won' },
    { kind: 'verified' },
    { kind: 'earned', amount: amount(1500n) },
  ]
  const offering = async () => 'nothing more: all of it is sold'
  const { lender } = fakeLender({ market: { funnel: () => events.reduce(counted, EMPTY_FUNNEL), offering } })
  await using b = await bench()
  Object.assign(b.host.lending, { view: async () => ({ ...(await lender.view()), ...(await sides()) }) })
  const sides = async () => ({ earnings: { amount: amount(0n), payments: 0, isAll: false }, storeCapacityBytes: 1 })
  const { out } = await b.chorale('lend', 'show')
  expect(out).toMatch(
    /\noffer +nothing more: all of it is sold\noffers to buy +2 seen, 1 fitting, 0 priced out, 1 won, 1 verified\nwhy not +1 wanted more memory than is lent\n/,
  )
  expect(out).toMatch(
    /\nearned by contracts +1.5 credits since the node started\nearned by flat pay +0 credits in 0 payments, as far as this node keeps the chain\n$/,
  )
  expect((await b.chorale('market', 'sales')).err).toBe(
    "nothing was sold; offered now: nothing more: all of it is sold\nchorale lend show says what became of this node's offers\n",
  )
})

test.each([
  ['POST', { cores: -1 }],
  ['POST', { cores: 5 }],
  ['POST', { memoryBytes: 5 }],
  ['POST', { when: 'never' }],
  ['POST', { minPrice: '1.5' }],
  ['POST', { colour: 'red' }],
])('the API refuses %s %j', async (_, body) => {
  await using b = await bench()
  const { lending } = connectHost(b.socketPath)
  await expect(lending.set(body as never)).rejects.toMatchObject({ code: 'usage' })
  expect((await lending.view()).setting.cores).toBe(null)
})
