import { expect, test } from 'vitest'
import { type Env, type Logger, silentLogger } from '../../src/core/env.ts'
import { ChoraleError } from '../../src/core/errors.ts'
import { seededRandom } from '../../src/core/random.ts'
import { type Contact, contactAt } from '../../src/net/contact.ts'
import { findSeeds, PATIENCE, REMEMBERED_PATIENCE, seekRemembered } from '../../src/seeds.ts'
import { VirtualTime } from './mapreduce/virtual-time.ts'

const A = '127.0.0.1:4001'
const B = '127.0.0.1:4002'
const FAR = '192.168.1.5:4001'
/** What a dial takes that nobody answers. */
const DIAL_MS = 3000

const silence = () => new ChoraleError('unreachable', 'cannot connect: no answer within 3000 ms')
function refusal(): ChoraleError {
  const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
  return new ChoraleError('unreachable', 'cannot connect: connect ECONNREFUSED', { cause })
}

/** What is at an address: somebody, or how a dial fails. */
type Answer = 'there' | 'silent' | 'refused' | ChoraleError['code']

interface World {
  readonly given?: readonly string[]
  readonly remembered?: readonly string[]
  answer(place: string, atMs: number): Answer
  /** How a dial-back goes and what it takes; default: at once, and well. */
  dialBack?(atMs: number): { reachable: boolean; tookMs: number } | ChoraleError['code']
}

async function start(world: World, stopAtMs?: number) {
  const time = new VirtualTime()
  const startedAtMs = time.now()
  const elapsedMs = () => time.now() - startedAtMs
  const warnings: string[] = []
  const log: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) }
  const env: Env = { clock: time, random: seededRandom('seeds'), log }
  const stop = new AbortController()
  if (stopAtMs !== undefined) time.timer(stopAtMs, () => stop.abort(new ChoraleError('interrupted', 'enough')))
  let resolves = 0
  let self: object | undefined
  const transport = {
    async resolve(place: string): Promise<Contact> {
      resolves++
      const answer = world.answer(place, elapsedMs())
      const [ip = '', port] = place.split(':')
      if (answer === 'there') return contactAt({ peer: place, ip, port: Number(port), incarnation: 1 }, 0)
      if (answer === 'refused') throw refusal()
      if (answer !== 'silent') throw new ChoraleError(answer, answer)
      await time.sleep(DIAL_MS, { signal: stop.signal })
      throw silence()
    },
    async confirmAddress(seeds: readonly Contact[]): Promise<object | undefined> {
      if (seeds.length === 0) return (self = {})
      const outcome = world.dialBack?.(elapsedMs()) ?? { reachable: true, tookMs: 0 }
      if (typeof outcome === 'string') throw new ChoraleError(outcome, outcome)
      await time.sleep(outcome.tookMs)
      return outcome.reachable ? (self = {}) : undefined
    },
  }
  const { given = [], remembered = [] } = world
  const found = findSeeds({ env, transport, given, remembered }, stop.signal)
  const outcome = await time.until(
    found.then(
      (seeds) => ({ seeds: seeds.map(({ peer }) => peer), code: undefined, message: '' }),
      (error: ChoraleError) => ({ seeds: undefined, code: error.code, message: error.message }),
    ),
    600_000,
  )
  return { ...outcome, role: self ? 'member' : 'leaf', elapsedMs: elapsedMs(), warnings, resolves }
}

test('a seed that answers is taken at once', async () => {
  const outcome = await start({ given: [A], answer: () => 'there' })
  expect(outcome).toMatchObject({ seeds: [A], role: 'member', elapsedMs: 0, warnings: [], resolves: 1 })
})

test('a busy seed is waited for, and the user hears of it once', async () => {
  const outcome = await start({ given: [A], answer: (_, atMs) => (atMs < 10_000 ? 'silent' : 'there') })
  expect(outcome).toMatchObject({ seeds: [A], role: 'member' })
  expect(outcome.elapsedMs).toBeLessThan(15_000)
  expect(outcome.warnings).toEqual([`no answer yet from ${A}, trying again`])
})

test('nobody but silence: one error, after the patience and no more than one dial', async () => {
  const outcome = await start({ given: [A, B], answer: () => 'silent' })
  expect(outcome).toMatchObject({
    code: 'unreachable',
    message: expect.stringMatching(/^no node answers at .*4001, .*4002 \(/),
  })
  expect(outcome.elapsedMs).toBeGreaterThan(PATIENCE.silenceMs - DIAL_MS)
  expect(outcome.elapsedMs).toBeLessThanOrEqual(PATIENCE.silenceMs + DIAL_MS)
  expect(outcome.warnings).toHaveLength(1)
})

test('a seed that starts a moment later is found', async () => {
  const outcome = await start({ given: [A], answer: (_, atMs) => (atMs < 5000 ? 'refused' : 'there') })
  expect(outcome).toMatchObject({ seeds: [A], role: 'member', warnings: [] })
  expect(outcome.elapsedMs).toBeLessThanOrEqual(PATIENCE.refusalMs)
})

test('refusals are a clear answer: no long wait', async () => {
  const outcome = await start({ given: [A, B], answer: () => 'refused' })
  expect(outcome).toMatchObject({ code: 'unreachable', warnings: [] })
  expect(outcome.elapsedMs).toBeGreaterThan(3000)
  expect(outcome.elapsedMs).toBeLessThanOrEqual(PATIENCE.refusalMs)
})

test('a refusal after silence is a seed that restarts: it gets its moment too', async () => {
  const answer = (_: string, atMs: number) => (atMs < 5000 ? 'silent' : atMs < 8000 ? 'refused' : 'there')
  expect(await start({ given: [A], answer })).toMatchObject({ seeds: [A], role: 'member' })
})

test('one seed is enough', async () => {
  const outcome = await start({ given: [A, B], answer: (place) => (place === A ? 'refused' : 'there') })
  expect(outcome).toMatchObject({ seeds: [B], role: 'member', elapsedMs: 0 })
})

test.each(['config', 'wrong-network'] as const)('%s does not get better by waiting', async (code) => {
  expect(await start({ given: [A], answer: () => code })).toMatchObject({ code, elapsedMs: 0 })
})

test('only its own address, or none: it founds a network', async () => {
  expect(await start({ given: [A], answer: () => 'usage' })).toMatchObject({ seeds: [], role: 'member', elapsedMs: 0 })
  expect(await start({ answer: () => 'refused' })).toMatchObject({
    seeds: [],
    role: 'member',
    elapsedMs: 0,
    resolves: 0,
  })
})

test('nobody of last time: it founds the network anew, and says so', async () => {
  const outcome = await start({ remembered: [A], answer: () => 'refused' })
  expect(outcome).toMatchObject({
    seeds: [],
    role: 'member',
    warnings: [expect.stringMatching(/founds the network anew/)],
  })
  expect(outcome.elapsedMs).toBeLessThanOrEqual(REMEMBERED_PATIENCE.refusalMs)
})

test('the dial-back has the same patience', async () => {
  const dialBack = (atMs: number) => (atMs < 9000 ? ('timeout' as const) : { reachable: true, tookMs: 0 })
  expect(await start({ given: [A], answer: () => 'there', dialBack })).toMatchObject({ seeds: [A], role: 'member' })
  const never = await start({ given: [A], answer: () => 'there', dialBack: () => 'timeout' })
  expect(never).toMatchObject({ code: 'unreachable' })
  expect(never.elapsedMs).toBeLessThanOrEqual(PATIENCE.silenceMs)
})

test.each(['given', 'remembered'])(
  'on one machine a dial-back that runs out of time makes no leaf (%s)',
  async (how) => {
    // The seed remembers for a while that it failed, and says so at once when it is asked again.
    const dialBack = (atMs: number) => {
      if (atMs === 0) return { reachable: false, tookMs: DIAL_MS }
      return { reachable: atMs > 13_000, tookMs: 0 }
    }
    expect(await start({ [how]: [A], answer: () => 'there', dialBack })).toMatchObject({ seeds: [A], role: 'member' })
  },
)

test.each([
  [A, 0],
  [FAR, DIAL_MS],
])('a host that %s cannot dial, after %d ms, is a leaf at once', async (place, tookMs) => {
  const dialBack = () => ({ reachable: false, tookMs })
  const outcome = await start({ given: [place], answer: () => 'there', dialBack })
  expect(outcome).toMatchObject({ seeds: [place], role: 'leaf', elapsedMs: tookMs })
})

test.each([100, 1500, 4000])('the signal ends it at once, after %d ms', async (stopAtMs) => {
  const outcome = await start({ given: [A], answer: () => 'silent' }, stopAtMs)
  expect(outcome).toMatchObject({ code: 'interrupted', elapsedMs: stopAtMs })
})

test('what is no address is told before anything is tried', async () => {
  expect(await start({ given: ['nonsense'], answer: () => 'there' })).toMatchObject({ code: 'usage', resolves: 0 })
})

test('a host that is alone looks for those of last time until it is not, or stops', async () => {
  const time = new VirtualTime()
  const env: Env = { clock: time, random: seededRandom('alone'), log: silentLogger }
  const met: string[] = []
  let looks = 0
  const transport = {
    async resolve(place: string): Promise<Contact> {
      if (++looks < 3) throw refusal()
      return { peer: place } as Contact
    },
  }
  const overlay = {
    neighbours: () => met.map((peer) => ({ peer }) as Contact),
    meet: async ({ peer }: Contact) => void met.push(peer),
  }
  const stop = seekRemembered({ env, transport, overlay, remembered: [A] })
  await time.until(time.sleep(120_000), 600_000)
  expect({ looks, met }).toEqual({ looks: 3, met: [A] })
  met.pop()
  stop()
  await time.until(time.sleep(120_000), 600_000)
  expect(looks).toBe(3)
})
