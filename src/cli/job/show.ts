/** `chorale job show`. */
import { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { examples } from '../help.ts'
import { jobFacts } from './facts.ts'
import { requireJob } from './job.ts'

export function showCommand(cli: Cli): Command {
  return new Command('show')
    .description(
      'show one job, wherever in the network it was submitted: why it waits, or why it failed and what to do. Jobs are' +
        ' known for a day after their end',
    )
    .argument('<job>', 'its id; a unique beginning is enough')
    .addHelpText('after', examples('chorale job show bafyreib3k2', ''))
    .action(
      cli.action(async (id: string) => {
        const job = await requireJob(cli, await cli.connect(), id)
        cli.print('job', job, jobFacts(cli, job))
        return 0
      }),
    )
}
