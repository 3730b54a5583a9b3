/**
 * What members say to each other, and what of it is signed. A signature is over canonical dag-cbor of network, epoch,
 * kind, view and digest; so a vote of one network, epoch, kind or view is none in another.
 *
 * The step takes verified messages only. Before it hands one over, a driver has checked
 * - its shape against a schema: whole numbers not negative, digests of 64 hex digits, members below the committee's size;
 * - every one of its `claims`: the signature, by the key of that member of this epoch, over that statement;
 * - for `fetch` and `answer`, which nobody signs, that the connection is the member's in `from`.
 * The step itself checks who leads, that a certificate has enough different signers, digests, chains, and the window.
 */
import { encode } from '../../../core/cbor.ts'
import type { Block, Digest, Run } from './block.ts'
import { digestOf } from './block.ts'
import { type Committee, leaderOf } from './committee.ts'

export type VoteKind = 'notarize' | 'nullify' | 'finalize'

/** The leader's block of a view. */
export interface Proposal {
  readonly type: 'proposal'
  readonly block: Block
  readonly signature: Uint8Array
}

export interface Vote {
  readonly type: 'vote'
  readonly kind: VoteKind
  readonly view: number
  /** Null in a vote to nullify: it is for no block. */
  readonly digest: Digest | null
  readonly member: number
  readonly signature: Uint8Array
}

/** q votes for one thing: a notarization, nullification or finalization. */
export interface Certificate {
  readonly type: 'certificate'
  readonly kind: VoteKind
  readonly view: number
  readonly digest: Digest | null
  /** Ascending, with the signature of each at the same place. */
  readonly members: readonly number[]
  readonly signatures: readonly Uint8Array[]
}

export type FinalRun = Run<Certificate>

/** Asks for finalized blocks from a height on (the asker's next), and for certificates and blocks of the views from `since` on. */
export interface Fetch {
  readonly type: 'fetch'
  readonly height: number
  readonly since: number
  /** A block of which the asker does not know that it is notarized, but something stands on it. */
  readonly block: Digest | null
}

export interface Answer {
  readonly type: 'answer'
  readonly runs: readonly FinalRun[]
  /** Of views that are not finalized. */
  readonly certificates: readonly Certificate[]
  /** That those certificates are for. */
  readonly blocks: readonly Block[]
}

export type Message = Proposal | Vote | Certificate | Fetch | Answer

/** Two signed messages of which an honest member sends one: proof against whoever signed both. */
export interface Evidence {
  readonly member: number
  readonly view: number
  readonly first: Proposal | Vote
  readonly second: Proposal | Vote
}

/** The bytes that a member signs. */
export function statement(
  { network, epoch }: Pick<Committee, 'network' | 'epoch'>,
  kind: VoteKind | 'propose',
  view: number,
  digest: Digest | null,
): Uint8Array {
  return encode(['chorale consensus', network, epoch, kind, view, digest])
}

/** That a member has signed a statement. */
export interface Claim {
  readonly member: number
  readonly statement: Uint8Array
  readonly signature: Uint8Array
}

/** Every signature in a message, for the driver to verify. A shared statement is the same object. */
export function claims(committee: Committee, message: Message): Claim[] {
  switch (message.type) {
    case 'proposal': {
      const { block, signature } = message
      const digest = digestOf(block, committee.payloadDigest)
      const said = statement(committee, 'propose', block.view, digest)
      return [{ member: leaderOf(committee, block.view), statement: said, signature }]
    }
    case 'vote': {
      const { kind, view, digest, member, signature } = message
      return [{ member, statement: statement(committee, kind, view, digest), signature }]
    }
    case 'certificate': {
      const said = statement(committee, message.kind, message.view, message.digest)
      const { members, signatures } = message
      return members.map((member, i) => ({ member, statement: said, signature: signatures[i] ?? new Uint8Array() }))
    }
    case 'fetch':
      return []
    case 'answer':
      return [...message.runs.map(({ certificate }) => certificate), ...message.certificates].flatMap((certificate) =>
        claims(committee, certificate),
      )
  }
}

/** Are there q different signers, in order, and a digest where one belongs? Signatures are the driver's to check. */
export function isQuorum(
  committee: Pick<Committee, 'members' | 'quorum'>,
  { kind, digest, members, signatures }: Certificate,
): boolean {
  if (members.length < committee.quorum || members.length !== signatures.length) return false
  if ((digest === null) !== (kind === 'nullify')) return false
  return members.every((member, i) => member < committee.members && member > (members[i - 1] ?? -1))
}
