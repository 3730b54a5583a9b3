/** `chorale job show`. */
import { Command } from 'commander'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { purchaseFacts } from '../market-text.ts'
import { purchaseOf } from './buy.ts'
import { jobFacts } from './facts.ts'
import { requireJob } from './job.ts'

export function showCommand(cli: Cli): Command {
  return new Command('show')
    .description(
      'show one job, wherever in the network it was submitted: why it waits, or why it failed and what to do; of one that was' +
        ' bought through this node, what it cost. Jobs are known for a day after their end',
    )
    .argument('<job>', 'its id; a unique beginning is enough')
    .addHelpText('after', examples('chorale job show bafyreib3k2', ''))
    .action(
      cli.action(async (id: string) => {
        const host = await cli.connect()
        const job = await requireJob(cli, host, id)
        const purchase = await purchaseOf(host, job.id, cli.signal)
        const bought = purchase ? `\n${format.facts(purchaseFacts(cli, purchase))}` : ''
        cli.print('job', { ...job, ...(purchase && { purchase }) }, `${jobFacts(cli, job, purchase)}${bought}`)
        return 0
      }),
    )
}
