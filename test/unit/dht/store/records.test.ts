/** Signed records on a fake ring: the newest wins, and nobody brings back an old one or another's. */
import fc from 'fast-check'
import { base58btc } from 'multiformats/bases/base58'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { MAX_RECORD_LIFE_MS, MAX_RECORD_VALUE_BYTES } from '../../../../src/core/limits.ts'
import type { RegisterKind } from '../../../../src/dht/registers.ts'
import {
  type RecordSigner,
  Records,
  recordKey,
  recordKind,
  type SignedRecord,
  signedBytes,
} from '../../../../src/dht/store/records.ts'
import { RegisterTable } from '../../../../src/dht/store/table.ts'
import { generateHostKey, signerOf, verifySignature } from '../../../../src/net/host-key.ts'
import { failure } from '../../../fakes/block-io.ts'
import { RegisterNetwork } from '../../../fakes/registers.ts'

const HOUR_MS = 3_600_000
const NETWORK = 'a network'
const bytes = (value: string) => new TextEncoder().encode(value)
const textOf = (record: SignedRecord | undefined) => record && Buffer.from(record.value).toString()

const signers: RecordSigner[] = []
beforeAll(async () => {
  for (let i = 0; i < 3; i++) {
    const key = await generateHostKey()
    signers.push({ peer: key.peer, sign: signerOf(key), verify: verifySignature })
  }
})

let network: RegisterNetwork
let hosts: Records[]
afterEach(() => network?.stopAll())

async function start(count: number, seed: number): Promise<void> {
  network = await RegisterNetwork.of({ seed }, count)
  hosts = network.nodes.map(({ host: { env }, store }, index) => {
    return new Records({ env, registers: store, signer: signers[index % signers.length]!, network: NETWORK })
  })
}

const publicKey = (signer: RecordSigner) => base58btc.decode(`z${signer.peer}`).slice(6)
const until = <T>(work: Promise<T>): Promise<T> => network.ring.until(work)
const nowMs = () => Math.floor(network.ring.hosts[0]!.env.clock.now())

/** A record as its holder may sign it, good or not. */
function signed(signer: RecordSigner, change: Partial<SignedRecord> = {}, of = NETWORK): SignedRecord {
  const unsigned = {
    publicKey: publicKey(signer),
    name: 'n',
    seq: 1,
    expiresAtMs: nowMs() + HOUR_MS,
    value: bytes('v'),
    ...change,
  }
  return { ...unsigned, signature: change.signature ?? signer.sign(signedBytes(of, unsigned)) }
}

test('a record is read anywhere, by peer id and by public key, and replaced by the next', async () => {
  await start(8, 1)
  expect(await until(hosts[1]!.resolve(signers[0]!.peer, 'n'))).toBeUndefined()
  await until(hosts[0]!.publish('n', bytes('one'), { expiresAfterMs: HOUR_MS }))
  expect(textOf(await until(hosts[5]!.resolve(signers[0]!.peer, 'n')))).toBe('one')
  const second = await until(hosts[0]!.publish('n', bytes('two'), { expiresAfterMs: HOUR_MS }))
  for (const host of hosts) expect(textOf(await until(host.resolve(publicKey(signers[0]!), 'n')))).toBe('two')
  expect(await until(hosts[5]!.resolve(signers[0]!.peer, 'other'))).toBeUndefined()
  expect(await until(hosts[5]!.resolve(signers[1]!.peer, 'n'))).toBeUndefined()
  expect(second.seq).toBeGreaterThan(1)
})

test('two hosts with one key that write at once agree on one, and each next one wins', async () => {
  await start(6, 2)
  const writers = [hosts[0]!, hosts[3]!] // the same signer
  await until(
    Promise.all(writers.map((host, index) => host.publish('n', bytes(`${index}`), { expiresAfterMs: HOUR_MS }))),
  )
  const seen = []
  for (const host of hosts) seen.push(textOf(await until(host.resolve(signers[0]!.peer, 'n'))))
  expect(new Set(seen).size).toBe(1)
  await until(hosts[3]!.publish('n', bytes('last'), { expiresAfterMs: HOUR_MS }))
  expect(textOf(await until(hosts[1]!.resolve(signers[0]!.peer, 'n')))).toBe('last')
})

test('a record expires for readers and replicas, and never before the one that it replaced', async () => {
  await start(4, 3)
  await until(hosts[0]!.publish('n', bytes('long'), { expiresAfterMs: 2 * HOUR_MS }))
  const endsAtMs = nowMs() + 2 * HOUR_MS
  const second = await until(hosts[0]!.publish('n', bytes('short'), { expiresAfterMs: 1 }))
  expect(Math.abs(second.expiresAtMs - endsAtMs)).toBeLessThan(5_000)
  await network.ring.run(HOUR_MS)
  expect(textOf(await until(hosts[1]!.resolve(signers[0]!.peer, 'n')))).toBe('short')
  await network.ring.run(HOUR_MS + 60_000)
  for (const host of hosts) expect(await until(host.resolve(signers[0]!.peer, 'n'))).toBeUndefined()
  expect(network.nodes.map(({ store }) => store.size)).toEqual([0, 0, 0, 0])
})

test('an owner that answers with an old, a forged or a broken record is not believed', async () => {
  await start(3, 4)
  const [reader] = hosts as [Records]
  const { store } = network.nodes[0]!
  const answers: unknown[] = []
  store.read = (async () => answers.shift()) as never
  const resolve = () => until(reader.resolve(signers[1]!.peer, 'n'))
  const good = signed(signers[1]!, { seq: 7, value: bytes('seven') })
  answers.push(good)
  expect(textOf(await resolve())).toBe('seven')
  const refused = [
    signed(signers[1]!, { seq: 6 }), // a rollback
    undefined,
    signed(signers[2]!, { seq: 9 }),
    { ...signed(signers[2]!, { seq: 9 }), publicKey: publicKey(signers[1]!) },
    { ...good, seq: 8 },
    { ...good, value: bytes('eight') },
    signed(signers[1]!, { seq: 9, name: 'm' }),
    signed(signers[1]!, { seq: 9 }, 'another network'),
    signed(signers[1]!, { seq: 9, expiresAtMs: nowMs() }),
    signed(signers[1]!, { seq: 9, expiresAtMs: nowMs() + MAX_RECORD_LIFE_MS + HOUR_MS }),
    signed(signers[1]!, { seq: 9, value: new Uint8Array(MAX_RECORD_VALUE_BYTES + 1) }),
    signed(signers[1]!, { seq: 9.5 }),
    { ...good, seq: 2 ** 60 },
    { ...good, more: 1 },
    'nonsense',
    null,
  ]
  for (const answer of refused) {
    answers.push(answer)
    expect(textOf(await resolve())).toBe('seven')
  }
  answers.push(signed(signers[1]!, { seq: 8, value: bytes('eight') }))
  expect(textOf(await resolve())).toBe('eight')
})

test('replicas refuse what is not signed for this key, name and network, or expires at the wrong time', async () => {
  await start(1, 5)
  const kind = recordKind({ now: nowMs, verify: verifySignature, network: NETWORK })
  const table = new RegisterTable()
  table.define(kind as RegisterKind<unknown>)
  const [alice, bob] = signers as [RecordSigner, RecordSigner]
  const key = recordKey(publicKey(alice), 'n')
  const merge = (value: SignedRecord, of = key) => table.merge({ kind: 'record', key: of, ageMs: 0, value }, nowMs())
  const bad: SignedRecord[] = [
    signed(bob),
    signed(alice, { name: 'm' }),
    signed(alice, { signature: bob.sign(bytes('x')) }),
    signed(alice, { signature: new Uint8Array(64) }),
    signed(alice, {}, 'another network'),
    signed(alice, { expiresAtMs: nowMs() }),
    signed(alice, { expiresAtMs: 0 }),
    signed(alice, { expiresAtMs: nowMs() + MAX_RECORD_LIFE_MS + HOUR_MS }),
    { ...signed(alice), value: bytes('other') },
    { ...signed(alice), seq: 2 },
  ]
  for (const record of bad) expect(merge(record)).toMatchObject({ accepted: false, code: 'auth' })
  expect(merge(signed(alice), recordKey(publicKey(alice), 'm'))).toMatchObject({ accepted: false })
  expect(merge(signed(alice, { seq: 5 }))).toMatchObject({ accepted: true, changed: true })
  expect(merge(signed(alice, { seq: 4, value: bytes('old') }))).toMatchObject({ accepted: true, changed: false })
  expect(merge(signed(alice, { seq: 5 }))).toMatchObject({ accepted: true, changed: false })
})

test('replicas agree in whatever order records come, once or often', async () => {
  await start(1, 6)
  const kind = recordKind({ now: nowMs, verify: verifySignature, network: NETWORK })
  const records = [1, 1, 2, 3, 3, 3].map((seq, index) => signed(signers[0]!, { seq, value: bytes(`${index}`) }))
  const order = fc.array(fc.nat(records.length - 1), { maxLength: 12 })
  fc.assert(
    fc.property(order, (extra) => {
      const list = [...extra, ...records.keys()].map((index) => records[index]!)
      const forward = list.reduce((a, b) => kind.merge(a, b))
      const backward = list.reduceRight((a, b) => kind.merge(b, a))
      expect(textOf(forward)).toBe(textOf(backward))
      expect(forward.seq).toBe(3)
    }),
  )
})

test('what cannot be a record is refused before anything is sent', async () => {
  await start(2, 7)
  const [host] = hosts as [Records]
  const publish = (name: string, size: number, expiresAfterMs: number) =>
    failure(until(host.publish(name, new Uint8Array(size), { expiresAfterMs })))
  expect(await publish('', 1, HOUR_MS)).toMatch(/^usage: the name/)
  expect(await publish('ä'.repeat(129), 1, HOUR_MS)).toMatch(/^usage: the name/)
  expect(await publish('n', MAX_RECORD_VALUE_BYTES + 1, HOUR_MS)).toMatch(/^usage: a record holds 4096 bytes/)
  for (const ms of [0, -1, 1.5, Number.NaN, MAX_RECORD_LIFE_MS + 1]) {
    expect(await publish('n', 1, ms)).toMatch(/^usage: a record expires/)
  }
  expect(network.ring.delivered.size).toBe(0)
  expect(await publish('ä'.repeat(128), MAX_RECORD_VALUE_BYTES, MAX_RECORD_LIFE_MS)).toBe('done')
  expect(await failure(host.resolve('nobody', 'n'))).toBe('usage: nobody is not the peer id of an Ed25519 key')
  expect(await failure(host.resolve(new Uint8Array(31), 'n'))).toContain('has 32 bytes, not 31')
})

test('records survive the death of their owner', async () => {
  await start(9, 8)
  await until(hosts[0]!.publish('n', bytes('kept'), { expiresAfterMs: HOUR_MS }))
  const [owner] = network.group(recordKey(publicKey(signers[0]!), 'n'))
  network.ring.kill(owner!.host)
  const reader = network.live.find(({ host }) => host !== owner!.host)!
  expect(textOf(await until(hosts[network.nodes.indexOf(reader)]!.resolve(signers[0]!.peer, 'n')))).toBe('kept')
})
