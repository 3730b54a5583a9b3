/** `chorale job submit`. */
import { Command } from 'commander'
import { ChoraleError } from '../../core/errors.ts'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { duration } from '../values.ts'
import { showProgress } from '../view.ts'
import { type BuyOptions, buy } from './buy.ts'
import { follow, printResult } from './job.ts'
import { type ModuleOptions, moduleOptions } from './own.ts'
import { plan } from './plan.ts'
import { askedFor } from './request.ts'
import { paidTerms, termsOptions } from './terms.ts'

interface Options extends ModuleOptions, BuyOptions {
  readonly dryRun?: boolean
}

export function submitCommand(cli: Cli): Command {
  const command = new Command('submit').description('submit a job through the running node')
  return termsOptions(moduleOptions(command))
    .option('--dry-run', 'submit nothing: tell how many tasks it has and where they would go, as chorale job plan does')
    .option('--wait', 'stay until it is done, and print the result')
    .option('--timeout <time>', 'with --wait: give up waiting after this long; the job goes on', duration('--timeout'))
    .addHelpText(
      'after',
      `${examples(
        'chorale job submit builtin:pi --samples 1e9 --seed 42 --wait',
        '',
        'chorale job submit birthdays.ts --param people=23 --wait',
        'a job of your own',
        'chorale job submit builtin:wordcount --input bafybeib3k2... --wait',
        'over a file in the store; its value names the output, for chorale cat',
        'chorale job submit builtin:pi --samples 1e9 --max-cost 2 --wait',
        'bought from the market, for 2 credits at most; docs/market.md',
      )}

With --max-cost a quote comes first, and --wait ends when all is checked and paid. Exit codes then, too:
6 not placed or done by its deadline, 7 credits, 9 a supplier was convicted of cheating: do not trust the result`,
    )
    .action(cli.action((module: string, options: Options) => submit(cli, module, options)))
}

async function submit(cli: Cli, module: string, options: Options): Promise<number> {
  if (options.timeout !== undefined && !options.wait) {
    throw new ChoraleError('usage', '--timeout is for waiting: add --wait')
  }
  if (options.dryRun) {
    if (options.wait) throw new ChoraleError('usage', '--dry-run submits nothing to wait for: leave out --wait')
    return plan(cli, module, options)
  }
  const terms = await paidTerms(options)
  const asked = await askedFor(cli, module, options)
  if (terms) return buy(cli, asked, terms, options)
  const { host, run } = asked
  const job = await run((request) => host.jobs.submit(request, { signal: cli.signal }))
  if (!options.wait) {
    cli.print('job', job, job.id)
    cli.note(`follow it with chorale job watch ${format.shortId(job.id)}${cli.at}`)
    return 0
  }
  cli.note(`job ${job.id}: ${format.jobTitle(job)}`)
  const view = showProgress(cli)
  try {
    const end = await follow(cli, host, job.id, { timeoutMs: options.timeout, onView: (now) => view.update(now) })
    view.end()
    return printResult(cli, end)
  } finally {
    view.end()
  }
}
