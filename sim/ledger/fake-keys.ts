/**
 * Signatures of a simulated committee: the member's number and a checksum of the statement. Quick, and enough where
 * whoever forges does not try to find collisions. The check is the one that a driver owes to the step.
 */
import { crc32 } from 'node:zlib'
import { hashKey } from '../../src/core/ids.ts'
import type { Tip } from '../../src/market/ledger/consensus/block.ts'
import { type Committee, committeeOf, plainDigest } from '../../src/market/ledger/consensus/committee.ts'
import { claims, type Message } from '../../src/market/ledger/consensus/messages.ts'

export function fakeSignature(member: number, statement: Uint8Array): Uint8Array {
  return new Uint8Array(new Uint32Array([member, crc32(statement)]).buffer)
}

/** Is every signature in a message that of the member it names? */
export function verified(committee: Committee, message: Message): boolean {
  return claims(committee, message).every(({ member, statement, signature }) => {
    return Buffer.compare(fakeSignature(member, statement), signature) === 0
  })
}

export interface FakeCommittee {
  members: number
  viewMs?: number
  firstLeader?: number
  /** Planted fault: another number of votes that make a certificate. */
  quorum?: number | undefined
}

/** The settings of each member. */
export function fakeCommittee({ members, viewMs = 300, firstLeader = 0, quorum }: FakeCommittee): Committee[] {
  const base: Tip = { view: 0, height: 0, digest: plainDigest(new TextEncoder().encode('genesis')), timeMs: 0 }
  return Array.from({ length: members }, (_, self) => {
    const sign = (statement: Uint8Array) => fakeSignature(self, statement)
    const network = hashKey('simulated')
    const committee = committeeOf({
      network,
      epoch: 0,
      members,
      self,
      firstLeader,
      base,
      viewMs,
      payloadDigest: plainDigest,
      sign,
    })
    return quorum === undefined ? committee : { ...committee, quorum }
  })
}
