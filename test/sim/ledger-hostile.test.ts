/**
 * Bankers that mean no good, against the real driver: frames that were cut, stretched, flipped, retyped, forged, and signed nonsense,
 * while a committee of four decides. What is refused is counted, nothing is thrown, and nothing that was final is lost.
 * At night it is a million frames. And clocks that are ten minutes off.
 */
import { expect, test } from 'vitest'
import { fakeVerify } from '../../sim/fake-keys.ts'
import { LedgerCluster } from '../../sim/ledger/ledger-cluster.ts'
import { decode, encode } from '../../src/core/cbor.ts'
import { hashKey } from '../../src/core/ids.ts'
import { seededRandom } from '../../src/core/random.ts'
import { committeeOf } from '../../src/market/ledger/consensus/committee.ts'
import {
  type Certificate,
  claims,
  type FinalRun,
  type Message,
  statement,
} from '../../src/market/ledger/consensus/messages.ts'
import {
  Ask,
  decodeCertificate,
  decodeRun,
  decodeSaid,
  Follow,
  Hand,
  MAX_SAID,
  MAX_SMALL_BYTES,
  Runs,
  Say,
} from '../../src/market/ledger/messages.ts'
import { payloadDigest } from '../../src/market/ledger/payload.ts'
import { decodeReply, decodeRequest, type MessageKind } from '../../src/net/message.ts'
import { seeds } from '../nightly.ts'

/** A million at night. */
const FRAMES = seeds(1).length > 1 ? 1_000_000 : 5_000
const LIAR = 3

const oddities: readonly unknown[] = [
  null,
  true,
  -1,
  0,
  1.5,
  2 ** 40,
  Number.MAX_SAFE_INTEGER,
  2n ** 63n,
  '',
  'notarize',
  'x'.repeat(2000),
  hashKey('x'),
  new Uint8Array(64),
  new Uint8Array(3000),
  [],
  {},
  [[[[]]]],
  Array.from({ length: 500 }, (_, i) => i),
  { constructor: 1, toString: 2 },
]

/** Makes bad ones out of good ones. */
class Mutator {
  readonly random
  constructor(seed: string) {
    this.random = seededRandom(seed)
  }

  pick<T>(items: readonly T[]): T {
    return items[this.random.int(items.length)] as T
  }

  /** The value with one part of it, anywhere, put in another's place, left out, or doubled. */
  structure(value: unknown): unknown {
    const { random } = this
    const isInner = typeof value === 'object' && value !== null && !(value instanceof Uint8Array)
    if (!isInner || random.int(4) === 0) return this.pick(oddities)
    if (Array.isArray(value)) {
      if (value.length === 0) return [this.pick(oddities)]
      const at = random.int(value.length)
      if (random.int(5) === 0) return value.toSpliced(at, 1)
      if (random.int(5) === 0) return value.toSpliced(at, 0, value[at])
      return value.with(at, this.structure(value[at]))
    }
    const names = Object.keys(value)
    const name = random.int(8) === 0 ? this.pick(['extra', 'type', 'view', '__proto__']) : this.pick(names)
    const { [name]: part, ...rest } = value as Record<string, unknown>
    return random.int(6) === 0 ? rest : { ...rest, [name]: this.structure(part) }
  }

  bytes(bytes: Uint8Array): Uint8Array {
    const { random } = this
    const at = random.int(bytes.length)
    switch (random.int(4)) {
      case 0:
        return bytes.slice(0, at)
      case 1:
        return Uint8Array.of(...bytes.subarray(0, at), ...random.bytes(1 + random.int(8)), ...bytes.subarray(at))
      case 2:
        return bytes.with(at, random.int(256))
      default:
        return bytes.with(at, bytes[at]! ^ (1 << random.int(8)))
    }
  }

  mutant(value: unknown): Uint8Array {
    const bad = this.random.int(3) > 0 ? encode(this.structure(value)) : encode(value)
    return this.random.int(2) > 0 && bad.length > 0 ? this.bytes(bad) : bad
  }
}

function clusterOf(clockAheadMs?: (number: number) => number): LedgerCluster {
  const options = { seed: 1, hosts: 6, bankers: 4, codec: true, viewMs: 600 }
  return new LedgerCluster({ ...options, ...(clockAheadMs && { clockAheadMs }) })
}

/** An account is opened at a host, and final. */
async function open(cluster: LedgerCluster, number: number, name: string): Promise<void> {
  const { result } = await cluster.schedule.until(cluster.act(number, name, { kind: 'open' }))
  expect(result).toBe('applied')
}

async function expectOpen(cluster: LedgerCluster, names: readonly string[], hosts: readonly number[]): Promise<void> {
  for (const [index, name] of names.entries()) {
    const number = hosts[index % hosts.length]!
    expect(await cluster.schedule.until(cluster.account(number, name)), name).toMatchObject({ nonce: 1 })
  }
}

test(`${FRAMES} frames of a banker that lies are refused and counted, and the others go on`, async () => {
  const cluster = clusterOf()
  const names: string[] = []
  for (let number = 0; number < 6; number++) {
    names.push(`before ${number}`)
    await open(cluster, number, names.at(-1)!)
  }
  const liar = cluster.machines[LIAR]!
  const { network } = cluster.ledger(0)
  const { committee: hosts, epoch } = cluster.ledger(0).status()
  const target = cluster.machines.findIndex(({ key }, number) => number !== LIAR && hosts.includes(key.publicKey))
  const victim = cluster.machines[target]!
  const self = hosts.indexOf(liar.key.publicKey)
  const rules = committeeOf({
    network,
    epoch,
    members: hosts.length,
    self,
    firstLeader: 0,
    base: { view: 0, height: 0, digest: network, timeMs: 0 },
    viewMs: 600,
    payloadDigest,
    sign: (bytes) => liar.key.sign(bytes),
  })
  const isSigned = (message: Message) =>
    claims(rules, message).every(
      ({ member, statement, signature }) =>
        hosts[member] !== undefined && fakeVerify(hosts[member], statement, signature),
    )
  const mutator = new Mutator('hostile 1')
  const { random } = mutator
  const runs = () => liar.chain.runs(1, { maxRuns: 8, maxBytes: 1e6 }).map(({ bytes }) => decodeRun(bytes) as FinalRun)
  const kinds = ['notarize', 'nullify', 'finalize'] as const
  /** Well formed, and signed as they should be, but about nothing. */
  const nonsense = (): Message => {
    const view = mutator.pick([0, 1, 5, victim.service.ledger.status().view, 1e9, Number.MAX_SAFE_INTEGER])
    const kind = mutator.pick(kinds)
    const digest = mutator.pick([null, hashKey(`${random.int(3)}`)])
    const signature = liar.key.sign(statement({ network, epoch }, kind, view, digest))
    const vote = { type: 'vote', kind, view, digest, member: self, signature } as const
    const certificate: Certificate = {
      type: 'certificate',
      kind,
      view,
      digest,
      members: mutator.pick([[], [self], [self, self, self], [0, 1, 2, 63]]),
      signatures: mutator.pick([[], [signature], [signature, signature, signature]]),
    }
    const [run] = runs().slice(-1) as [FinalRun]
    const block = { ...run.blocks[0]!, view, payload: mutator.pick([new Uint8Array(), run.blocks[0]!.payload]) }
    const proposal = { type: 'proposal', block, signature } as const
    const answer = { type: 'answer', runs: runs(), certificates: [certificate], blocks: [block] } as const
    const fetch = { type: 'fetch', height: random.int(9), since: view, block: digest } as const
    return mutator.pick<Message>([vote, vote, vote, certificate, proposal, answer, fetch])
  }

  const before = victim.service.counters()
  let sent = 0
  let malformed = 0
  let forged = 0
  while (sent < FRAMES) {
    const messages: Uint8Array[] = []
    let room = MAX_SMALL_BYTES
    while (messages.length < MAX_SAID && room > 0) {
      const message = nonsense()
      const bytes = random.int(4) === 0 ? encode(message) : mutator.mutant(message)
      room -= bytes.length
      if (room < 0) break
      const decoded = decodeSaid(bytes)
      if (!decoded) malformed++
      else if (!isSigned(decoded)) forged++
      messages.push(bytes)
    }
    sent += messages.length
    const said = { network, epoch, messages }
    expect(await cluster.schedule.until(liar.node.host.request(victim.node.overlay.self!, Say, said))).toEqual({})
    if (sent % 4000 > 64) continue
    names.push(`at ${sent}`)
    await open(cluster, sent % 6, names.at(-1)!)
  }
  const after = victim.service.counters()
  expect(after.badMessages - before.badMessages).toBe(malformed)
  // Old votes and certificates are not looked at again.
  expect(after.badSignatures).toBeLessThanOrEqual(forged)
  expect(after.badSignatures).toBeGreaterThan(0.1 * forged)
  expect(malformed).toBeGreaterThan(0.3 * sent)
  expect(after.evidence, 'it has contradicted itself, too').toBeGreaterThan(0)
  await cluster.run(15_000)
  expect(cluster.ledger(5).status().burnt, 'which has cost it its bond').toBe(cluster.genesis.settings.bond)

  names.push('after')
  await open(cluster, 5, 'after')
  await cluster.run(30_000)
  await expectOpen(cluster, names, [0, 1, 2, 3, 4, 5])
})

test(`${FRAMES} bytes in place of requests, runs and certificates are refused, and nothing but that`, async () => {
  const cluster = clusterOf()
  for (let number = 0; number < 6; number++) await open(cluster, number, `user ${number}`)
  const { network } = cluster.ledger(0)
  const stored = cluster.machines[0]!.chain.runs(1, { maxRuns: 8, maxBytes: 1e6 }).map(({ bytes }) => bytes)
  const run = decodeRun(stored[0]!)!
  const operation = cluster.operation('nobody', 0, { kind: 'open' })
  const requests: ReadonlyArray<readonly [MessageKind, object]> = [
    [Say, { network, epoch: 0, messages: [encode(run.certificate)] }],
    [Hand, { network, operations: [operation, operation] }],
    [Ask, { network }],
    [Follow, { network, above: 3, waitMs: 1000 }],
    [Runs, { network, above: 3 }],
  ]
  const replies: ReadonlyArray<readonly [MessageKind, object]> = [
    [Hand, { answers: ['waits', 'busy', 'replayed'] }],
    [Ask, { epoch: 0, height: 1, atWork: true, voted: encode(run.certificate) }],
    [Follow, { height: 3, runs: stored }],
    [Runs, { runs: stored }],
  ]
  const mutator = new Mutator('hostile 2')
  let refused = 0
  const attempt = (decoded: () => unknown) => {
    try {
      if (decoded() === undefined) refused++
    } catch (error) {
      expect(error).toMatchObject({ code: 'bad-message' })
      refused++
    }
  }
  for (let frame = 0; frame < FRAMES; frame += 4) {
    const [request, asked] = mutator.pick(requests)
    const [reply, answered] = mutator.pick(replies)
    attempt(() => decodeRequest(request, mutator.mutant(asked)))
    attempt(() => decodeReply(reply, mutator.mutant(answered)))
    expect(() => decodeRun(mutator.mutant(decode(mutator.pick(stored))))).not.toThrow()
    expect(() => decodeCertificate(mutator.mutant(run.certificate))).not.toThrow()
  }
  expect(refused).toBeGreaterThan(FRAMES / 4)
})

test('a host that is told of blocks by liars takes none of theirs, counts them, and comes up with the chain', async () => {
  const cluster = clusterOf()
  const follower = cluster.machines[5]!
  const mutator = new Mutator('hostile 3')
  const lied = (runs: readonly Uint8Array[]) =>
    runs.map((bytes) => (mutator.random.int(2) === 0 ? bytes : mutator.mutant(decode(bytes)))).filter(fits)
  const fits = ({ length }: Uint8Array) => length <= MAX_SMALL_BYTES
  for (const { node } of cluster.machines) {
    for (const { name } of [Follow, Runs]) {
      const honest = node.host.handlers.get(name)!
      node.host.handlers.set(name, async (message, delivery) => {
        const answer = (await honest(message, delivery)) as { runs: Uint8Array[] }
        return { ...answer, runs: lied(answer.runs) }
      })
    }
  }
  const names = Array.from({ length: 40 }, (_, index) => `user ${index}`)
  for (const [index, name] of names.entries()) await open(cluster, index % 6, name)
  await cluster.run(60_000)
  const { height } = cluster.ledger(0).status()
  expect(follower.service.ledger.status()).toMatchObject({ height, lag: 0, halted: undefined })
  expect(follower.service.counters().refusedRuns).toBeGreaterThan(10)
  await expectOpen(cluster, names, [5])
})

test('a host that asks for news again and again takes no other host its place', async () => {
  const cluster = clusterOf()
  await open(cluster, 5, 'early')
  await cluster.run(30_000)
  const { node, service } = cluster.machines[0]!
  const { network } = service.ledger
  const ask = (number: number, waitMs: number) => {
    const { height } = cluster.ledger(0).status()
    const asked = { network, above: height, waitMs }
    return cluster.machines[number]!.node.host.request(node.host.contact(), Follow, asked, {
      timeoutMs: 2 * waitMs,
    }).catch((error) => error.code as string)
  }
  const flood = Array.from({ length: 300 }, () => ask(4, 50_000))
  await cluster.run(1000)
  expect(await cluster.schedule.until(ask(5, 1000))).toMatchObject({ runs: [] })
  await open(cluster, 5, 'late')
  const answers = await cluster.schedule.until(Promise.all(flood))
  expect(answers.filter((answer) => answer === 'busy').length).toBeGreaterThanOrEqual(296)
  const answered = answers.filter((answer) => typeof answer === 'object')
  expect(answered.length).toBeGreaterThan(0)
  // Its places are free again.
  expect(await cluster.schedule.until(ask(4, 1000))).toMatchObject({ runs: [] })
})

const NOW_MS = 1_700_000_000_000
const TEN_MINUTES_MS = 600_000

test.each([TEN_MINUTES_MS, -TEN_MINUTES_MS])(
  'a banker whose clock is %i ms off stops nobody, moves no time, and says so',
  async (offMs) => {
    const wrong = 2
    let aheadMs = offMs
    const cluster = clusterOf((number) => NOW_MS + (number === wrong ? aheadMs : 0))
    const names = Array.from({ length: 18 }, (_, index) => `user ${index}`)
    for (const [index, name] of names.entries()) {
      await open(cluster, index % 6, name)
      await cluster.run(500)
    }
    await cluster.run(10_000)
    await expectOpen(cluster, names, [0, 1, 2, 3, 4, 5])
    const [right, off] = [0, wrong].map((number) => cluster.ledger(number).status())
    expect(right!.halted).toBeUndefined()
    expect(off!.halted).toMatch(offMs > 0 ? /clock of this host is some 600 s ahead of/ : /600 s behind/)
    expect(Math.abs(right!.blockTimeMs - NOW_MS - cluster.schedule.nowMs)).toBeLessThan(30_000)

    // Set right, it votes again: with it three are enough.
    aheadMs = 0
    cluster.kill(1)
    for (let index = 0; index < 6; index++) {
      await open(cluster, wrong, `later ${index}`)
      await cluster.run(500)
    }
    expect(cluster.ledger(wrong).status().halted).toBeUndefined()
  },
)

test('bankers whose clocks were all ahead go on when these are set right', async () => {
  let aheadMs = TEN_MINUTES_MS
  const cluster = clusterOf(() => NOW_MS + aheadMs)
  await open(cluster, 0, 'early')
  const { blockTimeMs } = cluster.ledger(0).status()
  aheadMs = 0
  await open(cluster, 4, 'late')
  expect(cluster.ledger(0).status().blockTimeMs, 'time stands still').toBeLessThan(blockTimeMs + 1000)
  await cluster.run(2 * TEN_MINUTES_MS)
  await open(cluster, 1, 'later')
  await cluster.run(1000)
  expect(cluster.ledger(0).status().blockTimeMs).toBeGreaterThan(blockTimeMs + 1000)
})
