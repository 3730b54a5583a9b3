/**
 * What a host lends now: its setting, the hours, its machine's other users, and the sandbox, looked at again and again. When it
 * ends, what runs is finished (mapreduce/worker.ts). It also keeps the speed of the machine, which is measured when somebody
 * asks, and again by itself, at a quiet moment, when it is known of another machine or engine. Not before anybody has asked:
 * many hosts on one machine would all measure at once, for nobody.
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorMessage } from '../../core/errors.ts'
import { TASK_MEMORY_BYTES } from '../../core/limits.ts'
import type { SandboxState } from '../../mapreduce/sandbox/admission.ts'
import type { Benchmark } from '../../mapreduce/sandbox/benchmark.ts'
import { type ProcessLimits, processesFor } from '../../mapreduce/sandbox/sandbox.ts'
import type { JobsLoad } from '../../mapreduce/service.ts'
import { type Decision, decide, whyNoWalls } from './decision.ts'
import type { Funnel, LenderMarket } from './funnel.ts'
import { minutesLeft } from './hours.ts'
import { type CpuReading, type IdleState, NOT_WATCHED, watched } from './idle.ts'
import { type LendChange, type LendSetting, type MachineSize, requireFitting, slotsOf } from './setting.ts'
import { holdsFor, mipsOf, type Speed, type SpeedPlace } from './speed.ts'

/** Hours and other users are looked at so often. */
const LOOK_MS = 5_000
/** What has changed is measured again when the host has been up for so long, and no task runs. */
const QUIET_START_MS = 60_000

/** The machine, as far as lending looks at it. */
export interface Machine extends MachineSize {
  /** Processor and number of cores: another name is another machine. */
  readonly name: string
  /** Since midnight, local time. */
  minuteOfDay(nowMs: number): number
  readCpu(): CpuReading
}

/** What lasts. */
export interface Kept {
  readonly setting: LendSetting
  readonly speed: Speed | undefined
}

export interface LenderPorts {
  readonly env: Env
  readonly machine: Machine
  readonly isOpenNetwork: boolean
  readonly kept: Kept
  /** Of the setting, for this run of the host only. */
  readonly given: LendChange
  /** Throws when it cannot be kept: then nothing is changed. */
  keep(kept: Kept): void
  sandbox(): SandboxState | undefined
  benchmark(options: { readonly signal: AbortSignal }): Promise<Benchmark>
  /** Of foreign code. */
  engine(): Promise<string>
  load(): JobsLoad
  /** `cores` has changed. */
  onCapacity(): void
  /** Absent: the network has no market. */
  readonly market?: LenderMarket
}

/** What a host has for others now. */
export interface Lent {
  /** Tasks at once. */
  readonly slots: number
  /** `os`: of code of anybody; else what comes with Chorale is done, which needs no walls. */
  readonly level: 'process' | 'os'
  readonly minPrice: LendSetting['minPrice']
  /** Undefined: it was not measured on this machine, engine and level. */
  readonly mips: number | undefined
  /** How long it will lend, in ms; undefined: there is no end to be seen. */
  readonly forMs: number | undefined
}

export interface LendView extends Decision, JobsLoad {
  readonly setting: LendSetting
  /** What of it holds for this run only. */
  readonly given: ReadonlyArray<keyof LendSetting>
  /** Tasks that may be at work at once when it lends. */
  readonly slots: number
  /** Processes of foreign code, idle ones included. */
  readonly processes: number
  readonly machine: MachineSize & { readonly name: string }
  readonly sandbox: SandboxState | undefined
  readonly speed: Speed | undefined
  /** Was it measured on this machine, engine and level? */
  readonly speedHolds: boolean
  readonly funnel: Funnel | undefined
  /** What it offers in the market now, or why nothing. */
  readonly offering: string | undefined
}

export class Lender {
  readonly #ports: LenderPorts
  #kept: Kept
  #given: LendChange
  #idle: IdleState = NOT_WATCHED
  #decision: Decision = { state: 'off', why: 'the host starts' }
  #cores = 0
  #cancel = () => {}
  #cancelMeasuring = () => {}
  #measuring: Promise<Speed> | undefined
  readonly #stopped = new AbortController()

  constructor(ports: LenderPorts) {
    this.#ports = ports
    this.#kept = ports.kept
    this.#given = ports.given
    requireFitting(ports.given, ports.machine)
  }

  /** As lent now; none before the start. */
  get cores(): number {
    return this.#cores
  }

  /** Of foreign code, as they may be now. Folds are done by hosts that lend nothing too. */
  get processes(): ProcessLimits {
    const { memoryBytes } = this.setting
    const { atWork, inAll } = processesFor(this.#slots)
    const room = memoryBytes === null ? inAll : Math.max(1, Math.floor(memoryBytes / TASK_MEMORY_BYTES))
    return { atWork: Math.min(atWork, room), inAll: Math.min(inAll, room) }
  }

  /** In force now. */
  get setting(): LendSetting {
    return { ...this.#kept.setting, ...this.#given }
  }

  get standing(): Decision & Pick<LendView, 'slots'> {
    return { ...this.#decision, slots: this.#slots }
  }

  start(): void {
    this.#look()
    if (this.#kept.speed) this.#planMeasuring()
  }

  async stop(): Promise<void> {
    this.#stopped.abort(new ChoraleError('aborted', 'the host stops'))
    this.#cancel()
    this.#cancelMeasuring()
    await this.#measuring?.catch(() => {})
  }

  /** Keeps it, and lends by it from now on. Throws `usage` when that cannot be, and as `keep` does. */
  set(change: LendChange): void {
    const { machine, sandbox, keep } = this.#ports
    requireFitting(change, machine)
    const walls = change.level === 'os' ? whyNoWalls(sandbox()) : undefined
    if (walls !== undefined) throw new ChoraleError('usage', walls)
    const kept = { ...this.#kept, setting: { ...this.#kept.setting, ...change } }
    keep(kept)
    this.#kept = kept
    const given = Object.entries(this.#given).filter(([name]) => !(name in change))
    this.#given = Object.fromEntries(given) as LendChange
    if (change.when !== undefined) this.#idle = NOT_WATCHED
    this.#look()
  }

  /** Takes some seconds. Two at once are one. Rejects as `benchmark` does. */
  measure({ signal }: { readonly signal: AbortSignal } = this.#stopped): Promise<Speed> {
    this.#measuring ??= this.#measure(signal).finally(() => {
      this.#measuring = undefined
    })
    return this.#measuring
  }

  async view(): Promise<LendView> {
    const { machine, sandbox, load, market } = this.#ports
    const { speed } = this.#kept
    return {
      ...this.#decision,
      ...load(),
      setting: this.setting,
      given: Object.keys(this.#given) as Array<keyof LendSetting>,
      slots: this.#slots,
      processes: this.processes.inAll,
      machine: { name: machine.name, cores: machine.cores, memoryBytes: machine.memoryBytes },
      sandbox: sandbox(),
      speed,
      speedHolds: speed !== undefined && holdsFor(speed, await this.#place()),
      funnel: market?.funnel(),
      offering: await market?.offering(),
    }
  }

  /** Undefined: it lends nothing, or takes no code of others. */
  async lent(): Promise<Lent | undefined> {
    const { machine, sandbox, env } = this.#ports
    const known = sandbox()
    if (this.#cores === 0 || !known) return undefined
    const level = known.level === 'os' && known.strangers === 'any' ? 'os' : 'process'
    const { minPrice, when } = this.setting
    const { speed } = this.#kept
    const slots = this.#cores
    const mips = speed && holdsFor(speed, await this.#place()) ? speed.mips : undefined
    const forMs =
      typeof when === 'string' ? undefined : minutesLeft(when, machine.minuteOfDay(env.clock.now())) * 60_000
    return { slots, level, minPrice, mips, forMs }
  }

  get #slots(): number {
    return slotsOf(this.setting, this.#ports.machine, this.#ports.isOpenNetwork)
  }

  /** Now, and as long as time changes something. */
  #look(): void {
    this.#cancel()
    if (this.#stopped.signal.aborted) return
    const { env, machine, load } = this.#ports
    const { when } = this.setting
    if (when === 'idle') this.#idle = watched(this.#idle, machine.readCpu(), load().busy)
    this.#decide()
    if (when !== 'always' || this.#decision.state === 'refused') {
      this.#cancel = env.clock.timer(LOOK_MS, () => this.#look())
    }
  }

  #decide(): void {
    const { env, machine, sandbox, isOpenNetwork, onCapacity } = this.#ports
    const slots = this.#slots
    const minute = machine.minuteOfDay(env.clock.now())
    const before = this.#decision
    const facts = { slots, isOpenNetwork, minute, idle: this.#idle, sandbox: sandbox() }
    this.#decision = decide(this.setting, facts)
    const { state, why } = this.#decision
    if (state !== before.state) env.log.info('lending has changed', { state, why })
    const cores = state === 'lending' ? slots : 0
    if (cores === this.#cores) return
    this.#cores = cores
    onCapacity()
  }

  #planMeasuring(): void {
    this.#cancelMeasuring = this.#ports.env.clock.timer(QUIET_START_MS, () => void this.#measureIfChanged())
  }

  async #measureIfChanged(): Promise<void> {
    const { env, load } = this.#ports
    try {
      const { speed } = this.#kept
      if (speed && holdsFor(speed, await this.#place())) return
      if (this.#cores > 0 && load().busy === 0) await this.measure()
      else this.#planMeasuring()
    } catch (error) {
      if (!this.#stopped.signal.aborted) env.log.warn('the machine was not measured', { reason: errorMessage(error) })
    }
  }

  async #measure(signal: AbortSignal): Promise<Speed> {
    const { env, machine, load, benchmark, keep } = this.#ports
    const { tasksRunning } = load()
    const { tookMs, operations, engine, level } = await benchmark({ signal })
    const figures = mipsOf(tookMs, operations)
    const measuredAtMs = Math.floor(env.clock.now())
    const speed: Speed = { ...figures, measuredAtMs, machine: machine.name, engine, level, tasksRunning }
    const kept = { ...this.#kept, speed }
    keep(kept)
    this.#kept = kept
    return speed
  }

  async #place(): Promise<SpeedPlace> {
    const { machine, engine, sandbox } = this.#ports
    return { machine: machine.name, engine: await engine(), level: sandbox()?.level ?? 'none' }
  }
}
