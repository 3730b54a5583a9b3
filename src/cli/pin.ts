/** `chorale pin`: what this node keeps alive. */
import { Command } from 'commander'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'

export function pinCommand(cli: Cli): Command {
  return new Command('pin')
    .description('keep a file or directory alive beyond its lease; without a CID: list what is pinned')
    .argument('[ref]', 'CID, or CID/path in a directory')
    .addHelpText('after', examples('chorale pin CID', '', 'chorale pin', 'what this node has pinned'))
    .action(cli.action((ref: string | undefined) => (ref === undefined ? list(cli) : pin(cli, ref))))
}

async function pin(cli: Cli, ref: string): Promise<number> {
  const pinned = await (await cli.connect()).store.pin(ref, { signal: cli.signal })
  cli.print('pin', pinned, pinned.cid)
  cli.note('  pinned: this node extends its leases as long as it runs')
  return 0
}

async function list(cli: Cli): Promise<number> {
  const pins = await (await cli.connect()).store.pins({ signal: cli.signal })
  for (const each of pins) {
    const flaw = each.missing > 0 ? `${format.some(each.missing, 'block')} lost` : each.problem
    const state = flaw ? cli.paint('red', flaw) : `extended ${format.instant(each.refreshedAtMs)}`
    cli.print('pin', each, `${each.cid}  ${state}`)
  }
  if (pins.length === 0) cli.note('nothing is pinned; chorale add pins what it adds')
  return 0
}
