/** `chorale ledger status|verify`: how the ledger is, and an audit of all that this node has of it. */
import { Command } from 'commander'
import type { LedgerBody } from '../api/ledger-views.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { credits, short } from './ledger-text.ts'

export function ledgerCommand(cli: Cli): Command {
  return new Command('ledger')
    .description('the books of the network: status')
    .addHelpText('after', examples('chorale ledger status', ''))
    .addCommand(statusCommand(cli))
}

function statusCommand(cli: Cli): Command {
  return new Command('status')
    .description('show height, view, epoch, committee, your seat, supply, and whether it stands still')
    .addHelpText('after', examples('chorale ledger status', '', 'chorale ledger status --json', 'for programs'))
    .action(
      cli.action(async () => {
        const { ledger } = await cli.connect()
        const status = await ledger.status({ signal: cli.signal })
        cli.print('ledger', status, describe(cli, status))
        return 0
      }),
    )
}

function describe(cli: Cli, status: LedgerBody): string {
  const { height, view, epoch, blockTimeMs, committee, seat, supply, minted, burnt, accounts, pending, lag } = status
  const tolerated = Math.floor((committee.length - 1) / 3)
  const { halted } = status
  return format.facts([
    ['state', halted === null ? cli.paint('green', 'well') : cli.paint('red', `stands still: ${format.plain(halted)}`)],
    ['height', `${format.count(height)}, ${format.instant(blockTimeMs)}`],
    ['lag', lag > 0 ? `${format.some(lag, 'block')} behind what it has heard of` : undefined],
    ['epoch', `${format.count(epoch)}, view ${format.count(view)}`],
    [
      'committee',
      `${format.some(committee.length, 'seat')}, of which ${tolerated} may lie: ${committee.map(short).join(' ')}`,
    ],
    ['your seat', seat === null ? 'none: this node follows' : `${seat}`],
    [
      'supply',
      `${credits(supply)} in ${format.some(accounts, 'account')}; ${credits(minted)} made, ${credits(burnt)} burnt`,
    ],
    ['waiting', pending > 0 ? format.some(pending, 'operation') : undefined],
    ['network', status.network],
  ])
}
