import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { MemoryChain } from '../../../sim/ledger/memory-chain.ts'
import { openHome } from '../../../src/home.ts'
import { chainFile } from '../../../src/ledger-audit.ts'
import { keepGenesis } from '../../../src/ledger-genesis.ts'
import { Chain } from '../../../src/market/ledger/chain.ts'
import { openChainDb } from '../../../src/market/ledger/chain-db.ts'
import { verifyEd25519 } from '../../../src/market/ledger/ed25519.ts'
import { decodeEpochHeader } from '../../../src/market/ledger/receipt/epochs.ts'
import { snapshotChunks } from '../../../src/market/ledger/state/snapshot.ts'
import { FakeBooks, keysOf } from '../../fakes/host-ledger.ts'
import { bench, runCli } from './fake-host.ts'

test('a node whose copy begins with a snapshot says from where on it keeps the chain', async () => {
  await using b = await bench()
  const { ledger } = b.host.books
  expect((await b.chorale('ledger', 'status')).out).not.toContain('kept')
  expect((await b.chorale('wallet', 'history')).err).not.toContain('not kept')
  ledger.base = 4321
  expect((await b.chorale('ledger', 'status')).out).toMatch(/\nkept {7}from block 4,322 on: it began with a snapshot\n/)
  const line = 'what came before block 4322 is not kept here: ask a node that was there'
  expect((await b.chorale('wallet', 'history')).err).toContain(line)
  expect((await b.chorale('receipt', 'list')).err).toContain(line)
})

test('verify audits a chain that begins with a snapshot from there on, and says so', async () => {
  const { signal } = new AbortController()
  const books = new FakeBooks()
  const { ledger } = books
  await books.walletOf(keysOf(3), keysOf(4)).settleIn({ signal })
  ledger.nowMs += 3_600_000
  expect(await books.wallet.act({ kind: 'end-epoch' }, { signal })).toMatchObject({ result: 'applied' })
  await books.walletOf(keysOf(5), keysOf(6)).settleIn({ signal })
  const whole = new Chain(ledger.genesis, new MemoryChain(), verifyEd25519)
  let chunks: Uint8Array[] = []
  whole.events.on('epoch', (state) => {
    chunks = [...snapshotChunks(state)]
  })
  for (const run of ledger.runs) whole.append(run)

  const root = mkdtempSync(join(tmpdir(), 'chorale-test-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  const home = join(root, 'home')
  openHome(home, 1).close()
  keepGenesis(home, ledger.genesis)
  mkdirSync(join(home, 'ledger'))
  const store = openChainDb(chainFile(home))
  const chain = new Chain(ledger.genesis, store, verifyEd25519)
  await chain.begin([decodeEpochHeader(whole.store.epochHeaders(1)[0]!)!], chunks)
  for (const run of ledger.runs) chain.append(run)
  store.close()
  const verify = (...args: string[]) => runCli(['ledger', 'verify', '--home', home, ...args])
  expect(await verify()).toMatchObject({
    code: 0,
    out: expect.stringMatching(
      /^good +2 blocks from the snapshot of block 3 on, to epoch 1, .*\nsnapshot +the headers /,
    ),
  })
  expect(JSON.parse((await verify('--json')).out)).toMatchObject({ good: true, base: 3, height: 5, epoch: 1 })

  const database = new DatabaseSync(chainFile(home))
  database.exec('DELETE FROM snapshots WHERE part = 1')
  database.close()
  expect(await verify()).toMatchObject({
    code: 9,
    out: '',
    err: 'chorale: the chain is bad from here on: the snapshot is not that of the state root\n',
  })
})
