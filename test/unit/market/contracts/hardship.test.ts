/** What becomes of contracts when a disk fails, or somebody tells what is not so. */
import { expect, test } from 'vitest'
import { ChoraleError } from '../../../../src/core/errors.ts'
import { encodeSpec } from '../../../../src/mapreduce/spec.ts'
import { TellSpec } from '../../../../src/market/contracts/messages.ts'
import { Floor } from './floor.ts'

const HOUR_MS = 3_600_000
const WAGE = 800n

test('a host whose disk does not let go of what is over goes on with everything else', async () => {
  const floor = new Floor()
  const [anna, ben] = await floor.open('anna', 'ben')
  anna!.jobs.delete = () => {
    throw new ChoraleError('io', 'a file stays')
  }
  const { ids, job } = await floor.job(anna!, [ben!])
  await floor.over(ids[0]!)
  anna!.contracts.release(job)
  await floor.wait(HOUR_MS + 120_000)
  const earned = floor.wealth(ben!)
  const later = await floor.job(anna!, [ben!])
  await floor.over(later.ids[0]!)
  expect(floor.wealth(ben!) - earned).toBe(WAGE)
  await floor.stop()
})

test('a supplier believes no spec that is not of its contract: its log would be gone after a restart', async () => {
  const floor = new Floor()
  const [anna, ben, carl] = await floor.open('anna', 'ben', 'carl')
  const { ids, spec, contract } = await floor.job(anna!, [ben!, carl!], { replicas: 2, tasks: 40 })
  expect(ids).toHaveLength(2)
  floor.drop(contract)
  const { contract: _, ...other } = spec
  let isHonest = false
  const honest = anna!.handlers.get(TellSpec.name)!
  anna!.handlers.set(TellSpec.name, (message, delivery) =>
    isHonest ? honest(message, delivery) : { spec: encodeSpec(other) },
  )
  await floor.wait(30_000)
  expect(ids.map((id) => ben!.contracts.doneTasks(id) + carl!.contracts.doneTasks(id))).toEqual([0, 0])
  isHonest = true
  await floor.wait(30_000)
  const before = ben!.contracts.doneTasks(ids[0]!)
  expect(before).toBeGreaterThan(0)
  await floor.crash(ben!, 'everything')
  await floor.start(ben!)
  expect(ben!.contracts.doneTasks(ids[0]!)).toBeGreaterThanOrEqual(before)
  await floor.stop()
})

test('a supplier does the tasks that are paid to several on as many cores as it lends, and none while it lends none', async () => {
  const floor = new Floor()
  const [anna] = await floor.open('anna')
  const ben = await floor.node('ben', { cores: 4 })
  const carl = await floor.node('carl')
  const { ids, contract } = await floor.job(anna!, [ben, carl], { replicas: 2, tasks: 40 })
  floor.drop(contract)
  await floor.until(() => ids.every((id) => floor.allocation(id)?.phase.name === 'running'))
  await floor.until(() => ben.redone.length >= 4)
  expect([ben.mostAtOnce, carl.mostAtOnce]).toEqual([4, 1])
  expect(new Set(ben.redone).size, 'each once').toBe(ben.redone.length)
  ben.cores = 0
  await floor.wait(2_000)
  const { length } = ben.redone
  await floor.wait(60_000)
  expect(ben.redone).toHaveLength(length)
  await floor.stop()
})

test('a host that lends nothing when it is matched does not sign: the tasks are soon for another', async () => {
  const floor = new Floor()
  const [anna] = await floor.open('anna')
  const ben = await floor.node('ben', { cores: 0 })
  const { ids } = await floor.job(anna!, [ben])
  await floor.wait(60_000)
  expect(floor.allocation(ids[0]!)!.phase.name).toBe('signing')
  ben.cores = 1 // a short pause
  await floor.over(ids[0]!)
  expect(floor.ledger.state.records.get(ben.wallet.account)).toMatchObject({ paid: 80, deserted: 0 })
  const again = await floor.job(anna!, [ben])
  ben.cores = 0
  for (const id of again.ids) await floor.over(id, 150_000)
  expect(floor.ledger.state.records.get(ben.wallet.account)).toMatchObject({ paid: 80, deserted: again.ids.length })
  await floor.stop()
})
