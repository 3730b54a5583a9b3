/** `chorale job result`. */
import { resolve } from 'node:path'
import { Command } from 'commander'
import type { RemoteHost } from '../../api/client.ts'
import { ChoraleError } from '../../core/errors.ts'
import type { JobView } from '../../mapreduce/types.ts'
import type { Cli } from '../cli.ts'
import { EXIT } from '../exit.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { Landing } from '../local-files.ts'
import { counted } from '../transfer.ts'
import { duration } from '../values.ts'
import { showProgress } from '../view.ts'
import { follow, printResult, requireJob } from './job.ts'
import { isOver } from './over.ts'
import { outputOf } from './own.ts'

interface Options {
  readonly wait?: boolean
  readonly output?: string
  readonly force?: boolean
  readonly timeout?: number
}

export function resultCommand(cli: Cli): Command {
  return new Command('result')
    .description('print the value of a job that is done, or write it to a file; it is kept for a day after the end')
    .argument('<job>', 'its id; a unique beginning is enough')
    .option('-o, --output <file>', 'write it there: the value as JSON; what a keyed job has made as it is')
    .option('--force', 'replace that file')
    .option('--wait', 'wait until it is done')
    .option('--timeout <time>', 'wait at most this long; the job goes on', duration('--timeout'))
    .addHelpText(
      'after',
      examples(
        'chorale job result bafyreib3k2',
        '',
        'chorale job result bafyreib3k2 --timeout 5m',
        '',
        'chorale job result bafyreib3k2 -o value.json',
        '',
      ),
    )
    .action(cli.action((id: string, options: Options) => result(cli, id, options)))
}

async function result(cli: Cli, prefix: string, options: Options): Promise<number> {
  const { output, force = false } = options
  if (output === '-') throw new ChoraleError('usage', 'without -o the value goes to stdout')
  if (output === undefined && force) throw new ChoraleError('usage', '--force replaces a file: add -o FILE')
  // A file that may not be replaced is no surprise for the end of a long wait.
  await using landing = output === undefined ? undefined : await Landing.at(resolve(output), force)
  const host = await cli.connect()
  const job = await ended(cli, host, prefix, options)
  if (!landing || job.state !== 'succeeded') return printResult(cli, job)
  let bytes = 0
  await landing.file(
    '',
    counted(await contentOf(cli, host, job), (count) => {
      bytes = count
    }),
  )
  await landing.finish()
  cli.print('result-file', { job: job.id, path: landing.target, bytes }, '')
  cli.note(`${landing.target}: ${format.some(bytes, 'byte')}`)
  return EXIT.ok
}

/** The job when it is over. Rejects with `wait-timeout` when it is not, and nobody wants to wait for it. */
async function ended(cli: Cli, host: RemoteHost, prefix: string, options: Options): Promise<JobView> {
  const job = await requireJob(cli, host, prefix)
  if (isOver(job)) return job
  if (!options.wait && options.timeout === undefined) {
    const done = format.percent(job.tasks.done, job.tasks.total)
    throw new ChoraleError('wait-timeout', `the job is ${job.state}, ${done} done: add --wait to wait for it`)
  }
  const view = showProgress(cli)
  try {
    const onView = (now: typeof job) => view.update(now)
    return await follow(cli, host, job.id, { timeoutMs: options.timeout, onView })
  } finally {
    view.end()
  }
}

async function contentOf(cli: Cli, host: RemoteHost, { id, value }: JobView): Promise<AsyncIterable<Uint8Array>> {
  const { signal } = cli
  const spec = await host.jobs.spec(id, { signal })
  const output = spec?.partitions === undefined ? undefined : outputOf(value)
  if (output !== undefined) return host.store.cat(output, { signal })
  return once(Buffer.from(`${JSON.stringify(value ?? null)}\n`))
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
