/** A lender whose machine, clock, sandbox and benchmark a test makes up. */
import { silentLogger } from '../../src/core/env.ts'
import { systemRandom } from '../../src/core/system.ts'
import type { SandboxState } from '../../src/mapreduce/sandbox/admission.ts'
import type { JobsLoad } from '../../src/mapreduce/service.ts'
import { Lender, type LenderPorts } from '../../src/market/lending/lender.ts'
import { DEFAULT_SETTING } from '../../src/market/lending/setting.ts'
import { VirtualTime } from '../unit/mapreduce/virtual-time.ts'

export const OS: SandboxState = { level: 'os', strangers: 'any' }
export const PROCESS: SandboxState = { level: 'process', why: 'bubblewrap is not installed', strangers: 'webassembly' }

/** Four cores and 16 GiB. */
export function fakeLender(change: Partial<LenderPorts> = {}) {
  const time = new VirtualTime()
  const world = {
    /** Since midnight. */
    minute: 12 * 60,
    /** Cores that others take from now on. */
    others: 0,
    sandbox: OS as SandboxState | undefined,
    load: { cores: 0, busy: 0, tasksRunning: 0, tasksDone: 12 } as JobsLoad,
    /** As the worker was told. */
    capacity: [] as number[],
    kept: change.kept ?? { setting: DEFAULT_SETTING, speed: undefined },
    engine: 'js/v8-13.6/prelude',
    /** Of the runs of the benchmark, ms. */
    tookMs: [120, 100, 90],
    benchmarks: 0,
    busyMs: 0,
    readAtMs: time.now(),
  }
  const readCpu = () => {
    const atMs = time.now()
    world.busyMs += world.others * (atMs - world.readAtMs)
    world.readAtMs = atMs
    return { atMs, busyMs: world.busyMs, ownMs: 0, cores: 4 }
  }
  const lender: Lender = new Lender({
    env: { clock: time, random: systemRandom, log: silentLogger },
    machine: {
      cores: 4,
      memoryBytes: 16 * 2 ** 30,
      name: 'Fake CPU, 4 cores',
      minuteOfDay: () => world.minute,
      readCpu,
    },
    isOpenNetwork: false,
    kept: world.kept,
    given: {},
    keep: (kept) => {
      world.kept = kept
    },
    sandbox: () => world.sandbox,
    benchmark: async () => {
      world.benchmarks++
      return { tookMs: world.tookMs, operations: 2e8, engine: world.engine, level: world.sandbox?.level ?? 'none' }
    },
    engine: async () => world.engine,
    load: () => ({ ...world.load, cores: lender.cores }),
    onCapacity: () => world.capacity.push(lender.cores),
    ...change,
  })
  const wait = (ms: number) => time.until(time.sleep(ms), ms + 1)
  return { lender, world, time, wait }
}
