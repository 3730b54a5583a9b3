/** The ledger as a new user meets it: grants, history, receipts, backups, and what is refused. */
import { once } from 'node:events'
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench, type Ended, eventually } from './processes.ts'

const IDLE = ['--network', 'e2e', '--lend', '0']

/** To its end. A node that ought to be refused, but starts, would run on: it fails the test as soon as it says that it is ready. */
function refused(bench: Bench, args: readonly string[]): Promise<Ended> {
  const { child, ended } = bench.start(...args)
  const said = once(child.stdout!, 'data').then(([text]) => {
    throw new Error(`${args.join(' ')} was not refused: ${text}`)
  })
  return Promise.race([ended, said])
}

test('two nodes: each is granted 50 credits, once, and what is in the ledger outlives its nodes', async () => {
  await using bench = new Bench()
  const home = (name: string) => join(bench.root, name)
  const at = (name: string, ...args: string[]) => bench.json(...args, '--home', home(name))
  const up = (name: string, ...more: string[]) => bench.start('up', '--json', '--home', home(name), ...IDLE, ...more)
  const first = up('a')
  const { address } = await first.line('ready')
  const second = up('b', '--bootstrap', address as string)
  await second.line('ready')
  const granted = async () => {
    const { opened, hosts, granted } = await at('b', 'wallet', 'balance')
    return opened === true && (hosts as unknown[]).length === 1 && granted === '50000'
  }
  await eventually('the account of b is open and linked', granted)
  const history = await bench.lines('wallet', 'history', '--home', home('b'))
  expect(history.map(({ action, result }) => [(action as { kind: string }).kind, result])).toEqual([
    ['link', 'applied'],
    ['open', 'applied'],
  ])

  // The receipt of the grant, on a machine that has never heard of the network.
  const { network } = await at('a', 'network', 'show')
  const receipt = join(bench.root, 'grant.receipt')
  const { height, index } = history[1] as { height: number; index: number }
  await at('b', 'receipt', 'show', `${height}/${index}`, '-o', receipt)
  const verify = ['receipt', 'verify', receipt, '--home', home('elsewhere')]
  expect(await bench.json(...verify, '--ledger', network as string)).toMatchObject({ good: true, vouched: 'option' })
  expect(await bench.run(...verify)).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringContaining(network as string),
  })
  const bytes = readFileSync(receipt)
  bytes[bytes.length - 40]! ^= 1
  writeFileSync(receipt, bytes)
  expect(await bench.run(...verify, '--ledger', network as string)).toMatchObject({ code: 9, out: '' })

  // What cannot be paid.
  const to = (await at('a', 'wallet', 'address')).address as string
  const send = (sum: string) => bench.run('wallet', 'send', to, sum, '--home', home('b'))
  expect(await send('51')).toMatchObject({ code: 7, err: 'chorale: not sent: there are not enough credits\n' })
  expect(await send('1')).toMatchObject({ code: 7, err: expect.stringMatching(/they were granted/) })

  // Killed and started again: the same account, no second grant, and the chain audits.
  process.kill(second.pid, 'SIGKILL')
  process.kill(first.pid, 'SIGKILL')
  await Promise.all([first.ended, second.ended])
  expect(await at('b', 'ledger', 'verify')).toMatchObject({
    good: true,
    network,
    height: 4,
    operations: 4,
    accounts: 2,
  })
  await up('a').line('ready')
  const again = up('b', '--bootstrap', address as string)
  await again.line('ready')
  await eventually('b knows the state again', granted)
  const status = await at('b', 'ledger', 'status')
  expect(status).toMatchObject({ height: 4, seat: null, halted: null, supply: '110000', network })
  expect(await at('a', 'status')).toMatchObject({ ledger: { height: 4, seated: true, halted: null } })
})

test('a home stays with its ledger, and a wallet with its user', async () => {
  await using bench = new Bench()
  const home = (name: string) => ['--home', join(bench.root, name)]
  const file = join(bench.root, 'lab.genesis')
  const created = await bench.json('network', 'create', '--out', file, '--network', 'lab', ...home('a'))
  const quiet = ['--lend', '0', '--json']
  const first = bench.start('up', '--genesis', file, ...home('a'), ...quiet)
  const { address } = await first.line('ready')
  expect(await bench.json('ledger', 'status', ...home('a'))).toMatchObject({ network: created.network, seat: 0 })
  await bench.run('down', ...home('a'))
  await first.ended

  // Another ledger of the same name, where the home of the first does not fit.
  const other = await bench.start('up', '--network', 'lab', ...home('b'), ...quiet).line('ready')
  const bootstrap = ['--bootstrap', other.address as string, '--network', 'lab']
  const copy = join(bench.root, 'wallet.copy')
  await bench.json('wallet', 'backup', copy, ...home('a'))
  chmodSync(join(bench.root, 'b', 'wallet'), 0o644)
  const cases: Array<[string[], number, RegExp]> = [
    [
      ['up', ...home('a'), ...bootstrap],
      2,
      /keeps ledger [0-9a-f]{16} of network lab, but the members of this network keep ledger/,
    ],
    [['up', ...home('c'), ...bootstrap, '--genesis', file], 2, /keeps ledger/],
    [['up', ...home('a'), '--network', 'private'], 2, /is of another network: name is lab there and private here/],
    [['up', ...home('d'), '--genesis', join(bench.root, 'none')], 2, /none is no genesis/],
    [
      ['up', ...home('e'), '--bootstrap', other.address as string],
      3,
      /is of another network \(overlay id [0-9a-f]{16}, here [0-9a-f]{16}\): .* says there; here the name is private$/m,
    ],
    [['wallet', 'address', ...home('b')], 4, /chmod 600/],
    [['wallet', 'restore', copy, ...home('b')], 2, /stop it first, with chorale down/],
  ]
  for (const [args, code, line] of cases) {
    const result = await refused(bench, args)
    expect({ args, ...result }).toMatchObject({ args, code, out: '', err: expect.stringMatching(line) })
    expect(result.err.trimEnd().split('\n')).toHaveLength(1)
  }
  expect(address).toBeTypeOf('string')
})

test('a home knows its network, and a wallet that is gone is not replaced in silence', async () => {
  await using bench = new Bench()
  const home = (name: string) => ['--home', join(bench.root, name)]
  const quiet = ['--lend', '0', '--json']
  const first = bench.start('up', '--network', 'lab', '--successors', '5', ...home('a'), ...quiet)
  await first.line('ready')
  await bench.run('down', ...home('a'))
  await first.ended
  const again = bench.start('up', ...home('a'), ...quiet)
  expect(await again.line('ready')).toMatchObject({ network: 'lab' })
  const { address: before } = await bench.json('wallet', 'address', ...home('a'))
  await bench.run('down', ...home('a'))
  await again.ended

  rmSync(join(bench.root, 'a', 'wallet'))
  for (const args of [
    ['up', ...home('a')],
    ['up', '-d', ...home('a')],
    ['wallet', 'address', ...home('a')],
  ]) {
    const line = /wallet is gone: get it back with chorale wallet restore FILE/
    expect(await refused(bench, args)).toMatchObject({ code: 2, out: '', err: expect.stringMatching(line) })
  }
  const anew = bench.start('up', '--new-wallet', ...home('a'), ...quiet)
  await anew.line('ready')
  expect((await bench.json('wallet', 'address', ...home('a'))).address).not.toBe(before)
  await bench.run('down', ...home('a'))
  await anew.ended
  const line = /there is a wallet, .*: leave out --new-wallet/
  expect(await refused(bench, ['up', '--new-wallet', ...home('a')])).toMatchObject({
    code: 2,
    err: expect.stringMatching(line),
  })
})
