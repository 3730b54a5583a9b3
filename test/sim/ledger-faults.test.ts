/** The ledger's driver in the simulator: damaged disks, bad lines, bad messages; and reads that must be as of now. */
import { expect, test } from 'vitest'
import { CrashDisk } from '../../sim/crash-disk.ts'
import { fakeVerify } from '../../sim/fake-keys.ts'
import { LedgerCluster, type LedgerClusterOptions } from '../../sim/ledger/ledger-cluster.ts'
import { MemoryChain } from '../../sim/ledger/memory-chain.ts'
import { hashKey } from '../../src/core/ids.ts'
import { Chain } from '../../src/market/ledger/chain.ts'
import type { LogRecord } from '../../src/market/ledger/consensus/effects.ts'
import { statement } from '../../src/market/ledger/consensus/messages.ts'
import {
  Ask,
  decodeRun,
  encodeCertificate,
  encodeRun,
  Follow,
  Hand,
  Runs,
  Say,
} from '../../src/market/ledger/messages.ts'
import { snapshotChunks } from '../../src/market/ledger/state/snapshot.ts'
import { openVoteLog } from '../../src/market/ledger/vote-log.ts'
import { seeds } from '../nightly.ts'

const clusterOf = (options: Partial<LedgerClusterOptions> = {}) =>
  new LedgerCluster({ seed: 1, hosts: 5, bankers: 4, codec: true, viewMs: 600, ...options })

const open = (cluster: LedgerCluster, number: number, name: string, ms?: number) =>
  cluster.submit(number, cluster.operation(name, 0, { kind: 'open' }), ms)

async function opens(cluster: LedgerCluster, number: number, name: string): Promise<void> {
  expect((await cluster.schedule.until(open(cluster, number, name))).result).toBe('applied')
}

/** The disk with a wrong bit in the first record of its vote log. */
function rotten(disk: CrashDisk): CrashDisk {
  const files = [...disk.files()].map(([path, bytes]) => [path, bytes.with(40, bytes[40]! ^ 1)] as const)
  expect(files).toHaveLength(1)
  return new CrashDisk(new Map(files))
}

/** What a banker's vote log holds just now. */
async function recordsOn(cluster: LedgerCluster, number: number): Promise<readonly LogRecord[]> {
  const { disk, key } = cluster.machines[number]!
  const owner = { network: cluster.ledger(number).network, epoch: 0, member: key.publicKey }
  const opened = await openVoteLog(new CrashDisk(disk.files()), 'votes', owner)
  return opened === 'rotten' ? [] : opened.records
}

test('a banker whose vote log is rotten does not vote before it has caught up, and then does', async () => {
  const cluster = clusterOf()
  for (let i = 0; i < 4; i++) await opens(cluster, i, `early ${i}`)
  cluster.kill(1)
  await opens(cluster, 0, 'while it is down')
  const machine = cluster.machines[1]!
  machine.disk = rotten(machine.disk)
  // Two of the others are gone, so nobody can tell it how far they are: it keeps silent, and two of four decide nothing.
  cluster.kill(2)
  cluster.kill(3)
  await cluster.schedule.until(cluster.restart(1))
  const waiting = open(cluster, 4, 'patient', 300_000)
  await cluster.run(20_000)
  expect(cluster.ledger(1).status().halted).toContain('does not vote before it has caught up')
  await cluster.schedule.until(cluster.restart(2))
  await cluster.run(20_000)
  expect(cluster.ledger(1).status().halted, 'two others are no quorum').toContain('damaged')
  await cluster.schedule.until(cluster.restart(3))
  expect((await cluster.schedule.until(waiting)).result).toBe('applied')
  // The views in which it may have spoken pass without it. Then its vote is needed again.
  await cluster.run(10_000)
  for (let i = 0; i < 3; i++) await opens(cluster, 4, `meanwhile ${i}`)
  cluster.kill(0)
  for (let i = 0; i < 3; i++) await opens(cluster, 4, `late ${i}`)
  expect(cluster.ledger(1).status().halted).toBeUndefined()
  for (const { chain } of cluster.machines) expect(chain.evidence(), 'nobody has said two things').toEqual([])
})

test.each(seeds(3))(
  'all bankers lose power, and blocks; one with a rotten vote log votes in no view in which it may have voted: seed %i',
  async (seed) => {
    const cluster = clusterOf({ seed })
    for (let i = 0; i < 6; i++) {
      void open(cluster, 4, `early ${i}`).catch(() => {})
      await cluster.run(1000 + cluster.cluster.random.int(300))
    }
    for (let i = 0; i < 4; i++) cluster.kill(i)
    await cluster.run(1000)
    const said = (await recordsOn(cluster, 1)).flatMap((record) => (record.type === 'vote' ? [record.view] : []))
    const ready = Promise.withResolvers<void>()
    for (const [number, machine] of cluster.machines.slice(0, 4).entries()) {
      machine.chain = new MemoryChain() // nothing of it was synced
      if (number === 1) machine.disk = rotten(machine.disk)
      const { disk } = machine
      const list = disk.list.bind(disk)
      // What the others have said they know later than the one that asks them.
      if (number !== 1) disk.list = (path) => ready.promise.then(() => list(path))
    }
    await cluster.schedule.until(Promise.all([0, 1, 2, 3].map((number) => cluster.restart(number))))
    await cluster.run(10_000)
    expect(cluster.ledger(1).status().halted).toContain('damaged')
    ready.resolve()
    await cluster.run(10_000)
    expect(cluster.ledger(1).status().halted).toBeUndefined()
    const [silence] = await recordsOn(cluster, 1)
    expect(silence?.type === 'silence' && silence.view).toBeGreaterThanOrEqual(Math.max(...said))
    // The others are at work by themselves; and in time it is, too.
    for (let i = 0; i < 4; i++) await opens(cluster, 4, `late ${i}`)
    cluster.kill(0)
    for (const reader of [1, 4]) {
      expect(await cluster.schedule.until(cluster.account(reader, 'late 3')), `host ${reader}`).toMatchObject({
        nonce: 1,
      })
    }
    await opens(cluster, 4, 'last')
    for (const { chain } of cluster.machines) expect(chain.evidence(), 'nobody has said two things').toEqual([])
  },
)

test.each([1, 4])(
  'nobody is told that a block is final before the vote for it is on disk: %i bankers',
  async (bankers) => {
    const cluster = clusterOf({ hosts: 5, bankers })
    await opens(cluster, 4, 'early')
    const { disk } = cluster.machines[0]!
    // All but one would be no quorum, so every certificate needs this one's vote.
    if (bankers === 4) cluster.kill(3)
    disk.faults = (_, operation) => (operation === 'sync' ? 'ENOSPC' : undefined)
    await expect(cluster.schedule.until(open(cluster, 4, 'late', 20_000))).rejects.toThrow()
    for (const number of [0, 4]) expect(cluster.ledger(number).status().height, `host ${number}`).toBe(1)
    expect(cluster.ledger(0).status().halted).toContain('full')
    // When there is room again, it goes on by itself.
    disk.faults = () => undefined
    await cluster.run(20_000)
    await opens(cluster, 4, 'later')
    await cluster.run(5000)
    expect(cluster.ledger(0).status()).toMatchObject({ halted: undefined, seat: expect.any(Number) })
    for (const { chain } of cluster.machines) expect(chain.evidence(), 'nobody has said two things').toEqual([])
  },
)

test.each(seeds(4))(
  'the only banker goes on after a power cut, whatever of its chain was lost: seed %i',
  async (seed) => {
    const cluster = clusterOf({ seed, hosts: 1, bankers: 1 })
    for (let i = 0; i < 4; i++) await opens(cluster, 0, `early ${i}`)
    cluster.kill(0)
    await cluster.schedule.until(cluster.restart(0))
    for (let i = 0; i < 4; i++) {
      expect(await cluster.schedule.until(cluster.account(0, `early ${i}`, 10_000))).toMatchObject({ nonce: 1 })
    }
    await opens(cluster, 0, 'late')
  },
)

test('a read at a banker waits for the block that it is about to make final', async () => {
  const cluster = clusterOf({ hosts: 1, bankers: 1 })
  const { disk } = cluster.machines[0]!
  const create = disk.create.bind(disk)
  const synced = Promise.withResolvers<void>()
  let isSlow = false
  disk.create = async (path) => {
    const file = await create(path)
    const sync = file.sync.bind(file)
    file.sync = async () => {
      if (isSlow) await synced.promise
      await sync()
    }
    return file
  }
  await opens(cluster, 0, 'early')
  isSlow = true
  const opened = open(cluster, 0, 'anna')
  await cluster.run(1000)
  // Among four, its vote may be on disk and another record not. Then others may have told of the block.
  const read = cluster.account(0, 'anna')
  await cluster.run(1000)
  synced.resolve()
  expect(await cluster.schedule.until(read)).toMatchObject({ nonce: 1 })
  expect((await cluster.schedule.until(opened)).result).toBe('applied')
})

test.each(seeds(2))('lost, late and doubled messages lose no operation: seed %i', async (seed) => {
  const faults = { loss: 0.05, duplication: 0.02, reordering: 0.05 }
  const cluster = clusterOf({ seed, ...faults })
  const outcomes: string[] = []
  for (let i = 0; i < 30; i++) {
    open(cluster, i % 5, `payer ${i}`).then(
      ({ result }) => outcomes.push(result),
      (error) => outcomes.push(String(error)),
    )
    await cluster.run(500)
  }
  await cluster.run(60_000)
  expect(outcomes).toEqual(Array.from({ length: 30 }, () => 'applied'))
  for (const { chain } of cluster.machines) expect(chain.evidence()).toEqual([])
})

test.each(seeds(2))('a read shows all that was final before it, at every host: seed %i', async (seed) => {
  const cluster = clusterOf({ seed, hosts: 8 })
  const { random } = cluster.cluster
  for (let i = 0; i < 20; i++) {
    const name = `payer ${i}`
    // One banker is cut off, and so is one that follows: they read when they are back.
    const cut = [random.int(4), 4 + random.int(4)]
    cluster.cluster.network.partition((host) => (cut.includes(host.number) ? 1 : 0))
    const at = [0, 1, 2, 3, 4, 5, 6, 7].find((number) => !cut.includes(number))!
    await opens(cluster, at, name)
    cluster.cluster.network.partition(undefined)
    for (const reader of [...cut, random.int(8)]) {
      const seen = await cluster.schedule.until(cluster.account(reader, name))
      expect(seen, `${name} at host ${reader}`).toMatchObject({ nonce: 1 })
    }
  }
})

test('after a partition in which neither side could decide, the bankers find each other again', async () => {
  const cluster = clusterOf()
  await opens(cluster, 4, 'early')
  cluster.cluster.network.partition((host) => (host.number < 2 ? 1 : 0))
  await expect(cluster.schedule.until(open(cluster, 4, 'parted', 60_000))).rejects.toThrow('not final yet')
  cluster.cluster.network.partition(undefined)
  const healedAtMs = cluster.schedule.nowMs
  await opens(cluster, 0, 'late')
  expect(cluster.schedule.nowMs - healedAtMs).toBeLessThan(20_000)
})

test('a liar does not hold up reads at rest by what it names, nor by being slow to hand it out', async () => {
  const cluster = clusterOf()
  await opens(cluster, 0, 'anna')
  await cluster.run(5000)
  const { service, node } = cluster.machines[3]!
  const { network } = service.ledger
  const { height, view, committee } = service.ledger.status()
  const said = statement({ network, epoch: 0 }, 'nullify', view, null)
  const keys = committee.map((host) => cluster.machines.find(({ key }) => key.publicKey === host)!.key)
  const members = [0, 1, 2]
  const signatures = members.map((member) => keys[member]!.sign(said))
  const voted = encodeCertificate({ type: 'certificate', kind: 'nullify', view, digest: null, members, signatures })
  for (const lie of [{ height, voted }, { height: 1e15 }]) {
    node.host.handle(Ask, () => ({ epoch: 0, atWork: true, ...lie }))
    node.host.handle(Runs, () => new Promise(() => {}))
    for (const reader of [0, 1, 2, 4]) {
      const beganMs = cluster.schedule.nowMs
      expect(await cluster.schedule.until(cluster.account(reader, 'anna')), `host ${reader}`).toMatchObject({
        nonce: 1,
      })
      expect(cluster.schedule.nowMs - beganMs).toBeLessThan(1000)
    }
  }
})

test('what is no message of this ledger is refused and counted, and does no harm', async () => {
  const cluster = clusterOf()
  await opens(cluster, 0, 'early')
  const { host } = cluster.machines[3]!.node
  const { random } = cluster.cluster
  const target = cluster.machines[0]!
  const to = target.node.host.contact()
  const { network } = target.service.ledger
  const ask = (promise: Promise<unknown>) => cluster.schedule.until(promise.catch((error) => error.code))
  for (let i = 0; i < 200; i++) {
    const messages = [random.bytes(1 + random.int(200))]
    expect(await ask(host.request(to, Say, { network, epoch: random.int(3), messages }))).toEqual({})
  }
  const { answers } = (await ask(host.request(to, Hand, { network, operations: [random.bytes(99)] }))) as {
    answers: string[]
  }
  expect(answers).toEqual(['malformed'])
  const other = hashKey('another genesis')
  expect(await ask(host.request(to, Follow, { network: other, above: 0, waitMs: 0 }))).toBe('wrong-network')
  expect(await ask(host.request(to, Say, { network: other, epoch: 0, messages: [random.bytes(9)] }))).toBe(
    'wrong-network',
  )
  const stranger = cluster.machines[4]!.node.host
  expect(await ask(stranger.request(to, Say, { network, epoch: 0, messages: [random.bytes(9)] }))).toEqual({})
  const counters = target.service.counters()
  expect(counters).toMatchObject({ refusedOperations: 1, wrongLedgers: 2, strangers: 1 })
  expect(counters.badMessages).toBe(201)
  await opens(cluster, 0, 'late')
})

test('a follower takes no block without the signatures of a quorum, whoever tells it of one', async () => {
  const cluster = clusterOf()
  await opens(cluster, 0, 'early')
  await cluster.run(30_000)
  cluster.kill(4)
  await opens(cluster, 0, 'meanwhile')
  const { height } = cluster.ledger(0).status()
  const forge = (bytes: Uint8Array) => {
    const run = decodeRun(bytes)!
    const [first, ...others] = run.certificate.signatures
    const signatures = [first!.map((byte) => byte ^ 1), ...others]
    return encodeRun({ ...run, certificate: { ...run.certificate, signatures } })
  }
  for (const { node, chain } of cluster.machines.slice(0, 4)) {
    const runs = (above: number) =>
      chain.runs(above + 1, { maxRuns: 9, maxBytes: 9999 }).map(({ bytes }) => forge(bytes))
    node.host.handle(Follow, ({ above }) => ({ height: height + 100, runs: runs(above) }))
    node.host.handle(Runs, ({ above }) => ({ runs: runs(above) }))
  }
  await cluster.schedule.until(cluster.restart(4))
  await cluster.run(30_000)
  expect(cluster.ledger(4).status().height).toBeLessThan(height)
  expect(cluster.machines[4]!.service.counters().refusedRuns).toBeGreaterThan(0)
})

test('the same bytes may be submitted again, and give the same receipt; another use of a number is told', async () => {
  const cluster = clusterOf()
  const bytes = cluster.operation('anna', 0, { kind: 'open' })
  const [first, again] = await cluster.schedule.until(Promise.all([cluster.submit(0, bytes), cluster.submit(4, bytes)]))
  expect(again).toMatchObject({ result: 'applied', receipt: { header: { height: first.receipt!.header.height } } })
  expect((await cluster.schedule.until(cluster.submit(2, bytes))).receipt?.index).toBe(first.receipt!.index)
  const late = await cluster.schedule.until(
    cluster.submit(3, cluster.operation('anna', 0, { kind: 'unlink', host: hashKey('x') })),
  )
  expect(late).toEqual({ result: 'replayed', receipt: undefined })
  const early = cluster.submit(3, cluster.operation('anna', 5, { kind: 'unlink', host: hashKey('x') }))
  expect(await cluster.schedule.until(early)).toEqual({ result: 'nonce-gap', receipt: undefined })
  const nobody = cluster.submit(3, cluster.operation('ben', 0, { kind: 'unlink', host: hashKey('x') }))
  expect(await cluster.schedule.until(nobody)).toEqual({ result: 'no-account', receipt: undefined })
})

test('a chain restarts from a snapshot of its state as from its first block, also in the middle of an epoch', async () => {
  const cluster = clusterOf({ hosts: 1, bankers: 1, settings: { epochMs: 5000 } })
  for (let i = 0; i < 20; i++) {
    await opens(cluster, 0, `early ${i}`)
    await cluster.run(1200)
  }
  const { chain: store } = cluster.machines[0]!
  const replayed = () => {
    const chain = new Chain(cluster.genesis, store, fakeVerify)
    chain.replay()
    return chain
  }
  const whole = replayed()
  expect(whole.epoch).toBeGreaterThan(0)
  expect(whole.base.height).toBeLessThan(whole.tip.height)
  await store.keepSnapshot(whole.tip.height, snapshotChunks(whole.state))
  for (let i = 0; i < 5; i++) await opens(cluster, 0, `late ${i}`)
  let executed = 0
  const again = new Chain(cluster.genesis, store, fakeVerify)
  again.events.on('block', () => executed++)
  again.replay()
  expect(executed, 'only what came after the snapshot').toBe(again.tip.height - whole.tip.height)
  expect([again.tip.height, again.base]).toEqual([store.height, whole.base])

  // One that is not that of its block is passed over.
  await store.keepSnapshot(whole.tip.height - 1, snapshotChunks(whole.state))
  expect(replayed().tip).toEqual(again.tip)
})
