/**
 * What a host tells others of its allocations, off the ledger: openings of the window that its customer tests, to the customer's
 * hosts alone and only of the places that are tested; and a job's spec, to the hosts that have to do with it.
 */
import { ChoraleError } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { MAX_COMMITMENTS } from '../../core/limits.ts'
import { CappedMap } from '../../net/capped-map.ts'
import type { Transport } from '../../net/transport.ts'
import { secretOf } from '../allocation/secrets.ts'
import { testedPositions, windowName } from '../allocation/steps.ts'
import type { KeyPair, PublicKey } from '../ledger/keys.ts'
import type { Allocation, PhaseNamed } from '../ledger/state/allocations/allocation.ts'
import { countOf, tasksIn } from '../ledger/state/allocations/ranges.ts'
import { type Commitment, commitTo } from '../verification/commitment.ts'
import { OpenWindow, TellSpec } from './messages.ts'

export interface ServingPorts {
  readonly transport: Pick<Transport, 'handle'>
  readonly keys: KeyPair
  readonly host: PublicKey
  /** Of the sender of a message. */
  hostOf(peer: string): PublicKey | undefined
  accountOf(peer: string): PublicKey | undefined
  allocation(id: Key): Allocation | undefined
  /** This host's copy of the ledger may lag behind that of who asks. Bounded, and never rejects. */
  freshen(): Promise<void>
  /** Of a task that this host has done. */
  digest(allocation: Allocation, task: number): Key | undefined
  specBytes(allocation: Allocation): Uint8Array | undefined
  count(what: 'refusedOpenings' | 'refusedSpecs'): void
}

export class Serving {
  readonly #ports: ServingPorts
  /** Of windows that are being tested: each costs a few hashes for every task. */
  readonly #commitments = new CappedMap<string, Commitment>(MAX_COMMITMENTS)

  constructor(ports: ServingPorts) {
    this.#ports = ports
  }

  start(): void {
    const { transport } = this.#ports
    transport.handle(OpenWindow, async ({ allocation: id, window, positions }, { from }) => {
      const known = this.#ports.allocation(id)
      const isBehind = known?.phase.name !== 'revealed' || known.windows - 1 !== window
      if (known && isBehind && this.#ports.accountOf(from.peer) === known.customer) await this.#ports.freshen()
      const allocation = this.#ports.allocation(id)
      if (!allocation || this.#ports.accountOf(from.peer) !== allocation.customer)
        throw this.#refusal('refusedOpenings')
      const { phase, host, windows } = allocation
      if (host !== this.#ports.host) throw this.#refusal('refusedOpenings')
      if (phase.name !== 'revealed' || windows - 1 !== window)
        throw new ChoraleError('busy', 'no such window is tested')
      const tested = testable(id, allocation, phase)
      if (!positions.every(tested)) throw this.#refusal('refusedOpenings')
      const commitment = this.#commitment(id, allocation, phase)
      const openings = [...new Set(positions)].map((position) => commitment.open(position))
      return { openings: openings.map(({ path, ...opening }) => ({ ...opening, path: [...path] })) }
    })
    transport.handle(TellSpec, ({ allocation: id }, { from }) => {
      const allocation = this.#ports.allocation(id)
      if (!allocation || !this.#mayKnow(from.peer, allocation)) throw this.#refusal('refusedSpecs')
      const spec = this.#ports.specBytes(allocation)
      if (!spec) throw new ChoraleError('not-found', 'the spec of this job is not here')
      return { spec }
    })
  }

  #refusal(what: 'refusedOpenings' | 'refusedSpecs'): ChoraleError {
    this.#ports.count(what)
    return new ChoraleError('auth', 'that is not for this host to know')
  }

  #mayKnow(peer: string, { customer, supplier, phase }: Allocation): boolean {
    const host = this.#ports.hostOf(peer)
    if (host === undefined) return false
    if ('mediators' in phase && (phase.mediators as readonly PublicKey[]).includes(host)) return true
    const account = this.#ports.accountOf(peer)
    return account !== undefined && (account === customer || account === supplier)
  }

  #commitment(id: Key, allocation: Allocation, { window }: PhaseNamed<'revealed'>): Commitment {
    const name = `${id} ${allocation.windows}`
    const known = this.#commitments.get(name)
    if (known) return known
    const digests = [...tasksIn(window.tasks)].map((task) => this.#ports.digest(allocation, task))
    if (!digests.every((digest) => digest !== undefined)) throw new ChoraleError('not-found', 'some results are lost')
    const made = commitTo(windowName(id, allocation), digests, secretOf(this.#ports.keys, id, 'salts'))
    this.#commitments.set(name, made)
    return made
  }
}

/** Where each task is done by several suppliers, all are compared. */
function testable(id: Key, allocation: Allocation, phase: PhaseNamed<'revealed'>): (position: number) => boolean {
  if (allocation.replicas > 1) return (position) => position < countOf(phase.window.tasks)
  const tested = new Set(testedPositions(id, allocation))
  return (position) => tested.has(position)
}
