/**
 * The node's side of allocations: whatever this account has a part in is brought to its end, as the supplier that works, the
 * customer that tests and pays, or a mediator. What is to be done next is decided by `allocation/steps.ts`; this finds out what
 * these decisions need, and brings them in. It needs nothing but the ledger, the account's key and what is on its disk, so a
 * host that was down goes on.
 *
 * Of an account with several hosts, the one that is contracted does the supplier's steps, and the one that has submitted the job
 * the customer's.
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorCode, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { DiskFs } from '../../dht/store/disk/fs.ts'
import type { Admission, PaidPass, Redo } from '../../mapreduce/ports.ts'
import { encodeSpec, type JobSpec } from '../../mapreduce/spec.ts'
import type { Contact } from '../../net/contact.ts'
import type { Transport } from '../../net/transport.ts'
import type { KeyPair, PublicKey } from '../ledger/keys.ts'
import type { Ledger } from '../ledger/ledger.ts'
import { type Allocation, claimId } from '../ledger/state/allocations/allocation.ts'
import type { Wallet } from '../ledger/wallet.ts'
import type { VerifyPolicy } from '../verification/policy.ts'
import { Gate } from './admission.ts'
import { askOpenings, askSpec } from './asking.ts'
import { type ContractCounter, NAMES } from './counters.ts'
import { Freshness } from './freshness.ts'
import { Mediating } from './mediating.ts'
import { nextStep, type Sides } from './next-step.ts'
import { isMine, isOpen, Parts } from './parts.ts'
import { Pauses } from './pauses.ts'
import { Redoing } from './redoing.ts'
import { type RememberedJob, Remembering } from './remembering.ts'
import { Serving } from './serving.ts'
import { Supplying } from './supplying.ts'
import { Testing } from './testing.ts'
import { WorkLogs } from './work-log.ts'

/** When no block comes: deadlines are over all the same. */
const TICK_MS = 2_000
/** Between two rounds, however much happens: what happened meanwhile is seen in one. */
const LEAST_REST_MS = 50
/** What is done is synced so often; a crash costs what was done since. */
const FLUSH_MS = 2_000
/** For one operation. */
const PATIENCE_MS = 30_000
const CLEAN_MS = 60_000

export interface ContractsPorts {
  readonly env: Env
  readonly transport: Pick<Transport, 'peer' | 'request' | 'handle'>
  readonly ledger: Ledger
  readonly wallet: Pick<Wallet, 'account' | 'host' | 'act'>
  /** Of the account. */
  readonly keys: KeyPair
  /** Undefined: nobody tells. */
  find(host: PublicKey): Promise<Contact | undefined>
  /** It is not there any more, or cannot be reached. */
  lost(place: Contact, code: 'gone' | 'unreachable'): void
  /** From now on others find this host. */
  publish(): void
  peerOf(host: PublicKey): string
  /** Undefined: it is no host of the ledger's kind. */
  hostOf(peer: string): PublicKey | undefined
  readonly redo: Redo
  /** The same for what is done for money, as many tasks at once as are lent; and how many these are now. */
  readonly copying: Redo
  cores(): number
  readonly fs: DiskFs
  /** Of the work logs; its parent is there. */
  readonly dir: string
  /** Of the jobs that this host has submitted and pays for. Synced; throws `io`. */
  readonly jobs: {
    readonly kept: readonly RememberedJob[]
    keep(job: RememberedJob): void
    forget(job: Key): void
  }
  /** Others may do the tasks of a job now, or no longer. */
  admissionChanged(): void
}

export class Contracts implements Admission {
  readonly #ports: ContractsPorts
  readonly #parts: Parts
  readonly #gate: Gate
  readonly #remembering: Remembering
  readonly #redoing: Redoing
  readonly #testing: Testing
  readonly #mediating: Mediating
  readonly #serving: Serving
  readonly #pauses: Pauses
  readonly #freshness: Freshness
  readonly #counters = Object.fromEntries(NAMES.map((name) => [name, 0])) as Record<ContractCounter, number>
  readonly #stopped = new AbortController()
  #supplying: Supplying | undefined
  #looked: Ledger['state'] | undefined
  #wake = () => {}
  #woken = false
  #flushAtMs = 0
  #cleanAtMs = 0
  #isPublished = false
  #running: Promise<void> = Promise.resolve()

  constructor(ports: ContractsPorts) {
    this.#ports = ports
    const { env, redo, wallet } = ports
    const found = () => this.#rouse()
    const count = (what: ContractCounter) => void this.#counters[what]++
    const specOf = (id: Key, allocation: Allocation, signal: AbortSignal) => this.#specOf(id, allocation, signal)
    this.#parts = new Parts(wallet)
    this.#gate = new Gate({
      parts: this.#parts,
      host: wallet.host,
      peerOf: ports.peerOf,
      accountOf: (peer) => this.#accountOf(peer),
      nowMs: () => env.clock.now(),
      done: (contract) => this.#supplying?.log(contract)?.done ?? [],
    })
    this.#remembering = new Remembering(env, ports.jobs)
    this.#redoing = new Redoing(redo)
    this.#pauses = new Pauses(env)
    this.#freshness = new Freshness(ports, this.#stopped.signal)
    this.#mediating = new Mediating({ env, redoing: this.#redoing, specOf, found })
    this.#testing = new Testing({
      env,
      redoing: this.#redoing,
      found,
      count,
      ask: (id, allocation, positions, signal) => askOpenings(this.#asking(), [id, allocation], positions, signal),
    })
    this.#serving = new Serving({
      transport: ports.transport,
      keys: ports.keys,
      host: wallet.host,
      hostOf: ports.hostOf,
      accountOf: (peer) => this.#accountOf(peer),
      allocation: (id) => this.#parts.get(id),
      freshen: () => this.#freshness.ask(),
      digest: (allocation, task) => this.#supplying?.log(claimId(allocation))?.digest(task),
      specBytes: (allocation) => {
        const spec = this.specHere(allocation)
        return spec && encodeSpec(spec)
      },
      count,
    })
  }

  /** Reads what is on the disk, and begins. Rejects with `io`. */
  async start(): Promise<void> {
    const { env, ledger, copying, cores, fs, dir } = this.#ports
    const logs = await WorkLogs.open(fs, dir)
    this.#supplying = new Supplying({
      env,
      redo: copying,
      cores,
      logs,
      signal: this.#stopped.signal,
      state: () => ledger.state,
      mine: (contract) => this.#mine(contract),
      specOf: (id, allocation, signal) => this.#specOf(id, allocation, signal),
      done: (contract) => {
        if (this.#gate.spend(contract)) this.#ports.admissionChanged()
        this.#rouse()
      },
      hasRoom: (contract) => this.#gate.hasRoom(contract),
    })
    this.#serving.start()
    const forget = ledger.onBlock(() => {
      this.#freshness.heard()
      this.#look()
    })
    this.#stopped.signal.addEventListener('abort', forget, { once: true })
    this.#look()
    this.#running = this.#run(this.#supplying)
  }

  /** What is under way is given up, and goes on after the next start. */
  async stop(): Promise<void> {
    this.#stopped.abort(new ChoraleError('aborted', 'the host leaves'))
    this.#rouse()
    this.#redoing.stop()
    await Promise.all([this.#running, this.#testing.stop(), this.#mediating.stop(), this.#supplying?.stop()])
  }

  // Admission ----------------------------------------------------------------------------------------------------------

  admits(contract: Key, peer: string, pass: PaidPass): boolean {
    return this.#gate.admits(contract, peer, pass)
  }

  contractOf(job: Key): Key {
    return claimId({ customer: this.#ports.wallet.account, job })
  }

  // What others of this node see and ask -------------------------------------------------------------------------------

  /** In which this account has a part, those that are closed and not forgotten included. */
  all(): Iterable<readonly [Key, Allocation]> {
    this.#look()
    return this.#parts.own()
  }

  /** Tasks that this host has done of the allocation's job. */
  doneTasks(id: Key): number {
    const contract = this.#parts.contractOf(id)
    return (contract && this.#supplying?.log(contract)?.count) ?? 0
  }

  /** Before a job is submitted that is paid for. Throws `io`, and `limit` when there are too many. */
  remember(spec: JobSpec, policy: VerifyPolicy): void {
    this.#remembering.remember(spec, policy)
    this.#rouse()
  }

  /** The job is over, or not wanted any more: nothing more is done for it. Throws `io`. */
  release(job: Key): void {
    this.#remembering.release(job)
    this.#rouse()
  }

  counters(): Readonly<Record<ContractCounter, number>> {
    return { ...this.#counters }
  }

  /** Of `witnessed`: this host has done a task. */
  witnessed(spec: JobSpec, task: number, digest: Key): void {
    if (!this.#stopped.signal.aborted) this.#supplying?.witnessed(spec, task, digest)
  }

  // Along with the ledger ----------------------------------------------------------------------------------------------

  /** The state as it is now, if it is another than last time. */
  #look(): void {
    const { state } = this.#ports.ledger
    if (state.allocations === this.#looked?.allocations) return
    this.#looked = state
    const { contracts, own } = this.#parts.update(state)
    let admission = false
    for (const contract of contracts) admission = this.#gate.update(contract, state) || admission
    if (admission) this.#ports.admissionChanged()
    if (own.length === 0) return
    for (const id of own) {
      this.#pauses.end(id)
      const allocation = this.#parts.get(id)
      if (!allocation || allocation.phase.name === 'closed') this.#forget(id)
    }
    this.#rouse()
  }

  #rouse(): void {
    this.#woken = true
    this.#wake()
  }

  async #run(supplying: Supplying): Promise<void> {
    const { signal } = this.#stopped
    while (!signal.aborted) {
      this.#woken = false
      let acted = false
      for (const id of [...this.#parts.own()].map(([id]) => id)) {
        if (signal.aborted) return
        acted = (await this.#advance(id, supplying)) || acted
      }
      await this.#keep(supplying).catch((error) => {
        this.#ports.env.log.warn('what is over was not cleared away', { reason: errorMessage(error) })
      })
      if (!acted) await this.#rest()
    }
  }

  async #rest(): Promise<void> {
    const { clock } = this.#ports.env
    const { signal } = this.#stopped
    await clock.sleep(LEAST_REST_MS, { signal }).catch(() => {})
    if (this.#woken || signal.aborted) return
    await new Promise<void>((resolve) => {
      const cancel = clock.timer(TICK_MS, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
    this.#wake = () => {}
    if (this.#parts.isActive(this.#ports.ledger.state)) await this.#freshness.ask()
    this.#look()
  }

  async #keep(supplying: Supplying): Promise<void> {
    const { env } = this.#ports
    if (env.clock.now() >= this.#flushAtMs) {
      this.#flushAtMs = env.clock.now() + FLUSH_MS
      await supplying.flush()
    }
    for (const [id, allocation] of this.#parts.own()) {
      if (isMine(allocation, this.#ports.wallet) && isOpen(allocation)) supplying.copy(this.#parts.contractOf(id)!)
      if (allocation.phase.name !== 'closed') this.#publish()
    }
    if (env.clock.now() < this.#cleanAtMs) return
    this.#cleanAtMs = env.clock.now() + CLEAN_MS
    await supplying.clean((contract) => this.#isWanted(contract))
    for (const job of this.#remembering.over((job) => this.#isWanted(this.contractOf(job)) === true)) {
      this.#redoing.drop(job)
    }
  }

  /** Undefined: the ledger knows no allocation of it. */
  #isWanted(contract: Key): boolean | undefined {
    const all = [...this.#parts.of(contract)]
    return all.length === 0 ? undefined : all.some(([, { phase }]) => phase.name !== 'closed')
  }

  #publish(): void {
    if (this.#isPublished) return
    this.#isPublished = true
    this.#ports.publish()
  }

  // Steps --------------------------------------------------------------------------------------------------------------

  /** Takes the next step of an allocation, if there is one to take. False: there is none, or it was not taken. */
  async #advance(id: Key, supplying: Supplying): Promise<boolean> {
    this.#look()
    const { env, ledger, wallet } = this.#ports
    const allocation = this.#parts.get(id)
    if (!allocation || this.#pauses.holds(id)) return false
    const { signal } = this.#stopped
    let kind: string | undefined
    try {
      const contract = this.#parts.contractOf(id)!
      const blockTimeMs = Math.max(ledger.state.timeMs, Math.floor(env.clock.now()))
      const action = nextStep(this.#sides(supplying), { id, contract, allocation, blockTimeMs })
      if (!action) return false
      kind = action.kind
      using deadline = env.clock.deadline(PATIENCE_MS, signal)
      // What is sent rests on it.
      if (kind === 'commit') await supplying.log(contract)!.sync()
      const { result } = await wallet.act(action, deadline)
      if (result === 'applied') return true
      this.#counters.refusedSteps++
      env.log.debug('a step of an allocation was refused', { allocation: id, step: kind, result })
    } catch (error) {
      if (signal.aborted) return false
      env.log.debug('a step of an allocation failed', {
        ...{ allocation: id, step: kind, code: errorCode(error), reason: errorMessage(error) },
      })
      // It may have come in all the same: the next step is decided by a state that would show it.
      using deadline = env.clock.deadline(PATIENCE_MS, signal)
      await ledger.account(wallet.account, deadline).catch(() => {})
    }
    this.#pauses.begin(id)
    return false
  }

  #sides(supplying: Supplying): Sides {
    const { wallet: self, keys } = this.#ports
    const [testing, mediating, remembering] = [this.#testing, this.#mediating, this.#remembering]
    return { self, keys, supplying, testing, mediating, remembering }
  }

  #forget(id: Key): void {
    this.#testing.forget(id)
    this.#mediating.forget(id)
    this.#supplying?.forget(id)
    this.#pauses.end(id)
  }

  #mine(contract: Key): (readonly [Key, Allocation])[] {
    return [...this.#parts.of(contract)].filter(([, one]) => isMine(one, this.#ports.wallet) && isOpen(one))
  }

  // Specs --------------------------------------------------------------------------------------------------------------

  /** As far as it is kept: of a job that this host has bought, or has begun to do. */
  specHere({ job, customer }: Pick<Allocation, 'customer' | 'job'>): JobSpec | undefined {
    return this.#remembering.get(job)?.spec ?? this.#supplying?.log(claimId({ customer, job }))?.spec
  }

  async #specOf(id: Key, allocation: Allocation, signal: AbortSignal): Promise<JobSpec> {
    return this.specHere(allocation) ?? (await askSpec(this.#asking(), [id, allocation], signal))
  }

  #accountOf(peer: string): PublicKey | undefined {
    const host = this.#ports.hostOf(peer)
    return host && this.#ports.ledger.accountOf(host)
  }

  #asking() {
    const { transport, ledger, wallet, find, lost } = this.#ports
    return { transport, host: wallet.host, state: () => ledger.state, find, lost }
  }
}
