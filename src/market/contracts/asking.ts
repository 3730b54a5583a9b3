/** What a host asks others of its allocations. Whatever they answer is checked before it is believed. */
import type { Static, TSchema } from 'typebox'
import { ChoraleError, errorCode, errorMessage } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import { type JobSpec, jobIdOf, jobKeyOf, parseSpec } from '../../mapreduce/spec.ts'
import type { Contact } from '../../net/contact.ts'
import type { MessageKind } from '../../net/message.ts'
import type { Transport } from '../../net/transport.ts'
import type { PublicKey } from '../ledger/keys.ts'
import { type Allocation, claimId } from '../ledger/state/allocations/allocation.ts'
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
  lost(place: Contact, code: 'gone' | 'unreachable'): void
}

/** Rejects as `Transport.request` does. What comes is not checked against the window's root. */
export async function askOpenings(
  ports: AskingPorts,
  [id, allocation]: readonly [Key, Allocation],
  positions: readonly number[],
  signal: AbortSignal,
): Promise<readonly Opening[]> {
  const message = { allocation: id, window: allocation.windows - 1, positions: [...positions] }
  const { openings } = await ask(ports, allocation.host, OpenWindow, message, signal)
  return openings
}

/** Of the supplier's host, else of the customer's. Rejects `not-found` when none of them tells it. */
export async function askSpec(
  ports: AskingPorts,
  [id, allocation]: readonly [Key, Allocation],
  signal: AbortSignal,
): Promise<JobSpec> {
  const { host, customer, job } = allocation
  const hosts = [host, ...hostsOf(ports.state(), customer).slice(0, MAX_HOSTS)]
  let reason = 'nobody was asked'
  for (const other of new Set(hosts)) {
    if (other === ports.host) continue
    try {
      const { spec: bytes } = await ask(ports, other, TellSpec, { allocation: id }, signal)
      const spec = parseSpec(jobIdOf(bytes), bytes)
      if (jobKeyOf(spec) === job && spec.contract === claimId(allocation) && !spec.stage) return spec
      reason = 'it was of another job'
    } catch (error) {
      signal.throwIfAborted()
      reason = errorMessage(error)
    }
  }
  throw new ChoraleError('not-found', `nobody tells the spec of the job: ${reason}`)
}

async function ask<Q extends TSchema, R extends TSchema>(
  { transport, find, lost }: AskingPorts,
  host: PublicKey,
  kind: MessageKind<Q, R>,
  message: Static<Q>,
  signal: AbortSignal,
): Promise<Static<R>> {
  const place = await find(host)
  if (!place) throw new ChoraleError('unreachable', 'nobody knows where the host is')
  try {
    return await transport.request(place, kind, message, { signal, timeoutMs: PATIENCE_MS })
  } catch (error) {
    const code = errorCode(error)
    if (code === 'gone' || code === 'unreachable') lost(place, code)
    throw error
  }
}
