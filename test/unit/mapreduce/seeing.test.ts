/** What people are told of a job, on a network that is given: its log, why it waits, why it failed, who contradicts whom. */
import { describe, expect, test } from 'vitest'
import { expectedWaves, type FakeExecutorOptions, fakeExecutor, waves } from '../../../sim/fake-executor.ts'
import { encode } from '../../../src/core/cbor.ts'
import { ChoraleError, errorCode } from '../../../src/core/errors.ts'
import { hashKey } from '../../../src/core/ids.ts'
import { MAX_LOG_LINES } from '../../../src/core/limits.ts'
import { JobLog, JobLogRead } from '../../../src/mapreduce/log-messages.ts'
import { JobResults } from '../../../src/mapreduce/messages.ts'
import { jobKey, segmentKey } from '../../../src/mapreduce/spec.ts'
import type { JobLogLine, JobModule, Jobs, JobView } from '../../../src/mapreduce/types.ts'
import type { Handler } from '../../../src/net/transport.ts'
import { type FakeHost, FakeNetwork, type FakeOptions } from './fake-network.ts'

const quiet = waves as unknown as JobModule
const talking: JobModule = {
  ...quiet,
  map(task, context) {
    context.log('task', task)
    context.log({ done: true })
    return quiet.map(task, context)
  },
}

function ring(count: number, options: FakeOptions, executor: Partial<FakeExecutorOptions> = {}) {
  const network = new FakeNetwork(options)
  const make = fakeExecutor({ module: quiet, taskMs: () => 20, ...executor })
  return { network, hosts: Array.from({ length: count }, () => network.add(make)) }
}

async function submit(network: FakeNetwork, host: FakeHost, tasks: number): Promise<string> {
  const request = { module: 'builtin:waves', params: { tasks }, seed: 7 }
  return (await network.time.until(host.service.jobs.submit(request), 10_000)).id
}

async function collect<T>(values: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const value of values) all.push(value)
  return all
}

async function end(network: FakeNetwork, host: FakeHost, id: string, limitMs = 60_000): Promise<JobView> {
  return (await network.time.until(collect(host.service.jobs.watch(id)), limitMs)).at(-1) as JobView
}

function show(network: FakeNetwork, host: FakeHost, id: string): Promise<JobView | undefined> {
  return network.time.until(host.service.jobs.show(id), 5_000)
}

const pass = (network: FakeNetwork, ms: number) => network.time.until(network.time.sleep(ms), ms + 1)

describe('logs', () => {
  const wanted = (tasks: number) =>
    Array.from({ length: tasks }, (_, task) => [`${task} task ${task}`, `${task} {"done":true}`]).flat()
  const told = (lines: readonly JobLogLine[]) => lines.map(({ task, text }) => `${task} ${text}`)

  test('every line is heard on any host, while the job runs and after it', async () => {
    const { network, hosts } = ring(6, { seed: 1 }, { module: talking, taskMs: () => 50 })
    const id = await submit(network, hosts[0]!, 100)
    const [watcher, other] = hosts.filter((host) => host !== network.owner(jobKey(id)))
    const followed = network.time.until(collect(watcher!.service.jobs.logs(id, { follow: true })), 60_000)
    const lines = await followed
    expect(await show(network, watcher!, id)).toMatchObject({ state: 'succeeded' })
    expect(told(lines).sort()).toEqual(wanted(100).sort())
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, i) => i + 1))
    const peers = new Set(lines.map(({ host }) => host))
    expect([...peers].sort()).toEqual(hosts.map((host) => host.contact.peer).sort())
    const { jobs } = other!.service
    expect(await network.time.until(collect(jobs.logs(id)), 5_000)).toEqual(lines)
    const ofOne = await network.time.until(collect(jobs.logs(id, { task: 33 })), 5_000)
    expect(told(ofOne)).toEqual(['33 task 33', '33 {"done":true}'])
  })

  test('of more lines than are kept the last ones are there, and the others are counted', async () => {
    const module: JobModule = {
      ...quiet,
      map(task, context) {
        for (let line = 0; line < 30; line++) context.log('x'.repeat(50), task, line)
        return quiet.map(task, context)
      },
    }
    const { network, hosts } = ring(4, { seed: 2 }, { module, taskMs: () => 5 })
    const id = await submit(network, hosts[0]!, 2_000)
    await end(network, hosts[0]!, id)
    await pass(network, 3_000)
    const lines = await network.time.until(collect(hosts[1]!.service.jobs.logs(id)), 10_000)
    expect(lines.length).toBeGreaterThan(MAX_LOG_LINES / 2)
    expect(lines.length).toBeLessThanOrEqual(MAX_LOG_LINES)
    // Twenty lines of each task, and one that says that there were more.
    expect(lines.at(-1)!.seq).toBeGreaterThan(2_000 * 21 * 0.95)
    expect(lines.at(-1)!.seq).toBeLessThanOrEqual(2_000 * 21)
    let sent = 0
    for (const host of hosts) sent += host.sent.get('jobs/log') ?? 0
    expect(sent).toBeLessThan(100)
  })

  test('whoever follows a job whose coordinator dies goes on at the next one', async () => {
    const { network, hosts } = ring(6, { seed: 3 }, { module: talking, taskMs: () => 200 })
    const id = await submit(network, hosts[0]!, 120)
    const owner = network.owner(jobKey(id))
    const watcher = hosts.find((host) => host !== owner)!
    network.time.timer(2_000, () => network.kill(owner))
    const lines = await network.time.until(collect(watcher.service.jobs.logs(id, { follow: true })), 60_000)
    expect(await show(network, watcher, id)).toMatchObject({ state: 'succeeded', value: expectedWaves(120, 7) })
    const heard = new Set(told(lines))
    expect(wanted(120).filter((line) => !heard.has(line)).length).toBeLessThan(60)
    expect(heard.has('119 task 119')).toBe(true)
  })

  test('what gets lost on the way is sent again, and what comes twice counts once', async () => {
    const faults = { loss: 0.15, duplication: 0.15 }
    const { network, hosts } = ring(5, { seed: 5, ...faults }, { module: talking, taskMs: () => 50 })
    const id = await submit(network, hosts[0]!, 100)
    const watcher = hosts.find((host) => host !== network.owner(jobKey(id)))!
    await end(network, watcher, id, 120_000)
    await pass(network, 8_000)
    const lines = await network.time.until(collect(watcher.service.jobs.logs(id)), 20_000)
    const heard = new Set(told(lines))
    expect(wanted(100).filter((line) => !heard.has(line))).toEqual([])
    // A task may be done twice; what it says then is said twice.
    const { reassigned } = (await show(network, watcher, id))!.tasks
    expect(lines.length).toBeLessThanOrEqual(2 * (100 + reassigned) + 40)
    const batches = new Set(lines.map(({ atMs, host, task, text }) => `${host} ${task} ${text} ${atMs}`))
    expect(batches.size).toBe(lines.length)
  })

  test('a job that nobody knows has no log, and takes no lines', async () => {
    const { network, hosts } = ring(3, { seed: 4 })
    const id = `b${'a'.repeat(58)}`
    const none = network.time.until(collect(hosts[0]!.service.jobs.logs(id)), 60_000)
    await expect(none).rejects.toMatchObject({ code: 'not-found' })
    const owner = network.owner(jobKey(id))
    const stranger = hosts.find((host) => host !== owner)!
    const message = { job: id, batch: 1, lines: [{ task: 0, text: 'x' }], lost: 0 }
    const reply = await network.time.until(stranger.transport.request(owner.contact, JobLog, message), 5_000)
    expect(reply.moved).toBe(true)
  })

  test('whoever says that very many lines were lost keeps nobody from reading the others', async () => {
    const { network, hosts } = ring(4, { seed: 6 }, { module: talking, taskMs: () => 50 })
    const id = await submit(network, hosts[0]!, 100)
    const owner = network.owner(jobKey(id))
    const [liar, watcher] = hosts.filter((host) => host !== owner)
    await pass(network, 1_000)
    const message = { job: id, batch: 1, lines: [{ task: 0, text: 'x' }], lost: Number.MAX_SAFE_INTEGER }
    const sent = liar!.transport.request(owner.contact, JobLog, message)
    await expect(network.time.until(sent, 5_000)).rejects.toThrow('lost')
    // As many small messages would do.
    const take = owner.handlers.get('jobs/log') as unknown as Handler<typeof JobLog.request, typeof JobLog.reply>
    for (let batch = 2; batch < 5; batch++)
      await take({ ...message, batch }, { from: { peer: 'liar', contact: undefined }, slot: 0 })
    await end(network, watcher!, id)
    const lines = await network.time.until(collect(watcher!.service.jobs.logs(id, { follow: true })), 20_000)
    const heard = told(lines).filter((line) => line !== '0 x')
    expect(heard.sort()).toEqual(wanted(100).sort())
  })

  test('a job that is over takes the last lines for a minute, and then none', async () => {
    const { network, hosts } = ring(4, { seed: 7 })
    const id = await submit(network, hosts[0]!, 20)
    await end(network, hosts[0]!, id)
    const owner = network.owner(jobKey(id))
    const [sender, watcher] = hosts.filter((host) => host !== owner)
    const send = (batch: number, text: string) => {
      const message = { job: id, batch, lines: [{ task: 0, text }], lost: 0 }
      return network.time.until(sender!.transport.request(owner.contact, JobLog, message), 5_000)
    }
    await send(1, 'late')
    await pass(network, 61_000)
    expect((await send(2, 'too late')).moved).toBeUndefined()
    const lines = await network.time.until(collect(watcher!.service.jobs.logs(id)), 5_000)
    expect(told(lines)).toEqual(['0 late'])
  })

  test.each([
    ['answers nothing that can be read', 'no-route', () => Promise.reject(new ChoraleError('bad-message', 'what?'))],
    ['says that there is more, and never what', '', () => ({ keeper: 'k', lines: [], more: true, over: true })],
  ])('a keeper that %s is not asked for ever', async (_, code, answer) => {
    const { network, hosts } = ring(4, { seed: 8 })
    const id = await submit(network, hosts[0]!, 20)
    await end(network, hosts[0]!, id)
    const owner = network.owner(jobKey(id))
    owner.transport.handle(JobLogRead, answer)
    const { jobs } = hosts.find((host) => host !== owner)!.service
    for (const follow of [false, true]) {
      const read = collect(jobs.logs(id, { follow })).then(() => '', errorCode)
      expect(await network.time.until(read, 60_000)).toBe(code)
    }
  })
})

describe('why it failed', () => {
  test.each([
    [
      'map',
      { map: (task: number, context: never) => (task === 33 ? oops(context) : quiet.map(task, context)) },
      { phase: 'map', task: 33, message: "the job's code failed in task 33: oops", log: ['one', 'two'] },
    ],
    ['reduce', { reduce: oops }, { phase: 'reduce', message: "the job's code failed in reduce: oops", log: [] }],
    ['finish', { finish: oops }, { phase: 'finish', message: "the job's code failed in finish: oops", log: [] }],
  ])('in %s', async (_, change, wanted) => {
    const { network, hosts } = ring(4, { seed: 10 }, { module: { ...quiet, ...change } as JobModule })
    const view = await end(network, hosts[0]!, await submit(network, hosts[0]!, 100))
    expect(view).toMatchObject({ state: 'failed', reason: wanted.message, failure: wanted })
    expect(hosts.map((host) => host.contact.peer)).toContain(view.failure!.host)
  })

  function oops(context: { log?: (text: string) => void }): never {
    context.log?.('one')
    context.log?.('two')
    throw new Error('oops')
  }

  test('the longest failures of many segments at once still fit their messages', async () => {
    const map = (_: number, { log }: { log: (text: string) => void }) => {
      for (let line = 0; line < 20; line++) log('\u20ac'.repeat(400))
      throw new Error('\u20ac'.repeat(9_000))
    }
    const { network, hosts } = ring(
      3,
      { seed: 11 },
      { module: { ...quiet, map } as JobModule, taskMs: () => 1, cores: 8 },
    )
    const view = await end(network, hosts[0]!, await submit(network, hosts[0]!, 3_000))
    expect(view.failure).toMatchObject({ phase: 'map', task: expect.any(Number) })
    expect(view.failure!.log.length).toBeGreaterThan(1)
  })
})

describe('why it waits', () => {
  test('nobody lends', async () => {
    const { network, hosts } = ring(4, { seed: 20 }, { cores: 0 })
    const id = await submit(network, hosts[0]!, 40)
    await pass(network, 6_000)
    const view = await show(network, hosts[1]!, id)
    expect(view).toMatchObject({ state: 'scheduled', reason: 'no host lends a core: 4 hosts are known, 0 lend' })
    expect(view!.tasks).toMatchObject({ done: 0, queued: 40, running: 0 })
    expect(view!.hosts!.reduce((sum, host) => sum + host.queued, 0)).toBe(40)
    network.add(fakeExecutor({ module: quiet, taskMs: () => 5 }))
    expect(await end(network, hosts[1]!, id)).toMatchObject({ state: 'succeeded' })
  })

  test('long tasks: how many wait, how many are under way, where, and how far they are', async () => {
    const plain = fakeExecutor({ module: quiet, taskMs: () => 20_000 })
    const network = new FakeNetwork({ seed: 21 })
    const hosts = Array.from({ length: 3 }, () =>
      network.add((env) => {
        const executor = plain(env)
        return {
          ...executor,
          run(run, options) {
            const task = run.segment * 16 + Math.log2(run.mask)
            void env.clock.sleep(3_000).then(() => options.notes?.progress(task, 0.25))
            return executor.run(run, options)
          },
        }
      }),
    )
    const id = await submit(network, hosts[0]!, 20)
    await pass(network, 8_000)
    const view = await show(network, hosts[1]!, id)
    expect(view!.tasks).toMatchObject({ total: 20, done: 0, queued: 17, running: 3, partly: 0.75 })
    expect(view!.reason).toMatch(/^3 tasks under way, 17 tasks in queues of [12] hosts?$/)
    expect(view!.hosts!.reduce((sum, host) => sum + host.running, 0)).toBe(3)
    const views = await network.time.until(collect(hosts[1]!.service.jobs.watch(id)), 300_000)
    // What was told of those that have ended since is not told of the next ones, nor where they were.
    const next = views.find(({ tasks }) => tasks.done === 3)!
    expect(next.tasks.partly).toBeUndefined()
    expect(next.hosts).toBeUndefined()
    const last = views.at(-1)!
    expect(last).toMatchObject({ state: 'succeeded', value: expectedWaves(20, 7) })
    expect(last.tasks).toEqual({ total: 20, done: 20, reassigned: 0 })
  })
})

test('a second result for a task is an alarm that names both hosts, after the segment has been folded too', async () => {
  const { network, hosts } = ring(1, { seed: 31 }, { taskMs: (task) => (task < 16 ? 5 : 100) })
  const id = await submit(network, hosts[0]!, 64)
  await pass(network, 1_500)
  const liar = network.add(fakeExecutor({ module: quiet, taskMs: () => 5, cores: 0 }), { leaf: true })
  const { peer } = liar.contact
  const results = [{ level: 0, index: 3, bytes: encode({ sum: 1, count: 1 }) }]
  const message = { job: id, segment: 0, grant: 1, mask: 1, more: false, results, tookMs: 1, worker: peer }
  await network.time.until(liar.transport.request(hosts[0]!.contact, JobResults, message), 5_000)
  const { alarms } = await end(network, hosts[0]!, id)
  expect(alarms![0]!.tasks).toEqual({ first: 3, end: 4 })
  expect(alarms![0]!.attempts.map(({ host }) => host)).toEqual([hosts[0]!.contact.peer, peer])
})

test('long tasks that tell nothing are counted all the same, also those that were taken late', async () => {
  const network = new FakeNetwork({ seed: 22 })
  const lent = { cores: 0 }
  const hosts = Array.from({ length: 3 }, () =>
    network.add((env) => {
      const executor = fakeExecutor({ module: quiet, taskMs: () => 20_000 })(env)
      return Object.defineProperty(executor, 'cores', { get: () => lent.cores })
    }),
  )
  const id = await submit(network, hosts[0]!, 20)
  await pass(network, 3_000)
  lent.cores = 1
  await pass(network, 5_000)
  expect((await show(network, hosts[1]!, id))!.tasks).toMatchObject({ done: 0, queued: 17, running: 3 })
})

test('an alarm names the task, what came, and who brought it', async () => {
  const { network, hosts } = ring(4, { seed: 30 }, { taskMs: (task) => (task > 300 ? 1_000 : 5) })
  const id = await submit(network, hosts[0]!, 320)
  await pass(network, 3_000)
  const root = network.owner(segmentKey(id, 1, 0))
  const liar = hosts.find((host) => host !== root) as FakeHost
  const bytes = encode({ sum: 1, count: 16 })
  const { peer } = liar.contact
  const results = [{ level: 1, index: 0, bytes }]
  const message = { job: id, segment: 0, grant: 1, mask: 1, more: false, results, tookMs: 1, worker: peer }
  await network.time.until(liar.transport.request(root.contact, JobResults, message), 5_000)
  const view = await end(network, hosts[0]!, id)
  expect(view.state).toBe('succeeded')
  const [first, second] = view.alarms![0]!.attempts
  expect(view.alarms).toHaveLength(1)
  expect(view.alarms![0]!.tasks).toEqual({ first: 0, end: 16 })
  expect(second).toEqual({ digest: hashKey(bytes), host: peer })
  expect(first!.digest).toMatch(/^[0-9a-f]{64}$/)
  expect(first!.digest).not.toBe(second!.digest)
  expect(hosts.map((host) => host.contact.peer)).toContain(first!.host)
  // It is in the record, and so what another host says of it later.
  expect((await show(network, hosts[2]!, id))!.alarms).toEqual(view.alarms)
})

test('once more: the same job, of another submitter, with all that its spec says', async () => {
  let broken = true
  const map: JobModule['map'] = (task, context) => {
    if (broken && task === 5) throw new Error('for now')
    return quiet.map(task, context)
  }
  const { network, hosts } = ring(4, { seed: 40 }, { module: { ...quiet, map } })
  const id = await submit(network, hosts[0]!, 40)
  const { jobs } = hosts[2]!.service
  await expect(network.time.until(jobs.retry(id), 5_000)).rejects.toMatchObject({ code: 'usage' })
  expect(await end(network, hosts[0]!, id)).toMatchObject({ state: 'failed' })
  broken = false
  const again = await network.time.until(jobs.retry(id), 5_000)
  expect(again.id).not.toBe(id)
  expect(await end(network, hosts[0]!, again.id)).toMatchObject({
    state: 'succeeded',
    value: expectedWaves(40, 7),
    submitter: hosts[2]!.contact.peer,
  })
  const [before, after] = [id, again.id].map((one) => network.time.until(jobs.spec(one), 5_000))
  const { submitter: _s, nonce: _n, submittedAtMs: _a, ...same } = (await before)!
  expect(await after).toMatchObject(same)
  await expect(network.time.until(jobs.retry(again.id), 5_000)).rejects.toMatchObject({ code: 'usage' })
  const unknown = network.time.until(jobs.retry(`b${'a'.repeat(58)}`), 5_000)
  await expect(unknown).rejects.toMatchObject({ code: 'not-found' })
})

test('code of others stays that of others when it is submitted once more, unless the user says that it is his own', async () => {
  const map = (): never => oops()
  const { network, hosts } = ring(4, { seed: 41 }, { module: { ...quiet, map } as JobModule })
  const [theirs, mine] = hosts.map((host) => host.service.jobs)
  const own = (id: string) => network.time.until(Promise.all([theirs!, mine!].map((jobs) => jobs.isOwn(id))), 5_000)
  const retried = async (jobs: Jobs, id: string, asOwn?: boolean) => {
    const again = await network.time.until(jobs.retry(id, { ...(asOwn && { asOwn }) }), 5_000)
    await end(network, hosts[3]!, again.id)
    return again.id
  }
  const id = await submit(network, hosts[0]!, 20)
  await end(network, hosts[3]!, id)
  expect(await own(id)).toEqual([true, false])
  const again = await retried(mine!, id)
  expect(await own(again)).toEqual([false, false])
  // It does not become so by being submitted twice.
  const twice = await retried(mine!, again)
  expect(await own(twice)).toEqual([false, false])
  expect(new Set([id, again, twice]).size).toBe(3)
  expect(await own(await retried(mine!, id, true))).toEqual([false, true])
  expect(await own(await retried(theirs!, id))).toEqual([true, false])
  expect(await own(`b${'a'.repeat(58)}`)).toEqual([false, false])
})

function oops(): never {
  throw new Error('oops')
}

test('where tasks would go, without a job', async () => {
  const { network, hosts } = ring(4, { seed: 50 }, { cores: 2 })
  network.add(fakeExecutor({ module: quiet, taskMs: () => 5, cores: 0 }))
  const { jobs } = hosts[0]!.service
  const request = { module: 'builtin:waves', params: {}, seed: 7 }
  const plan = (tasks: number) => ({ request, plan: { name: 'waves', params: {}, engine: 'fake/1', tasks } })
  const few = await network.time.until(jobs.place(plan(1_000)), 20_000)
  expect(few).toMatchObject({ segments: 63, sampled: 63, lending: { asked: 5, hosts: 4, cores: 8, busy: 0 } })
  expect(few.hosts.reduce((sum, { tasks }) => sum + tasks, 0)).toBe(1_000)
  expect(few.hosts.map(({ tasks }) => tasks)).toEqual(few.hosts.map(({ tasks }) => tasks).sort((a, b) => b - a))
  const many = await network.time.until(jobs.place(plan(100_000)), 20_000)
  expect(many).toMatchObject({ segments: 6_250, sampled: 256 })
  expect(many.hosts).toHaveLength(5)
  expect(await network.time.until(jobs.list(), 5_000)).toEqual([])
})
