/** Joining a long chain by a snapshot in the store of blocks, on real overlays in the simulator. */
import { expect, test, vi } from 'vitest'
import { fakeVerify } from '../../sim/fake-keys.ts'
import { LedgerCluster, type LedgerClusterOptions } from '../../sim/ledger/ledger-cluster.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import { Chain } from '../../src/market/ledger/chain.ts'
import { Ask, Follow, Runs, Say } from '../../src/market/ledger/messages.ts'
import { receiptFault } from '../../src/market/ledger/receipt/receipt.ts'
import { stateRoot } from '../../src/market/ledger/state/state.ts'
import { seeds } from '../nightly.ts'

const EPOCH_MS = 60_000
const EPOCHS = 3

/** Bankers whose chain is three epochs long, and long enough for a snapshot. */
async function aged(options: Partial<LedgerClusterOptions> = {}): Promise<LedgerCluster> {
  const settings = { epochMs: EPOCH_MS, ...options.settings }
  const shape = { hosts: 6, bankers: 4, codec: true, viewMs: 600, shortChain: 5 }
  const cluster = new LedgerCluster({ seed: 1, ...shape, ...options, settings })
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (const name of ['anna', 'ben']) await opens(cluster, epoch, `${name} ${epoch}`)
    while (cluster.ledger(0).status().epoch === epoch) await cluster.run(1000)
  }
  await cluster.run(20_000)
  await opens(cluster, 0, 'late')
  return cluster
}

async function opens(cluster: LedgerCluster, number: number, name: string): Promise<void> {
  expect((await cluster.schedule.until(cluster.act(number, name, { kind: 'open' }))).result).toBe('applied')
}

/** As it is in the store of this host. */
function replayed(cluster: LedgerCluster, number: number): Chain {
  const chain = new Chain(cluster.genesis, cluster.machines[number]!.chain, fakeVerify)
  chain.replay()
  return chain
}

function expectSame(cluster: LedgerCluster, number: number): void {
  const [own, theirs] = [replayed(cluster, number), replayed(cluster, 0)]
  expect([own.tip, own.base]).toEqual([theirs.tip, theirs.base])
  expect(stateRoot(own.state)).toBe(stateRoot(theirs.state))
}

test.each(['ring', 'torus2'])(
  'a joiner begins with a snapshot, and comes to sit in the committee: %s',
  async (space) => {
    const cluster = await aged({ space })
    const number = await cluster.schedule.until(cluster.join())
    await cluster.run(10_000)
    const { base, height, lag } = cluster.ledger(number).status()
    expect(base).toBeGreaterThan(5)
    expect({ height, lag }).toEqual({ height: cluster.ledger(0).status().height, lag: 0 })
    expectSame(cluster, number)

    const { network } = cluster.ledger(0)
    const from = cluster.machines[number]!.node.host.contact()
    const { host } = cluster.machines[0]!.node
    const told = cluster.schedule.until(host.request(from, Follow, { network, above: 0, waitMs: 0 }))
    expect(await told, 'it says how far it is').toEqual({ height, runs: [] })
    const runs = cluster.schedule.until(host.request(from, Runs, { network, above: base - 1 }))
    await expect(runs).rejects.toThrow(`this host keeps the ledger from block ${base + 1} on: ask another`)

    // What was before is not kept there; what was done is not done twice.
    await expect(cluster.ledger(number).receipt({ height: 1, index: 0 })).rejects.toThrow(
      `not kept here: this node's copy of the ledger begins with block ${base + 1}`,
    )
    const anna = cluster.key('anna 0').publicKey
    expect(await cluster.ledger(number).history(anna, { limit: 9 })).toEqual([])
    const again = cluster.submit(number, cluster.operation('anna 0', 0, { kind: 'open' }))
    expect(await cluster.schedule.until(again)).toEqual({ result: 'account-exists', receipt: undefined })

    // It stands, and with two more of its kind it is given a seat: nobody misses what it does not have.
    const joiners = [number, await cluster.schedule.until(cluster.join()), await cluster.schedule.until(cluster.join())]
    for (const joiner of joiners) {
      const [owner, host] = [`owner ${joiner}`, cluster.machines[joiner]!.key.publicKey]
      const { bond: amount } = cluster.genesis.settings
      await opens(cluster, joiner, owner)
      for (const action of [
        { kind: 'link', host } as const,
        { kind: 'bond', host, amount } as const,
        { kind: 'admit', host } as const,
      ]) {
        const { result } = await cluster.schedule.until(cluster.act(joiner, owner, action))
        expect(result, action.kind).toBe('applied')
      }
    }
    await cluster.run(3 * EPOCH_MS)
    expect(cluster.ledger(0).status().committee).toHaveLength(7)
    expect(cluster.ledger(number).status()).toMatchObject({ seat: expect.any(Number), halted: undefined, base })
    cluster.kill(0)
    cluster.kill(1)
    const late = await cluster.schedule.until(cluster.act(number, 'without two founders', { kind: 'open' }))
    expect(late.result).toBe('applied')
    const file = await cluster.ledger(number).receipt({ height: late.receipt!.header.height, index: 0 })
    expect(receiptFault(file!.receipt, cluster.genesis, file!.epochs, fakeVerify)).toBeUndefined()
  },
)

test.each(seeds(3))('a joiner whose power goes again and again ends with the same state: seed %i', async (seed) => {
  const cluster = await aged({ seed })
  const { random } = cluster.cluster
  const number = await cluster.schedule.until(cluster.join())
  for (let round = 0; round < 8; round++) {
    await cluster.run(random.int(1500))
    cluster.kill(number)
    await cluster.run(random.int(1000))
    await cluster.schedule.until(cluster.restart(number))
    if (round % 3 === 2) await opens(cluster, 0, `meanwhile ${round}`)
  }
  await cluster.run(30_000)
  // Two that follow each other hear of an epoch's end when they have waited long enough.
  const height = (at: number) => cluster.ledger(at).status().height
  for (let ms = 0; ms < 60_000 && height(number) < height(0); ms += 1000) await cluster.run(1000)
  expect(cluster.ledger(number).status()).toMatchObject({ base: expect.any(Number), lag: 0 })
  expectSame(cluster, number)
})

test.each([5, 3])('host %i, whose chain ends before that of all others begins, begins anew', async (number) => {
  const cluster = await aged({ hosts: 6 })
  const height = () => cluster.ledger(0).status().height
  cluster.kill(number)
  const { chain } = cluster.machines[number]!
  chain.cut(1)
  // As if all others had come by a snapshot.
  const base = height() - 1
  for (const [at, { chain: theirs }] of cluster.machines.entries()) {
    if (at === number) continue
    const runs = theirs.runs.bind(theirs)
    theirs.runs = (from, limit) => (from <= base ? [] : runs(from, limit))
    Object.defineProperty(theirs, 'base', { value: base })
  }
  await cluster.schedule.until(cluster.restart(number))
  await cluster.run(60_000)
  await opens(cluster, 0, 'later')
  await cluster.run(30_000)
  const status = cluster.ledger(number).status()
  expect(status).toMatchObject({ height: height(), lag: 0, halted: undefined })
  expect(status.base).toBeGreaterThan(1)
  for (const { chain: one } of cluster.machines) expect(one.evidence()).toEqual([])
})

test('who is told that its chain is of no use, and has all of it, keeps its seat and its chain', async () => {
  const cluster = await aged({ hosts: 6 })
  const liar = cluster.machines[5]!.node.host
  const network = cluster.ledger(0).network
  liar.handlers.set(Runs.name, async () => {
    throw new ChoraleError('not-found', 'ask another')
  })
  const { base } = cluster.ledger(1).status()
  const quiet = vi.spyOn(cluster.machines[1]!.chain, 'cut')
  const to = cluster.machines[1]!.node.host.contact()
  let absent = 0
  for (let i = 0; i < 40; i++) {
    void liar.request(to, Say, { network, epoch: 1000 + i, messages: [new Uint8Array(3)] })
    for (let wait = 0; wait < 5; wait++) {
      const { atWork } = await cluster.schedule.until(cluster.machines[2]!.node.host.request(to, Ask, { network }))
      if (!atWork) absent++
    }
  }
  await opens(cluster, 1, 'after all')
  expect(quiet).not.toHaveBeenCalled()
  expect(cluster.ledger(1).status()).toMatchObject({ base, halted: undefined, seat: expect.any(Number) })
  expect(absent).toBe(0)
})

test('who joins a chain that is short, or whose snapshot nobody has any more, has all of it', async () => {
  const short = await aged({ shortChain: 1000 })
  const first = await short.schedule.until(short.join())
  await short.run(10_000)
  expect(short.ledger(first).status()).toMatchObject({ base: 0, lag: 0 })
  expectSame(short, first)

  const lost = await aged({})
  for (const { held } of lost.machines) for (const { key } of [...held.entries()]) await held.delete(key)
  const second = await lost.schedule.until(lost.join())
  await lost.run(60_000)
  expect(lost.ledger(second).status()).toMatchObject({ base: 0, lag: 0 })
  expectSame(lost, second)
})

test('a banker that has lost its chain, but not its votes, comes back', async () => {
  const cluster = await aged({ hosts: 4 })
  cluster.kill(3)
  cluster.machines[3]!.chain.cut(0)
  await cluster.schedule.until(cluster.restart(3))
  await cluster.run(30_000)
  expect(cluster.ledger(3).status()).toMatchObject({ seat: expect.any(Number), halted: undefined, lag: 0 })
  expectSame(cluster, 3)
})
