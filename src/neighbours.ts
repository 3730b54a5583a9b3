/** The hosts around this one, for whoever names them, and for its next start. */
import type { Env } from './core/env.ts'
import { ChoraleError } from './core/errors.ts'
import type { Home } from './home.ts'
import type { Contact } from './net/contact.ts'
import type { Libp2pTransport } from './net/libp2p.ts'
import { type OverlayHost, placeName } from './overlay-host.ts'

/** Neighbours that a restart may try. */
const KEPT_PEERS = 16
/** The neighbourhood is written down this long after it changed. */
const KEEP_PEERS_MS = 1000

/** Keeps the neighbours' addresses in the home, now and then. Returns the end of it. */
export function keepPeers(env: Env, home: Home, network: string, overlay: OverlayHost): () => void {
  let cancel: (() => void) | undefined
  const keep = () => {
    cancel = undefined
    const own = overlay.self
    const places = overlay
      .neighbours()
      .filter(({ peer }) => peer !== own?.peer)
      .map(placeName)
    // Alone again: those of before are the way back.
    if (places.length > 0) home.keepPeers(network, [...new Set(places)].slice(0, KEPT_PEERS))
  }
  const plan = () => {
    cancel ??= env.clock.timer(KEEP_PEERS_MS, keep)
  }
  plan()
  const forget = overlay.onChange(plan)
  return () => {
    forget()
    cancel?.()
  }
}

/** A neighbour by the beginning of its overlay id or by its peer id; or whoever is at `ip:port`. */
export async function findContact(
  transport: Libp2pTransport,
  overlay: OverlayHost,
  target: string,
  options: { signal?: AbortSignal },
): Promise<Contact> {
  const known = overlay.neighbours().filter(({ id, peer }) => peer === target || id.startsWith(target))
  const [first] = known
  if (first && known.every(({ peer }) => peer === first.peer)) return first
  if (first) throw new ChoraleError('usage', `${target} fits ${known.length} nodes: give more of it`)
  const connected = transport.peers().find(({ peer }) => peer === target)?.address
  if (connected === undefined && !/[:/]/.test(target)) {
    throw new ChoraleError('not-found', `no neighbour has that id: ${target}; try its ip:port, or chorale ring show`)
  }
  return await transport.resolve(connected ?? target, options)
}
