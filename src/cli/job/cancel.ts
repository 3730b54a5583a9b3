/** `chorale job cancel`. */
import { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { examples } from '../help.ts'

export function cancelCommand(cli: Cli): Command {
  return new Command('cancel')
    .description('cancel a job that this node submitted')
    .argument('<job>', 'its id; a unique beginning is enough')
    .addHelpText('after', examples('chorale job cancel bafyreib3k2', ''))
    .action(
      cli.action(async (id: string) => {
        const job = await (await cli.connect()).jobs.cancel(id)
        cli.print('job', job, `${job.state}: ${job.reason}`)
        return 0
      }),
    )
}
