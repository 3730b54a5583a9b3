/** `chorale job watch`. */
import { Command } from 'commander'
import type { Cli } from '../cli.ts'
import { exitCodeOfJob } from '../exit.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { duration } from '../values.ts'
import { showProgress } from '../view.ts'
import { followPurchase, printBought, purchaseOf } from './buy.ts'
import { follow, printResult, requireJob } from './job.ts'

export function watchCommand(cli: Cli): Command {
  return new Command('watch')
    .description('follow a job until it is done; leaving does not stop it')
    .argument('<job>', 'its id; a unique beginning is enough')
    .option('--timeout <time>', 'give up after this long; the job goes on', duration('--timeout'))
    .addHelpText(
      'after',
      examples(
        'chorale job watch bafyreib3k2',
        '',
        'chorale job watch bafyreib3k2 --json',
        'every change, one per line',
      ),
    )
    .action(cli.action((id: string, { timeout }: { timeout?: number }) => watch(cli, id, timeout)))
}

async function watch(cli: Cli, prefix: string, timeoutMs: number | undefined): Promise<number> {
  const host = await cli.connect()
  const job = await requireJob(cli, host, prefix)
  const { id } = job
  const isBought = (await purchaseOf(host, id, cli.signal)) !== undefined
  if (cli.flags.json) {
    const end = await follow(cli, host, id, { timeoutMs, onView: (job) => cli.emit('job', job) })
    return exitCodeOfJob(end.state)
  }
  cli.note(`job ${format.shortId(id)}`)
  const view = showProgress(cli)
  try {
    if (isBought) {
      const { end, purchase } = await followPurchase(cli, host, job, { view, timeoutMs })
      view.end()
      return printBought(cli, end, purchase)
    }
    const end = await follow(cli, host, id, { timeoutMs, onView: (now) => view.update(now) })
    view.end()
    return printResult(cli, end)
  } finally {
    view.end()
  }
}
