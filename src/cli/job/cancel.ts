/** `chorale job cancel`. */
import { Command } from 'commander'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { purchaseOf } from './buy.ts'

export function cancelCommand(cli: Cli): Command {
  return new Command('cancel')
    .description('cancel a job that this node submitted')
    .argument('<job>', 'its id; a unique beginning is enough')
    .addHelpText('after', examples('chorale job cancel bafyreib3k2', ''))
    .action(
      cli.action(async (id: string) => {
        const host = await cli.connect()
        const job = await host.jobs.cancel(id)
        const purchase = await purchaseOf(host, job.id, cli.signal)
        cli.print('job', { ...job, ...(purchase && { purchase }) }, `${job.state}: ${job.reason}`)
        if (purchase) {
          const paid = 'what suppliers have committed to is still checked and paid, the rest comes back'
          cli.note(`${paid}: chorale job show ${format.shortId(job.id)}${cli.at}`)
        }
        return 0
      }),
    )
}
