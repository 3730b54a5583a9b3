/** What a user meets while the ledger stands still: the one banker of a network of two is gone. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Bench } from './processes.ts'

test('what this node knows is there at once, and what is not is said: not sent, or perhaps', async () => {
  await using bench = new Bench()
  const up = (name: string, ...more: string[]) =>
    bench.start('up', '--json', '--home', join(bench.root, name), '--network', 'e2e', '--lend', '0', ...more)
  const banker = up('a')
  const { address } = await banker.line('ready')
  await up('b', '--bootstrap', address as string).line('ready')
  const at = ['--home', join(bench.root, 'b')]
  const first = await bench.run('ledger', 'stand', ...at) // its account is not linked yet, or not even open
  expect(first).toMatchObject({ code: 0, out: 'this node stands for the committee\n' })
  expect(await bench.run('ledger', 'stand', ...at)).toMatchObject({ code: 0, out: `${first.out.trimEnd()} already\n` })
  const { address: to } = await bench.json('wallet', 'address', '--home', join(bench.root, 'a'))
  const history = await bench.run('wallet', 'history', ...at)
  process.kill(banker.pid, 'SIGKILL')
  await banker.ended

  expect(await bench.run('wallet', 'history', ...at)).toEqual(history)
  expect(await bench.run('receipt', 'list', ...at)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/account opened/),
  })
  expect(await bench.json('wallet', 'balance', '--here', ...at)).toMatchObject({ granted: '40000', opened: true })
  const why = /no answer as of now: 0 of 1 bankers answer; 1 are needed/
  const now = await bench.run('wallet', 'balance', '--timeout', '1s', ...at)
  expect(now).toMatchObject({ code: 8, out: '', err: expect.stringMatching(why) })
  const stand = await bench.run('ledger', 'stand', '--timeout', '1s', ...at)
  expect(stand).toMatchObject({ code: 8, out: '', err: expect.stringMatching(/the same command again goes on/) })
  const sent = await bench.run('wallet', 'send', to as string, '1', '--timeout', '1s', ...at)
  expect(sent).toMatchObject({ code: 3, out: '', err: expect.stringMatching(/not sent, and it will not be: /) })
  expect(sent.err).toMatch(why)

  // Who waits for longer hears why, and Ctrl-C says what it leaves.
  const patient = bench.start('wallet', 'send', to as string, '1', ...at)
  patient.child.stderr!.once('data', () => process.kill(patient.pid, 'SIGINT'))
  const { code, err } = await patient.ended
  expect({ code, lines: err.trimEnd().split('\n') }).toEqual({
    code: 130,
    lines: [
      'waiting, for at most 1 min 0 s: the ledger stands still: 0 of 1 bankers answer; 1 are needed',
      expect.stringMatching(/^chorale: stopped, but it may have been sent: look at chorale wallet history --home /),
    ],
  })
  expect(await bench.run('wallet', 'history', ...at)).toEqual(history)
})
