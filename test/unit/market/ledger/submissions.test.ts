import { expect, test } from 'vitest'
import { fakeVerify } from '../../../../sim/fake-keys.ts'
import { MemoryChain } from '../../../../sim/ledger/memory-chain.ts'
import { silentLogger } from '../../../../src/core/env.ts'
import { ChoraleError, type ErrorCode, errorCode } from '../../../../src/core/errors.ts'
import { seededRandom } from '../../../../src/core/random.ts'
import { Chain } from '../../../../src/market/ledger/chain.ts'
import type { Courier } from '../../../../src/market/ledger/courier.ts'
import type { PublicKey } from '../../../../src/market/ledger/keys.ts'
import { InDoubt } from '../../../../src/market/ledger/ledger.ts'
import type { Handed } from '../../../../src/market/ledger/messages.ts'
import { Submissions } from '../../../../src/market/ledger/submissions.ts'
import { VirtualTime } from '../../mapreduce/virtual-time.ts'
import { Books, genesisWith, idOf } from './books.ts'

/** What a banker says to each operation; `silent`: nothing in time; `unknown`: nobody knows where it is. */
type Banker = Handed | 'silent' | 'unknown' | { readonly fails: ErrorCode }

/** How a submission ends that four such bankers make nothing of within 20 s, and how often they were asked. */
async function lateness(...bankers: readonly [Banker, Banker, Banker, Banker]): Promise<string> {
  const time = new VirtualTime()
  const books = new Books(genesisWith([1, 2, 3, 4]))
  const chain = new Chain(books.genesis, new MemoryChain(), fakeVerify)
  const says = new Map(chain.committee.map((host, index) => [host, bankers[index]!]))
  const contactOf = (host: PublicKey) => (says.get(host) === 'unknown' ? undefined : {})
  const courier = {
    directory: { known: contactOf, find: async (host: PublicKey) => contactOf(host) },
    company: () => new Promise(() => {}),
    ask: async (host: PublicKey, _: unknown, { operations }: { operations: unknown[] }, { timeoutMs = 0 } = {}) => {
      const said = says.get(host)!
      if (said === 'unknown') throw new ChoraleError('unreachable', 'nobody knows where it is')
      if (said === 'silent') await time.sleep(timeoutMs)
      if (said === 'silent') throw new ChoraleError('timeout', 'no answer')
      if (typeof said === 'object') throw new ChoraleError(said.fails, 'planted')
      return { answers: operations.map(() => said) }
    },
  } as unknown as Courier
  const submissions = new Submissions({
    env: { clock: time, random: seededRandom('submissions'), log: silentLogger },
    chain,
    courier,
    verify: fakeVerify,
    host: idOf('nobody'),
    view: () => 1,
    offer: () => [],
    freshen: async () => {},
    hurry: () => {},
    behind: () => {},
  })
  using deadline = time.deadline(20_000)
  const submitted = submissions.submit(books.operation('anna', { kind: 'open' }), deadline.signal)
  return await time.until(
    submitted.then(
      () => 'final',
      (error) => (error instanceof InDoubt ? 'in doubt' : errorCode(error)),
    ),
    30_000,
  )
}

test('only when no banker can have it, it is said that an operation was not sent', async () => {
  expect(await lateness('unknown', 'unknown', 'unknown', 'unknown')).toBe('unreachable')
  expect(await lateness('unknown', 'unknown', 'unknown', 'silent'), 'the answer was lost').toBe('in doubt')
  expect(await lateness('unknown', 'unknown', { fails: 'unreachable' }, 'unknown'), 'or cut off').toBe('in doubt')
  expect(await lateness('unknown', 'replayed', 'unknown', 'unknown'), 'in already, maybe').toBe('in doubt')
  expect(await lateness('waits', 'unknown', 'unknown', 'unknown')).toBe('in doubt')
})

test('that the queues are full is said only when all who may have it say so', async () => {
  expect(await lateness('busy', 'unknown', 'busy', 'unknown')).toBe('busy')
  expect(await lateness('busy', 'busy', 'waits', 'busy')).toBe('in doubt')
  expect(await lateness('busy', 'busy', 'silent', 'busy')).toBe('in doubt')
})
