/**
 * Headers of blocks, and the certificates that make them final: the signatures of a quorum of the committee (DESIGN 9).
 * A header names all that a block did: its operations with their results, the state after it, and who decides on the next.
 */
import { type Static, Type } from 'typebox'
import { encode } from '../../../core/cbor.ts'
import { hashKey, type Key } from '../../../core/ids.ts'
import { MAX_COMMITTEE } from '../../../core/limits.ts'
import { BytesSchema, KeySchema, record } from '../../../net/message.ts'
import { committeeDigest, quorumOf } from '../committee.ts'
import { TimeSchema } from '../genesis.ts'
import { type PublicKey, SIGNATURE_BYTES, type Verify } from '../keys.ts'
import type { Applied, Block } from '../state/apply.ts'
import { type State, stateRoot } from '../state/state.ts'
import { type Fault, faulty } from './fault.ts'
import { operationsRoot } from './operations-tree.ts'

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

export const HeaderSchema = record({
  height: Count,
  epoch: Count,
  blockTimeMs: TimeSchema,
  /** Digest of the header before; the network's id for the first. */
  parent: KeySchema,
  operationsRoot: KeySchema,
  /** After the block. */
  stateRoot: KeySchema,
  /** Digest of the committee that decides on this block. */
  committee: KeySchema,
  /** Digest of the one that decides on the next: another one only if this block is the last of its epoch. */
  next: KeySchema,
  /** Is it? */
  last: Type.Boolean(),
})
export type Header = Static<typeof HeaderSchema>

export const CertificateSchema = record({
  /** Of the consensus, in which the block became final. */
  view: Count,
  /** In the order of the signers' keys. */
  signatures: Type.Array(record({ signer: KeySchema, signature: BytesSchema(SIGNATURE_BYTES) }), {
    maxItems: MAX_COMMITTEE,
  }),
})
export type Certificate = Static<typeof CertificateSchema>

/** The header of a block that was applied. */
export function headerOf(before: State, block: Block, { state, results }: Applied, parent: Key): Header {
  return {
    height: block.height,
    epoch: block.epoch,
    blockTimeMs: block.blockTimeMs,
    parent,
    operationsRoot: operationsRoot(block.operations, results),
    stateRoot: stateRoot(state),
    committee: committeeDigest(before.committee),
    next: committeeDigest(state.committee),
    last: state.epoch !== before.epoch,
  }
}

/** Names a block; also the `parent` of the next. */
export function headerDigest(network: Key, header: Header): Key {
  const { height, epoch, blockTimeMs, parent, operationsRoot, stateRoot, committee, next, last } = header
  const parts = [network, height, epoch, blockTimeMs, parent, operationsRoot, stateRoot, committee, next, last]
  return hashKey(encode(['chorale header', ...parts]))
}

/** What a banker signs to make a block final. */
export function finalizeBytes(network: Key, view: number, digest: Key): Uint8Array {
  return encode(['chorale finalize', network, view, digest])
}

/** Puts signatures in order, each signer's first. */
export function certificateOf(view: number, signatures: Certificate['signatures']): Certificate {
  const bySigner = new Map(signatures.toReversed().map((signature) => [signature.signer, signature]))
  return { view, signatures: [...bySigner.values()].sort((a, b) => (a.signer < b.signer ? -1 : 1)) }
}

export interface Sealed {
  readonly header: Header
  readonly certificate: Certificate
}

/** Is the header final by this committee? Every signature must be good, so that no bit of a receipt is without meaning. */
export function sealFault(
  network: Key,
  { header, certificate }: Sealed,
  committee: readonly PublicKey[],
  verify: Verify,
): Fault | undefined {
  if (header.committee !== committeeDigest(committee)) {
    return faulty('wrong-committee', `it names another committee than epoch ${header.epoch} had`)
  }
  const { view, signatures } = certificate
  const stranger = signatures.find(({ signer }) => !committee.includes(signer))
  if (stranger) return faulty('unknown-signer', `${stranger.signer} is not in the committee of epoch ${header.epoch}`)
  if (!signatures.every(({ signer }, index) => index === 0 || signatures[index - 1]!.signer < signer)) {
    return faulty('bad-signature', 'a signer is named twice or out of order')
  }
  const quorum = quorumOf(committee.length)
  if (signatures.length < quorum) {
    return faulty('too-few-signatures', `${signatures.length} signatures, where ${quorum} bind ${committee.length}`)
  }
  const bytes = finalizeBytes(network, view, headerDigest(network, header))
  const forged = signatures.find(({ signer, signature }) => !verify(signer, bytes, signature))
  return forged && faulty('bad-signature', `${forged.signer} did not sign this header in view ${view}`)
}
