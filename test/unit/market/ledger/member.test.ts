/** What a banker that sits down again says of itself: it counts for others only if it can show all that it has said. */
import { expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { committeeOf, plainDigest } from '../../../../src/market/ledger/consensus/committee.ts'
import type { LogRecord } from '../../../../src/market/ledger/consensus/effects.ts'
import { Member, type MemberPorts } from '../../../../src/market/ledger/member.ts'

const committee = committeeOf({
  network: hashKey('a network'),
  epoch: 0,
  members: 4,
  self: 0,
  firstLeader: 0,
  base: { view: 0, height: 0, digest: hashKey('genesis'), timeMs: 0 },
  viewMs: 100,
  payloadDigest: plainDigest,
  sign: () => new Uint8Array(),
})
const vote = (view: number): LogRecord => {
  return { type: 'vote', kind: 'nullify', view, digest: null, member: 0, signature: new Uint8Array() }
}
const nullified = (view: number) => {
  return { type: 'certificate', kind: 'nullify', view, digest: null, members: [], signatures: [] } as const
}

/** With a chain whose last block is of this view, and was certified in it. */
function sitting(view: number, records: readonly LogRecord[]): Member {
  const certificate = { ...nullified(view), kind: 'finalize' }
  const chain = { tip: { ...committee.base, view, height: view }, runAt: () => ({ certificate }) }
  return new Member({ committee, chain, opened: { log: {}, records } } as unknown as MemberPorts)
}

test('a banker at rest shows the certificate of the last block that it has stored, if that is of this epoch', () => {
  expect(sitting(7, [])).toMatchObject({ isWhole: true, highestCertificate: { view: 7, kind: 'finalize' } })
  expect(sitting(0, []).highestCertificate).toBeUndefined()
  expect(sitting(0, []).isWhole).toBe(true)
})

test('it counts if it can show by what it came to its view, and has passed its silence', () => {
  expect(sitting(7, [nullified(8), vote(9)])).toMatchObject({ isWhole: true, highestCertificate: { view: 8 } })
  expect(sitting(7, [vote(9)]).isWhole, 'the run of view 8 was not synced').toBe(false)
  expect(sitting(7, [{ type: 'silence', view: 7 }]).isWhole).toBe(true)
  expect(sitting(7, [{ type: 'silence', view: 8 }]).isWhole).toBe(false)
})
