/**
 * `npm run sim -- SCENARIO --seed N ... [--json]`: runs one scenario of the simulator. Progress goes to stderr, the result
 * to stdout. Exit code 1 when what must hold did not hold, with the command that replays it.
 */
import { spawnSync } from 'node:child_process'
import { Command, Option } from 'commander'
import { ChoraleError } from '../src/core/errors.ts'
import { UNPRIVILEGED_PORTS } from '../src/market/sybil.ts'
import { PLACEMENTS } from '../src/net/placement.ts'
import { spaceNamed } from '../src/vhash/spaces.ts'
import { CONSENSUS_FAULTS } from './ledger/consensus-model.ts'
import { MARKET_FAULTS } from './market/faults.ts'
import { FAULTS } from './model.ts'
import { count, list, number, share } from './option-values.ts'
import { BALANCE_DEFAULTS, type BalanceOptions, runBalance } from './scenarios/balance.ts'
import { runConsensusModel } from './scenarios/consensus.ts'
import { JOBS_DEFAULTS, type JobsOptions, runJobs } from './scenarios/jobs.ts'
import { LEDGER_DEFAULTS, type LedgerOptions, runLedger } from './scenarios/ledger.ts'
import { LEDGER_LATENCY_DEFAULTS, type LedgerLatencyOptions, runLedgerLatency } from './scenarios/ledger-latency.ts'
import { runLedgerSeeds } from './scenarios/ledger-seeds.ts'
import { LOCALITY_DEFAULTS, runLocality } from './scenarios/locality.ts'
import { MARKET_DEFAULTS, type MarketOptions, runMarket } from './scenarios/market.ts'
import { runModel } from './scenarios/model.ts'
import { RING_DEFAULTS, type RingOptions, runRing } from './scenarios/ring.ts'
import { runStore, STORE_DEFAULTS, type StoreOptions } from './scenarios/store.ts'
import { ATTACKS, runSybil, SYBIL_DEFAULTS, type SybilOptions } from './scenarios/sybil.ts'
import { COMMITTEE_DEFAULTS, type CommitteeOptions, runSybilCommittee } from './scenarios/sybil-committee.ts'
import { runVHash, VHASH_DEFAULTS, type VHashOptions } from './scenarios/vhash.ts'
import { parseSeeds } from './studies/runner/seeds.ts'
import type { Recorder } from './watch/recorder.ts'
import { openWatch } from './watch/watch.ts'

// Time-outs are everyday events here; their stacks would cost more than the rest.
Error.stackTraceLimit = process.env.CHORALE_SIM_STACKS ? 10 : 0

const program = new Command('npm run sim --')
  .description('Run the real overlay over a simulated network in virtual time, judged from outside.')
  .exitOverride()
  .showHelpAfterError('(--help shows what there is)')
  .showSuggestionAfterError()

program
  .command('model')
  .description('visit every state that a small ring can reach, and judge each (Zave 2017)')
  .option('--ids <n>', 'ids on the circle', number(2, 6, true), 5)
  .option('--r <n>', 'length of successor lists', number(1, 4, true), 2)
  .addOption(new Option('--fault <name>', 'plant a fault, to see that it is caught').choices(FAULTS))
  .option('--json', 'one JSON object on stdout')
  .option('-q, --quiet', 'no progress')
  .action((options) => {
    const result = runModel(options, progress(options))
    const { example, ...figures } = result
    report(options, 'model', figures)
    if (example !== undefined && !options.json) {
      console.log(`\n${example.violation}:`)
      for (const line of example.trace) console.log(`  ${line}`)
    }
    if (result.violations > 0 && options.fault === undefined) fail('the invariant does not hold')
    if (result.violations === 0 && options.fault !== undefined) fail('the planted fault was not caught')
  })

program
  .command('consensus')
  .description('visit every state that a committee of four with one liar can reach in a few views, and judge each')
  .option('--views <n>', 'views', number(1, 3, true), 2)
  .addOption(new Option('--fault <name>', 'plant a fault, to see that it is caught').choices(CONSENSUS_FAULTS))
  .option('--json', 'one JSON object on stdout')
  .option('-q, --quiet', 'no progress')
  .action((options) => {
    const result = runConsensusModel(options, progress(options))
    const { example, ...figures } = result
    report(options, 'consensus', figures)
    if (example !== undefined && !options.json) {
      console.log(`\n${example.violation}:`)
      for (const line of example.trace) console.log(`  ${line}`)
    }
    if (result.violations > 0 && options.fault === undefined) fail('two blocks may be final that exclude each other')
    if (result.violations === 0 && options.fault !== undefined) fail('the planted fault was not caught')
  })

program
  .command('ledger-latency')
  .description("how long operations take to be final where hosts are as far apart as PlanetLab's")
  .option('--members <n>', 'bankers: 1, 4, 7, ...', number(1, 31, true), LEDGER_LATENCY_DEFAULTS.members)
  .option('--others <n>', 'hosts without a seat', number(0, 1000, true), LEDGER_LATENCY_DEFAULTS.others)
  .option('--ops <n>', 'operations', number(2, 1e6, true), LEDGER_LATENCY_DEFAULTS.ops)
  .option('--ops-per-second <n>', 'submissions', number(0.01, 1000, false), LEDGER_LATENCY_DEFAULTS.opsPerSecond)
  .option('--latency <file>', "matrix of round-trip times in ms (tab-separated, .gz too); else PlanetLab's")
  .option('--seed <n>', 'all randomness derives from it', count(2 ** 32), LEDGER_LATENCY_DEFAULTS.seed)
  .option('--json', 'one JSON object on stdout')
  .option('-q, --quiet', 'no progress')
  .action(async (options: LedgerLatencyOptions & { json?: boolean; quiet?: boolean }) => {
    const result = await runLedgerLatency(options, progress(options))
    report(options, 'ledger-latency', result)
    if (result.finalized < result.ops) fail(`${result.ops - result.finalized} operations did not become final`)
  })

/** A scenario of an overlay under churn, with the options that all of them take. */
function churned(name: string, description: string, defaults: RingOptions | VHashOptions): Command {
  return program
    .command(name)
    .description(description)
    .option('--nodes <n>', 'members', number(1, 100_000, true), defaults.nodes)
    .option('--churn <share>', 'share of the members that die, and come, per second', share, defaults.churn)
    .option('--seconds <n>', 'virtual seconds of it', count(1e6), defaults.seconds)
    .option('--seed <n>', 'all randomness derives from it', count(2 ** 32), defaults.seed)
    .option('--kill <share>', 'share of the members that die at once at the end', share, 0)
    .option('--partition <n>', 'the last N seconds in two halves, which then meet again', count(1e6), 0)
    .option('--lookups-per-second <n>', 'lookups meanwhile', number(1, 1e6, false), defaults.lookupsPerSecond)
    .option('--lookups-after-quiet <n>', 'lookups at rest', count(1e7), defaults.lookupsAfterQuiet)
    .option('--latency <file>', 'matrix of round-trip times in ms (tab-separated, .gz too); else 10 .. 80 ms one way')
    .option('--loss <share>', 'messages lost', share, 0)
    .option('--duplication <share>', 'requests that arrive twice', share, 0)
    .option('--reordering <share>', 'messages overtaken by later ones', share, 0)
    .option('--codec', 'every message through the codec, as on a wire', false)
    .addOption(watchOption())
    .option('--json', 'one JSON object on stdout')
    .option('-q, --quiet', 'no progress')
}

churned('ring', 'a ring under churn: lookups against an oracle, then quiet until the ring is ideal', RING_DEFAULTS)
  .option('--r <n>', 'length of successor lists', number(1, 32, true), RING_DEFAULTS.r)
  .option('--pauses <share>', 'share of the members that freeze for a second or two, per second', share, 0)
  .option('--no-proximity', 'fingers and next hops without regard to latency')
  .action(async (options: RingOptions & { json?: boolean } & WatchOptions) => {
    if (options.partition > options.seconds) throw new ChoraleError('usage', '--partition is longer than --seconds')
    const result = await watched(options, (onProgress, recorder) => runRing(options, onProgress, recorder))
    report(options, 'ring', result)
    if (result.broken > 0) fail(`the ring's invariant was broken at ${result.broken} of ${result.checks} checks`)
    if (result.idealAfterPeriods === null) fail('the ring did not become ideal after churn had stopped')
    if (result.wrongAfterQuiet > 0) fail(`${result.wrongAfterQuiet} lookups at rest ended at the wrong owner`)
  })

churned(
  'vhash',
  'a Voronoi overlay under churn: lookups against an oracle, then quiet until all neighbours are right',
  VHASH_DEFAULTS,
)
  .option('--space <name>', 'torus2 .. torus5, cube2 .. cube5', VHASH_DEFAULTS.space)
  .action(async (options: VHashOptions & { json?: boolean } & WatchOptions) => {
    if (options.partition > options.seconds) throw new ChoraleError('usage', '--partition is longer than --seconds')
    if (!spaceNamed(options.space).live) {
      throw new ChoraleError(
        'usage',
        `no overlay runs in ${options.space}: there are torus2 .. torus5 and cube2 .. cube5`,
      )
    }
    const result = await watched(options, (onProgress, recorder) => runVHash(options, onProgress, recorder))
    report(options, 'vhash', result)
    const { idealAfterPeriods, disputed, wrongGroups, wrongAfterQuiet, failedAfterQuiet } = result
    if (idealAfterPeriods === null) fail('not every member found its neighbours after churn had stopped')
    if (disputed > 0) fail(`${disputed} keys at rest have no owner, or a wrong one`)
    if (wrongGroups > 0) fail(`${wrongGroups} replica groups at rest are wrong`)
    if (wrongAfterQuiet > 0) fail(`${wrongAfterQuiet} lookups at rest ended at the wrong owner`)
    if (failedAfterQuiet > 0 && options.loss === 0) fail(`${failedAfterQuiet} lookups at rest found no owner`)
  })

program
  .command('store')
  .description('blocks on hosts that come and go for a year, or quickly: losses, and repair beside an oracle')
  .option('--nodes <n>', 'hosts', number(4, 100_000, true), STORE_DEFAULTS.nodes)
  .option('--blocks <n>', 'blocks', number(1, 1e7, true), STORE_DEFAULTS.blocks)
  .option('--replicas <n>', 'copies of each', number(1, 8, true), STORE_DEFAULTS.replicas)
  .option('--days <n>', 'virtual days', number(0, 10_000, false), STORE_DEFAULTS.days)
  .option('--churn <share>', 'instead: share of the hosts that go, and come back, per second', share, 0)
  .option('--seconds <n>', 'virtual seconds of that', count(1e6), STORE_DEFAULTS.seconds)
  .option('--gets-per-second <n>', 'gets meanwhile', number(1, 1e6, false), STORE_DEFAULTS.getsPerSecond)
  .option('--seed <n>', 'all randomness derives from it', count(2 ** 32), STORE_DEFAULTS.seed)
  .option('--json', 'one JSON object on stdout')
  .option('-q, --quiet', 'no progress')
  .action(async (options: StoreOptions & { json?: boolean; quiet?: boolean }) => {
    const result = await runStore(options, progress(options))
    report(options, 'store', result)
    if (result.lost > 0) fail(`${result.lost} blocks were lost`)
  })

program
  .command('balance')
  .description(
    'equal tasks over many hosts, of equal speed and of 1x to 5x: time / ideal, messages per task, and how local input is',
  )
  .option('--nodes <n>', 'hosts, of one core each', number(2, 100_000, true), BALANCE_DEFAULTS.nodes)
  .option('--tasks <n>', 'tasks of the one job', number(1, 4e6, true), BALANCE_DEFAULTS.tasks)
  .option('--task-ms <n>', 'virtual ms of a task at speed 1', number(1, 1e6, true), BALANCE_DEFAULTS.taskMs)
  .option('--seed <n>', 'all randomness derives from it', count(2 ** 32), BALANCE_DEFAULTS.seed)
  .option('--json', 'one JSON object on stdout')
  .option('-q, --quiet', 'no progress')
  .action(async (options: BalanceOptions & { json?: boolean; quiet?: boolean }) => {
    const equal = await runBalance(options, 1, progress(options))
    const hetero = await runBalance(options, 5, progress(options))
    const { seed } = options
    const { localShare, factor } = await runLocality({ ...LOCALITY_DEFAULTS, seed }, progress(options))
    report(options, 'balance', { ...equal, hetero, localShare, localFactor: factor })
    if (!equal.exact || !hetero.exact) fail('the value is not what the tasks come to')
  })

program
  .command('jobs')
  .description(
    'many small jobs on hosts that die and come, submitters and coordinators among them: is every value exact?',
  )
  .option('--nodes <n>', 'hosts, of one core each', number(8, 10_000, true), JOBS_DEFAULTS.nodes)
  .option('--jobs <n>', 'jobs of 1 to 300 tasks', number(1, 100_000, true), JOBS_DEFAULTS.jobs)
  .option('--churn <share>', 'share of the hosts that die, and come, per second', share, JOBS_DEFAULTS.churn)
  .option('--task-ms <n>', 'mean virtual ms of a task', number(1, 1e6, true), JOBS_DEFAULTS.taskMs)
  .option('--jobs-per-second <n>', 'submissions', number(0.01, 1000, false), JOBS_DEFAULTS.jobsPerSecond)
  .option('--space <name>', 'of the overlay: ring, or a space of VHash as torus2', JOBS_DEFAULTS.space)
  .option('--seed <n>', 'all randomness derives from it', count(2 ** 32), JOBS_DEFAULTS.seed)
  .option('--json', 'one JSON object on stdout')
  .option('-q, --quiet', 'no progress')
  .action(async (options: JobsOptions & { json?: boolean; quiet?: boolean }) => {
    const result = await runJobs(options, progress(options))
    report(options, 'jobs', result)
    if (result.ended < result.jobs) fail(`${result.jobs - result.ended} jobs did not end`)
    if (result.different > 0) fail(`${result.different} jobs have another value than without churn`)
  })

program
  .command('ledger')
  .description(
    'a committee with liars keeps the books under loss, partitions, crashes and torn logs; judged from outside',
  )
  .option('--members <n>', 'bankers', number(1, 31, true), LEDGER_DEFAULTS.members)
  .option('--faulty <n>', 'of these, liars', count(10), LEDGER_DEFAULTS.faulty)
  .option('--ops <n>', 'operations of clients', number(1, 1e7, true), LEDGER_DEFAULTS.ops)
  .option('--loss <share>', 'messages lost, while there are faults', share, LEDGER_DEFAULTS.loss)
  .option('--seed <n>', 'all randomness derives from it', count(2 ** 32), LEDGER_DEFAULTS.seed)
  .option('--seeds <list>', 'instead: many, as 1..1000, on all cores')
  .addOption(new Option('--fault <name>', 'plant a fault, to see that it is caught').choices(['quorum']))
  .option('--json', 'one JSON object on stdout')
  .option('-q, --quiet', 'no progress')
  .action(async (options: LedgerOptions & { seeds?: string; fault?: string; json?: boolean; quiet?: boolean }) => {
    const { seeds, fault, json, quiet, ...run } = options
    if (fault !== undefined && runPlanted('ledger/plant-quorum.ts')) return
    const result =
      seeds === undefined
        ? await runLedger(run, progress(options))
        : await runLedgerSeeds(run, parseSeeds(seeds), progress(options))
    report(options, 'ledger', result)
    const isBad = 'failed' in result ? result.failed.length > 0 : result.violations.length > 0
    if (isBad && fault === undefined) fail('what must hold did not hold')
    if (!isBad && fault !== undefined) fail('the planted fault was not caught')
  })

program
  .command('market')
  .description('jobs are bought and sold, done, tested and paid on a ledger with liars, while nodes come, go and cheat')
  .option('--nodes <n>', 'suppliers, customers and mediators', number(8, 100_000, true), MARKET_DEFAULTS.nodes)
  .option('--jobs <n>', 'jobs of 20 to 119 tasks', number(1, 1e6, true), MARKET_DEFAULTS.jobs)
  .option('--cheaters <share>', 'share of the nodes that cheat', share, MARKET_DEFAULTS.cheaters)
  .option('--churn <share>', 'share of the nodes that go down per second', share, MARKET_DEFAULTS.churn)
  .option(
    '--downtime <s>',
    'how long, half as long to one and a half times',
    number(0, 1e5, false),
    MARKET_DEFAULTS.downtime,
  )
  .option('--members <n>', 'bankers, apart from the nodes', number(1, 31, true), MARKET_DEFAULTS.members)
  .option('--faulty <n>', 'of these, liars', count(10), MARKET_DEFAULTS.faulty)
  .option('--seed <n>', 'all randomness derives from it', count(2 ** 32), MARKET_DEFAULTS.seed)
  .addOption(
    new Option('--fault <name>', 'plant a fault, to see that it is caught').choices(Object.keys(MARKET_FAULTS)),
  )
  .option('--json', 'one JSON object on stdout')
  .option('-q, --quiet', 'no progress')
  .action(async (options: MarketOptions & { fault?: string; json?: boolean; quiet?: boolean }) => {
    const { fault, json, quiet, ...run } = options
    if (fault !== undefined && runPlanted(`market/plant-market.ts?${fault}`)) return
    const result = await runMarket(run, progress(options))
    report(options, 'market', result)
    const isBad = result.violations.length > 0
    if (isBad && fault === undefined) fail('what must hold did not hold')
    if (!isBad && fault !== undefined) fail('the planted fault was not caught')
    if (!result.cheatersLose.suppliers && fault === undefined) fail('some suppliers gain more by cheating')
  })

program
  .command('sybil')
  .description(
    'one attacker on a ring of the real nodes: ids searched offline for chosen gaps or keys, then joined; or among bankers',
  )
  .option('--nodes <n>', 'honest members', number(4, 100_000, true), SYBIL_DEFAULTS.nodes)
  .addOption(
    new Option('--placement <rule>', 'how ids follow from addresses')
      .choices(PLACEMENTS)
      .default(SYBIL_DEFAULTS.placement),
  )
  .option('--successors <r>', 'length of successor lists', number(2, 32, true), SYBIL_DEFAULTS.successors)
  .option('--ips <n>', 'addresses of the attacker', number(1, 1024, true), SYBIL_DEFAULTS.ips)
  .option(
    '--ports <n>',
    'ports of each that it tries; under ip-prefix keys',
    number(1, UNPRIVILEGED_PORTS, true),
    SYBIL_DEFAULTS.ports,
  )
  .option('--crowd <n>', 'ids of it in each of its arcs, under ip-prefix', number(1, 1000, true), SYBIL_DEFAULTS.crowd)
  .addOption(
    new Option('--attack <name>', 'into gaps between neighbours, around keys, or on seats of the ledger')
      .choices([...ATTACKS, 'committee'])
      .default(SYBIL_DEFAULTS.attack),
  )
  .option('--targets <n>', 'chosen gaps (at most all) or keys', number(1, 10_000, true), SYBIL_DEFAULTS.targets)
  .option('--lookups <n>', 'lookups of random keys after it', count(1e5), SYBIL_DEFAULTS.lookups)
  .option('--bankers <n>', 'bonded bankers, for a committee', number(1, 100_000, true), COMMITTEE_DEFAULTS.bankers)
  .option('--liars <shares>', 'of them the attacker has, for a committee', list(0, 1, false), COMMITTEE_DEFAULTS.liars)
  .option('--seats <sizes>', 'of the committee: 1, 4, 7, ...', list(1, 64, true), COMMITTEE_DEFAULTS.seats)
  .option('--networks <n>', 'committees drawn for each of these', number(1, 1e6, true), COMMITTEE_DEFAULTS.networks)
  .option('--seed <n>', 'all randomness derives from it', count(2 ** 32), SYBIL_DEFAULTS.seed)
  .option('--json', 'one JSON object on stdout')
  .option('-q, --quiet', 'no progress')
  .action(async (options: SybilOptions & CommitteeOptions & { json?: boolean; quiet?: boolean }) => {
    if ((options.attack as string) === 'committee') {
      const { rows, farthest } = runSybilCommittee(options, progress(options))
      const { attack, bankers } = options
      const note = 'seats go by bonds: placement, groups and density change nothing here'
      report(options, 'sybil', { attack, bankers, farthest, note, committees: rows })
      return
    }
    const result = await runSybil(options, progress(options))
    report(options, 'sybil', result)
    if (result.idealAfterPeriods === null) fail('the ring did not become ideal after the attacker had joined')
    if (result.groupsWrong > 0) fail(`${result.groupsWrong} replica groups at rest are not what they should be`)
  })

/** Runs this command again, with a fault in what is loaded. False: it runs with it. */
function runPlanted(plant: string): boolean {
  if (process.execArgv.some((arg) => arg.endsWith(plant))) return false
  const args = [...process.execArgv, '--import', new URL(plant, import.meta.url).href, ...process.argv.slice(1)]
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1
  return true
}

interface WatchOptions {
  watch?: string | true
  quiet?: boolean
}

function watchOption(): Option {
  return new Option('--watch [FILE.html]', 'see it: here in the terminal, or in a page to open in a browser')
}

/** Runs a scenario, with somebody watching when the options say so. */
async function watched<Result>(
  options: WatchOptions,
  run: (onProgress: ((line: string) => void) | undefined, recorder: Recorder | undefined) => Promise<Result>,
): Promise<Result> {
  if (options.watch === undefined) return run(progress(options), undefined)
  const watch = openWatch(options.watch, `npm run sim -- ${process.argv.slice(2).join(' ')}`)
  try {
    return await run(options.quiet ? undefined : watch.say, watch.recorder)
  } finally {
    await watch.end()
  }
}

function progress(options: { quiet?: boolean }): ((line: string) => void) | undefined {
  return options.quiet ? undefined : (line) => console.error(line)
}

function report(options: { json?: boolean }, scenario: string, figures: object): void {
  if (options.json) console.log(JSON.stringify({ v: 1, type: 'result', scenario, ...figures }))
  else {
    for (const [name, value] of Object.entries(figures)) {
      if (Array.isArray(value) && typeof value[0] === 'object') console.log(`${name}\n${textTable(value)}`)
      else console.log(`${name.padEnd(20)} ${JSON.stringify(value)}`)
    }
  }
}

/** Objects of one kind, one per line under the names of their fields. */
function textTable(rows: readonly object[]): string {
  const shown = (value: unknown) =>
    typeof value === 'number' ? `${Number(value.toPrecision(4))}` : String(value ?? '-')
  const lines = [Object.keys(rows[0]!), ...rows.map((row) => Object.values(row).map(shown))]
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map((line) => line[i]!.length)))
  return lines.map((line) => `  ${line.map((cell, i) => cell.padEnd(widths[i]!)).join('  ')}`.trimEnd()).join('\n')
}

function fail(what: string): void {
  process.exitCode = 1
  console.error(`${what}. Replay it with: npm run sim -- ${process.argv.slice(2).join(' ')}`)
}

try {
  await program.parseAsync()
} catch (error) {
  const { code, exitCode } = error as { code?: string; exitCode?: number }
  if (code?.startsWith('commander.')) process.exitCode = exitCode === 0 ? 0 : 2
  else if (error instanceof ChoraleError) {
    console.error(`sim: ${error.message}`)
    process.exitCode = error.code === 'usage' ? 2 : 1
  } else {
    console.error(error)
    fail('the simulated code threw')
  }
}
