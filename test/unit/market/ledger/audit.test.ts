import { expect, test } from 'vitest'
import { fakeKeyPair, fakeVerify } from '../../../../sim/fake-keys.ts'
import type { Key } from '../../../../src/core/ids.ts'
import { audit } from '../../../../src/market/ledger/audit.ts'
import type { Block } from '../../../../src/market/ledger/consensus/block.ts'
import type { Certificate, FinalRun } from '../../../../src/market/ledger/consensus/messages.ts'
import { amount } from '../../../../src/market/ledger/state/amount.ts'
import { type Action, signersOf, signOperation } from '../../../../src/market/ledger/state/operation.ts'
import { SoleLedger } from '../../../fakes/ledger.ts'
import { GRANT, genesisWith } from './books.ts'

const names = ['anna', 'ben', 'owner 1', 'banker 1']
const keys = new Map(names.map((name) => [fakeKeyPair(name).publicKey, fakeKeyPair(name)]))

/** A ledger with a payment by escrow, and the end of an epoch in the middle. */
async function chain(): Promise<SoleLedger> {
  const ledger = new SoleLedger(genesisWith([1]))
  const act = async (name: string, action: Action) => {
    const account = fakeKeyPair(name).publicKey
    const nonce = ledger.state.accounts.get(account)?.nonce ?? 0
    const unsigned = { network: ledger.network, account, nonce, action }
    return ledger.submit(
      signOperation(
        unsigned,
        signersOf(unsigned).map((id) => keys.get(id)!),
      ),
    )
  }
  await act('anna', { kind: 'open' })
  ledger.nowMs += 3_600_000
  await act('owner 1', { kind: 'end-epoch' })
  await act('ben', { kind: 'open' })
  await act('anna', { kind: 'transfer', to: fakeKeyPair('ben').publicKey, amount: amount(1n) })
  return ledger
}

async function* each(runs: readonly FinalRun[]) {
  yield* runs
}
const ledger = await chain()
const check = (runs: readonly FinalRun[]) => audit(ledger.genesis, each(runs), fakeVerify)

test('a good chain is good to its end, across epochs, and says what it holds', async () => {
  const { state } = ledger
  const supply = state.minted - state.burnt
  expect(await check(ledger.runs)).toEqual({
    ...{ network: ledger.network, base: 0, height: 4, blockTimeMs: ledger.nowMs, epoch: 1, fault: undefined },
    ...{ operations: 4, signatures: 8, accounts: 3, minted: state.minted, burnt: 0n, held: supply },
  })
  expect(supply).toBe(3n * GRANT + ledger.genesis.settings.bond)
  expect(await check([])).toMatchObject({ height: 0, accounts: 1, fault: undefined })
})

const withBlock = (change: Partial<Block>) => (run: FinalRun) => ({
  ...run,
  blocks: [{ ...run.blocks[0]!, ...change }],
})
const withVotes = (change: Partial<Certificate>) => (run: FinalRun) => ({
  ...run,
  certificate: { ...run.certificate, ...change },
})
const under = (run: FinalRun) => ({ ...run, above: [{ ...run.blocks[0]!, payload: 'cd'.repeat(32) as Key }] })

test.each<[string, (run: FinalRun) => FinalRun, RegExp]>([
  ['a height', withBlock({ height: 7 }), /^block 7: it follows block 2$/],
  ['a parent', withBlock({ parent: 'ab'.repeat(32) as Key }), /^block 3: it does not name the block before/],
  ['a view', withBlock({ view: 0 }), /^block 3: its view 0 is not after 0/],
  ['a time', withBlock({ timeMs: 5 }), /^block 3: its time is before/],
  ['a payload', withBlock({ payload: new Uint8Array(3) }), /^block 3: its bytes are no payload/],
  ['an outcome', withBlock({ payload: ledger.runs[3]!.blocks[0]!.payload }), /^block 3: /],
  ['no vote', withVotes({ members: [], signatures: [] }), /^block 3: it is not signed by 1 of the 1 bankers$/],
  ['a vote of a stranger', withVotes({ members: [1] }), /^block 3: it is not signed by 1 of the 1 bankers$/],
  [
    'a forged vote',
    withVotes({ signatures: [new Uint8Array(64)] }),
    /^block 3: it is not signed by 1 of the 1 bankers$/,
  ],
  ['a vote for something else', withVotes({ kind: 'notarize' }), /^block 3: its certificate is for something else$/],
  ['a header above', under, /^block 3: what stands on it does not lead to what was voted for$/],
])('the audit names %s that is wrong, and where', async (_, spoil, message) => {
  const runs = ledger.runs.map((run, i) => (i === 2 ? spoil(run) : run))
  const { fault, height } = await check(runs)
  expect(fault).toMatch(message)
  expect(height).toBe(2)
})

test('a run that is missing is missed', async () => {
  expect((await check(ledger.runs.slice(1))).fault).toMatch(/^block 2: it follows block 0$/)
  expect((await check(ledger.runs.toSpliced(2, 1))).fault).toMatch(/^block 4: it follows block 2$/)
})
