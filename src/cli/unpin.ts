/** `chorale unpin`. */
import { Command } from 'commander'
import { ChoraleError } from '../core/errors.ts'
import type { Cli } from './cli.ts'
import { examples } from './help.ts'

export function unpinCommand(cli: Cli): Command {
  return new Command('unpin')
    .description('no longer keep a file or directory alive: it goes when its lease is over, unless others want it')
    .argument('<ref>', 'CID, or CID/path in a directory')
    .addHelpText('after', examples('chorale unpin CID', ''))
    .action(
      cli.action(async (ref: string) => {
        const unpinned = await (await cli.connect()).store.unpin(ref, { signal: cli.signal })
        if (!unpinned) throw new ChoraleError('not-found', `${ref} is not pinned here: chorale pin lists what is`)
        cli.print('unpinned', { ref }, '')
        cli.note('unpinned: it goes when its lease of 7 days is over, unless others want it')
        return 0
      }),
    )
}
