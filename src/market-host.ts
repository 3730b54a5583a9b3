/**
 * The market of a host, put together. Jobs are served before the ledger is open, and so are those that are paid for: until then
 * nobody is admitted to them, and nothing is done for money.
 */
import { join } from 'node:path'
import { Type } from 'typebox'
import { checker } from './core/codec.ts'
import type { Env } from './core/env.ts'
import { ChoraleError } from './core/errors.ts'
import type { Registers } from './dht/registers.ts'
import { nodeFs } from './dht/store/disk/fs.ts'
import { guarded, makeDirectory, namesIn, readText, removeFile, writeAtomically } from './home-files.ts'
import type { OpenLedger } from './ledger-host.ts'
import type { Admission, Executor, JobStore, Redo } from './mapreduce/ports.ts'
import type { SandboxState } from './mapreduce/sandbox/admission.ts'
import type { JobsService } from './mapreduce/service.ts'
import { encodeSpec, jobIdOf, jobKeyOf, parseSpec } from './mapreduce/spec.ts'
import { type TrialPorts, trialSpec } from './mapreduce/trial.ts'
import { type OnDone, witnessed } from './market/allocation/witness.ts'
import { Board, type BoardCounter } from './market/board/board.ts'
import { Contracts, type ContractsPorts } from './market/contracts/contracts.ts'
import type { ContractCounter } from './market/contracts/counters.ts'
import type { RememberedJob } from './market/contracts/remembering.ts'
import { verifyEd25519 } from './market/ledger/ed25519.ts'
import { rememberingVerify } from './market/ledger/keys.ts'
import { EMPTY_FUNNEL, type LenderMarket } from './market/lending/funnel.ts'
import type { Lender } from './market/lending/lender.ts'
import type { Level } from './market/offers/offer.ts'
import { Trading } from './market/trading/trading.ts'
import { formatVerify, parseVerify } from './market/verification/policy.ts'
import { purchaseJournal } from './market-journal.ts'
import { peerOfPublicKey, publicKeyOfPeer } from './net/host-key.ts'
import type { Transport } from './net/transport.ts'

/** Good signatures of offers that are remembered. */
const REMEMBERED = 16_384

/** What jobs ask the market, from the start on. */
export interface LateMarket {
  readonly admission: Admission
  /** Tells the market what is done for money. */
  witness(executor: Executor): Executor
  readonly lending: LenderMarket
  /** From now on these answer. */
  open(contracts: Admission & { witnessed: OnDone }, lending: LenderMarket): void
}

export function lateMarket(): LateMarket {
  let market: Parameters<LateMarket['open']>[0] | undefined
  let lending: LenderMarket | undefined
  return {
    admission: {
      admits: (contract, peer, pass) => market?.admits(contract, peer, pass) ?? false,
      contractOf(job) {
        if (market) return market.contractOf(job)
        throw new ChoraleError('busy', 'the ledger is not open yet: try again in a moment')
      },
    },
    witness: (executor) => witnessed(executor, (spec, task, digest) => market?.witnessed(spec, task, digest)),
    lending: {
      funnel: () => lending?.funnel() ?? EMPTY_FUNNEL,
      offering: async () => (await lending?.offering()) ?? 'nothing yet: the ledger is not open',
    },
    open(contracts, trading) {
      market = contracts
      lending = trading
    },
  }
}

export interface MarketHostOptions extends Pick<TrialPorts, 'signer'> {
  readonly executor: Pick<Executor, 'plan' | 'cores'>
  readonly env: Env
  /** A home's directory. */
  readonly home: string
  readonly transport: Transport
  readonly books: Pick<OpenLedger, 'ledger' | 'wallet' | 'keys' | 'find' | 'lost' | 'publish'>
  readonly registers: Registers
  readonly service: Pick<JobsService, 'capacityChanged' | 'jobs'>
  readonly jobStore: Pick<JobStore, 'file'>
  readonly lender: Pick<Lender, 'lent' | 'measure'>
  readonly isOpenNetwork: boolean
  /** How this host runs foreign code. */
  readonly sandbox: () => SandboxState | undefined
  readonly redo: Redo
  /** As `redo`, as many tasks at once as are lent. */
  readonly copying: Redo
  readonly late: LateMarket
}

export interface OpenMarket {
  readonly contracts: Contracts
  readonly trading: Trading
  counters(): Readonly<Record<ContractCounter | BoardCounter, number>>
  /** Before the ledger stops. */
  stop(): Promise<void>
}

/** Starts it, over a ledger that is open. Rejects with `config` (what the home keeps is damaged) and `io`. */
export async function openMarket(options: MarketHostOptions): Promise<OpenMarket> {
  const { env: host, home, transport, books, service, redo, copying, late } = options
  const { executor, signer, registers, jobStore: store, lender: lending } = options
  const env = { ...host, log: host.log.child('market') }
  const dir = join(home, 'market')
  guarded(home, () => makeDirectory(dir))
  const { ledger, wallet, keys, find, lost, publish } = books
  const contracts = new Contracts({
    ...{ env, transport, ledger, wallet, keys, find, lost, publish, redo, copying },
    cores: () => executor.cores,
    peerOf: peerOfPublicKey,
    hostOf: publicKeyOfPeer,
    fs: nodeFs,
    dir: join(dir, 'work'),
    jobs: rememberedJobs(home, join(dir, 'jobs')),
    admissionChanged: () => service.capacityChanged(),
  })
  await contracts.start()
  const verify = rememberingVerify(verifyEd25519, REMEMBERED)
  const board = new Board({ env, registers, network: ledger.network, verify })
  const { jobs } = service
  const trading = new Trading({
    ...{ env: { ...host, log: host.log.child('trading') }, ledger, wallet, keys, verify, board, contracts, lending },
    ...{ jobs, redo },
    levelOf: ({ module }) => levelFor(module, options.isOpenNetwork, options.sandbox()),
    plan: (request) => trialSpec({ env, executor, store, signer }, request),
    journal: purchaseJournal(home),
  })
  late.open(contracts, trading)
  service.capacityChanged()
  board.start()
  trading.start()
  return {
    contracts,
    trading,
    counters: () => ({ ...contracts.counters(), ...board.counters }),
    async stop() {
      await trading.stop()
      await Promise.all([board.stop(), contracts.stop()])
    },
  }
}

/**
 * What code of others asks for (mapreduce/sandbox/admission.ts): hosts without walls take none but what comes with Chorale, unless
 * those of a private network were told to, and then this one was too.
 */
function levelFor(module: string, isOpenNetwork: boolean, sandbox: SandboxState | undefined): Level {
  if (module.startsWith('builtin:')) return 'process'
  return !isOpenNetwork && sandbox?.level === 'process' && sandbox.strangers === 'any' ? 'process' : 'os'
}

const Kept = checker(
  Type.Object({
    /** Base64. */
    spec: Type.String(),
    policy: Type.String({ maxLength: 64 }),
    sinceMs: Type.Number(),
    releasedMs: Type.Optional(Type.Number()),
  }),
)

/** A file for each. */
function rememberedJobs(home: string, dir: string): ContractsPorts['jobs'] {
  guarded(home, () => makeDirectory(dir))
  return {
    kept: guarded(home, () => namesIn(dir).filter((name) => /^[0-9a-f]{64}$/.test(name)))
      .map((name) => read(join(dir, name)))
      .filter((job) => job !== undefined),
    keep({ spec, policy, ...times }) {
      const text = JSON.stringify({
        spec: Buffer.from(encodeSpec(spec)).toString('base64'),
        policy: formatVerify(policy),
        ...times,
      })
      guarded(home, () => writeAtomically(join(dir, jobKeyOf(spec)), `${text}\n`))
    },
    forget: (job) => guarded(home, () => removeFile(join(dir, job))),
  }
}

/** Throws `config` when it is damaged: in silence, somebody's work would be paid unseen. */
function read(file: string): RememberedJob | undefined {
  const text = readText(file)
  if (text === undefined) return undefined
  try {
    const { spec, policy, sinceMs, releasedMs } = Kept.parse(JSON.parse(text))
    const bytes = Buffer.from(spec, 'base64')
    const known = { spec: parseSpec(jobIdOf(bytes), bytes), policy: parseVerify(policy), sinceMs }
    return releasedMs === undefined ? known : { ...known, releasedMs }
  } catch (error) {
    throw new ChoraleError('config', `${file} is damaged: remove it, and pay for what is done of that job unseen`, {
      cause: error,
    })
  }
}
