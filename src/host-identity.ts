/** The key of a host in its home: the one that is there, or a new one that is kept. */
import { type Home, keyIn, openHome } from './home.ts'
import { decodeHostKey, encodeHostKey, generateHostKey, type HostKey } from './net/host-key.ts'

export async function hostKeyOf(home: Home): Promise<HostKey> {
  if (home.key) return decodeHostKey(home.key)
  const key = await generateHostKey()
  home.keepKey(encodeHostKey(key))
  return key
}

/** The peer id of the host that runs in this home, or will; undefined before the home has a key. */
export function knownPeer(path: string): string | undefined {
  const key = keyIn(path)
  return key && decodeHostKey(key).peer
}

/** The same; makes the home and the key if need be. */
export async function peerIn(path: string, nowMs: number): Promise<string> {
  const known = knownPeer(path)
  if (known) return known
  const home = openHome(path, nowMs)
  try {
    return (await hostKeyOf(home)).peer
  } finally {
    home.close()
  }
}
