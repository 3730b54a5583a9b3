/**
 * How a host knows its own jobs again, after a restart too: half of a job's nonce is drawn, the other half follows from it
 * and the code by the host's signature, which nobody else can make. Who claims another's peer id as submitter gains nothing.
 */
import { hash } from 'node:crypto'
import { encode } from '../core/cbor.ts'
import type { Random } from '../core/env.ts'
import type { Signer } from './ports.ts'
import type { JobSpec } from './spec.ts'

const HALF = 16

/** Half of a nonce, in hex digits. */
function draw(random: Random): string {
  return Buffer.from(random.bytes(HALF / 2)).toString('hex')
}

/** For a job whose code is not its submitter's: it is to every host, this one too, a stranger's. */
export function plainNonce(random: Random): string {
  return draw(random) + draw(random)
}

/** For a job whose code is `module`: 32 hex digits. */
export function ownNonce(signer: Signer, module: string, random: Random): string {
  const drawn = draw(random)
  return drawn + markOf(signer, module, drawn)
}

/** Was it submitted through this host? */
export function isOwnJob(signer: Signer, { submitter, module, nonce }: JobSpec): boolean {
  return submitter === signer.peer && nonce.slice(HALF) === markOf(signer, module, nonce.slice(0, HALF))
}

/** Signatures of this kind never leave the host. */
function markOf(signer: Signer, module: string, drawn: string): string {
  return hash('sha256', signer.sign(encode(['chorale/own-job', module, drawn])), 'hex').slice(0, HALF)
}
