/**
 * Is a holder there, and has it what it says? Owners ask, each holder every so often, and a holder proves it with a digest
 * that only who has the bytes can make.
 */
import type { Env } from '../../../core/env.ts'
import { errorCode } from '../../../core/errors.ts'
import { hashKey, type Key, keyFromBytes } from '../../../core/ids.ts'
import type { Transport } from '../../../net/transport.ts'
import { inParallel } from '../rounds.ts'
import type { Holdings } from './holdings.ts'
import type { KnownHolders } from './known-holders.ts'
import { BlockProve } from './messages.ts'

/** Holders that are asked at a time. */
const PARALLEL = 8
/** Who does not answer is asked again after this part of the time between audits. */
const AGAIN_SHARE = 4

export interface AuditParts {
  readonly env: Env
  readonly transport: Transport
  readonly holdings: Holdings
  readonly known: KnownHolders
  /** Between two audits of a holder, ms. */
  readonly auditMs: number
}

/** One pass over the holders that are due: each shows a block, drawn at random, of those that we have too. */
export async function audit(
  { env, transport, holdings, known, auditMs }: AuditParts,
  counters: { proofs: number; liars: number },
  signal: AbortSignal,
): Promise<void> {
  await inParallel(known.due(env.clock.now()), PARALLEL, async ({ contact, items }) => {
    const item = items.drawn(env.random)
    if (!item) return
    const { key } = item
    try {
      const nonce = keyFromBytes(env.random.bytes(32))
      const message = { key, nonce, root: items.root() }
      const ask = () => transport.request(contact, BlockProve, message, { signal })
      // Twice, for one message may be lost, and a copy that does not count may be made anew.
      const { proof } = await ask().catch((error) => (errorCode(error) === 'timeout' ? ask() : Promise.reject(error)))
      const now = env.clock.now()
      known.audited(contact, now, now + auditMs * (0.75 + 0.5 * env.random.next()))
      const bytes = await holdings.get(key)
      // It may have said meanwhile that it has it no longer.
      if (!(bytes instanceof Uint8Array) || !items.has(key)) return
      counters.proofs++
      if (proof === proofOf(nonce, bytes)) return known.shown(contact.peer)
      known.caught(contact.peer, key, proof !== null, now)
      counters.liars++
    } catch (error) {
      if (signal.aborted) throw error
      const now = env.clock.now()
      if (errorCode(error) === 'gone') known.forget(contact.peer)
      else if (errorCode(error) !== 'busy') known.unanswered(contact, now + auditMs / AGAIN_SHARE)
    }
  })
}

/** What only who has the bytes can say. */
export function proofOf(nonce: Key, bytes: Uint8Array): Key {
  return hashKey(nonce + hashKey(Buffer.concat([Buffer.from(nonce), bytes])))
}
