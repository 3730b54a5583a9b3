/**
 * How a host that starts finds those it joins through (DESIGN 4): who answers at the addresses that it was given, or at
 * those of last time, and at what address they see this host. Patient, because a machine that starts several nodes at
 * once is busy: silence says nothing yet. A refused connection does, but whoever is meant may be starting as well.
 */
import type { Env } from './core/env.ts'
import { ChoraleError, errorCode, errorMessage } from './core/errors.ts'
import type { Contact } from './net/contact.ts'
import { parsePlace } from './net/endpoint.ts'
import { ipClass } from './net/ip.ts'

/** How long a host tries. After it no further attempt begins; one takes up to three seconds. */
export interface Patience {
  /** Silence, and connections that break. */
  readonly silenceMs: number
  /** Refusals in a row: a process that starts at the same moment, on a machine that starts many, listens by then. */
  readonly refusalMs: number
}
export const PATIENCE: Patience = { silenceMs: 15_000, refusalMs: 6_000 }
/** With those of last time: without them this host founds a network, and looks for them as long as it is alone. */
export const REMEMBERED_PATIENCE: Patience = { silenceMs: 5_000, refusalMs: 2_000 }
const FIRST_PAUSE_MS = 250
const MAX_PAUSE_MS = 2_000
/** A dial-back that fails sooner was refused; one that takes longer ran out of time. */
const SLOW_DIAL_BACK_MS = 1_000
/** What the system says when it knows that nobody is there. */
const REFUSALS = ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL']

export interface SeedPorts {
  readonly env: Env
  readonly transport: {
    resolve(place: string, options: { signal: AbortSignal | undefined }): Promise<Contact>
    /** Undefined: the seeds cannot dial this host. */
    confirmAddress(seeds: readonly Contact[], options: { signal: AbortSignal | undefined }): Promise<object | undefined>
  }
  /** `ip:port` or multiaddr of nodes that the user named. */
  readonly given: readonly string[]
  /** Where the neighbours of last time were; they count only if none was given. */
  readonly remembered: readonly string[]
}

type Attempt =
  | { readonly seeds: readonly Contact[] }
  /** They answer, and could not dial this host: at once, or it took long. */
  | { readonly undialled: readonly Contact[]; readonly slow: boolean }
  | { readonly failures: readonly unknown[] }

/**
 * Whoever answers, once they have confirmed this host's address or have found that it is a leaf. Empty: this host founds
 * a network, because no address is known but its own, or because nobody of last time is left. Rejects with `usage`
 * (no address at all), `config` (mixed classes), `wrong-network`, `unreachable`, or what the signal aborted with.
 */
export async function findSeeds(ports: SeedPorts, signal: AbortSignal | undefined): Promise<readonly Contact[]> {
  const { env, given, remembered } = ports
  for (const place of given) parsePlace(place) // throws `usage` at what is no address at all
  const places = given.length > 0 ? given : remembered
  const now = () => env.clock.now()
  const startedAtMs = now()
  const { silenceMs, refusalMs } = given.length > 0 ? PATIENCE : REMEMBERED_PATIENCE
  let refusedSinceMs: number | undefined
  let pauseMs = FIRST_PAUSE_MS
  let told = false
  /** A seed remembers for a while that its dial-back failed: what it says then is no news. */
  let slow = false
  for (;;) {
    const attempt = await tryOnce(ports, places, signal)
    signal?.throwIfAborted()
    if ('seeds' in attempt) return attempt.seeds
    if ('undialled' in attempt) {
      slow ||= attempt.slow
      if (!slow) return attempt.undialled
    }
    const failures = 'failures' in attempt ? attempt.failures : []
    const refused = failures.length > 0 && failures.every(isRefusal)
    if (refused && refusedSinceMs === undefined) pauseMs = FIRST_PAUSE_MS
    refusedSinceMs = refused ? (refusedSinceMs ?? now()) : undefined
    // Those who answer are worth waiting for: without their dial-back this host would be a leaf.
    const waitMs = 'undialled' in attempt ? PATIENCE.silenceMs : silenceMs
    const untilMs = refusedSinceMs === undefined ? startedAtMs + waitMs : refusedSinceMs + refusalMs
    if (failures.some(isFinal) || now() + pauseMs > untilMs) {
      if ('undialled' in attempt) return attempt.undialled
      return await giveUp(ports, places, failures, signal)
    }
    if (refused) env.log.info('nobody is there yet, trying again', { at: places.join(' ') })
    else if (!told) {
      told = true
      env.log.warn(`no answer yet from ${places.join(', ')}, trying again`)
    }
    await env.clock.sleep(pauseMs, { signal })
    pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2)
  }
}

async function tryOnce(
  { env, transport }: SeedPorts,
  places: readonly string[],
  signal: AbortSignal | undefined,
): Promise<Attempt> {
  const answers = await Promise.allSettled(places.map((place) => transport.resolve(place, { signal })))
  const seeds = answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []))
  // `usage`: an address of this host itself, as when all nodes of a network are started with one list.
  const failures = answers.flatMap((answer) =>
    answer.status === 'rejected' && errorCode(answer.reason) !== 'usage' ? [answer.reason as unknown] : [],
  )
  if (seeds.length === 0 && failures.length > 0) return { failures }
  const askedAtMs = env.clock.now()
  try {
    const self = await transport.confirmAddress(seeds, { signal })
    // Nothing stands between two processes of one machine, so that one of them was only slow. Elsewhere it is a NAT.
    const near = seeds.every(({ ip }) => ipClass(ip) === 'loopback')
    const slow = near && env.clock.now() - askedAtMs >= SLOW_DIAL_BACK_MS
    return self === undefined ? { undialled: seeds, slow } : { seeds }
  } catch (error) {
    return { failures: [error] }
  }
}

/** There is no way in: an error, unless the host only looked for those of last time. */
async function giveUp(
  { env, transport, given }: SeedPorts,
  places: readonly string[],
  failures: readonly unknown[],
  signal: AbortSignal | undefined,
): Promise<readonly Contact[]> {
  if (given.length === 0) {
    env.log.warn('no neighbour of last time answers, so this node founds the network anew', { tried: places.length })
    await transport.confirmAddress([], { signal })
    return []
  }
  const final = failures.find(isFinal)
  if (final !== undefined) throw final
  const [failure] = failures
  throw new ChoraleError(
    'unreachable',
    `no node answers at ${places.join(', ')} (${errorMessage(failure)}): check the address, and that a node is up there`,
    { cause: failure },
  )
}

/** Between two looks of a host that is alone. */
const LOOK_MS = 10_000
const LOOK_DEADLINE_MS = 3_000

export interface LonelyPorts {
  readonly env: Env
  readonly transport: Pick<SeedPorts['transport'], 'resolve'>
  readonly overlay: {
    neighbours(): readonly Contact[]
    meet(contact: Contact): Promise<void>
  }
  /** Where the neighbours of last time were. */
  readonly remembered: readonly string[]
}

/** As long as a host is alone it looks now and then whether one of last time is back. Returns the end of it. */
export function seekRemembered({ env, transport, overlay, remembered }: LonelyPorts): () => void {
  const stopped = new AbortController()
  const look = async () => {
    if (overlay.neighbours().length > 0) return
    using deadline = env.clock.deadline(LOOK_DEADLINE_MS, stopped.signal)
    const place = remembered[env.random.int(remembered.length)] as string
    try {
      await overlay.meet(await transport.resolve(place, { signal: deadline.signal }))
    } catch (error) {
      env.log.debug('not back yet', { place, error: errorMessage(error) })
    }
  }
  let cancel = () => {}
  const plan = () => {
    if (stopped.signal.aborted) return
    cancel = env.clock.timer(LOOK_MS * (0.5 + env.random.next()), () => void look().then(plan))
  }
  if (remembered.length > 0) plan()
  return () => {
    stopped.abort()
    cancel()
  }
}

/** Another attempt would end in the same way. */
function isFinal(failure: unknown): boolean {
  return ['config', 'wrong-network'].includes(errorCode(failure))
}

function isRefusal(failure: unknown): boolean {
  for (let error = failure; error instanceof Error; error = error.cause) {
    if ('code' in error && REFUSALS.includes(String(error.code))) return true
  }
  return false
}
