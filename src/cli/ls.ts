/** `chorale ls`: what a directory of the overlay holds. */
import { Command } from 'commander'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'

export function lsCommand(cli: Cli): Command {
  return new Command('ls')
    .description('list a directory of the overlay: CID, bytes and name of each entry')
    .argument('<ref>', 'CID, or CID/path in a directory')
    .addHelpText('after', examples('chorale ls CID', '', 'chorale ls CID/docs --json', 'one entry per line'))
    .action(
      cli.action(async (ref: string) => {
        const { store } = await cli.connect()
        for await (const entry of store.ls(ref, { signal: cli.signal })) {
          const { name, cid, kind, bytes } = entry
          const mark = { file: '', directory: '/', symlink: '@' }[kind]
          const size = bytes === undefined ? '-' : `${bytes}`
          cli.print('entry', entry, `${cid}  ${size.padStart(12)}  ${format.safeName(name)}${mark}`)
        }
        return 0
      }),
    )
}
