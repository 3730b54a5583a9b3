/** Epochs of the ledger in the simulator: seats come and go, committees halt and go on. */
import { expect, test } from 'vitest'
import { fakeVerify } from '../../sim/fake-keys.ts'
import { LedgerCluster, type LedgerClusterOptions } from '../../sim/ledger/ledger-cluster.ts'
import { encode } from '../../src/core/cbor.ts'
import { decodeSaid, MAX_SAID, type Said, Say, SayBulk } from '../../src/market/ledger/messages.ts'
import { receiptFault } from '../../src/market/ledger/receipt/receipt.ts'
import type { Action } from '../../src/market/ledger/state/operation.ts'
import { seeds } from '../nightly.ts'

const EPOCH_MS = 60_000

const clusterOf = (options: Partial<LedgerClusterOptions> = {}) => {
  const settings = { epochMs: EPOCH_MS, ...options.settings }
  return new LedgerCluster({ seed: 1, hosts: 8, bankers: 1, codec: true, viewMs: 600, ...options, settings })
}

async function must(cluster: LedgerCluster, number: number, who: string, action: Action): Promise<void> {
  const { result } = await cluster.schedule.until(cluster.act(number, who, action))
  expect(result, `${action.kind} of ${who}`).toBe('applied')
}

/** A host posts a bond and stands for the committee. */
async function stand(cluster: LedgerCluster, number: number): Promise<void> {
  const host = cluster.machines[number]!.key.publicKey
  const owner = `owner ${number}`
  await must(cluster, number, owner, { kind: 'open' })
  await must(cluster, number, owner, { kind: 'link', host })
  await must(cluster, number, owner, { kind: 'bond', host, amount: cluster.genesis.settings.bond })
  await must(cluster, number, owner, { kind: 'admit', host })
}

const seats = (cluster: LedgerCluster, number = 0) => cluster.ledger(number).status().committee.length

test.each(seeds(2))('a committee grows from its founder to seven, and loses its founder: seed %i', async (seed) => {
  const cluster = clusterOf({ seed })
  for (let number = 1; number < 8; number++) await stand(cluster, number)
  for (const size of [4, 7]) {
    const { epoch } = cluster.ledger(0).status()
    while (cluster.ledger(0).status().epoch === epoch) await cluster.run(1000)
    expect(seats(cluster)).toBe(size)
  }
  await cluster.run(10_000)
  const opened = await cluster.schedule.until(cluster.act(7, 'late', { kind: 'open' }))
  const file = (await cluster.ledger(7).receipt({ height: opened.receipt!.header.height, index: 0 }))!
  expect(file.epochs.length).toBe(opened.receipt!.header.epoch)
  expect(receiptFault(file.receipt, cluster.genesis, file.epochs, fakeVerify)).toBeUndefined()

  // The founder goes; another takes its seat.
  cluster.kill(0)
  await cluster.run(2.5 * EPOCH_MS)
  const { committee, epoch } = cluster.ledger(1).status()
  expect(committee).toHaveLength(7)
  expect(committee).not.toContain(cluster.machines[0]!.key.publicKey)
  await must(cluster, 3, 'without the founder', { kind: 'open' })

  // It comes back, epochs later, and follows.
  await cluster.schedule.until(cluster.restart(0))
  await cluster.run(20_000)
  expect(cluster.ledger(0).status()).toMatchObject({ epoch, seat: undefined })
  expect(await cluster.schedule.until(cluster.account(0, 'without the founder'))).toMatchObject({ nonce: 1 })
})

test('a banker that is down for epochs keeps its seat, and the committee needs it when it is back', async () => {
  const cluster = clusterOf({ bankers: 4, hosts: 5 })
  cluster.kill(3)
  await cluster.run(3.5 * EPOCH_MS)
  expect(cluster.ledger(4).status().epoch).toBeGreaterThan(1)
  expect(seats(cluster)).toBe(4)
  await cluster.schedule.until(cluster.restart(3))
  await cluster.run(20_000)
  expect(cluster.ledger(3).status()).toMatchObject({ seat: expect.any(Number) })
  cluster.kill(0)
  await must(cluster, 4, 'with its vote', { kind: 'open' })
  expect(seats(cluster, 3)).toBe(4)
})

test('bankers step down one by one: their seats are vacant, and those that are left decide', async () => {
  const cluster = clusterOf({ bankers: 4, hosts: 5 })
  for (const gone of [3, 2, 1]) {
    await must(cluster, gone, `owner ${gone}`, { kind: 'drop', host: cluster.machines[gone]!.key.publicKey })
    await cluster.run(1.5 * EPOCH_MS)
    cluster.kill(gone)
    expect(seats(cluster)).toBe(gone)
    await must(cluster, 4, `after ${gone}`, { kind: 'open' })
  }
  const { receipt } = await cluster.schedule.until(cluster.act(4, 'late', { kind: 'open' }))
  const file = (await cluster.ledger(4).receipt({ height: receipt!.header.height, index: 0 }))!
  expect(receiptFault(file.receipt, cluster.genesis, file.epochs, fakeVerify)).toBeUndefined()
})

test('a committee without a quorum says so and halts, and goes on when its bankers are back', async () => {
  const cluster = clusterOf({ bankers: 7 })
  await must(cluster, 7, 'early', { kind: 'open' })
  for (const number of [0, 1, 2, 3]) cluster.kill(number)
  const lost = cluster.submit(7, cluster.operation('patient', 0, { kind: 'open' }), 200_000)
  await cluster.run(30_000)
  for (const number of [4, 5, 6, 7]) {
    expect(cluster.ledger(number).status().halted, `host ${number}`).toBe('3 of 7 bankers answer; 5 are needed')
  }
  await expect(cluster.schedule.until(cluster.account(7, 'early', 5000))).rejects.toThrow(
    '3 of 7 bankers answer; 5 are needed',
  )
  for (const number of [0, 1]) await cluster.schedule.until(cluster.restart(number))
  expect(await cluster.schedule.until(lost)).toMatchObject({ result: 'applied' })
  await cluster.run(15_000)
  for (const number of [0, 1, 4, 5, 6, 7]) {
    expect(cluster.ledger(number).status().halted, `host ${number}`).toBeUndefined()
  }
})

test('a host without a seat, to whom nothing comes, says that the committee halts when it has looked', async () => {
  const cluster = clusterOf({ bankers: 4 })
  await must(cluster, 7, 'early', { kind: 'open' })
  for (const number of [0, 1]) cluster.kill(number)
  await cluster.run(30_000)
  await cluster.schedule.until(cluster.ledger(7).look())
  expect(cluster.ledger(7).status().halted).toBe('2 of 4 bankers answer; 3 are needed')
  await cluster.schedule.until(cluster.restart(0))
  await cluster.run(1000)
  await cluster.schedule.until(cluster.ledger(7).look())
  expect(cluster.ledger(7).status().halted).toBeUndefined()
})

test.each(seeds(2))('epochs change under power cuts and nothing final is lost: seed %i', async (seed) => {
  const cluster = clusterOf({ seed, bankers: 4, settings: { epochMs: 10_000 } })
  const { random } = cluster.cluster
  for (let number = 4; number < 8; number++) await stand(cluster, number)
  const final: string[] = []
  for (let round = 0; round < 40; round++) {
    const name = `payer ${round}`
    const up = cluster.machines.flatMap((_, number) => (cluster.isUp(number) ? [number] : []))
    const at = up[random.int(up.length)]!
    cluster.submit(at, cluster.operation(name, 0, { kind: 'open' }), 15_000).then(
      () => final.push(name),
      () => {},
    )
    await cluster.run(random.int(2000))
    if (random.int(3) === 0) cluster.kill(random.int(8))
    await cluster.run(random.int(2000))
    const number = random.int(8)
    if (!cluster.isUp(number)) void cluster.restart(number)
    if (up.length < 6) for (let i = 0; i < 8; i++) if (!cluster.isUp(i)) void cluster.restart(i)
  }
  for (let number = 0; number < 8; number++) if (!cluster.isUp(number)) void cluster.restart(number)
  await cluster.run(60_000)
  expect(final.length).toBeGreaterThan(15)
  expect(cluster.ledger(0).status().epoch).toBeGreaterThan(5)
  for (const name of final) {
    expect(await cluster.schedule.until(cluster.account(random.int(8), name)), name).toMatchObject({ nonce: 1 })
  }
})

test('who asks for blocks in words of an epoch that is over is told of the new one in a few bytes, if it is a banker', async () => {
  const cluster = clusterOf({ bankers: 4, hosts: 5 })
  while (cluster.ledger(0).status().epoch === 0) await cluster.run(1000)
  await cluster.run(10_000)
  const victim = cluster.machines[0]!
  const { network } = cluster.ledger(0)
  const fetch = encode({ type: 'fetch', height: 1, since: 1, block: null })
  const asks = async (number: number) => {
    const heard: [kind: string, epoch: number, types: (string | undefined)[]][] = []
    const { host } = cluster.machines[number]!.node
    for (const { name } of [Say, SayBulk]) {
      const honest = host.handlers.get(name)!
      host.handlers.set(name, (message, delivery) => {
        const { epoch, messages } = message as Said
        if (delivery.from.peer === victim.node.host.peer) {
          heard.push([name, epoch, messages.map((bytes) => decodeSaid(bytes)?.type)])
        }
        return honest(message, delivery)
      })
    }
    const said = { network, epoch: 0, messages: Array<Uint8Array>(MAX_SAID).fill(fetch) }
    await cluster.schedule.until(host.request(victim.node.overlay.self!, Say, said))
    await cluster.run(1000)
    return heard
  }
  expect(await asks(4), 'a stranger').toEqual([])
  expect(victim.service.counters().strangers).toBe(1)
  expect(await asks(1), 'a banker').toEqual([[Say.name, 1, ['answer']]])
})

test('a banker that was cut off when its epoch ended, and asks, is in the new one before it looks around', async () => {
  const cluster = clusterOf({ bankers: 4, hosts: 4 })
  const [victim, late] = [cluster.machines[0]!.node, cluster.machines[3]!.node]
  await cluster.run(30_000)
  cluster.cluster.network.partition((host) => (host === late.host ? 1 : 0))
  while (cluster.ledger(0).status().epoch === 0) await cluster.run(1000)
  expect(cluster.ledger(3).status().epoch).toBe(0)
  await cluster.run(2000) // so that its next look around is some seconds off
  cluster.cluster.network.partition(undefined)
  const fetch = encode({ type: 'fetch', height: 1, since: 1, block: null })
  const said = { network: cluster.ledger(0).network, epoch: 0, messages: [fetch] }
  await cluster.schedule.until(late.host.request(victim.overlay.self!, Say, said))
  await cluster.run(500)
  expect(cluster.ledger(3).status().epoch).toBe(1)
})
