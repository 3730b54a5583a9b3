/** Lending of one host, put together: its file, this machine, the sandbox, and what its account has earned. */
import type { Env } from './core/env.ts'
import { keepLending, readLending } from './lend-file.ts'
import { thisMachine } from './lend-machine.ts'
import { runBenchmark } from './mapreduce/sandbox/benchmark.ts'
import { engineName, type SandboxExecutor } from './mapreduce/sandbox/executor.ts'
import type { PublicKey } from './market/ledger/keys.ts'
import type { Ledger } from './market/ledger/ledger.ts'
import { type Earnings, earningsOf } from './market/lending/earnings.ts'
import { Lender, type LenderPorts, type LendView } from './market/lending/lender.ts'
import type { LendChange } from './market/lending/setting.ts'
import type { Speed } from './market/lending/speed.ts'

export type { Earnings, LendChange, LendView, Speed }

/** Beside what the lender itself knows. */
export interface LendSides {
  readonly earnings: Earnings
  /** What the store may keep in this run of the host. */
  readonly storeCapacityBytes: number
}

/** What a host's own user sees of its lending, and does with it. */
export interface HostLending {
  view(): Promise<LendView & LendSides>
  /** Holds at once, and for the next starts; the store's size from the next start on. Throws `usage`, `config` and `io`. */
  set(change: LendChange): void
  /** Rejects with `config` where foreign code cannot be run. */
  measure(options: { readonly signal: AbortSignal }): Promise<Speed>
}

export interface LendHostOptions
  extends Pick<LenderPorts, 'isOpenNetwork' | 'given' | 'load' | 'onCapacity' | 'market'> {
  readonly env: Env
  /** Runs foreign code. Not asked for before the lender starts. */
  readonly foreign: () => Pick<SandboxExecutor, 'state' | 'inspect'>
  /** A home's directory. */
  readonly home: string
}

/** Throws `config` when what the home keeps is damaged, and `usage` when more is given than this machine has. */
export function createLender({ env, home, foreign, ...ports }: LendHostOptions): Lender {
  const log = env.log.child('lending')
  return new Lender({
    ...ports,
    env: { ...env, log },
    machine: thisMachine(),
    kept: readLending(home),
    keep: (kept) => keepLending(home, kept),
    sandbox() {
      const executor = foreign()
      if (!executor.state) void executor.inspect().catch(() => {}) // the machine may have been too busy to tell
      return executor.state
    },
    benchmark: (options) => runBenchmark({ clock: env.clock, log }, options),
    engine: () => engineName('js'),
  })
}

/** What a host's options say of its lending, for this run. */
export function givenLending(options: {
  readonly lendCores?: number | undefined
  readonly lendMemoryBytes?: number | undefined
  readonly storeBytes?: number | undefined
}): LendChange {
  const { lendCores, lendMemoryBytes, storeBytes } = options
  return {
    ...(lendCores !== undefined && { cores: lendCores }),
    ...(lendMemoryBytes !== undefined && { memoryBytes: lendMemoryBytes }),
    ...(storeBytes !== undefined && { storeBytes }),
  }
}

export interface LendParts {
  readonly lender: Lender
  readonly ledger: Pick<Ledger, 'history' | 'status'>
  readonly account: PublicKey
  readonly storeCapacityBytes: number
  /** The user has said what is lent. */
  onSet(): void
}

export function hostLending({ lender, ledger, account, storeCapacityBytes, onSet }: LendParts): HostLending {
  return {
    async view() {
      return { ...(await lender.view()), earnings: await earningsOf(ledger, account), storeCapacityBytes }
    },
    set(change) {
      lender.set(change)
      onSet()
    },
    measure: (options) => lender.measure(options),
  }
}
