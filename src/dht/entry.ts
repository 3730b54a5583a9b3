/** How a node enters an overlay: through one seed after the other, patiently, for they may be starting themselves. */
import type { Env } from '../core/env.ts'
import { ChoraleError } from '../core/errors.ts'
import type { Contact } from '../net/contact.ts'
import { type Asker, answersPing, meansDead, type Phase } from './asking.ts'
import type { Graveyard } from './graves.ts'
import type { JoinOptions } from './overlay.ts'

/** Tries, each through another seed; the pauses between them grow to a second. */
const JOIN_TRIES = 30
/** When all of a network start at once, some wait for others to be in: who may found one does so after this long, ms. */
const FOUND_AFTER_MS = 4_000

export interface Entrant {
  readonly env: Env
  phase: Phase
}

export interface Ways {
  /** One try. False: not now; try again. */
  through(seed: Contact, signal: AbortSignal | undefined): Promise<boolean>
  /** A network of one. */
  found(): void
}

/**
 * Resolves when the node is a member, or was stopped meanwhile. Rejects with `unreachable` or `aborted`; it may be tried
 * again then.
 */
export async function enter(
  entrant: Entrant,
  seeds: readonly Contact[],
  { signal, orFound = false }: JoinOptions,
  ways: Ways,
): Promise<void> {
  const { clock, random } = entrant.env
  entrant.phase = 'joining'
  if (seeds.length === 0) ways.found()
  const startedAtMs = clock.now()
  let last: unknown
  for (let attempt = 0; entrant.phase === 'joining'; attempt++) {
    if (orFound && clock.now() - startedAtMs >= FOUND_AFTER_MS && !signal?.aborted) {
      ways.found()
      return
    }
    if (attempt >= JOIN_TRIES || signal?.aborted) {
      entrant.phase = 'out'
      if (signal?.aborted) throw new ChoraleError('aborted', 'joining was given up')
      throw new ChoraleError('unreachable', 'no seed let us in: it may be starting itself, try again', { cause: last })
    }
    try {
      if (await ways.through(seeds[attempt % seeds.length]!, signal)) return
    } catch (error) {
      meansDead(error) // throws our own bugs
      last = error
    }
    const pauseMs = Math.min(50 * 2 ** Math.floor(attempt / seeds.length), 1000)
    await clock.sleep(pauseMs * (0.5 + random.next()), { signal })
  }
}

/**
 * Somebody who was lost once and answers again: then the two parts of a healed partition may meet. The seeds that we once
 * joined through count as lost: after long churn they may be all that we know of the other side.
 */
export async function foundAgain(
  asker: Asker & { readonly graves: Graveyard },
  seeds: readonly Contact[],
): Promise<Contact | undefined> {
  const { graves } = asker
  const { random } = asker.env
  const seed = seeds[random.int(seeds.length)]
  const lost = seed !== undefined && random.next() < 0.5 ? seed : graves.anyLost()
  if (lost === undefined || !(await answersPing(asker, lost))) return undefined
  graves.forgetLost(lost)
  asker.heard(lost)
  return lost
}
