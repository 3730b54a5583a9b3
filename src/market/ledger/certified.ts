/** Certificates of consensus, checked against the committee that the chain names. */
import type { Key } from '../../core/ids.ts'
import { quorumOf } from './committee.ts'
import { type Certificate, isQuorum, statement } from './consensus/messages.ts'
import type { PublicKey, Verify } from './keys.ts'

/** Who decides. */
export interface Deciders {
  readonly network: Key
  readonly epoch: number
  /** Hosts, in the order of their keys. */
  readonly committee: readonly PublicKey[]
}

/** Did a quorum of this committee sign it? */
export function isCertified(deciders: Deciders, certificate: Certificate, verify: Verify): boolean {
  const { committee } = deciders
  const members = committee.length
  if (!isQuorum({ members, quorum: quorumOf(members) }, certificate)) return false
  const said = statement(deciders, certificate.kind, certificate.view, certificate.digest)
  return certificate.members.every((member, i) => verify(committee[member]!, said, certificate.signatures[i]!))
}
