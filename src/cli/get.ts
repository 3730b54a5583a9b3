/** `chorale get`: a file or directory of the overlay onto this machine's disk, all of it or nothing. */
import { resolve } from 'node:path'
import { Command } from 'commander'
import { ChoraleError } from '../core/errors.ts'
import type { Cli } from './cli.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { defaultTarget, Landing } from './local-files.ts'
import { counted, showTransfer } from './transfer.ts'

interface Options {
  readonly output?: string
  readonly force?: boolean
}

export function getCommand(cli: Cli): Command {
  return new Command('get')
    .description('write a file or directory of the overlay to disk')
    .argument('<ref>', 'CID, or CID/path in a directory')
    .option('-o, --output <path>', 'its name here (default: the last part of the ref)')
    .option('--force', 'replace what has that name')
    .addHelpText('after', examples('chorale get CID -o photos', '', 'chorale get CID/docs/a.txt', 'makes a.txt'))
    .action(cli.action((ref: string, options: Options) => get(cli, ref, options)))
}

async function get(cli: Cli, ref: string, { output, force = false }: Options): Promise<number> {
  if (output === '-') throw new ChoraleError('usage', 'get writes files: chorale cat writes to stdout')
  const { store } = await cli.connect()
  await using landing = await Landing.at(resolve(output || defaultTarget(ref)), force)
  let files = 0
  let done = 0
  let view: ReturnType<typeof showTransfer> | undefined
  try {
    for await (const { path, kind, bytes, content } of store.walk(ref, { signal: cli.signal })) {
      // Nobody knows how large a directory is before all of it has been seen.
      view ??= showTransfer(cli, { verb: 'got', totalBytes: kind === 'file' ? bytes : undefined })
      if (!content) await landing.directory(path)
      else {
        const before = done
        const count = (got: number) => view?.update((done = before + got))
        await landing.file(path, counted(content, count))
        files++
      }
    }
    await landing.finish()
  } finally {
    view?.end()
  }
  cli.print('got', { path: landing.target, bytes: done, files }, '')
  cli.note(`${landing.target}: ${format.some(files, 'file')}, ${format.bytes(done)}`)
  return 0
}
