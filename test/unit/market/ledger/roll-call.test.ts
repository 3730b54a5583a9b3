/** What a host makes of the answers of bankers: how far they are, and whether its own chain shows all that is final. */
import { expect, test } from 'vitest'
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import { SimNetwork } from '../../../../sim/network.ts'
import type { Clock } from '../../../../src/core/env.ts'
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
const STRANGER = fakeKeyPair('stranger').publicKey
const NETWORK = hashKey('a network')

/** By the last three of four. */
function certificate(kind: VoteKind, view: number): Uint8Array {
  const digest = kind === 'nullify' ? null : hashKey(`block of view ${view}`)
  const said = statement({ network: NETWORK, epoch: 0 }, kind, view, digest)
  const signatures = KEYS.slice(1).map(({ sign }) => sign(said))
  return encodeCertificate({ type: 'certificate', kind, view, digest, members: [1, 2, 3], signatures })
}

const working = (asked: Partial<Asked> = {}): Asked => ({ epoch: 0, height: 5, atWork: true, ...asked })

/** Undefined: no answer comes. */
type Answer = Asked | undefined

/** A host at view and height 5, among bankers that answer so; it is the first of them, or a stranger. */
class Reader {
  readonly #sim = new SimNetwork({ seed: 1 })
  readonly tip = { view: 5, height: 5 }
  /** Members from which it has begun to fetch; what they have never comes. */
  readonly fetched: number[] = []
  readonly calls: RollCall
  readonly #clock: Clock

  constructor(answers: Answer[], host: PublicKey = COMMITTEE[0]!) {
    const { env } = this.#sim.host()
    const chain = { network: NETWORK, epoch: 0, committee: COMMITTEE, tip: this.tip }
    const ask = (banker: PublicKey) => {
      const answer = answers[COMMITTEE.indexOf(banker)]
      return answer === undefined ? new Promise(() => {}) : Promise.resolve(answer)
    }
    this.calls = new RollCall({
      env,
      chain: chain as unknown as Chain,
      courier: { ask } as unknown as Courier,
      verify: fakeVerify,
      host,
      own: () => answers[0]!,
      fetchFrom: (from) => {
        this.fetched.push(COMMITTEE.indexOf(from))
        return new Promise(() => {})
      },
    })
    this.#clock = env.clock
  }

  run(ms: number): Promise<void> {
    return this.#sim.schedule.run(this.#sim.schedule.nowMs + ms)
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.#sim.schedule.until(promise)
  }

  /** The milliseconds until a read is fresh, or that it is not in time. */
  async begin(): Promise<number | string> {
    const { schedule } = this.#sim
    const beganMs = schedule.nowMs
    using deadline = this.#clock.deadline(5000)
    return await this.calls.freshen(deadline.signal).then(
      () => schedule.nowMs - beganMs,
      (error) => `${error.code} after ${schedule.nowMs - beganMs}`,
    )
  }

  read(): Promise<number | string> {
    return this.until(this.begin())
  }
}

const highestView = (...answers: Answer[]) => new Reader(answers).calls.highestView()
const FORGETFUL = working({ atWork: false })

test('where a host may have been is told by the highest certificate of the others: its last view stood on votes in the next', async () => {
  const left = [certificate('nullify', 19), certificate('finalize', 7), certificate('notarize', 21)]
  expect(await highestView(FORGETFUL, ...left.map((left) => working({ left })))).toBe(23)
  const badly = certificate('nullify', 99).with(200, 0)
  expect(await highestView(FORGETFUL, ...left.with(1, badly).map((left) => working({ left })))).toBe(23)
})

test('nothing is told by the answers of hosts that do not know all that they have said, or of another epoch', async () => {
  const left = certificate('nullify', 19)
  const told = working({ left })
  expect(await highestView(FORGETFUL, told, told, working())).toBe(21)
  expect(await highestView(FORGETFUL, told, told, { ...told, atWork: false })).toBeUndefined()
  expect(await highestView(FORGETFUL, told, told, { ...told, epoch: 1 })).toBeUndefined()
})

test('a read is told by a quorum that knows what it has said: others may have helped to decide what they do not show', async () => {
  const idle = working()
  expect(await new Reader([idle, idle, idle, FORGETFUL]).read()).toBe(0)
  expect(await new Reader([idle, idle, FORGETFUL, FORGETFUL]).read()).toBe('timeout after 5000')
  expect(await new Reader([FORGETFUL, idle, idle, FORGETFUL]).read(), 'its own').toBe('timeout after 5000')
  expect(await new Reader([idle, idle, { ...idle, epoch: 1 }, undefined]).read()).toBe('timeout after 5000')
})

test.each([
  ['the nullification of a view that nobody will leave soon', working({ voted: certificate('nullify', 6) })],
  ['a notarization that it withholds', working({ voted: certificate('notarize', 6) })],
  ['blocks that there are not', working({ height: 1e15 })],
  ['a certificate that is none', working({ voted: new Uint8Array([1]) })],
  ['nothing', undefined],
])('one liar does not hold up a read that names %s', async (_, lie) => {
  const idle = working()
  for (const host of [COMMITTEE[0]!, STRANGER]) {
    expect(await new Reader([idle, idle, idle, lie], host).read()).toBe(0)
    const reader = new Reader([idle, lie, idle, working({ height: 6 })], host)
    const read = reader.begin()
    await reader.run(1000)
    expect(new Set(reader.fetched), 'beside it').toContain(3)
    reader.tip.height = reader.tip.view = 6
    expect(await reader.until(read)).toBeLessThan(1050)
  }
})

test('a read waits for what one of every quorum has voted to finalize, and no longer than it is told', async () => {
  const voted = working({ voted: certificate('notarize', 7) })
  const late = new Reader([working(), working(), voted, voted], STRANGER)
  expect(await late.read()).toBe('timeout after 5000')
  expect(new Set(late.fetched)).toEqual(new Set([2, 3]))
  const reader = new Reader([working(), working(), voted, voted], STRANGER)
  const read = reader.begin()
  await reader.run(500)
  reader.tip.view = 7
  expect(await reader.until(read)).toBe(525)
})

test('a banker that comes to work is asked again', async () => {
  const answers: Answer[] = [FORGETFUL, FORGETFUL, working(), working()]
  const reader = new Reader(answers, STRANGER)
  const read = reader.begin()
  await reader.run(300)
  answers[0] = working()
  expect(await reader.until(read)).toBeLessThan(450)
})
