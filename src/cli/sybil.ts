/** `chorale sybil report`: what an attacker who makes up nodes could have, and whether it looks as if one does. */
import { Command } from 'commander'
import { percent } from '../core/percent.ts'
import type { SybilReport } from '../node.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'

export function sybilCommand(cli: Cli): Command {
  return new Command('sybil')
    .description('made-up nodes, and what they could have: report')
    .addHelpText('after', examples('chorale sybil report', ''))
    .addCommand(reportCommand(cli))
}

function reportCommand(cli: Cli): Command {
  return new Command('report')
    .description('estimate the size of the network, look for crowds of ids, and tell what attackers would have')
    .addHelpText(
      'after',
      `
Asks members for random keys, for the bankers of the ledger, and for what this node pins; some seconds.
Chances are by formula, as if all members that are there were honest. Who answers may lie: a report
without alarms proves nothing, one with alarms tells where to look. docs/sybil.md explains the rest.
${examples('chorale sybil report', '', 'chorale sybil report --json', 'for programs, with every number')}`,
    )
    .action(
      cli.action(async () => {
        const host = await cli.connect()
        const report = await host.sybil.report({ signal: cli.signal })
        cli.print('sybil-report', report, describe(cli, report))
        return 0
      }),
    )
}

function describe(cli: Cli, report: SybilReport): string {
  const { placement, density, groups, committee, unanswered, advice } = report
  const alarms = density.filter(({ alarm }) => alarm)
  const dense = density.reduce((least, each) => Math.min(least, each.chance), 1)
  const calm = `${format.some(density.length, 'place')} looked at; the densest is so by chance with ${percent(dense)}`
  const colour = { alarm: 'red', weak: 'yellow', fine: 'green' } as const
  return [
    format.facts([
      ['placement', placement],
      ['members', sizeLine(report)],
      ['density', density.length === 0 ? 'too few members for crowds to be told from neighbours' : calm],
      ...alarms.map(({ name, members, chance: by }): [string, string] => [
        '  alarm',
        cli.paint('red', `${format.some(members, 'member')}, ${name}: by chance with ${percent(by)}`),
      ]),
      ['addresses', addressLine(report)],
      ['yours', groups.mine === 0 ? 'nothing is pinned here: chorale pin REF' : heldLine(report)],
      ['committee', committee.seats === 0 ? 'no ledger' : seatLine(committee)],
      ['unanswered', unanswered > 0 ? format.some(unanswered, 'question') : undefined],
    ]),
    '',
    groupTable(report),
    ...(committee.seats === 0 ? [] : ['', committeeTable(committee)]),
    '',
    ...advice.map(({ kind, text }) => `${cli.paint(colour[kind], kind.padEnd(5))}  ${format.plain(text)}`),
  ].join('\n')
}

function sizeLine({ size }: SybilReport): string {
  if (size.exact && size.members === 1) return 'this node alone'
  if (size.exact) return `${format.count(size.members)}, all known`
  const interval = `${format.count(size.low)} to ${format.count(size.high)} with 95 %`
  return `about ${format.count(size.members)} (${interval})`
}

function addressLine({ addresses }: SybilReport): string {
  const { seen, parties, most, block, kind } = addresses
  if (seen === 0) return 'nobody was seen'
  if (parties === 1) return `${format.some(seen, 'member')} seen, all at ${block} (${kind})`
  return `${format.some(seen, 'member')} seen, at ${format.some(parties, 'block')}; ${most} at ${block}`
}

function heldLine({ groups, addresses }: SybilReport): string {
  const { mine, held } = groups
  const whole = `${format.some(mine, 'group')} of what is pinned here`
  return addresses.parties <= 1 ? whole : `${whole}; of ${held} one block of addresses is the majority`
}

function seatLine({ seats, tolerated, seated, located, concentration }: SybilReport['committee']): string {
  const where = located === 0 ? '' : `; ${concentration.most} of ${located} located at ${concentration.block}`
  return `${format.some(seats, 'seat')}, of which ${tolerated} may lie${where}${seated ? '; one is yours' : ''}`
}

function groupTable({ groups }: SybilReport): string {
  const [first] = groups.risks
  const sizes = first?.captured.map(({ copies }) => `majority of ${copies}`) ?? []
  return format.columns([
    ['attacker at', 'owns a key', ...sizes],
    ...groups.risks.map(({ addresses, owned, captured }) => [
      addresses === 1 ? '1 address' : `${addresses} blocks`,
      percent(owned),
      ...captured.map((each) => percent(each.chance)),
    ]),
  ])
}

function committeeTable({ seats, risks }: SybilReport['committee']): string {
  return format.columns([
    ['bankers that lie', `${format.some(seats, 'seat')}: broken`, 'owned'],
    ...risks.map(({ liars, broken, owned }) => [`${Math.round(liars * 100)} %`, percent(broken), percent(owned)]),
  ])
}
