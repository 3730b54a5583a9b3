/**
 * The market of a host, put together. Jobs are served before the ledger is open, and so are those that are paid for: until then
 * nobody is admitted to them, and nothing is done for money.
 */
import { join } from 'node:path'
import { Type } from 'typebox'
import { checker } from './core/codec.ts'
import type { Env } from './core/env.ts'
import { ChoraleError } from './core/errors.ts'
import { nodeFs } from './dht/store/disk/fs.ts'
import { guarded, makeDirectory, namesIn, readText, removeFile, writeAtomically } from './home-files.ts'
import type { OpenLedger } from './ledger-host.ts'
import type { Admission, Executor, Redo } from './mapreduce/ports.ts'
import type { JobsService } from './mapreduce/service.ts'
import { encodeSpec, jobIdOf, jobKeyOf, parseSpec } from './mapreduce/spec.ts'
import { type OnDone, witnessed } from './market/allocation/witness.ts'
import { type ContractCounter, Contracts, type ContractsPorts } from './market/contracts/contracts.ts'
import type { RememberedJob } from './market/contracts/remembering.ts'
import { formatVerify, parseVerify } from './market/verification/policy.ts'
import { peerOfPublicKey, publicKeyOfPeer } from './net/host-key.ts'
import type { Transport } from './net/transport.ts'

/** What jobs ask the market, from the start on. */
export interface LateMarket {
  readonly admission: Admission
  /** Tells the market what is done for money. */
  witness(executor: Executor): Executor
  /** From now on this answers. */
  open(contracts: Admission & { witnessed: OnDone }): void
}

export function lateMarket(): LateMarket {
  let market: Parameters<LateMarket['open']>[0] | undefined
  return {
    admission: {
      admits: (contract, peer, pass) => market?.admits(contract, peer, pass) ?? false,
      contractOf(job) {
        if (market) return market.contractOf(job)
        throw new ChoraleError('busy', 'the ledger is not open yet: try again in a moment')
      },
    },
    witness: (executor) => witnessed(executor, (spec, task, digest) => market?.witnessed(spec, task, digest)),
    open(contracts) {
      market = contracts
    },
  }
}

export interface MarketHostOptions {
  readonly env: Env
  /** A home's directory. */
  readonly home: string
  readonly transport: Transport
  readonly books: Pick<OpenLedger, 'ledger' | 'wallet' | 'keys' | 'find' | 'lost' | 'publish'>
  readonly service: Pick<JobsService, 'capacityChanged'>
  readonly redo: Redo
  readonly late: LateMarket
}

export interface OpenMarket {
  readonly contracts: Contracts
  counters(): Readonly<Record<ContractCounter, number>>
  /** Before the ledger stops. */
  stop(): Promise<void>
}

/** Starts it, over a ledger that is open. Rejects with `config` (what the home keeps is damaged) and `io`. */
export async function openMarket(options: MarketHostOptions): Promise<OpenMarket> {
  const { env: host, home, transport, books, service, redo, late } = options
  const env = { ...host, log: host.log.child('market') }
  const dir = join(home, 'market')
  guarded(home, () => makeDirectory(dir))
  const { ledger, wallet, keys, find, lost, publish } = books
  const contracts = new Contracts({
    ...{ env, transport, ledger, wallet, keys, find, lost, publish, redo },
    peerOf: peerOfPublicKey,
    hostOf: publicKeyOfPeer,
    fs: nodeFs,
    dir: join(dir, 'work'),
    jobs: rememberedJobs(home, join(dir, 'jobs')),
    admissionChanged: () => service.capacityChanged(),
  })
  await contracts.start()
  late.open(contracts)
  service.capacityChanged()
  return { contracts, counters: () => contracts.counters(), stop: () => contracts.stop() }
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
