/** `chorale job list`. */
import { Command } from 'commander'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { purchaseOf } from './buy.ts'

export function listCommand(cli: Cli): Command {
  return new Command('list')
    .description('list the jobs that this node submitted, works on or keeps records of, newest first')
    .addHelpText('after', examples('chorale job list', '', 'chorale job list --json', 'one job per line'))
    .action(
      cli.action(async () => {
        const host = await cli.connect()
        const jobs = await host.jobs.list()
        if (cli.flags.json) {
          for (const job of jobs) {
            const key = (await purchaseOf(host, job.id, cli.signal))?.key
            cli.emit('job', { ...job, ...(key !== undefined && { key }) })
          }
          return 0
        }
        if (jobs.length === 0) {
          cli.note('no jobs yet; try chorale job submit builtin:pi --samples 1e9')
          return 0
        }
        const now = Date.now()
        const rows = jobs.map((job) => [
          format.shortId(job.id),
          job.state,
          format.share(job.tasks),
          `${format.span(now - job.submittedAtMs)} ago`,
          format.value(job.value) ?? (job.estimate === undefined ? '-' : `about ${format.value(job.estimate)}`),
          format.jobTitle(job),
        ])
        cli.terminal.out(`${format.columns([['JOB', 'STATE', 'DONE', 'SUBMITTED', 'VALUE', 'WORK'], ...rows])}\n`)
        return 0
      }),
    )
}
