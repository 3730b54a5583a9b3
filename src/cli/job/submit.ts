/** `chorale job submit`. */
import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import { Command } from 'commander'
import type { RemoteHost } from '../../api/client.ts'
import { ChoraleError } from '../../core/errors.ts'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { duration } from '../values.ts'
import { showProgress } from '../view.ts'
import { follow, printResult } from './job.ts'
import { jobFile, type ModuleOptions, moduleOptions, paramsOf } from './own.ts'
import { plan } from './plan.ts'

interface Options extends ModuleOptions {
  readonly dryRun?: boolean
  readonly wait?: boolean
  readonly timeout?: number
}

export function submitCommand(cli: Cli): Command {
  const command = new Command('submit').description('submit a job through the running node')
  return moduleOptions(command)
    .option('--dry-run', 'submit nothing: tell how many tasks it has and where they would go, as chorale job plan does')
    .option('--wait', 'stay until it is done, and print the result')
    .option('--timeout <time>', 'with --wait: give up waiting after this long; the job goes on', duration('--timeout'))
    .addHelpText(
      'after',
      examples(
        'chorale job submit builtin:pi --samples 1e9 --seed 42 --wait',
        '',
        'chorale job submit birthdays.ts --param people=23 --wait',
        'a job of your own',
        'chorale job submit builtin:wordcount --input bafybeib3k2... --wait',
        'over a file in the store; its value names the output, for chorale cat',
      ),
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
  const params = paramsOf(module, options)
  const host = await cli.connect()
  const { code, explain } = module.startsWith('builtin:')
    ? ({ code: module } as Added)
    : await addCode(cli, host, module)
  const { input, seed = randomInt(2 ** 32) } = options
  const request = { module: code, params, seed, ...(input !== undefined && { input }) }
  const job = await host.jobs.submit(request, { signal: cli.signal }).catch((error: unknown) => {
    throw explain ? explain(error) : error
  })
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

interface Added {
  readonly code: string
  /** An error with the places of the user's own files. */
  readonly explain?: (error: unknown) => unknown
}

/** Puts the code of a file into the overlay, from where the hosts that run it get it by its CID. */
async function addCode(cli: Cli, { store }: RemoteHost, path: string): Promise<Added> {
  await jobFile(path)
  const { bundleJob, inOwnFiles } = await import('../../job-file.ts')
  const { code, map } = await bundleJob(resolve(path))
  const { cid } = await store.addFile(oncePiece(code), { pin: false, signal: cli.signal })
  return { code: cid, explain: (error) => inOwnFiles(error, map) }
}

async function* oncePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
