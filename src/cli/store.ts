/** `chorale store stat`: what this node keeps. */
import { Command } from 'commander'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'

export function storeCommand(cli: Cli): Command {
  const stat = new Command('stat')
    .description('show what the block store of the running node holds')
    .addHelpText('after', examples('chorale store stat', '', 'chorale store stat -v', 'with all counters'))
    .action(
      cli.action(async () => {
        const store = await (await cli.connect()).store.stat({ signal: cli.signal })
        const { blocks, bytes, capacityBytes, full, pins, cachedBytes, counters } = store
        const counted = Object.entries(counters).filter(([, times]) => times > 0)
        const text = format.facts([
          ['blocks', format.count(blocks)],
          [
            'bytes',
            `${format.bytes(bytes)} of ${format.bytes(capacityBytes)}, ${format.percent(bytes, capacityBytes)}`,
          ],
          ['state', full ? cli.paint('red', 'full: new blocks are refused') : cli.paint('green', 'has room')],
          ['pins', format.count(pins)],
          ['cached', format.bytes(cachedBytes)],
          [
            'counters',
            cli.flags.verbose > 0 ? counted.map(([name, times]) => `${name} ${times}`).join(', ') || 'none' : undefined,
          ],
        ])
        cli.print('store', store, text)
        return 0
      }),
    )
  return new Command('store')
    .description('the block store of the running node: stat')
    .addHelpText('after', examples('chorale store stat', ''))
    .addCommand(stat)
}
