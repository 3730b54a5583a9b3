/** What a host makes of the answers of bankers: how far they are, and whether its own chain shows all that is final. */
import { expect, test } from 'vitest'
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import { SimNetwork } from '../../../../sim/network.ts'
import { hashKey } from '../../../../src/core/ids.ts'
import type { Chain } from '../../../../src/market/ledger/chain.ts'
import { statement, type VoteKind } from '../../../../src/market/ledger/consensus/messages.ts'
import type { Courier } from '../../../../src/market/ledger/courier.ts'
import type { PublicKey } from '../../../../src/market/ledger/keys.ts'
import { type Asked, encodeCertificate } from '../../../../src/market/ledger/messages.ts'
import { RollCall } from '../../../../src/market/ledger/roll-call.ts'

const KEYS = Array.from({ length: 4 }, (_, i) => fakeKeyPair(`host ${i}`)).sort((a, b) =>
  a.publicKey < b.publicKey ? -1 : 1,
)
const COMMITTEE = KEYS.map(({ publicKey }) => publicKey)
const NETWORK = hashKey('a network')

/** By the last three of four. */
function certificate(kind: VoteKind, view: number): Uint8Array {
  const digest = kind === 'nullify' ? null : hashKey(`block of view ${view}`)
  const said = statement({ network: NETWORK, epoch: 0 }, kind, view, digest)
  const signatures = KEYS.slice(1).map(({ sign }) => sign(said))
  return encodeCertificate({ type: 'certificate', kind, view, digest, members: [1, 2, 3], signatures })
}

const working = (asked: Partial<Asked> = {}): Asked => ({ epoch: 0, height: 5, atWork: true, ...asked })

/** A host at view and height 5 among bankers that answer so: the first is itself, if it is one. */
function rollCall(answers: readonly (() => Asked | Promise<Asked>)[], host: PublicKey = COMMITTEE[0]!) {
  const { env } = new SimNetwork({ seed: 1 }).host()
  const tip = { view: 5, height: 5 }
  const chain = { network: NETWORK, epoch: 0, committee: COMMITTEE, tip }
  const ask = async (banker: PublicKey) => answers[COMMITTEE.indexOf(banker)]!()
  return new RollCall({
    env,
    chain: chain as unknown as Chain,
    courier: { ask } as unknown as Courier,
    verify: fakeVerify,
    host,
    own: () => answers[0]!() as Asked,
    fetchFrom: async () => {},
  })
}

test('where a host may have been is told by the highest certificate of the others: its last view stood on votes in the next', async () => {
  const left = [certificate('nullify', 19), certificate('finalize', 7), certificate('notarize', 21)]
  const calls = rollCall([() => working(), ...left.map((left) => () => working({ left }))])
  expect(await calls.highestView()).toBe(23)
  const badly = certificate('nullify', 99).with(200, 0)
  expect(await rollCall([...left, badly].map((left) => () => working({ left }))).highestView()).toBe(23)
})

test('nothing is told by the answers of hosts that do not know all that they have said, or of another epoch', async () => {
  const left = certificate('nullify', 19)
  const muteOr = (asked: Asked) =>
    rollCall([working(), working({ left }), working({ left }), asked].map((one) => () => one))
  expect(await muteOr(working()).highestView()).toBe(21)
  expect(await muteOr(working({ atWork: false, left })).highestView()).toBeUndefined()
  expect(await muteOr(working({ epoch: 1, left })).highestView()).toBeUndefined()
})

const seen = (calls: RollCall) =>
  calls.freshen(AbortSignal.timeout(50)).then(
    () => 'seen',
    (error) => error.code,
  )

test('a read is told by a quorum that knows what it has said: others may have helped to decide what they do not show', async () => {
  const answered = (...answers: Asked[]) => seen(rollCall(answers.map((one) => () => one)))
  const idle = working()
  expect(await answered(idle, idle, idle, { ...idle, atWork: false })).toBe('seen')
  expect(await answered(idle, idle, { ...idle, atWork: false }, { ...idle, atWork: false })).toBe('timeout')
  expect(await answered({ ...idle, atWork: false }, idle, idle, { ...idle, atWork: false }), 'its own').toBe('timeout')
})
