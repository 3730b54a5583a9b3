/** `chorale up`: runs a node, in the foreground or (`-d`) in the background. */
import { closeSync, existsSync, openSync, renameSync, rmSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { Command, Option } from 'commander'
import { ChoraleError, errorCode, errorMessage } from '../core/errors.ts'
import { placeSocket, prepareHome, removeUnusedHome } from '../home.ts'
import { homeError } from '../home-files.ts'
import { formatCredits, parseCredits } from '../market/ledger/credits.ts'
import type { Host } from '../node.ts'
import type { Cli } from './cli.ts'
import { EXIT } from './exit.ts'
import { examples } from './help.ts'
import { NETWORK_DEFAULTS, networkFlags } from './network-flags.ts'
import { sandboxLine } from './sandbox.ts'
import { type Ready, spawnNode } from './spawn.ts'
import { tieTo } from './tie.ts'
import { addressToward } from './toward.ts'
import {
  bytes,
  type Endpoint,
  endpoint,
  formatEndpoint,
  integer,
  type Lent,
  lent,
  liveSpace,
  networkName,
  PLACEMENTS,
  type Placement,
  yes,
} from './values.ts'

/** Start, join and the dial-back; a node that needs longer has a problem that it should tell. */
const READY_PATIENCE_MS = 60_000
/** Leaving politely takes at most 5 s (issue 2, "bad luck"); whatever hangs then is left to the system. */
const LEAVE_MS = 4500

interface Options {
  readonly bootstrap?: readonly string[]
  readonly listen?: Endpoint
  readonly network: string
  readonly lend?: Lent
  readonly allowNative?: boolean
  readonly lendAsRoot?: boolean
  readonly store?: number
  readonly space: string
  readonly placement: Placement
  readonly successors: number
  readonly replicas: number
  readonly slots: number
  readonly genesis?: string
  readonly pay: bigint
  readonly newWallet?: boolean
  readonly detach?: boolean
  readonly tied?: string
}

export function upCommand(cli: Cli): Command {
  const option = (flags: string, name: string, description: string) =>
    new Option(flags, description).env(`CHORALE_${name}`)
  const address = endpoint('--bootstrap', { anyPort: false })
  return new Command('up')
    .description(
      'run a node: found a network, or join one with --bootstrap; it lends what chorale lend set says, or all cores',
    )
    .addOption(
      option('-b, --bootstrap <addr...>', 'BOOTSTRAP', 'nodes to join through, as IP:PORT').argParser(
        (text: string, before: string[] = []) => [
          ...before,
          ...text.split(',').map((part) => formatEndpoint(address(part))),
        ],
      ),
    )
    .addOption(
      option(
        '-l, --listen <addr>',
        'LISTEN',
        'IP or IP:PORT that others reach this node at (default: loopback, or the one that leads to --bootstrap; the port of last time)',
      ).argParser(endpoint('--listen', { anyPort: true })),
    )
    .addOption(
      option('-n, --network <name>', 'NETWORK', 'networks of different names never mix')
        .argParser(networkName('--network'))
        .default(NETWORK_DEFAULTS.network, 'that of the genesis, else private'),
    )
    .addOption(
      option(
        '--lend <cores>',
        'LEND',
        'cores, and memory, for jobs of others and your own in this run, as 2cpu or 2cpu,4GiB; 0 lends nothing (default: as chorale lend set says, else all)',
      ).argParser(lent('--lend', availableParallelism())),
    )
    .addOption(
      option(
        '--allow-native [yes]',
        'ALLOW_NATIVE',
        'take JavaScript of others also without bubblewrap (level process); WebAssembly is taken anyway',
      )
        .argParser(yes('--allow-native'))
        .preset('yes'),
    )
    .addOption(
      option('--lend-as-root [yes]', 'LEND_AS_ROOT', 'take code of others also as root')
        .argParser(yes('--lend-as-root'))
        .preset('yes'),
    )
    .addOption(
      option(
        '--store <size>',
        'STORE',
        'disk for blocks of others and your own in this run, as 10GiB; 0 keeps nothing (default: as chorale lend set says, else 10GiB)',
      ).argParser(bytes('--store', { min: 1024 ** 2, example: '10GiB' })),
    )
    .addOption(
      option(
        '--space <name>',
        'SPACE',
        'what the overlay lives in: ring (Chord), or torus2..5 or cube2..5 (VHash); the same on all nodes',
      )
        .argParser(liveSpace('--space'))
        .default(NETWORK_DEFAULTS.space),
    )
    .addOption(
      option(
        '--placement <rule>',
        'PLACEMENT',
        'how ids follow from addresses: ip-port, or ip-prefix for open networks; the same on all nodes',
      )
        .choices(PLACEMENTS)
        .default(NETWORK_DEFAULTS.placement),
    )
    .addOption(
      option('--successors <r>', 'SUCCESSORS', 'length of successor lists, on the ring; the same on all nodes')
        .argParser(integer('--successors', { min: 2, max: 32, example: '4' }))
        .default(NETWORK_DEFAULTS.successors),
    )
    .addOption(
      option(
        '--replicas <n>',
        'REPLICAS',
        'copies of each block, on the ring at most one more than successors; the same on all nodes',
      )
        .argParser(integer('--replicas', { min: 1, max: 16, example: '3' }))
        .default(NETWORK_DEFAULTS.replicas),
    )
    .addOption(
      option('--slots <n>', 'SLOTS', 'places in the overlay that this host takes')
        .argParser(integer('--slots', { min: 1, max: 16, example: '1' }))
        .default(1),
    )
    .addOption(
      option(
        '--genesis <file>',
        'GENESIS',
        'the genesis of the network (default: that of the home, else that of the members, else a new one)',
      ).argParser((text: string) => resolve(text)),
    )
    .addOption(
      option('--pay <credits>', 'PAY', 'for each task of your jobs that hosts of others do; 0 pays nothing')
        .argParser(parseCredits)
        .default(1n, '0.001'),
    )
    .option('--new-wallet', 'in a home that has lost its wallet: begin with a new account, as a last resort')
    .option('-d, --detach', 'run in the background; returns when the node is ready')
    .addOption(new Option('--tied <dir>', 'leave when stdin closes, and remove this directory').hideHelp())
    .addHelpText(
      'after',
      examples(
        'chorale up',
        'found a network on this machine',
        'chorale up --bootstrap 127.0.0.1:4001 --home ./node2',
        'a second node beside it',
        'chorale up -d --listen 192.168.1.5:4001 --lend 2cpu',
        'in the background, for others in the house',
        'chorale up --space torus2',
        'found a network whose nodes live on a torus instead of the ring',
      ),
    )
    .action(
      cli.action(async (given: Options, command: Command) => {
        const options = await withGenesis(cli.flags.home, given, command)
        if (options.space !== 'ring' && command.getOptionValueSource('successors') === 'cli') {
          throw new ChoraleError('usage', `--successors is of the ring: leave it out with --space ${options.space}`)
        }
        return await (options.detach ? upInBackground(cli, options) : upHere(cli, options))
      }),
    )
}

/** What the genesis says of the overlay, that of the file or of the home, holds where nothing else was said. */
async function withGenesis(home: string, options: Options, command: Command): Promise<Options> {
  if (options.genesis === undefined && !existsSync(home)) return options // most first starts need none of this code
  const { overlayOf } = await import('../ledger-network.ts')
  const said = Object.entries(overlayOf(home, options.genesis) ?? {})
  const unsaid = said.filter(([name]) => command.getOptionValueSource(name) === 'default')
  return { ...options, ...Object.fromEntries(unsaid) }
}

async function upHere(cli: Cli, options: Options): Promise<number> {
  const tie = options.tied === undefined ? undefined : tieTo(process.stdin)
  const { home } = cli.flags
  const fresh = !existsSync(home)
  try {
    return await runNode(cli, options, tie)
  } catch (error) {
    if (fresh) removeUnusedHome(home) // a wrong address or a port in use leaves nothing behind
    if (errorCode(error) !== 'wrong-network') throw error
    throw new ChoraleError('wrong-network', `${errorMessage(error)}; here the name is ${options.network}`, {
      cause: error,
    })
  } finally {
    tie?.cut()
  }
}

async function runNode(cli: Cli, options: Options, tie: ReturnType<typeof tieTo> | undefined): Promise<number> {
  // Loading the code makes V8 reserve 20 MB for young objects, which an idle node never needs again. It must be said
  // before, and works at run time, unlike the limit itself.
  setFlagsFromString('--semi-space-growth-factor=1')
  const loading = Promise.all([import('../node.ts'), import('../api/server.ts')])
  const stop = new AbortController()
  const left = new Promise<void>((resolve) => stop.signal.addEventListener('abort', () => resolve(), { once: true }))
  const onInterrupt = () => stop.abort(cli.signal.reason)
  if (cli.signal.aborted) onInterrupt()
  cli.signal.addEventListener('abort', onInterrupt, { once: true })
  void tie?.lost.then(() => {
    // The other nodes of its ring go too: there is nobody to be polite to.
    if (options.tied) rmSync(options.tied, { recursive: true, force: true, maxRetries: 5, retryDelay: 20 })
    process.exit(EXIT.interrupted)
  })
  const { home } = cli.flags
  if (options.newWallet) await beginAnew(cli)
  const log = cli.logger()
  let host: Host | undefined
  let backstop: NodeJS.Timeout | undefined
  void left.then(() => {
    backstop = setTimeout(() => process.exit(EXIT.ok), LEAVE_MS)
  })
  try {
    const bootstrap = tie ? await tie.bootstrap : (options.bootstrap ?? [])
    const [{ startHost }, { serveApi }] = await loading
    const listen = options.listen ?? { ip: await addressToward(bootstrap), port: 0 }
    const {
      network,
      space,
      placement,
      successors,
      replicas,
      slots,
      genesis,
      pay,
      lend,
      store,
      allowNative = false,
      lendAsRoot = false,
    } = options
    const { cores: lendCores, memoryBytes: lendMemoryBytes } = lend ?? {}
    const limits = { lendCores, lendMemoryBytes, allowNative, lendAsRoot, storeBytes: store }
    const shape = { space, placement, successors, replicas }
    const running = await startHost(
      { home, listen, bootstrap, network, ...shape, slots, genesis, taskPrice: pay, ...limits, log },
      { signal: stop.signal },
    )
    host = running
    const onStop = () => stop.abort(new ChoraleError('interrupted', 'stopped by chorale down'))
    const server = await serveApi(running, { socketPath: placeSocket(home), log: log.child('api'), onStop })
    announce(cli, running, server.socketPath, options)
    flushCompileCache() // if there is one; a node that is killed does not write it at its end
    await left
    cli.note('leaving')
    await server.close()
  } finally {
    await host?.stop()
    clearTimeout(backstop)
  }
  cli.print('left', {}, '')
  return EXIT.ok
}

function announce(cli: Cli, host: Host, socket: string, options: Options): void {
  const { peer, address, role, network, lend } = host.status()
  const { sandbox } = lend
  const where = address && formatEndpoint(address)
  const { state, why } = lend
  const ready: Ready = {
    pid: process.pid,
    peer,
    address: where,
    socket,
    lend: { state, why },
    ...(sandbox && { sandbox }),
  }
  const join = where === undefined ? '' : `; others join with: chorale up${networkFlags(options)} --bootstrap ${where}`
  const as = where === undefined ? 'a leaf: no node can dial it' : where
  cli.print('ready', { ...ready, role, network, home: cli.flags.home }, `ready: ${as}, network ${network}${join}`)
  if (sandbox) cli.note(`foreign code: ${sandboxLine(sandbox)}`)
  if (state !== 'lending') cli.note(`lends nothing now: ${why}`)
  cli.note('Ctrl-C leaves politely, a second Ctrl-C at once')
}

/** In a home that has lost its wallet. */
async function beginAnew(cli: Cli): Promise<void> {
  const { openWallet } = await import('../ledger-wallet.ts')
  const { made, file } = openWallet(cli.flags.home, { anew: true })
  if (made) return cli.note(`a new wallet, in ${file}: keep a copy of it with\n  chorale wallet backup FILE${cli.at}`)
  throw new ChoraleError('usage', `there is a wallet, ${file}: leave out --new-wallet, or move it away first`)
}

async function upInBackground(cli: Cli, options: Options): Promise<number> {
  if (options.tied !== undefined) throw new ChoraleError('usage', '--tied is for nodes in the foreground')
  const { home } = cli.flags
  const logFile = join(home, 'node.log')
  const fresh = !existsSync(home)
  const log = openLog(home, logFile)
  const { listen, bootstrap, network, lend, store, space, placement, successors, replicas, slots } = options
  const shape = ['--space', space, '--placement', placement, '--replicas', `${replicas}`]
  const args = ['--home', home, '--network', network, ...shape]
  if (lend) args.push('--lend', lend.memoryBytes === undefined ? `${lend.cores}` : `${lend.cores},${lend.memoryBytes}`)
  if (store !== undefined) args.push('--store', `${store}`)
  if (space === 'ring') args.push('--successors', `${successors}`)
  args.push('--slots', `${slots}`, '--pay', formatCredits(options.pay))
  if (options.genesis !== undefined) args.push('--genesis', options.genesis)
  if (options.newWallet) args.push('--new-wallet')
  if (options.allowNative) args.push('--allow-native')
  if (options.lendAsRoot) args.push('--lend-as-root')
  if (listen) args.push('--listen', formatEndpoint(listen))
  if (bootstrap) args.push('--bootstrap', ...bootstrap)
  for (let i = 0; i < Math.max(1, cli.flags.verbose); i++) args.push('--verbose') // there is a file to fill
  const node = spawnNode(args, { log, stdin: 'ignore' })
  closeSync(log)
  const patience = setTimeout(() => node.child.kill('SIGTERM'), READY_PATIENCE_MS)
  const onInterrupt = () => node.child.kill('SIGTERM')
  cli.signal.addEventListener('abort', onInterrupt, { once: true })
  try {
    const ready = await node.ready
    node.child.unref()
    node.child.stdout?.destroy()
    printBackground(cli, ready, logFile, options)
    return EXIT.ok
  } catch (error) {
    await node.ended
    // An internal error is explained by the log, which is in the home.
    if (fresh && (cli.signal.aborted || errorCode(error) !== 'internal')) removeUnusedHome(home)
    if (cli.signal.aborted) throw cli.signal.reason
    if (errorCode(error) === 'internal') {
      throw new ChoraleError('internal', `${(error as Error).message}: its log is ${logFile}`, { cause: error })
    }
    throw error
  } finally {
    clearTimeout(patience)
    cli.signal.removeEventListener('abort', onInterrupt)
  }
}

function openLog(home: string, file: string): number {
  prepareHome(home)
  try {
    try {
      renameSync(file, `${file}.1`)
    } catch {
      // the first start
    }
    return openSync(file, 'a', 0o600)
  } catch (error) {
    throw homeError(home, error)
  }
}

function printBackground(cli: Cli, ready: Ready, logFile: string, options: Options): void {
  const { home } = cli.flags
  cli.print(
    'ready',
    { ...ready, home, log: logFile },
    `ready: ${ready.address ?? 'a leaf: no node can dial it'}, in the background as process ${ready.pid}`,
  )
  if (ready.sandbox) cli.note(`  foreign code  ${sandboxLine(ready.sandbox)}`)
  if (ready.lend.state !== 'lending') cli.note(`  lends         nothing now: ${ready.lend.why}`)
  if (ready.address) cli.note(`  others join   chorale up${networkFlags(options)} --bootstrap ${ready.address}`)
  cli.note(`  look          chorale status${cli.at}`)
  cli.note(`  stop          chorale down${cli.at}`)
  cli.note(`  log           ${logFile}`)
}
