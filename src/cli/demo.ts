/**
 * `chorale demo`: a real overlay of separate processes on this machine, a job or a file on it, and nothing left behind.
 * With `--churn` some of the nodes are killed on the way, and the value is the same to the last bit.
 */
import { availableParallelism } from 'node:os'
import { Argument, Command } from 'commander'
import { ChoraleError } from '../core/errors.ts'
import type { JobView, Json } from '../mapreduce/types.ts'
import type { Cli, Terminal } from './cli.ts'
import type { Cluster } from './cluster.ts'
import type { DemoInput } from './demo-input.ts'
import { type DemoPayment, paymentOf, paymentRows } from './demo-payments.ts'
import { exitCodeOfJob } from './exit.ts'
import * as format from './format.ts'
import { examples } from './help.ts'
import { paramOption, samples, seed } from './job/own.ts'
import { integer, liveSpace, share } from './values.ts'
import { showProgress } from './view.ts'

/** When the nodes are killed: this share of the tasks is done. */
const CHURN_AT = 0.2

interface Options {
  readonly nodes: number
  readonly samples: number
  readonly seed: number
  readonly churn: number
  readonly space: string
  readonly keep?: boolean
  readonly file?: string
  readonly param: ReadonlyArray<[string, Json]>
}

const DEFAULTS = { samples: 1e9, seed: 42, space: 'ring' }

/** Sample jobs, and what has an option of its own. */
const OWN_OPTIONS: { readonly [what: string]: readonly string[] } = {
  pi: ['samples', 'churn'],
  search: ['param', 'churn'],
  sweep: ['param', 'churn'],
  wordcount: ['file', 'param', 'churn'],
  sort: ['file', 'param', 'churn'],
  kmeans: ['file', 'param', 'churn'],
  store: ['file'],
}

export function demoCommand(cli: Cli): Command {
  return new Command('demo')
    .description('start a few nodes on this machine, run a job on them or keep a file, and leave nothing behind')
    .addArgument(new Argument('[what]', 'what to run').choices(Object.keys(OWN_OPTIONS)).default('pi'))
    .option('--nodes <n>', 'processes to start', integer('--nodes', { min: 1, max: 64, example: '4' }), 4)
    .option('--samples <n>', 'random points for pi', samples, DEFAULTS.samples)
    .addOption(paramOption())
    .option('--seed <n>', 'the same seed and parameters give the same value to the last bit', seed, DEFAULTS.seed)
    .option(
      '--churn <share>',
      'kill about this share of the nodes on the way and start new ones',
      share('--churn', '0.3'),
      0,
    )
    .option('--file <file>', 'for store, wordcount, sort and kmeans: a file of yours (default: one that is made up)')
    .option(
      '--space <name>',
      'what the overlay lives in: ring, torus2..5 or cube2..5',
      liveSpace('--space'),
      DEFAULTS.space,
    )
    .option('--keep', 'leave the nodes running')
    .addHelpText(
      'after',
      examples(
        'chorale demo',
        'four nodes, 10^9 samples',
        'chorale demo pi --nodes 8 --samples 4e9 --churn 0.3',
        'kill and replace some of them',
        'chorale demo --space torus2',
        'the same on a torus instead of the ring',
        'chorale demo store --file photo.jpg',
        'keep a file through one node, read it through another',
        'chorale demo search --param text=hello --param bits=20',
        'a number whose SHA-256 begins with 20 zero bits',
        'chorale demo wordcount --file book.txt --churn 0.3',
        'how often each word is there',
        'chorale demo --json',
        'progress as NDJSON; the last line is the result',
      ),
    )
    .action(
      cli.action((what: string, options: Options, command: Command) => {
        const given = (name: string) => command.getOptionValueSource(name) === 'cli'
        const mine = OWN_OPTIONS[what] ?? []
        const stray = Object.values(OWN_OPTIONS)
          .flat()
          .find((name) => !mine.includes(name) && given(name))
        if (stray)
          throw new ChoraleError('usage', `--${stray} is not for demo ${what}, which has --${mine.join(' and --')}`)
        return demo(cli, what, options)
      }),
    )
}

async function demo(cli: Cli, what: string, options: Options): Promise<number> {
  if (options.churn > 0 && options.nodes < 2) {
    throw new ChoraleError('usage', '--churn needs nodes that survive: try --nodes 4')
  }
  const storing = what === 'store' ? await import('./demo-store.ts') : undefined
  const sample = await storing?.sampleOf(options)
  const input = await (await import('./demo-input.ts')).inputOf(what, options.file, options.seed)
  cli.note(`starting ${options.nodes} node${options.nodes > 1 ? 's' : ''} on this machine`)
  const { Cluster } = await import('./cluster.ts')
  let view: ReturnType<typeof showProgress> | undefined
  const tell = (text: string) => (view ? view.note(text) : cli.note(text))
  await using cluster = new Cluster({
    nodes: options.nodes,
    space: options.space,
    signal: cli.signal,
    onLoss: (index, how) => tell(`node ${index} ended by itself (${how})`),
  })
  try {
    await cluster.start()
    const upMs = performance.now()
    cli.note(
      `the ${options.space === 'ring' ? 'ring' : `overlay on ${options.space}`} of ${options.nodes} is up after ${format.span(upMs)}; its nodes listen at ${cluster.nodes.map(({ address }) => address).join(' ')}`,
    )
    if (storing && sample) {
      const report = await storing.demoStore(cli, cluster, sample)
      if (options.keep) keep(cli, cluster)
      return report()
    }
    const params = what === 'pi' ? { samples: options.samples } : Object.fromEntries(options.param)
    const cid = input && (await addInput(cli, cluster, input))
    const request = { module: `builtin:${what}`, params, seed: options.seed, ...(cid && { input: cid }) }
    const { id } = await cluster.submit(request)
    view = showProgress(cli)
    const churn = new Churn(cluster, options, tell)
    const end = await cluster.follow(id, (job) => {
      churn.consider(job)
      view?.update(job, cluster.nodes.length)
    })
    const elapsedMs = Math.round(performance.now())
    churn.jobIsOver()
    view.end()
    await churn.settled()
    const payment = await paymentOf(() => cluster.numbered, id, cli.signal)
    if (options.keep) keep(cli, cluster)
    return report(cli, what, end, options, { elapsedMs, upMs, killed: churn.killed, payment })
  } finally {
    view?.end()
  }
}

/** Returns its CID. */
async function addInput(cli: Cli, cluster: Cluster, { name, content }: DemoInput): Promise<string> {
  const [host] = cluster.hosts
  if (!host) throw new ChoraleError('no-node', 'all nodes of the demo have ended: run it again')
  // Not pinned: the overlay is gone before any lease is over.
  const { cid, blocks } = await host.store.addFile(content(), { pin: false, signal: cli.signal })
  cli.note(`added ${name}: ${format.some(blocks, 'block')}, ${cid}`)
  return cid
}

/** Kills and replaces nodes, once. */
class Churn {
  killed = 0
  readonly #cluster: Cluster
  readonly #options: Options
  readonly #tell: (text: string) => void
  #replacing: Promise<void> | undefined
  /** What the churn does is of no interest beside the result, unless the nodes stay. */
  #quiet = false

  constructor(cluster: Cluster, options: Options, tell: (text: string) => void) {
    this.#cluster = cluster
    this.#options = options
    this.#tell = tell
  }

  consider(job: JobView): void {
    const { churn, nodes } = this.#options
    if (churn === 0 || this.#replacing || job.state === 'succeeded') return
    if (job.tasks.done < job.tasks.total * CHURN_AT) return
    this.#replacing = this.#act(Math.max(1, Math.round(churn * nodes)))
    this.#replacing.catch(() => {}) // `settled` tells
  }

  async #act(count: number): Promise<void> {
    const { seededRandom } = await import('../core/random.ts')
    const gone = this.#cluster.kill(count, seededRandom(`churn ${this.#options.seed}`))
    this.killed = gone.length
    this.#tell(`killed node${gone.length > 1 ? 's' : ''} ${gone.join(', ')} (SIGKILL), starting ${gone.length} new`)
    const joined = await this.#cluster.replace(gone.length, (index, reason) => {
      if (!this.#quiet) this.#tell(`node ${index} did not start: ${reason}`)
    })
    if (joined > 0 && !this.#quiet) this.#tell(`${joined} new node${joined > 1 ? 's have' : ' has'} joined`)
  }

  jobIsOver(): void {
    this.#quiet = !this.#options.keep
  }

  /** New nodes that still start when the job is over are not worth waiting for, unless they stay. */
  async settled(): Promise<void> {
    if (this.#options.churn > 0 && !this.#replacing)
      this.#tell('the job was over before nodes could be killed: give it more to do')
    if (this.#options.keep) await this.#replacing
  }
}

interface Course {
  readonly elapsedMs: number
  readonly upMs: number
  readonly killed: number
  readonly payment: DemoPayment | undefined
}

function report(cli: Cli, what: string, job: JobView, options: Options, course: Course): number {
  const { elapsedMs, upMs, killed, payment } = course
  const { total, reassigned } = job.tasks
  const { nodes } = options
  const result = {
    job: job.id,
    status: job.state,
    value: job.value ?? null,
    ...(what === 'pi' && { samples: options.samples }),
    tasks: { total, reassigned },
    nodes,
    killed,
    elapsedMs,
    payment: payment ?? null,
    seed: options.seed,
  }
  if (job.state !== 'succeeded') {
    if (cli.flags.json) cli.emit('result', result)
    cli.terminal.err(`chorale: the job ${job.state}: ${format.safeName(job.reason)}\n`)
    return exitCodeOfJob(job.state)
  }
  const rate = options.samples / ((elapsedMs - upMs) / 1000)
  const perSecond = what === 'pi' ? `; ${format.count(Math.round(rate / 1e6))} million samples/s` : ''
  const value = cli.paint('bold', format.value(job.value) ?? '?')
  cli.print(
    'result',
    result,
    [
      what === 'pi' ? `pi = ${value}  (95 % interval)` : value,
      format.facts([
        what === 'pi'
          ? ['  samples', `${format.count(options.samples)}, seed ${options.seed}`]
          : ['  job', format.jobTitle(job)],
        ['  time', `${format.span(elapsedMs)}, ${format.span(upMs)} of it to start the nodes${perSecond}`],
        ['  tasks', `${format.count(total)}, ${format.count(reassigned)} reassigned`],
        ['  nodes', killed > 0 ? `${nodes}, ${killed} of them killed and replaced` : `${nodes}`],
        ...paymentRows(payment),
      ]),
    ].join('\n'),
  )
  const next = { what, churned: options.churn > 0, nodes, given: givenOf(what, options), space: options.space }
  cli.note(`\nNext:\n${nextSteps(cli.terminal.variables, next)}`)
  return 0
}

/** What decides the value, as it was typed: without it another demo would have another. */
function givenOf(what: string, { samples, seed, file, param }: Options): string {
  return [
    what === 'pi' && samples !== DEFAULTS.samples && `--samples ${samples}`,
    ...(what === 'pi' ? [] : param.map(([name, value]) => `--param '${name}=${JSON.stringify(value)}'`)),
    file !== undefined && `--file '${file}'`,
    seed !== DEFAULTS.seed && `--seed ${seed}`,
  ]
    .flatMap((option) => (option ? ` ${option}` : []))
    .join('')
}

interface Done {
  readonly what: string
  readonly churned: boolean
  /** How many there were. */
  readonly nodes?: number
  readonly given?: string
  readonly space?: string
}

/** What to try next, in words that work where the demo was started: a clone has no `chorale` on the path. */
export function nextSteps(
  variables: Terminal['variables'],
  { what, churned, nodes: had, given = '', space }: Done,
): string {
  const clone = variables.npm_lifecycle_event === 'demo' && variables.npm_package_name === 'chorale'
  const overlay = space === undefined || space === DEFAULTS.space ? '' : ` --space ${space}`
  const job = `${what === 'pi' ? '' : ` ${what}`}${overlay}${given}`
  const demo = `${clone ? 'npm run demo --' : 'chorale demo'}${job}`
  const chorale = clone ? 'bin/chorale.js' : 'chorale'
  const usual = Math.max(2, Math.min(8, availableParallelism()))
  const nodes = usual === had ? usual + 1 : usual
  const steps = [
    [`${demo} --churn 0.3`, 'kill some of the nodes on the way: the same value'],
    [`${demo} --nodes ${nodes}`, 'another number of nodes: the same value'],
    [`${chorale} up -d${overlay}`, `a node of your own; then ${chorale} job submit builtin:pi --samples 1e9 --wait`],
  ].slice(churned ? 1 : 0)
  return format.columns(steps.map(([command = '', what = '']) => [`  ${command}`, ` ${what}`]))
}

function keep(cli: Cli, cluster: Cluster): void {
  const { nodes, root } = cluster
  cluster.keep()
  if (cli.flags.json) cli.emit('kept', { root, nodes })
  cli.note(`the nodes stay, in ${root}:`)
  for (const { home, address, pid } of nodes) cli.note(`  ${address}  process ${pid}  chorale status --home ${home}`)
  cli.note(`stop them with\n  for home in ${root}/node*/; do chorale down --home "$home"; done; rm -r ${root}`)
}
