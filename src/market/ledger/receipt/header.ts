/**
 * Headers of blocks, and the certificates that make them final: the signatures of a quorum of the committee (DESIGN 9).
 * A header names all that a block did: its operations with their results, the state after it, and who decides on the next.
 * It is the header of consensus with what it says of the payload spelled out, and what is signed are the votes to finalize.
 *
 * A block may have become final as an ancestor of the one that was voted for. Then the headers above it are needed too, as
 * consensus has them:
 *
 *   header <-parent- above[0] <-parent- ... <-parent- above.at(-1) <- certificate
 */
import { type Static, Type } from 'typebox'
import { invariant } from '../../../core/errors.ts'
import type { Key } from '../../../core/ids.ts'
import { MAX_COMMITTEE, MAX_HEADERS_ABOVE } from '../../../core/limits.ts'
import { BytesSchema, KeySchema, record } from '../../../net/message.ts'
import { committeeDigest, quorumOf } from '../committee.ts'
import { type Block, blockHeaderOf, type Digest, digestOfHeader } from '../consensus/block.ts'
import { type FinalRun, statement } from '../consensus/messages.ts'
import { TimeSchema } from '../genesis.ts'
import { type PublicKey, SIGNATURE_BYTES, type Verify } from '../keys.ts'
import { decodePayload, digestOfFacts, factsOf, payloadDigest } from '../payload.ts'
import { type Fault, faulty } from './fault.ts'

const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })

export const HeaderSchema = record({
  height: Count,
  /** Of the consensus of its epoch. */
  view: Count,
  /** Digest of the header before; the network's id for the first. */
  parent: KeySchema,
  blockTimeMs: TimeSchema,
  epoch: Count,
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

/** Votes to finalize, in the order of the signers' keys. */
export const CertificateSchema = Type.Array(record({ signer: KeySchema, signature: BytesSchema(SIGNATURE_BYTES) }), {
  maxItems: MAX_COMMITTEE,
})
export type Certificate = Static<typeof CertificateSchema>

/** A header that is final: to be put into a record with more. */
export const SEALED = {
  header: HeaderSchema,
  /** From the next block's to that of the block that was voted for. Mostly none: it is the header's own block. */
  above: Type.Array(record({ height: Count, view: Count, parent: KeySchema, timeMs: TimeSchema, payload: KeySchema }), {
    maxItems: MAX_HEADERS_ABOVE,
  }),
  certificate: CertificateSchema,
} as const
const SealedSchema = record(SEALED)
export type Sealed = Static<typeof SealedSchema>

/** Undefined: the block's bytes are no payload. */
export function headerOf({ height, view, parent, timeMs, payload }: Block): Header | undefined {
  const decoded = decodePayload(payload)
  return decoded && { height, view, parent, blockTimeMs: timeMs, ...factsOf(decoded) }
}

/** Names a block; also the `parent` of the next. The same as consensus has. */
export function headerDigest({ height, view, parent, blockTimeMs, ...facts }: Header): Digest {
  return digestOfHeader({ height, view, parent, timeMs: blockTimeMs, payload: digestOfFacts(facts) })
}

/** The block at an index of a finalized run, with what shows that it is final. `hosts`: of the epoch's committee. */
export function sealedIn(run: FinalRun, index: number, hosts: readonly PublicKey[]): Sealed {
  const [block, ...others] = run.blocks.slice(index)
  const header = headerOf(block!)
  invariant(header !== undefined, `block ${block!.height} is final, and is none of the ledger`)
  const { members, signatures } = run.certificate
  return {
    header,
    above: [...others.map((other) => blockHeaderOf(other, payloadDigest)), ...run.above],
    certificate: members.map((member, i) => ({ signer: hosts[member]!, signature: signatures[i]! })),
  }
}

/** Is the header final by this committee? Every signature must be good, so that no bit of a receipt is without meaning. */
export function sealFault(
  network: Key,
  { header, above, certificate }: Sealed,
  committee: readonly PublicKey[],
  verify: Verify,
): Fault | undefined {
  const { epoch } = header
  if (header.committee !== committeeDigest(committee)) {
    return faulty('wrong-committee', `it names another committee than epoch ${epoch} had`)
  }
  let certified: { readonly height: number; readonly view: number } = header
  let digest = headerDigest(header)
  for (const next of above) {
    if (next.parent !== digest) return faulty('broken-chain', `block ${next.height} does not stand on the one before`)
    certified = next
    digest = digestOfHeader(next)
  }
  const stranger = certificate.find(({ signer }) => !committee.includes(signer))
  if (stranger) return faulty('unknown-signer', `${stranger.signer} is not in the committee of epoch ${epoch}`)
  if (!certificate.every(({ signer }, index) => index === 0 || certificate[index - 1]!.signer < signer)) {
    return faulty('bad-signature', 'a signer is named twice or out of order')
  }
  const quorum = quorumOf(committee.length)
  if (certificate.length < quorum) {
    return faulty('too-few-signatures', `${certificate.length} signatures, where ${quorum} bind ${committee.length}`)
  }
  const bytes = statement({ network, epoch }, 'finalize', certified.view, digest)
  const forged = certificate.find(({ signer, signature }) => !verify(signer, bytes, signature))
  return forged && faulty('bad-signature', `${forged.signer} did not vote to make block ${certified.height} final`)
}
