/** Signs by naming the signer: enough where nobody lies about who he is. */
import type { Signer } from '../src/mapreduce/ports.ts'

export function fakeSigner(peer: string): Signer {
  const stamp = (who: string, bytes: Uint8Array) =>
    new TextEncoder().encode(`${who}:${Buffer.from(bytes).toString('base64').slice(-40)}`)
  return {
    peer,
    sign: (bytes) => stamp(peer, bytes),
    verify: (who, bytes, signature) => Buffer.compare(stamp(who, bytes), signature) === 0,
  }
}
