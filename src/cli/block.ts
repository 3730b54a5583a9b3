/** `chorale block stat`: who holds a block. */
import { Command } from 'commander'
import type { BlockView } from '../api/routes.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'

export function blockCommand(cli: Cli): Command {
  const stat = new Command('stat')
    .description('show who holds a block, and whether it has as many copies as it should')
    .argument('<ref>', 'CID, or CID/path in a directory')
    .addHelpText('after', examples('chorale block stat CID', ''))
    .action(
      cli.action(async (ref: string) => {
        const block = await (await cli.connect()).store.block(ref, { signal: cli.signal })
        cli.print('block', block, describe(cli, block))
        return 0
      }),
    )
  return new Command('block')
    .description('single blocks: stat')
    .addHelpText('after', examples('chorale block stat CID', ''))
    .addCommand(stat)
}

function describe(cli: Cli, { cid, bytes, copies, wanted, holders }: BlockView): string {
  const health = copies >= wanted ? cli.paint('green', 'whole') : cli.paint('yellow', 'too few: repair makes more')
  const rows = holders.map(({ peer, address, role, holds, expiresAtMs }) => [
    address,
    format.shortPeer(peer),
    role,
    holds ? 'holds it' : holds === undefined ? 'does not answer' : 'lacks it',
    expiresAtMs === undefined ? '-' : `until ${format.instant(expiresAtMs)}`,
  ])
  return [
    format.facts([
      ['block', cid],
      ['size', format.bytes(bytes)],
      ['copies', `${copies} of ${wanted}, ${health}`],
    ]),
    format.columns([['HOST', 'PEER', 'ROLE', 'STATE', 'LEASE'], ...rows]),
  ].join('\n')
}
