/** A network under placement `ip-prefix`, of real processes: its report on Sybils, its files, and who it does not take in. */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { SybilReport } from '../../src/node.ts'
import { allSee, Bench, eventually } from './processes.ts'

test('three nodes of one genesis: a report, a file, and a node of the other placement that is refused', async () => {
  await using bench = new Bench()
  const genesis = join(bench.root, 'open.genesis')
  const home = (i: number) => join(bench.root, `node${i}`)
  const wanted = ['--out', genesis, '--network', 'open', '--placement', 'ip-prefix', '--home', home(1)]
  expect(await bench.run('network', 'create', ...wanted)).toMatchObject({ code: 0 })

  const lend = ['--lend', '0', '--json']
  const up = (i: number, ...args: string[]) => bench.start('up', '--home', home(i), ...lend, ...args).line('ready')
  const first = await up(1, '--genesis', genesis)
  const join1 = ['--bootstrap', first.address as string]
  // With the file, and with the flag that `up` would tell its user.
  const second = await up(2, '--genesis', genesis, ...join1)
  const third = await up(3, '--network', 'open', '--placement', 'ip-prefix', ...join1)
  await eventually('all see three members', () => allSee(3, [first, second, third]))

  const refused = await bench.run('up', '--home', home(4), '--network', 'open', ...join1, '--lend', '0')
  expect(refused).toMatchObject({ code: 3, out: '' })
  expect(refused.err).toMatch(
    /is of another network \(overlay id [0-9a-f]{16}, here [0-9a-f]{16}\): .* and --placement must be as/,
  )
  const other = await bench.run('up', '--home', home(4), '--genesis', genesis, '--placement', 'ip-port', '--lend', '0')
  expect(other).toMatchObject({ code: 2 })
  expect(other.err).toMatch(/placement is ip-prefix there and ip-port here: see --placement/)

  const { cid } = await bench.json('add', join(import.meta.dirname, 'sybil.test.ts'), '--home', home(2))
  expect((await bench.run('cat', cid as string, '--home', home(3))).out).toContain('under placement `ip-prefix`')

  const report = (await bench.json('sybil', 'report', '--home', home(2))) as unknown as SybilReport
  expect(report).toMatchObject({
    type: 'sybil-report',
    placement: 'ip-prefix',
    size: { members: 3, low: 3, high: 3, exact: true },
    density: [],
    addresses: { seen: 3, parties: 1, kind: 'loopback', block: '127.0.0' },
    groups: { copies: 3, replicas: 4, mine: 1, held: 1 },
    committee: { seats: 1, tolerated: 0, seated: false, located: 1 },
    unanswered: 0,
  })
  expect(report.groups.risks[0]!.captured[0]).toEqual({ copies: 3, chance: 0 })
  const people = await bench.run('sybil', 'report', '--home', home(1))
  expect(people).toMatchObject({ code: 0, err: '' })
  expect(people.out).toMatch(/^members +3, all known$/m)
  expect(people.out).toMatch(/^committee +1 seat, of which 0 may lie; .*; one is yours$/m)
})
