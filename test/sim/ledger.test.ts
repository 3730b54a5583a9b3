/** The ledger's driver on real overlays in the simulator: every message through the codec, disks that lose power. */
import { expect, test } from 'vitest'
import { fakeVerify } from '../../sim/fake-keys.ts'
import { LedgerCluster, type LedgerClusterOptions } from '../../sim/ledger/ledger-cluster.ts'
import { encode } from '../../src/core/cbor.ts'
import { receiptFault } from '../../src/market/ledger/receipt/receipt.ts'
import { seeds } from '../nightly.ts'

const clusterOf = (options: Partial<LedgerClusterOptions> = {}) =>
  new LedgerCluster({ seed: 1, hosts: 6, bankers: 4, codec: true, ...options })

test.each([
  { space: 'ring', hosts: 1, bankers: 1 },
  { space: 'ring', hosts: 6, bankers: 4 },
  { space: 'torus2', hosts: 8, bankers: 7 },
])('operations become final from every host: $bankers bankers of $hosts hosts on $space', async (shape) => {
  const cluster = clusterOf(shape)
  for (let number = 0; number < shape.hosts; number++) {
    const opened = await cluster.schedule.until(cluster.act(number, `user ${number}`, { kind: 'open' }))
    expect(opened.result).toBe('applied')
    const file = (await cluster
      .ledger(number)
      .receipt({ height: opened.receipt!.header.height, index: opened.receipt!.index }))!
    expect(receiptFault(file.receipt, cluster.genesis, file.epochs, fakeVerify)).toBeUndefined()
    expect(encode(file.receipt)).toEqual(encode(opened.receipt))
  }
  await cluster.run(30_000)
  for (const { service } of cluster.machines) {
    expect(service.ledger.status()).toMatchObject({
      height: cluster.ledger(0).status().height,
      lag: 0,
      halted: undefined,
    })
  }
  const { height } = cluster.ledger(0).status()
  await cluster.run(600_000)
  expect(cluster.ledger(0).status().height, 'nothing is decided while nobody wants anything').toBe(height)
})

/** Accounts are opened from random live hosts, one every half a second or so, while faults come. */
class Payers {
  readonly done: string[] = []
  tried = 0
  readonly #cluster: LedgerCluster

  constructor(cluster: LedgerCluster) {
    this.#cluster = cluster
  }

  begin(): void {
    const { machines, cluster } = this.#cluster
    const up = machines.flatMap((_, number) => (this.#cluster.isUp(number) ? [number] : []))
    const number = up[cluster.random.int(up.length)]
    if (number === undefined) return
    const name = `payer ${this.tried++}`
    const operation = this.#cluster.operation(name, 0, { kind: 'open' })
    this.#cluster.submit(number, operation, 20_000).then(
      ({ result }) => {
        expect(result).toBe('applied')
        this.done.push(name)
      },
      () => {},
    )
  }

  /** Everything that was final is there, at any host. */
  async check(): Promise<void> {
    const cluster = this.#cluster
    for (const name of this.done) {
      const number = cluster.cluster.random.int(cluster.machines.length)
      const known = await cluster.schedule.until(cluster.account(number, name))
      expect(known, `${name} at host ${number}`).toMatchObject({ nonce: 1 })
    }
  }
}

function expectSame(cluster: LedgerCluster): void {
  const states = cluster.machines.map(({ service }) => {
    const { height, epoch, minted, accounts, halted } = service.ledger.status()
    return { height, epoch, minted, accounts, halted }
  })
  for (const state of states) expect(state).toEqual({ ...states[0], halted: undefined })
}

test.each(seeds(3))(
  'power cuts of single hosts and of all at once lose nothing that was final: seed %i',
  async (seed) => {
    const cluster = clusterOf({ seed, hosts: 8, bankers: 7, viewMs: 600 })
    const { random } = cluster.cluster
    const payers = new Payers(cluster)
    for (let round = 0; round < 60; round++) {
      payers.begin()
      await cluster.run(random.int(1000))
      if (random.int(4) === 0) cluster.kill(random.int(8))
      if (round === 30) for (let number = 0; number < 8; number++) cluster.kill(number)
      await cluster.run(random.int(1000))
      const number = random.int(8)
      if (!cluster.isUp(number)) void cluster.restart(number)
    }
    for (let number = 0; number < 8; number++) if (!cluster.isUp(number)) void cluster.restart(number)
    await cluster.run(60_000)
    expect(payers.done.length).toBeGreaterThan(20)
    expectSame(cluster)
    await payers.check()
  },
)
