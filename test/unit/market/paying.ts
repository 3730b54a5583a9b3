/** A payer of jobs and workers, on a ledger that decides at once and a clock that only sleep moves. */
import { fakeKeyPair } from '../../../sim/fake-keys.ts'
import { silentLogger } from '../../../src/core/env.ts'
import { ChoraleError } from '../../../src/core/errors.ts'
import { systemEnv } from '../../../src/core/system.ts'
import { markOf } from '../../../src/mapreduce/tally.ts'
import type { JobView } from '../../../src/mapreduce/types.ts'
import type { PublicKey } from '../../../src/market/ledger/keys.ts'
import { amount } from '../../../src/market/ledger/state/amount.ts'
import { Wallet } from '../../../src/market/ledger/wallet.ts'
import { type Owed, Payments } from '../../../src/market/payments.ts'
import { SoleLedger } from '../../fakes/ledger.ts'
import { jobView } from '../cli/fake-host.ts'
import { genesisWith, START_MS } from './ledger/books.ts'

export const PRICE = amount(10n)
const options = { signal: new AbortController().signal }
const peerOf = (host: PublicKey) => `peer of ${host}`
export const mark = (host: string) => markOf(peerOf(fakeKeyPair(host).publicKey))

/** Worker 1 did so many tasks, worker 2 so many. */
export const byTwo = (first: number, second: number): JobView['doneBy'] => {
  const counts: Array<[number, number]> = [
    [mark('host 1'), first],
    [mark('host 2'), second],
  ]
  return counts.sort(([a], [b]) => a - b)
}

/** A payer, and workers with an account each: worker 1 on host 1, ... Pauses end at once, and move the clock. */
export async function setUp(workers: number) {
  let nowMs = START_MS
  const real = systemEnv(silentLogger)
  const clock = {
    ...real.clock,
    now: () => nowMs,
    deadline: real.clock.deadline.bind(real.clock),
    async sleep(ms: number) {
      nowMs += ms
      ledger.nowMs = Math.max(ledger.nowMs, nowMs)
      await new Promise(setImmediate)
    },
  }
  const env = { ...real, clock }
  const ledger = new SoleLedger(genesisWith([1]))
  const walletOf = (name: string, host: string) =>
    new Wallet({ env, ledger, keys: fakeKeyPair(name), host: fakeKeyPair(host) })
  const payer = walletOf('payer', 'host 0')
  await payer.settleIn(options)
  const accounts: PublicKey[] = []
  for (let i = 1; i <= workers; i++) {
    const worker = walletOf(`worker ${i}`, `host ${i}`)
    await worker.settleIn(options)
    accounts.push(worker.account)
  }
  const views = new Map<string, JobView>()
  const kept: { owed: readonly Owed[] } = { owed: [] }
  const open = (wallet = payer) =>
    new Payments({
      ...{ env, ledger, wallet, peerOf, price: PRICE },
      jobs: {
        async *watch(id) {
          const view = views.get(id)
          if (!view) throw new ChoraleError('not-found', 'nobody knows it')
          yield view
        },
      },
      journal: {
        kept: kept.owed,
        keep: (owed) => {
          kept.owed = structuredClone(owed)
        },
      },
    })
  const ended = (id: string, doneBy: JobView['doneBy'], total = 100) => {
    views.set(
      id,
      jobView({ id, state: 'succeeded', tasks: { total, done: total, reassigned: 0 }, ...(doneBy && { doneBy }) }),
    )
  }
  const total = (account: PublicKey) => {
    const { free, granted } = ledger.state.accounts.get(account)!
    return free + granted
  }
  /** From this call of `submit` on nothing is answered; `after`: though that one comes in. */
  const cutAt = (call: number, after = false) => {
    const submit = ledger.submit.bind(ledger)
    let dead = false
    let calls = 0
    ledger.submit = async (bytes) => {
      if (dead || calls++ === call) {
        if (after && !dead) await submit(bytes)
        dead = true
        return new Promise(() => {})
      }
      return await submit(bytes)
    }
    const repair = () => {
      ledger.submit = submit
    }
    return { isDead: () => dead, repair }
  }
  return { ledger, env, payer, accounts, open, ended, kept, total, walletOf, cutAt }
}

export const until = async (check: () => boolean) => {
  for (let i = 0; !check(); i++) {
    if (i > 50_000) throw new Error('it does not come to that')
    await new Promise(setImmediate)
  }
}
