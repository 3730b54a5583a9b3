/** What a host asks others of its allocations. Whatever they answer is checked before it is believed. */
import { ChoraleError, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { type JobSpec, jobIdOf, jobKeyOf, parseSpec } from '../../mapreduce/spec.ts'
import type { Contact } from '../../net/contact.ts'
import type { Transport } from '../../net/transport.ts'
import type { PublicKey } from '../ledger/keys.ts'
import type { Allocation } from '../ledger/state/allocations/allocation.ts'
import { hostsOf, type State } from '../ledger/state/state.ts'
import type { Opening } from '../verification/commitment.ts'
import { OpenWindow, TellSpec } from './messages.ts'

/** Another host may have to read thousands of results first. */
const PATIENCE_MS = 10_000
/** Of the customer, those that are asked for a spec. */
const MAX_HOSTS = 8

export interface AskingPorts {
  readonly transport: Pick<Transport, 'request'>
  readonly host: PublicKey
  state(): State
  find(host: PublicKey): Promise<Contact | undefined>
}

/** Rejects as `Transport.request` does. What comes is not checked against the window's root. */
export async function askOpenings(
  { transport, find }: AskingPorts,
  [id, allocation]: readonly [Key, Allocation],
  positions: readonly number[],
  signal: AbortSignal,
): Promise<readonly Opening[]> {
  const to = await placeOf(find, allocation.host)
  const message = { allocation: id, window: allocation.windows - 1, positions: [...positions] }
  const { openings } = await transport.request(to, OpenWindow, message, { signal, timeoutMs: PATIENCE_MS })
  return openings
}

/** Of the supplier's host, else of the customer's. Rejects `not-found` when none of them tells it. */
export async function askSpec(
  { transport, find, host: self, state }: AskingPorts,
  [id, allocation]: readonly [Key, Allocation],
  signal: AbortSignal,
): Promise<JobSpec> {
  const { host, customer, job } = allocation
  const hosts = [host, ...hostsOf(state(), customer).slice(0, MAX_HOSTS)]
  let reason = 'nobody was asked'
  for (const other of new Set(hosts)) {
    if (other === self) continue
    try {
      const to = await placeOf(find, other)
      const options = { signal, timeoutMs: PATIENCE_MS }
      const { spec: bytes } = await transport.request(to, TellSpec, { allocation: id }, options)
      const spec = parseSpec(jobIdOf(bytes), bytes)
      if (jobKeyOf(spec) === job && !spec.stage) return spec
      reason = 'it was of another job'
    } catch (error) {
      signal.throwIfAborted()
      reason = errorMessage(error)
    }
  }
  throw new ChoraleError('not-found', `nobody tells the spec of the job: ${reason}`)
}

async function placeOf(find: AskingPorts['find'], host: PublicKey): Promise<Contact> {
  const place = await find(host)
  if (!place) throw new ChoraleError('unreachable', 'nobody knows where the host is')
  return place
}
