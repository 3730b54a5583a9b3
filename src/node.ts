/**
 * A host: the composition root. It alone knows every layer, builds them in order, and takes them down in reverse.
 */
import { join } from 'node:path'
import { type Env, type Logger, silentLogger } from './core/env.ts'
import { errorMessage } from './core/errors.ts'
import { systemEnv } from './core/system.ts'
import type { BlockStore, Blocks } from './dht/blocks.ts'
import { createBlocks, DEFAULT_BLOCK_REPLICAS, DEFAULT_LEASE_MS } from './dht/store/blocks/service.ts'
import { openDiskStore } from './dht/store/disk/disk-store.ts'
import { nodeFs } from './dht/store/disk/fs.ts'
import { type FileService, lazyFiles } from './dht/store/files/lazy.ts'
import { MemoryBlocks } from './dht/store/memory-blocks.ts'
import { type Pin, Pins } from './dht/store/pins.ts'
import { Records, type SignedRecord } from './dht/store/records.ts'
import { createRegisters } from './dht/store/registers.ts'
import { type Home, openHome } from './home.ts'
import { hostKeyOf } from './host-identity.ts'
import { codeOf } from './job-code.ts'
import { builtinModule } from './job-modules.ts'
import { keepMembers } from './leaf.ts'
import { pinnedGenesis } from './ledger-genesis.ts'
import { type HostLedger, openLedger } from './ledger-host.ts'
import { walletIn } from './ledger-wallet.ts'
import { createLender, givenLending, type HostLending, hostLending } from './lend-host.ts'
import { chooseExecutor, createThreadExecutor } from './mapreduce/executor.ts'
import { createJobStore } from './mapreduce/job-store.ts'
import { isOwnJob } from './mapreduce/own-job.ts'
import { createRedo } from './mapreduce/redo.ts'
import type { SandboxState } from './mapreduce/sandbox/admission.ts'
import { createSandboxExecutor } from './mapreduce/sandbox/executor.ts'
import { createJobsService, type JobsLoad } from './mapreduce/service.ts'
import type { Jobs } from './mapreduce/types.ts'
import { amount } from './market/ledger/state/amount.ts'
import type { Decision } from './market/lending/decision.ts'
import { paidJobs } from './market/payments.ts'
import type { Market } from './market/trading/market.ts'
import { lateMarket, openMarket } from './market-host.ts'
import { findContact, keepPeers } from './neighbours.ts'
import { type HostKey, signerOf, verifySignature } from './net/host-key.ts'
import { createLibp2pTransport, type Libp2pTransport } from './net/libp2p.ts'
import { networkId } from './net/network-id.ts'
import type { Placement } from './net/placement.ts'
import { isOpenNetwork, networkSettings } from './network-settings.ts'
import { createOverlay, overlayView, placeName, type RingView } from './overlay-host.ts'
import { findSeeds, seekRemembered } from './seeds.ts'
import { type SybilAnalysis, sybilAnalysis } from './sybil-host.ts'

export type { Advice } from './market/sybil-advice.ts'
export type { SybilReport } from './market/sybil-report.ts'
export type { ChordView, PeerPlace, RingView, VoronoiView } from './overlay-host.ts'
export type { FileService, HostLedger, HostLending, Pin, SignedRecord, SybilAnalysis }

/** What a host keeps of others' blocks and its own, unless told otherwise, bytes. */
export const DEFAULT_STORE_BYTES = 10 * 1024 ** 3
/** Millicredits that a submitter pays for a task which another account's host does. */
export const DEFAULT_TASK_PRICE = 1n

export interface HostOptions {
  /** Directory that keeps the host's key, port and incarnation. Created with mode 0700. */
  readonly home: string
  /** IP and port to listen on; port 0: the one kept in the home, else any free one. */
  readonly listen: { readonly ip: string; readonly port: number }
  /**
   * `ip:port` or multiaddr of nodes to join through. Empty: the neighbours of last time, if the home knows any and they
   * answer; else a new network of one.
   */
  readonly bootstrap: readonly string[]
  /** Name of the network; its hash is in every protocol name, so that networks never mix. */
  readonly network: string
  /** What the overlay lives in: `ring` (Chord), or torus2 .. torus5, cube2 .. cube5 (VHash). Default `ring`. */
  readonly space?: string
  /** How ids follow from addresses: `ip-port`, or `ip-prefix` for open networks. Default `ip-port`. */
  readonly placement?: Placement
  /** Length of successor lists, on the ring. Default 4. */
  readonly successors?: number
  /** Copies that the network keeps of each block; on the ring at most one more than successors. Default 3. */
  readonly replicas?: number
  /** File with the genesis of the network's ledger. Default: that of the home, else what the members have, else a new one. */
  readonly genesis?: string | undefined
  /** Millicredits for each task of this host's jobs that hosts of other accounts do. Default 1; 0 pays nothing. */
  readonly taskPrice?: bigint
  /** Virtual nodes. Default 1. */
  readonly slots?: number
  /** CPU cores lent to jobs, in this run; 0: none. Default: as the home keeps it, else all, on an open network none. */
  readonly lendCores?: number | undefined
  /** What the processes of foreign code may have together. Default: as the home keeps it, else what those cores need. */
  readonly lendMemoryBytes?: number | undefined
  /** Runs JavaScript of strangers also where the operating system does not wall it in (level `process`). Default false. */
  readonly allowNative?: boolean
  /** Runs code of strangers also as root. Default false: a host of root takes none but its own user's. */
  readonly lendAsRoot?: boolean
  /**
   * Bytes of blocks that this host keeps, in the home. Default: as the home keeps it, else 10 GiB. The disk may need up to
   * half as much again.
   */
  readonly storeBytes?: number | undefined
  /** Default: nothing is logged. */
  readonly log?: Logger
}

export interface HostStatus {
  readonly pid: number
  readonly peer: string
  readonly network: string
  readonly address: { readonly ip: string; readonly port: number } | undefined
  /** `leaf`: others cannot dial this host, so it has no place in the ring. */
  readonly role: 'member' | 'leaf' | 'leaving'
  readonly upSinceMs: number
  readonly ring: RingView
  readonly connections: number
  readonly lend: JobsLoad &
    Decision & {
      /** Cores that are lent when it lends. */
      readonly slots: number
      /** How foreign code is run, and whose; absent where that could not be found out yet. */
      readonly sandbox?: SandboxState
    }
  readonly store: StoreStatus
  readonly ledger: {
    readonly height: number
    readonly epoch: number
    /** Seats of the committee; whether one is this host's. */
    readonly seats: number
    readonly seated: boolean
    /** Why nothing is decided; null when all is well. */
    readonly halted: string | null
  }
  readonly memoryBytes: { readonly rss: number; readonly heapUsed: number; readonly external: number }
  /** Counters of bad input and refusals, by name. */
  readonly counters: Readonly<Record<string, number>>
}

/** What this host keeps, for others and itself. */
export interface StoreStatus {
  readonly blocks: number
  readonly bytes: number
  /** 0 for a leaf, which keeps nothing for others. */
  readonly capacityBytes: number
  /** No room for a block of the largest size. */
  readonly full: boolean
  readonly pins: number
}

export interface StoreView extends StoreStatus {
  /** Blocks of others that were read lately and are kept in memory. */
  readonly cachedBytes: number
  /** Of the block service, by name; they only grow. */
  readonly counters: Readonly<Record<string, number>>
}

export interface PeerView {
  readonly peer: string
  readonly address: string | undefined
  readonly direction: 'inbound' | 'outbound'
  readonly rttMs: number | undefined
}

export interface Host {
  readonly jobs: Jobs
  /** Files and directories in the overlay. Their code is loaded at the first call. */
  readonly files: FileService
  readonly blocks: Blocks
  /** Small signed values that change: this host's, and those of others. */
  readonly records: Pick<Records, 'publish' | 'resolve'>
  /** The ledger, and what this host does for its account. */
  readonly books: HostLedger
  readonly lending: HostLending
  readonly market?: Market
  /** What an attacker who makes up nodes could have, and whether it looks as if one does. */
  readonly sybil: SybilAnalysis
  /** What this host keeps alive beyond its lease of 7 days. */
  readonly pins: Pick<Pins, 'add' | 'remove' | 'list' | 'requireRoom'>
  status(): HostStatus
  storeStat(): StoreView
  peers(): PeerView[]
  /** Round-trip time in ms to a peer id, `ip:port` or overlay id prefix. */
  ping(target: string, options?: { signal?: AbortSignal }): Promise<number>
  /** Leaves politely, within 5 s, and releases everything. */
  stop(): Promise<void>
}

/**
 * Starts a host and resolves when it has its place in the overlay, or has found that it is a leaf. Rejects with `config`
 * (home, addresses), `io` (port), `unreachable` (no bootstrap node answers), or what the signal aborted with.
 */
export async function startHost(options: HostOptions, { signal }: { signal?: AbortSignal } = {}): Promise<Host> {
  await using parts = new AsyncDisposableStack()
  const env = systemEnv(options.log ?? silentLogger)
  const upSinceMs = env.clock.now()
  const home = parts.adopt(openHome(options.home, upSinceMs), (opened) => opened.close())
  const key = await hostKeyOf(home)
  const signer = { peer: key.peer, sign: signerOf(key), verify: verifySignature }
  const { space = 'ring', placement = 'ip-port', successors = 4, slots = 1 } = options
  const settings = networkSettings({ ...options, space, placement, successors })
  const market = lateMarket()
  const lender = createLender({
    env,
    home: home.path,
    isOpenNetwork: isOpenNetwork(settings),
    given: givenLending(options),
    foreign: () => foreign,
    load: () => service.lend(),
    onCapacity: () => service.capacityChanged(),
    market: market.lending,
  })
  const running = { cores: lender.cores, clock: env.clock, log: env.log.child('executor') }
  const foreign = parts.adopt(
    createSandboxExecutor({
      ...running,
      processes: () => lender.processes,
      codeOf: (cid) => codeOf(files, cid),
      isOwn: (spec) => isOwnJob(signer, spec),
      allowNative: options.allowNative,
      asRoot: !options.lendAsRoot && process.getuid?.() === 0,
    }),
    (executor) => executor.stop(),
  )
  // Takes a while, in a process of its own. Where it fails, the status says it once it is known.
  const inspected = foreign.inspect().catch(() => {})
  const { replicas, copies = DEFAULT_BLOCK_REPLICAS } = settings
  const network = networkId(settings)
  const pinned = pinnedGenesis(home.path, options.genesis, settings)
  walletIn(home.path) // what is wrong with it is told before anybody hears of this host
  const transport = parts.adopt(await listen({ env, key, home, network, placement }, options.listen), (open) =>
    open.stop(),
  )
  signal?.throwIfAborted()
  const places = { given: options.bootstrap, remembered: home.peersOf(network) }
  const seeds = await findSeeds({ env, transport, ...places }, signal)
  home.keepPlace({ peer: key.peer, port: transport.listen.port })
  const storeCapacityBytes = transport.self ? (lender.setting.storeBytes ?? DEFAULT_STORE_BYTES) : 0
  const store = parts.adopt(await openStore(env, home, storeCapacityBytes), (open) => open.close())

  // Others may ask from here on: whatever answers is there before the next message.
  const overlay = createOverlay({ env, transport, space, slots: transport.self ? slots : 0, successors, replicas })
  const registers = createRegisters({ env, transport, overlay, replicas })
  const blocks = createBlocks({ env, transport, overlay, store, replicas: copies })
  const files = lazyFiles(blocks)
  const pins = new Pins({
    env: { ...env, log: env.log.child('pins') },
    blocks,
    blocksOf: (root, call) => files.blocksOf(root, call),
    leaseMs: DEFAULT_LEASE_MS,
    kept: home.pins(),
    keep: (list) => home.keepPins(list),
  })
  const builtin = parts.adopt(createThreadExecutor({ ...running, modules: builtinModule }), (executor) =>
    executor.stop(),
  )
  const plain = chooseExecutor(lender, (module) => (module.startsWith('builtin:') ? builtin : foreign))
  const executor = market.witness(plain)
  const records = new Records({ env, registers, signer, network })
  const jobStore = createJobStore(blocks, files, copies)
  const { admission } = market
  const service = createJobsService({
    env,
    transport,
    overlay,
    registers,
    executor,
    store: jobStore,
    signer,
    admission,
  })
  // Taken down in this order: hand over work, then records and blocks, then the place in the ring, while others still
  // hear us.
  parts.defer(() => overlay.leave())
  registers.start()
  blocks.start()
  parts.defer(async () => {
    await Promise.all([registers.stop(), blocks.stop()])
  })
  service.start()
  parts.defer(() => service.stop())
  // Those of last time may all be starting too.
  await overlay.join(seeds, { signal, orFound: options.bootstrap.length === 0 })
  const alone = overlay.neighbours().every(({ peer }) => peer === key.peer)
  const first = options.bootstrap.length === 0 && alone && transport.self !== undefined
  const place = { env, home: home.path, key, transport, overlay, records, blocks }
  const ledgerOptions = { ...place, network: settings, pinned, first }
  const paying = { jobs: service.jobs, taskPrice: amount(options.taskPrice ?? DEFAULT_TASK_PRICE) }
  const books = parts.adopt(await openLedger({ ...ledgerOptions, ...paying, members: seeds }, signal), (open) =>
    open.stop(),
  )
  const redo = createRedo({ executor: plain, store: jobStore })
  const copying = createRedo({ executor: plain, store: jobStore, atOnce: () => plain.cores })
  const trade = parts.adopt(
    await openMarket({
      ...{ env, home: home.path, transport, registers, books, service, redo, copying, late: market },
      ...{ executor: plain, jobStore, signer, lender },
      isOpenNetwork: isOpenNetwork(settings),
      sandbox: () => foreign.state,
    }),
    (open) => open.stop(),
  )
  pins.start()
  parts.defer(() => pins.stop())
  if (transport.self) {
    parts.defer(keepPeers(env, home, network, overlay))
    parts.defer(seekRemembered({ env, transport, overlay, remembered: places.remembered }))
  } else {
    const onChange = (members: readonly string[]) => home.keepPeers(network, members)
    const known = [...places.given, ...places.remembered]
    const ports = { env, transport, overlay, members: seeds, places: known, placeOf: placeName, onChange }
    parts.defer(await keepMembers(ports))
  }
  await inspected
  lender.start()
  parts.defer(() => lender.stop())
  const started = parts.move()
  let leaving: Promise<void> | undefined
  const storeStat = (): StoreView => {
    const { count, ...stats } = blocks.stats
    return { blocks: count, pins: pins.list().length, ...stats }
  }

  return {
    jobs: paidJobs(service.jobs, books.payments),
    files,
    blocks,
    records,
    books,
    sybil: sybilAnalysis({ env, overlay, settings, copies, books, pinned: () => pins.list().map(({ cid }) => cid) }),
    pins,
    lending: hostLending({
      lender,
      ledger: books.ledger,
      account: books.wallet.account,
      storeCapacityBytes,
      onSet: () => trade.trading.lendingSet(),
    }),
    market: trade.trading,
    status: () => {
      const { blocks: count, bytes, capacityBytes, full, pins: pinned } = storeStat()
      const { rss, heapUsed, external } = process.memoryUsage()
      const { height, epoch, committee, seat, halted = null } = books.ledger.status()
      return {
        pid: process.pid,
        peer: key.peer,
        network: options.network,
        address: transport.self && { ip: transport.self.ip, port: transport.self.port },
        role: leaving ? 'leaving' : transport.self ? 'member' : 'leaf',
        upSinceMs,
        ring: overlayView(overlay),
        connections: transport.peers().length,
        lend: { ...service.lend(), ...lender.standing, ...(foreign.state && { sandbox: foreign.state }) },
        store: { blocks: count, bytes, capacityBytes, full, pins: pinned },
        ledger: { height, epoch, seats: committee.length, seated: seat !== undefined, halted },
        memoryBytes: { rss, heapUsed, external },
        counters: {
          ...transport.counters,
          ...registers.refused,
          ...service.counters(),
          ...books.counters(),
          ...trade.counters(),
        },
      }
    },
    storeStat,
    peers: () => transport.peers(),
    async ping(target, call = {}) {
      return await transport.ping(await findContact(transport, overlay, target, call), call)
    },
    stop: () => (leaving ??= started.disposeAsync()),
  }
}

/** A leaf keeps nothing: what it kept as a member waits on its disk. */
async function openStore(env: Env, home: Home, capacityBytes: number): Promise<BlockStore> {
  if (capacityBytes === 0) return new MemoryBlocks(0)
  const log = env.log.child('disk')
  return await openDiskStore({ dir: join(home.path, 'blocks'), fs: nodeFs, random: env.random, log, capacityBytes })
}

/** At the port that was asked for, else at that of last time, else at any. */
async function listen(
  { home, ...parts }: { env: Env; key: HostKey; home: Home; network: string; placement: Placement },
  { ip, port }: HostOptions['listen'],
): Promise<Libp2pTransport> {
  const { env } = parts
  const at = (chosen: number) =>
    createLibp2pTransport({ ...parts, listen: { ip, port: chosen }, incarnation: home.incarnation })
  if (port !== 0 || home.port === 0) return await at(port)
  try {
    return await at(home.port)
  } catch (error) {
    // Another port is another place in the ring, which is better than none.
    env.log.warn('the port of last time is not free', { port: home.port, error: errorMessage(error) })
    return await at(0)
  }
}
