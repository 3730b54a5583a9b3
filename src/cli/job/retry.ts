/** `chorale job retry`. */
import { Command } from 'commander'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { requireJob } from './job.ts'

export function retryCommand(cli: Cli): Command {
  return new Command('retry')
    .description('submit a job that failed or was cancelled once more, as a new job of this node, and print its id')
    .argument(
      '<job>',
      'its id; a unique beginning is enough. Whoever submitted it: module, parameters and seed are the same',
    )
    .option(
      '--as-own',
      "of a job of others: sign its code as your own, so that your node runs it also where it runs no stranger's",
    )
    .addHelpText('after', examples('chorale job retry bafyreib3k2', ''))
    .action(
      cli.action(async (prefix: string, { asOwn = false }: { asOwn?: boolean }) => {
        const host = await cli.connect()
        const { id } = await requireJob(cli, host, prefix)
        const job = await host.jobs.retry(id, { signal: cli.signal, asOwn })
        cli.print('job', { ...job, retryOf: id }, job.id)
        cli.note(`follow it with chorale job watch ${format.shortId(job.id)}${cli.at}`)
        return 0
      }),
    )
}
