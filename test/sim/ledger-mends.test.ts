/** The ledger's driver in the simulator: seats that fail, chains that were cut, hosts that come back when all has gone on. */
import { expect, test } from 'vitest'
import { CrashDisk } from '../../sim/crash-disk.ts'
import { LedgerCluster, type LedgerClusterOptions } from '../../sim/ledger/ledger-cluster.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import { decodeRun, decodeSaid, Runs, type Said, Say } from '../../src/market/ledger/messages.ts'
import { decodePayload } from '../../src/market/ledger/payload.ts'
import type { Action } from '../../src/market/ledger/state/operation.ts'

const EPOCH_MS = 30_000
const clusterOf = (options: Partial<LedgerClusterOptions> = {}) => {
  const settings = { epochMs: EPOCH_MS, ...options.settings }
  return new LedgerCluster({ seed: 1, hosts: 5, bankers: 4, codec: true, viewMs: 600, ...options, settings })
}

async function must(cluster: LedgerCluster, number: number, who: string, action: Action): Promise<void> {
  const { result } = await cluster.schedule.until(cluster.act(number, who, action))
  expect(result, `${action.kind} of ${who}`).toBe('applied')
}

const opens = (cluster: LedgerCluster, number: number, name: string) => must(cluster, number, name, { kind: 'open' })

async function stand(cluster: LedgerCluster, number: number): Promise<void> {
  const host = cluster.machines[number]!.key.publicKey
  const owner = `owner ${number}`
  await opens(cluster, number, owner)
  await must(cluster, number, owner, { kind: 'link', host })
  await must(cluster, number, owner, { kind: 'bond', host, amount: cluster.genesis.settings.bond })
  await must(cluster, number, owner, { kind: 'admit', host })
}

function seatsAt(cluster: LedgerCluster, number: number): number[] {
  const { committee } = cluster.ledger(number).status()
  return committee.map((key) => cluster.machines.findIndex((machine) => machine.key.publicKey === key))
}

/** The store gives no more than the blocks below this height, until what is above is cut off. */
function cutAt(cluster: LedgerCluster, number: number, height: number): void {
  const { chain } = cluster.machines[number]!
  const { runs, cut } = { runs: chain.runs.bind(chain), cut: chain.cut.bind(chain) }
  let isRotten = true
  chain.runs = (from, limit) => {
    const found = runs(from, limit)
    return isRotten ? found.filter(({ lastHeight }) => lastHeight < height) : found
  }
  chain.cut = (to) => {
    isRotten = false
    cut(to)
  }
}

test.each([1, 2, 3])('a seat whose disk fails as it is taken leaves nobody behind who votes: seed %i', async (seed) => {
  const cluster = clusterOf({ seed, viewMs: 3000 })
  const machine = cluster.machines[3]!
  let failedAtMs = 0
  const sync = machine.chain.sync.bind(machine.chain)
  machine.chain.sync = () => {
    if (failedAtMs > 0) return sync()
    failedAtMs = cluster.schedule.nowMs
    throw new ChoraleError('io', 'no space left')
  }
  const said = new Set<string>()
  const { host } = cluster.machines[0]!.node
  const honest = host.handlers.get(Say.name)!
  host.handlers.set(Say.name, (message, delivery) => {
    if (delivery.from.peer === machine.node.host.peer) {
      const { epoch, messages } = message as Said
      for (const bytes of messages) {
        const vote = decodeSaid(bytes)
        if (vote?.type === 'vote') said.add(`${vote.kind} ${vote.view} of epoch ${epoch}`)
      }
    }
    return honest(message, delivery)
  })
  while (failedAtMs === 0) await cluster.run(5)
  said.clear()
  cluster.cluster.network.partition((one) => (one === cluster.machines[2]!.node.host ? 1 : 0))
  await cluster.run(2250)
  cluster.cluster.network.partition(undefined)
  await cluster.run(20_000)
  for (const vote of said) {
    if (vote.startsWith('finalize')) expect(said).not.toContain(vote.replace('finalize', 'nullify'))
  }
  expect(
    [...said].some((vote) => vote.startsWith('notarize')),
    'it votes again',
  ).toBe(true)
  for (const { chain } of cluster.machines) expect(chain.evidence()).toEqual([])
})

test('a banker that comes back when its committee is long gone follows the chain', async () => {
  const cluster = clusterOf({ hosts: 9 })
  await cluster.run(5000)
  cluster.kill(3)
  for (let number = 4; number < 9; number++) await stand(cluster, number)
  await cluster.run(1.5 * EPOCH_MS)
  for (const number of [0, 1, 2]) {
    const host = cluster.machines[number]!.key.publicKey
    if (seatsAt(cluster, 8).includes(number)) await must(cluster, number, `owner ${number}`, { kind: 'drop', host })
    await cluster.run(1.5 * EPOCH_MS)
  }
  expect(seatsAt(cluster, 8).some((number) => number < 4)).toBe(false)
  for (const number of [0, 1, 2]) cluster.kill(number)
  await cluster.run(2 * EPOCH_MS)
  await cluster.schedule.until(cluster.restart(3))
  await cluster.run(60_000)
  expect(cluster.ledger(3).status()).toMatchObject({ epoch: cluster.ledger(8).status().epoch, halted: undefined })
})

test('the only banker, with rot in its chain, has the rest from its log of votes', async () => {
  const cluster = clusterOf({ hosts: 3, bankers: 1, settings: { epochMs: 3_600_000 } })
  for (let i = 0; i < 6; i++) await opens(cluster, 1, `name ${i}`)
  const { height } = cluster.ledger(0).status()
  cluster.kill(0)
  cutAt(cluster, 0, 3)
  await cluster.schedule.until(cluster.restart(0))
  await cluster.run(10_000)
  expect(cluster.ledger(0).status()).toMatchObject({ height, halted: undefined })
  await opens(cluster, 2, 'late')
})

test('the only banker whose log has been cut has the rest of its chain from whoever follows it', async () => {
  const cluster = clusterOf({ hosts: 3, bankers: 1 })
  while (cluster.ledger(0).status().epoch < 3) await cluster.run(1000)
  for (let i = 0; i < 3; i++) await opens(cluster, 1, `name ${i}`)
  await cluster.run(5000)
  const { height } = cluster.ledger(0).status()
  cluster.kill(0)
  cutAt(cluster, 0, 2)
  await cluster.schedule.until(cluster.restart(0))
  await cluster.run(60_000)
  expect(cluster.ledger(0).status().height).toBeGreaterThanOrEqual(height)
  await opens(cluster, 2, 'late')
})

test('a banker whose chain lost several epochs does not vote in those that it has forgotten', async () => {
  const cluster = clusterOf({ hosts: 4 })
  while (cluster.ledger(0).status().epoch < 3) await cluster.run(1000)
  await cluster.run(10_000)
  cluster.kill(3)
  cutAt(cluster, 3, 1)
  const own = cluster.machines[0]!
  // They lead it to the end of the first epoch, and no further.
  const isOfFirst = (bytes: Uint8Array) => decodePayload(decodeRun(bytes)!.blocks[0]!.payload)!.epoch === 0
  for (const number of [1, 2]) cluster.machines[number]!.node.host.handle(Runs, () => ({ runs: [] }))
  own.node.host.handle(Runs, ({ above }) => {
    const runs = own.chain.runs(above + 1, { maxRuns: 99, maxBytes: 1e6 })
    return { runs: runs.map(({ bytes }) => bytes).filter(isOfFirst) }
  })
  const votes: string[] = []
  own.node.host.handle(Say, ({ epoch, messages }, { from }) => {
    for (const bytes of from.peer === cluster.machines[3]!.node.host.peer ? messages : []) {
      const message = decodeSaid(bytes)
      if (message?.type === 'vote') votes.push(`${message.kind} ${message.view} of epoch ${epoch}`)
    }
    return {}
  })
  await cluster.schedule.until(cluster.restart(3))
  await cluster.run(30_000)
  expect(cluster.ledger(3).status().epoch).toBeGreaterThan(0)
  expect(votes).toEqual([])
})

test.each([3, 2])('of %i seats, none may lose its votes: who does says what to do', async (seats) => {
  const cluster = clusterOf({ hosts: 5 })
  await cluster.run(2 * EPOCH_MS)
  for (const number of seatsAt(cluster, 4).slice(0, 4 - seats)) {
    const host = cluster.machines[number]!.key.publicKey
    await must(cluster, 4, `owner ${number}`, { kind: 'drop', host })
  }
  while (seatsAt(cluster, 4).length > seats) await cluster.run(1000)
  const [broken, ...others] = seatsAt(cluster, 4) as [number, ...number[]]
  cluster.kill(broken)
  const machine = cluster.machines[broken]!
  const files = [...machine.disk.files()].map(([path, bytes]) => [path, bytes.with(40, bytes[40]! ^ 1)] as const)
  machine.disk = new CrashDisk(new Map(files))
  await cluster.schedule.until(cluster.restart(broken))
  await cluster.run(20_000)
  expect(cluster.ledger(broken).status().halted).toContain('restore votes from a copy')
  for (const number of others) {
    expect(cluster.ledger(number).status().halted).toBe(
      `${seats - 1} of ${seats} bankers are at work; ${seats} are needed`,
    )
  }
})
