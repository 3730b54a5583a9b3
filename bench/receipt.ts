/**
 * `npm run bench -- receipt --members 7 --epochs 365 --json`: how long it takes to check a receipt offline, from the bytes of its
 * file and the id of the network: one of the first epoch, and one that has a chain of so many epochs before it. Real blocks of a
 * committee that stays the same, with Ed25519; medians of `--runs` checks. The first check, with code that has not run before,
 * is what a command waits for. There is no peer to compare with: a bare check of one signature is printed beside it.
 */
import { hash } from 'node:crypto'
import { committeeDigest } from '../src/market/ledger/committee.ts'
import { type Block, digestOf, type Tip, tipAt } from '../src/market/ledger/consensus/block.ts'
import { statement } from '../src/market/ledger/consensus/messages.ts'
import { ed25519KeyPair, verifyEd25519 } from '../src/market/ledger/ed25519.ts'
import { encodeGenesis, type Genesis, networkOf, PRIVATE_LEDGER } from '../src/market/ledger/genesis.ts'
import type { KeyPair } from '../src/market/ledger/keys.ts'
import { buildPayload, decodePayload, payloadDigest } from '../src/market/ledger/payload.ts'
import type { EpochHeader } from '../src/market/ledger/receipt/epochs.ts'
import { type Sealed, sealedIn } from '../src/market/ledger/receipt/header.ts'
import { encodeReceiptFile, receiptFileFault, receiptOf } from '../src/market/ledger/receipt/receipt.ts'
import { type Action, signOperation } from '../src/market/ledger/state/operation.ts'
import { genesisState, type State } from '../src/market/ledger/state/state.ts'
import { quantile, round } from './measure.ts'
import { readOptions } from './options.ts'

const { numbers, json } = readOptions({
  members: { default: 7, min: 1, max: 31 },
  epochs: { default: 365, min: 1, max: 10_000 },
  runs: { default: 11, min: 1, max: 1000 },
})
const { members, epochs: epochCount, runs } = numbers
if (members % 3 !== 1) {
  console.error('bench: --members is 1, 4, 7, ...: the sizes that a committee has')
  process.exit(2)
}
/** Accounts that are opened in the blocks of receipts: a path of seven hashes. */
const OPENED = 100

const keyOf = (name: string) => ed25519KeyPair(hash('sha256', name, 'buffer'))
const bankers = Array.from({ length: members }, (_, number) => ({
  host: keyOf(`host ${number}`),
  account: keyOf(`account ${number}`),
})).sort((a, b) => (a.host.publicKey < b.host.publicKey ? -1 : 1))
const hosts = bankers.map(({ host }) => host.publicKey)
const genesis: Genesis = {
  v: 1,
  settings: { name: 'bench', placement: 'ip-port', replicas: 4, ...PRIVATE_LEDGER },
  createdAtMs: 1_700_000_000_000,
  bankers: bankers.map(({ host, account }) => ({ host: host.publicKey, account: account.publicKey })),
}
const network = networkOf(genesis)

let state: State = genesisState(genesis)
let tip: Tip = { view: 0, height: 0, digest: network, timeMs: genesis.createdAtMs }

function signed(pair: KeyPair, account: KeyPair, nonce: number, action: Action): Uint8Array {
  return signOperation({ network, account: account.publicKey, nonce, action }, [pair])
}

/** The next block, final by the votes of all. */
function decide(operations: readonly Uint8Array[], afterMs: number): { block: Block; sealed: Sealed } {
  const { epoch } = state
  const timeMs = tip.timeMs + afterMs
  const built = buildPayload(state, { epoch, committee: committeeDigest(hosts) }, timeMs, operations, verifyEd25519)
  state = built.state
  const view = tip.view + 1
  const block: Block = { height: tip.height + 1, view, parent: tip.digest, timeMs, payload: built.payload }
  const digest = digestOf(block, payloadDigest)
  const voted = statement({ network, epoch }, 'finalize', view, digest)
  const signatures = bankers.map(({ host }) => host.sign(voted))
  const certificate = { type: 'certificate', kind: 'finalize', view, digest, signatures } as const
  const seats = hosts.map((_, member) => member)
  tip = tipAt(block, digest)
  return {
    block,
    sealed: sealedIn({ blocks: [block], above: [], certificate: { ...certificate, members: seats } }, 0, hosts),
  }
}

/** The bytes of a file with a receipt of the present epoch. */
function receiptFile(headers: readonly EpochHeader[], name: string): Uint8Array {
  const pairs = Array.from({ length: OPENED }, (_, number) => keyOf(`${name} ${number}`))
  const { block, sealed } = decide(
    pairs.map((pair) => signed(pair, pair, 0, { kind: 'open' })),
    1,
  )
  const receipt = receiptOf(network, sealed, decodePayload(block.payload)!, OPENED / 2)
  return encodeReceiptFile({ genesis: encodeGenesis(genesis), epochs: [...headers], receipt })
}

const early = receiptFile([], 'early')
const headers: EpochHeader[] = []
while (headers.length < epochCount) {
  const { epoch } = state
  const beats = bankers.map(({ host, account }) =>
    signed(host, account, epoch, { kind: 'heartbeat', host: host.publicKey }),
  )
  const [{ host, account }] = bankers as [(typeof bankers)[0]]
  const end = signed(host, account, epoch, { kind: 'end-epoch', host: host.publicKey })
  // The bankers of the genesis have given their first sign of life there.
  const { sealed } = decide(epoch === 0 ? [end] : [...beats, end], genesis.settings.epochMs)
  headers.push({ ...sealed, next: [...state.committee] })
  tip = { ...tip, view: 0 }
}
if (state.committee.length !== members) throw new Error(`the committee has ${state.committee.length} seats`)
const late = receiptFile(headers, 'late')

interface Check {
  readonly ms: number
  /** Of the processor: on a busy machine the time is mostly that of others. */
  readonly cpuMs: number
}

function checks(file: Uint8Array): Check[] {
  return Array.from({ length: runs }, () => {
    const startMs = performance.now()
    const before = process.cpuUsage()
    const fault = receiptFileFault(file, network, verifyEd25519)
    const { user, system } = process.cpuUsage(before)
    const ms = performance.now() - startMs
    if (fault) throw new Error(`the receipt is bad: ${fault.message}`)
    return { ms, cpuMs: (user + system) / 1000 }
  })
}

const median = (values: readonly number[]) =>
  round(
    quantile(
      values.toSorted((a, b) => a - b),
      0.5,
    ),
  )

const receiptChecks = checks(early)
const chainChecks = checks(late)
const bytes = new Uint8Array(200)
const [{ host }] = bankers as [(typeof bankers)[0]]
const signature = host.sign(bytes)
const bare = Array.from({ length: 1000 }, () => {
  const startMs = performance.now()
  verifyEd25519(host.publicKey, bytes, signature)
  return performance.now() - startMs
})
const figures = {
  receiptMs: median(receiptChecks.map(({ ms }) => ms)),
  receiptCpuMs: median(receiptChecks.map(({ cpuMs }) => cpuMs)),
  firstReceiptMs: round(receiptChecks[0]!.ms),
  receiptBytes: early.length,
  chainMs: median(chainChecks.map(({ ms }) => ms)),
  chainCpuMs: median(chainChecks.map(({ cpuMs }) => cpuMs)),
  chainBytes: late.length,
  signatureMs: median(bare),
}
if (json) console.log(JSON.stringify({ v: 1, type: 'bench', members, epochs: epochCount, ...figures }))
else {
  console.log(
    `a receipt of ${members} members, ${figures.receiptBytes} bytes: ${figures.receiptMs} ms (CPU ${figures.receiptCpuMs}); the first time ${figures.firstReceiptMs} ms`,
  )
  console.log(
    `with a chain of ${epochCount} epochs, ${figures.chainBytes} bytes: ${figures.chainMs} ms (CPU ${figures.chainCpuMs})`,
  )
  console.log(`a bare check of one signature takes ${figures.signatureMs} ms`)
}
