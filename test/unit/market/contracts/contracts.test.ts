/** Nodes that trade: what comes of the money, whoever cheats, is gone or begins anew. */
import { expect, test } from 'vitest'
import { hashKey } from '../../../../src/core/ids.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { testedPositions } from '../../../../src/market/allocation/steps.ts'
import { OpenWindow, TellSpec } from '../../../../src/market/contracts/messages.ts'
import { WorkLogs } from '../../../../src/market/contracts/work-log.ts'
import { InDoubt } from '../../../../src/market/ledger/ledger.ts'
import { tasksIn } from '../../../../src/market/ledger/state/allocations/ranges.ts'
import { Floor, rightDigest, wrongDigest } from './floor.ts'

const WAGE = 800n
const FEE = 8n

test('an honest trade goes to its last window, and each side has what it should', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const [before, earned] = [floor.wealth(anna!), floor.wealth(ben!)]
  const { ids, contract, job } = await floor.job(anna!, [ben!])
  const pass = { job, isFirst: true }
  expect(ids).toHaveLength(1)
  await floor.until(() => floor.allocation(ids[0]!)?.phase.name === 'running')
  expect(anna!.contracts.admits(contract, ben!.peer, pass), 'everybody admits the supplier').toBe(true)
  expect(anna!.contracts.admits(contract, anna!.peer, pass), 'and nobody else').toBe(false)
  const other = { job: hashKey('another job'), isFirst: true }
  expect(anna!.contracts.admits(contract, ben!.peer, other), 'nor to what another job says').toBe(false)
  for (const node of [anna!, ben!]) {
    const admits = [anna!, ben!].map(({ peer }) => node.contracts.admits(contract, peer, { job, isFirst: false }))
    expect(admits, 'later passes are for the customer').toEqual([true, false])
  }
  expect([...anna!.contracts.all()].map(([id]) => id)).toEqual(ids)
  await floor.over(ids[0]!)
  expect(floor.wealth(ben!) - earned).toBe(WAGE)
  expect(before - floor.wealth(anna!)).toBe(WAGE + FEE)
  expect(floor.log.filter((line) => !line.endsWith('applied'))).toEqual([])
  expect(anna!.redone.length, 'it has tested').toBeGreaterThan(0)
  expect(ben!.contracts.admits(contract, ben!.peer, pass), 'nothing is left to do').toBe(false)
  await floor.wait(70_000)
  await floor.stop()
})

test('a customer that trusts is asked for nothing, and tests nothing', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const earned = floor.wealth(ben!)
  const { ids } = await floor.job(anna!, [ben!], {}, { kind: 'none' })
  await floor.over(ids[0]!)
  expect(floor.wealth(ben!) - earned).toBe(WAGE)
  expect(anna!.redone).toEqual([])
  await floor.stop()
})

test('a supplier never has more done than its customer will soon have paid', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const { ids } = await floor.job(anna!, [ben!])
  const { windowTasks } = floor.allocation(ids[0]!)!
  await floor.until(() => floor.allocation(ids[0]!)?.phase.name === 'running')
  anna!.isUp = false
  await floor.done(anna!.contracts.stop())
  await floor.wait(50_000)
  expect(ben!.contracts.doneTasks(ids[0]!)).toBe(2 * windowTasks)
  await floor.start(anna!)
  await floor.over(ids[0]!)
  await floor.stop()
})

test('a supplier that skips tasks is convicted by mediators, and loses its deposit', async () => {
  const floor = new Floor()
  const [anna] = await floor.open('anna')
  const ben = await floor.node('ben', { makes: (task) => (task % 2 === 0 ? rightDigest(task) : wrongDigest(task)) })
  await floor.mediators(5)
  const [before, had] = [floor.wealth(anna!), floor.wealth(ben)]
  const { ids } = await floor.job(anna!, [ben], { tasks: 80 })
  const { deposit } = floor.allocation(ids[0]!)!
  await floor.over(ids[0]!)
  const { paid, failed } = floor.ledger.state.records.get(ben.wallet.account)!
  expect(failed).toBe(1)
  expect(paid).toBeLessThan(80)
  expect(had - floor.wealth(ben)).toBe(deposit - (WAGE * BigInt(paid)) / 80n)
  expect(before - floor.wealth(anna!)).toBeLessThan(WAGE)
  expect(floor.log.filter((line) => / verdict /.test(line)).length).toBeGreaterThanOrEqual(3)
  await floor.stop()
})

test('a supplier that opens nothing has to show it on the ledger, and is paid when it is right', async () => {
  const floor = new Floor()
  const [anna] = await floor.open('anna')
  const ben = await floor.node('ben', { opens: 'silent' })
  const had = floor.wealth(ben)
  const { ids } = await floor.job(anna!, [ben])
  await floor.over(ids[0]!)
  expect(floor.log.filter((line) => line === 'ben show applied').length).toBeGreaterThan(0)
  expect(anna!.contracts.counters().missingOpenings).toBeGreaterThan(0)
  expect(floor.wealth(ben) - had).toBe(WAGE)
  await floor.stop()
})

test.each(['committed', 'revealed', 'running'])('a customer begins anew in phase %s, and pays once', async (phase) => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const [before, earned] = [floor.wealth(anna!), floor.wealth(ben!)]
  const { ids } = await floor.job(anna!, [ben!])
  await floor.until(() => floor.allocation(ids[0]!)?.windows === 2)
  if (phase === 'committed') {
    await floor.crash(anna!)
    await floor.wait(20_000)
  } else await floor.until(() => floor.allocation(ids[0]!)?.phase.name === phase)
  if (phase !== 'committed') await floor.crash(anna!)
  await floor.start(anna!)
  await floor.over(ids[0]!)
  expect(floor.wealth(ben!) - earned).toBe(WAGE)
  expect(before - floor.wealth(anna!)).toBe(WAGE + FEE)
  await floor.stop()
})

test.each(['nothing', 'everything', 'some'] as const)(
  'a supplier goes on after a power cut with what is on its disk: of what was not synced, %s',
  async (keep) => {
    const floor = new Floor()
    const [anna, ben] = await floor.open('anna', 'ben')
    const earned = floor.wealth(ben!)
    const { ids } = await floor.job(anna!, [ben!])
    for (const windows of [1, 2, 4]) {
      await floor.until(() => (floor.allocation(ids[0]!)?.windows ?? 99) >= windows)
      await floor.crash(ben!, keep)
      await floor.wait(1_000)
      await floor.start(ben!)
    }
    await floor.over(ids[0]!)
    const { paid, failed } = floor.ledger.state.records.get(ben!.wallet.account)!
    expect(failed).toBe(0)
    // What was not synced was done for nothing, and nothing else: a window's last seconds.
    expect(paid).toBeGreaterThanOrEqual(80 - 3 * 4)
    expect(floor.wealth(ben!) - earned).toBeGreaterThanOrEqual((WAGE * BigInt(paid)) / 80n - 200n)
    await floor.stop()
  },
)

test('what a commit rests on is on the disk before it is sent', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const act = ben!.wallet.act.bind(ben!.wallet)
  const unsafe: number[] = []
  let commits = 0
  ben!.wallet.act = async (action, call) => {
    if (action.kind === 'commit') {
      const logs = await WorkLogs.open(ben!.disk.reboot(seededRandom(1), 'nothing'), '/work')
      const kept = logs.get(contract)
      unsafe.push(...[...tasksIn(action.tasks)].filter((task) => kept?.digest(task) !== rightDigest(task)))
      commits++
    }
    return act(action, call)
  }
  const { ids, contract } = await floor.job(anna!, [ben!])
  await floor.over(ids[0]!)
  expect(unsafe).toEqual([])
  expect(commits).toBe(8)
  await floor.stop()
})

test('openings are for the customer, and only of what is tested', async () => {
  const floor = new Floor()
  const [anna, ben, eve] = await floor.open('anna', 'ben', 'eve')
  const { ids } = await floor.job(anna!, [ben!])
  const [id] = ids
  await floor.until(() => floor.allocation(id!)?.phase.name === 'revealed')
  const all = Array.from({ length: 10 }, (_, position) => position)
  const window = floor.allocation(id!)!.windows - 1
  const ask = (from: typeof eve, positions: readonly number[], of = window) =>
    floor.ask(from!, ben!, OpenWindow, { allocation: id, window: of, positions })
  const tested = testedPositions(id!, floor.allocation(id!)!)
  expect(await ask(anna, tested)).toMatchObject({ openings: tested.map((position) => ({ position })) })
  await expect(ask(eve, tested)).rejects.toMatchObject({ code: 'auth' })
  await expect(ask(anna, all)).rejects.toMatchObject({ code: 'auth' })
  await expect(ask(anna, tested, window + 1)).rejects.toMatchObject({ code: 'busy' })
  expect(ben!.contracts.counters().refusedOpenings).toBe(2)
  await floor.over(id!)
  await floor.stop()
})

test.each([
  ['too many', 25, undefined],
  ['another digest', 1, wrongDigest(0)],
  ['no digest', 1, 'x'],
])('answers that cannot be right are not believed: %s', async (_, count, digest) => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const earned = floor.wealth(ben!)
  const { ids } = await floor.job(anna!, [ben!])
  const honest = ben!.handlers.get(OpenWindow.name)!
  ben!.handlers.set(OpenWindow.name, async (message, delivery) => {
    const { openings } = (await honest(message, delivery)) as { openings: object[] }
    return { openings: Array.from({ length: count }, () => ({ ...openings[0], ...(digest && { digest }) })) }
  })
  floor.isStrict = false
  await floor.over(ids[0]!)
  // It is asked on the ledger instead, and has been honest there.
  expect(floor.log).toContain('anna challenge applied')
  expect(floor.wealth(ben!) - earned).toBe(WAGE)
  expect(anna!.contracts.counters().badOpenings > 0).toBe(digest !== undefined && digest !== 'x')
  await floor.stop()
})

test('who is not there for the whole quarrel loses by it: a supplier that shows nothing', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const had = floor.wealth(ben!)
  const { ids } = await floor.job(anna!, [ben!])
  const { deposit } = floor.allocation(ids[0]!)!
  await floor.until(() => floor.allocation(ids[0]!)?.phase.name === 'revealed')
  await floor.crash(ben!)
  await floor.over(ids[0]!)
  expect(floor.ledger.state.records.get(ben!.wallet.account)).toMatchObject({ failed: 1 })
  expect(had - floor.wealth(ben!)).toBeGreaterThanOrEqual(deposit - WAGE)
  await floor.stop()
})

test('what the ledger refuses is not asked again and again', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  await floor.job(anna!, [ben!])
  let calls = 0
  floor.ledger.submit = async () => {
    calls++
    return { result: 'wrong-phase', receipt: undefined }
  }
  await floor.wait(60_000)
  expect(calls).toBeGreaterThan(4)
  expect(calls, 'of two sides, in a minute').toBeLessThan(30)
  await floor.stop()
})

test('an operation that may have come in, or not, is done once', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const [before, earned] = [floor.wealth(anna!), floor.wealth(ben!)]
  const { ids } = await floor.job(anna!, [ben!])
  for (let i = 0; i < 200; i++) {
    floor.ledger.before.push(async () => {
      if (i % 3 < 2) floor.ledger.trouble.push({ error: new InDoubt(), after: i % 3 === 0 })
    })
  }
  await floor.over(ids[0]!)
  expect(floor.wealth(ben!) - earned).toBe(WAGE)
  expect(before - floor.wealth(anna!)).toBe(WAGE + FEE)
  await floor.stop()
})

test('who waits on a ledger from which nothing is heard asks now and then, and nobody else does', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  await floor.wait(60_000)
  const { reads } = floor.ledger
  await floor.wait(60_000)
  expect(floor.ledger.reads).toBe(reads)
  const { contract } = await floor.job(anna!, [ben!])
  floor.drop(contract)
  await floor.wait(5_000)
  const before = floor.ledger.reads
  await floor.wait(60_000)
  expect(floor.ledger.reads - before).toBeGreaterThan(20)
  expect(floor.ledger.reads - before).toBeLessThan(80)
  await floor.stop()
})

test('a spec is for those who have to do with the job', async () => {
  const floor = new Floor()
  const [anna, ben, eve] = await floor.open('anna', 'ben', 'eve')
  const { ids } = await floor.job(anna!, [ben!])
  await floor.wait(10_000)
  const message = { allocation: ids[0]! }
  await expect(floor.ask(eve!, ben!, TellSpec, message)).rejects.toMatchObject({ code: 'auth' })
  await expect(floor.ask(eve!, anna!, TellSpec, message)).rejects.toMatchObject({ code: 'auth' })
  expect(await floor.ask(ben!, anna!, TellSpec, message)).toEqual(await floor.ask(anna!, ben!, TellSpec, message))
  await floor.stop()
})

test('a stranger that puts the contract of others into its job has nothing of it done for them', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const { ids, spec, contract } = await floor.job(anna!, [ben!])
  floor.drop(contract)
  await floor.until(() => floor.allocation(ids[0]!)?.phase.name === 'running')
  ben!.contracts.witnessed({ ...spec, seed: 99 }, 0, wrongDigest(0))
  await floor.wait(100)
  expect(ben!.contracts.doneTasks(ids[0]!)).toBe(0)
  ben!.contracts.witnessed(spec, 0, rightDigest(0))
  await floor.wait(100)
  expect(ben!.contracts.doneTasks(ids[0]!)).toBe(1)
  await floor.stop()
})

test('a job that is released is ended: what was done by then is paid, the rest comes back', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const [before, earned] = [floor.wealth(anna!), floor.wealth(ben!)]
  const { ids, job, contract } = await floor.job(anna!, [ben!])
  await floor.until(() => (floor.allocation(ids[0]!)?.paid ?? 0) >= 20)
  floor.drop(contract)
  anna!.contracts.release(job)
  await floor.over(ids[0]!)
  const { paid, failed } = floor.ledger.state.records.get(ben!.wallet.account)!
  expect(failed).toBe(0)
  expect(paid).toBeLessThan(80)
  expect(floor.wealth(ben!) - earned).toBe((WAGE * BigInt(paid)) / 80n)
  expect(before - floor.wealth(anna!)).toBe((WAGE * BigInt(paid)) / 80n + FEE)
  expect(floor.log.filter((line) => line.startsWith('anna end'))).toHaveLength(1)
  await floor.stop()
})

test('two suppliers of each task are compared, and the one who lies is convicted', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  const cid = await floor.node('cid', { makes: wrongDigest, finds: wrongDigest })
  await floor.mediators(3)
  const { ids } = await floor.job(anna!, [ben!, cid], { replicas: 2, tasks: 40 }, { kind: 'replicate', replicas: 2 })
  expect(ids).toHaveLength(2)
  for (const id of ids) await floor.over(id)
  expect(floor.ledger.state.records.get(ben!.wallet.account)).toMatchObject({ paid: 40, failed: 0 })
  expect(floor.ledger.state.records.get(cid.wallet.account)).toMatchObject({ paid: 0, failed: 1 })
  await floor.stop()
})
