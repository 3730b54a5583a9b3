/**
 * What a customer does with a window whose nonce it has revealed: has the tested places opened by the supplier's host, does these
 * tasks again, and compares. Of a job whose tasks are done by several suppliers each, all places are opened, and what
 * more than half of the suppliers say holds. Where there is no such majority (yet), the customer does tasks again itself:
 * every one on which two suppliers differ, and some of those that only one has told.
 */
import type { Env } from '../../core/env.ts'
import { errorCode, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { MAX_KNOWN_DIGESTS, MAX_OPENINGS_PER_MESSAGE } from '../../core/limits.ts'
import type { JobSpec } from '../../mapreduce/spec.ts'
import { CappedMap } from '../../net/capped-map.ts'
import { type Examined, testedPositions, windowName } from '../allocation/steps.ts'
import type { PublicKey } from '../ledger/keys.ts'
import { type Allocation, PATIENCE, type PhaseNamed } from '../ledger/state/allocations/allocation.ts'
import { tasksIn } from '../ledger/state/allocations/ranges.ts'
import { type Opening, opens } from '../verification/commitment.ts'
import { majorityOf } from '../verification/replicas.ts'
import type { Redoing } from './redoing.ts'

/** Of the time to approve, openings are waited for so long. */
const OPENINGS_MS = PATIENCE.approve / 2
/** What is not found out by then is challenged: the supplier has to show it, and there is time for it again. */
const MARGIN_MS = 30_000
/** At first the supplier's copy of the ledger may only be a block behind. */
const FIRST_RETRY_MS = 200
const RETRY_MS = 3_000
/** Of a window, tasks that only one supplier has told so far and that are done again. */
const LONE_TESTS = 8
/** Errors that another try does not mend: what this host cannot do it cannot test. */
const LASTING: ReadonlySet<string> = new Set(['user-code', 'unsupported', 'usage', 'config', 'limit'])

export interface TestingPorts {
  readonly env: Env
  readonly redoing: Redoing
  /** Rejects as `Transport.request` does. */
  ask(id: Key, allocation: Allocation, positions: readonly number[], signal: AbortSignal): Promise<readonly Opening[]>
  /** Something was found. */
  found(): void
  count(what: 'badOpenings' | 'missingOpenings' | 'untested'): void
}

interface Test {
  readonly window: number
  readonly stop: AbortController
  examined: Examined | undefined
  done: Promise<void>
}

interface Tested {
  readonly id: Key
  readonly allocation: Allocation
  readonly phase: PhaseNamed<'revealed'>
  readonly spec: JobSpec
  readonly tasks: readonly number[]
  readonly signal: AbortSignal
}

export class Testing {
  readonly #ports: TestingPorts
  readonly #tests = new Map<Key, Test>()
  /** What suppliers have told of a task of a job, each in an opening of what it had committed to. */
  readonly #told = new CappedMap<string, Map<PublicKey, Key>>(MAX_KNOWN_DIGESTS)

  constructor(ports: TestingPorts) {
    this.#ports = ports
  }

  /** What was found of the window that is revealed. The first time this begins to test it. */
  examined(id: Key, allocation: Allocation, spec: JobSpec): Examined | undefined {
    const { phase, windows } = allocation
    if (phase.name !== 'revealed') return undefined
    let test = this.#tests.get(id)
    if (test?.window !== windows) {
      test?.stop.abort()
      test = { window: windows, stop: new AbortController(), examined: undefined, done: Promise.resolve() }
      this.#tests.set(id, test)
      const { signal } = test.stop
      const tasks = [...tasksIn(phase.window.tasks)]
      test.done = this.#run(test, { id, allocation, phase, spec, tasks, signal })
    }
    return test.examined
  }

  /** The own digest of a task that was challenged; undefined: not yet, and it is being done again. */
  own(job: Key, spec: JobSpec, task: number): Key | undefined {
    const { redoing, env } = this.#ports
    const known = redoing.known(job, task)
    if (known !== undefined) return known
    void redoing
      .digest(job, spec, task)
      .then(() => this.#ports.found())
      .catch((error) => env.log.debug('a task could not be done again', { task, reason: errorMessage(error) }))
    return undefined
  }

  /** The allocation waits for something else. */
  forget(id: Key): void {
    this.#tests.get(id)?.stop.abort()
    this.#tests.delete(id)
  }

  async stop(): Promise<void> {
    const running = [...this.#tests.values()].map(({ done }) => done)
    for (const id of [...this.#tests.keys()]) this.forget(id)
    await Promise.all(running)
  }

  async #run(test: Test, tested: Tested): Promise<void> {
    const { env } = this.#ports
    try {
      const { id, allocation } = tested
      const isCopied = allocation.replicas > 1
      const positions = isCopied ? tested.tasks.map((_, at) => at) : testedPositions(id, allocation)
      const opened = await this.#open(tested, positions)
      test.examined = 'kind' in opened ? opened : await this.#compare(tested, opened, isCopied)
    } catch (error) {
      if (tested.signal.aborted) return
      env.log.debug('a window could not be tested', { reason: errorMessage(error) })
      return
    }
    this.#ports.found()
  }

  /** All of these places, as they were committed to; or one that is not to be had. */
  async #open(tested: Tested, positions: readonly number[]): Promise<ReadonlyMap<number, Key> | Examined> {
    const { env, ask, count } = this.#ports
    const { id, allocation, phase, tasks, signal } = tested
    const name = windowName(id, allocation)
    const opened = new Map<number, Key>()
    let pauseMs = FIRST_RETRY_MS
    while (opened.size < positions.length) {
      const missing = positions.filter((position) => !opened.has(position)).slice(0, MAX_OPENINGS_PER_MESSAGE)
      const before = opened.size
      try {
        for (const opening of await ask(id, allocation, missing, signal)) {
          const { position, digest } = opening
          if (!missing.includes(position)) continue
          if (!opens(opening, name, phase.window.root, tasks.length)) {
            count('badOpenings')
            return { kind: 'wrong', position }
          }
          opened.set(position, digest)
        }
      } catch (error) {
        env.log.debug('a supplier does not open', { code: errorCode(error), reason: errorMessage(error) })
      }
      signal.throwIfAborted()
      if (opened.size > before) continue
      if (env.clock.now() > phase.deadlineMs - OPENINGS_MS) {
        count('missingOpenings')
        return { kind: 'wrong', position: missing[0]! }
      }
      await env.clock.sleep(pauseMs, { signal })
      pauseMs = Math.min(2 * pauseMs, RETRY_MS)
    }
    return opened
  }

  async #compare(tested: Tested, opened: ReadonlyMap<number, Key>, isCopied: boolean): Promise<Examined> {
    const { tasks, phase } = tested
    let tests = 0
    let positions: readonly number[] = [...opened.keys()]
    if (isCopied) {
      const held = this.#held(tested, opened)
      if ('kind' in held) return held
      tests = held.agreed
      positions = held.rest
    }
    for (const position of positions) {
      const own = await this.#redone(tested, tasks[position]!, phase.deadlineMs - MARGIN_MS)
      if (own === 'late') return { kind: 'wrong', position }
      if (own === undefined) continue
      if (own !== opened.get(position)) return { kind: 'wrong', position }
      tests++
    }
    return { kind: 'right', tests }
  }

  /** What suppliers agree on; and places of which this host has to find out. */
  #held(
    { allocation, tasks }: Tested,
    opened: ReadonlyMap<number, Key>,
  ): Examined | { readonly agreed: number; readonly rest: readonly number[] } {
    const { job, replicas, supplier } = allocation
    const disputed: number[] = []
    const lone: number[] = []
    let agreed = 0
    for (const [position, digest] of opened) {
      const task = tasks[position]!
      const said = this.#told.get(`${job} ${task}`) ?? new Map<PublicKey, Key>()
      this.#told.set(`${job} ${task}`, said.set(supplier, digest))
      const own = this.#ports.redoing.known(job, task)
      const answers = [...said].map(([host, answer]) => ({ host, digest: answer }))
      const agreement = majorityOf(answers, replicas)
      const held = own ?? (agreement.kind === 'agreed' ? agreement.digest : undefined)
      if (held !== undefined && held !== digest) return { kind: 'wrong', position }
      if (held !== undefined) agreed++
      else if (new Set(said.values()).size > 1) disputed.push(position)
      else lone.push(position)
    }
    const { random } = this.#ports.env
    const some = lone.map((position) => ({ position, at: random.next() })).sort((a, b) => a.at - b.at)
    return { agreed, rest: [...disputed, ...some.slice(0, LONE_TESTS).map(({ position }) => position)] }
  }

  /** Undefined: this host cannot do it. `late`: it is not done by then. */
  async #redone(
    { allocation, spec, signal }: Tested,
    task: number,
    untilMs: number,
  ): Promise<Key | 'late' | undefined> {
    const { env, redoing, count } = this.#ports
    const waits = new AbortController()
    const late = env.clock
      .sleep(Math.max(0, untilMs - env.clock.now()), { signal: waits.signal })
      .then(() => 'late' as const)
      .catch(() => 'late' as const)
    const onAbort = () => waits.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      for (;;) {
        try {
          const own = await Promise.race([redoing.digest(allocation.job, spec, task), late])
          signal.throwIfAborted()
          return own
        } catch (error) {
          signal.throwIfAborted()
          env.log.debug('a task could not be done again', { task, reason: errorMessage(error) })
          if (LASTING.has(errorCode(error))) {
            count('untested')
            return undefined
          }
          await env.clock.sleep(RETRY_MS, { signal })
          if (env.clock.now() > untilMs) return 'late'
        }
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
      waits.abort()
    }
  }
}
