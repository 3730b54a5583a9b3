/** `chorale job plan`, and `chorale job submit --dry-run`. */
import { randomInt } from 'node:crypto'
import { resolve } from 'node:path'
import { Command } from 'commander'
import type { RemoteHost } from '../../api/client.ts'
import type { JobPlacement, JobRequest, PlannedJob } from '../../mapreduce/types.ts'
import type { Cli } from '../cli.ts'
import * as format from '../format.ts'
import { examples } from '../help.ts'
import { describeQuote } from '../market-text.ts'
import { jobFile, type ModuleOptions, moduleOptions, paramsOf } from './own.ts'
import { askedFor } from './request.ts'
import { paidTerms, type TermsOptions, termsOptions } from './terms.ts'

type JobPlan = PlannedJob['plan']
type FileSize = NonNullable<Parameters<typeof import('../../job-replay.ts').planBuiltin>[2]>

export interface PlanOptions extends ModuleOptions, TermsOptions {
  readonly input?: string
}

export function planCommand(cli: Cli): Command {
  const command = new Command('plan').description(
    'tell how many tasks a job has and where they would go; submits nothing',
  )
  return termsOptions(moduleOptions(command))
    .addHelpText(
      'after',
      examples(
        'chorale job plan builtin:pi --samples 1e9',
        '',
        'chorale job plan birthdays.ts --param people=23',
        'a job of your own',
        'chorale job plan builtin:pi --samples 1e9 --max-cost 2',
        'and what it would cost',
      ),
    )
    .action(cli.action((module: string, options: PlanOptions) => plan(cli, module, options)))
}

export async function plan(cli: Cli, module: string, options: PlanOptions): Promise<number> {
  const { input } = options
  const terms = await paidTerms(options)
  const request: JobRequest = {
    ...{ module, params: paramsOf(module, options), seed: options.seed ?? randomInt(2 ** 32) },
    ...(input !== undefined && { input }),
  }
  const host = await cli.connect()
  await host.status({ signal: cli.signal }) // without a node there is no place for tasks, and no need to look at the job
  const file = input === undefined ? undefined : await sizeOf(cli, host, input)
  const { plan, codeBytes } = await planOf(cli, request, file)
  // What the store would call the code of a file is not known before it is there, and does not matter here.
  const named = codeBytes === undefined ? request : { ...request, module: 'file' }
  // Who does a job that is bought is not known before it has contracts.
  const placement = terms ? null : await host.jobs.place({ request: named, plan }, { signal: cli.signal })
  const { name, params, tasks, engine } = plan
  const fields = { ...request, name, params, tasks: { total: tasks }, engine, codeBytes: codeBytes ?? null, placement }
  const facts = planFacts({ ...plan, seed: request.seed }, codeBytes, placement)
  if (terms) {
    const { verify, when, maxCost } = terms
    const { run } = await askedFor(cli, module, { ...options, seed: request.seed })
    const quote = await run((request) => host.market.quote({ request, verify, when }, { signal: cli.signal }))
    cli.print('plan', { ...fields, quote }, `${facts}\n\n${describeQuote(quote, maxCost)}`)
  } else cli.print('plan', fields, facts)
  const places = 'each submission has places of its own, and idle hosts take tasks from busy ones'
  cli.note(terms ? 'nothing was submitted' : `nothing was submitted; ${places}`)
  return 0
}

async function sizeOf(cli: Cli, { store }: RemoteHost, cid: string): Promise<FileSize> {
  let bytes = 0
  let blocks = 0
  for await (const leaf of store.leaves(cid, { signal: cli.signal })) {
    bytes += leaf.bytes
    blocks++
  }
  return { cid, bytes, blocks }
}

async function planOf(
  cli: Cli,
  { module, params, seed }: JobRequest,
  file: FileSize | undefined,
): Promise<{ plan: JobPlan; codeBytes?: number }> {
  if (module.startsWith('builtin:')) {
    const { planBuiltin } = await import('../../job-replay.ts')
    return { plan: await planBuiltin(module, params, file) }
  }
  await jobFile(module)
  const { planJobFile } = await import('../../job-file.ts')
  return await planJobFile({ file: resolve(module), params, seed, cores: 1 }, file, { signal: cli.signal })
}

function planFacts(
  job: JobPlan & { seed: number },
  codeBytes: number | undefined,
  placement: JobPlacement | null,
): string {
  const facts: Array<[string, string]> = [
    ['job', format.jobTitle(job)],
    ['tasks', `${format.count(job.tasks)}${placement ? `, in ${format.some(placement.segments, 'group')}` : ''}`],
    ['engine', job.engine],
    ['code', codeBytes === undefined ? 'in the package' : format.bytes(codeBytes)],
  ]
  if (!placement) return format.facts([...facts, ['hosts', 'of others, with a contract; this account checks only']])
  const { segments, sampled, hosts, lending } = placement
  const counted = hosts.reduce((sum, { tasks }) => sum + tasks, 0)
  const exact = sampled === segments
  const places = hosts.map(({ peer, address, tasks }) => [
    format.shortPeer(peer),
    address,
    exact ? format.some(tasks, 'task') : `about ${format.count(Math.round((tasks / counted) * job.tasks))} tasks`,
  ])
  const { asked, cores, busy } = lending
  const lent = `${cores} cores by ${lending.hosts} of ${format.some(asked, 'host')} asked, ${busy} of them at work`
  return [
    format.facts([...facts, ['lent', lent]]),
    '',
    format.columns([
      ['HOST', 'ADDRESS', exact ? 'TASKS' : `TASKS (from ${sampled} of ${format.count(segments)} groups)`],
      ...places,
    ]),
  ].join('\n')
}
