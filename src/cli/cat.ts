/** `chorale cat`: a file of the overlay to stdout. */
import { Command } from 'commander'
import type { Cli } from './cli.ts'
import { examples } from './help.ts'
import { bytes } from './values.ts'

interface Options {
  readonly offset?: number
  readonly length?: number
}

export function catCommand(cli: Cli): Command {
  return new Command('cat')
    .description('write a file of the overlay to stdout')
    .argument('<ref>', 'CID, or CID/path in a directory')
    .option('--offset <bytes>', 'leave out so much of its beginning', bytes('--offset', { min: 0, example: '1MiB' }))
    .option('--length <bytes>', 'and write at most so much', bytes('--length', { min: 0, example: '64KiB' }))
    .addHelpText(
      'after',
      examples('chorale cat CID > copy.txt', '', 'chorale cat CID/docs/a.txt --offset 1MiB --length 64KiB', ''),
    )
    .action(
      cli.action(async (ref: string, { offset, length }: Options) => {
        const { store } = await cli.connect()
        for await (const piece of store.cat(ref, { offset, length, signal: cli.signal }))
          await cli.terminal.write(piece)
        return 0
      }),
    )
}
