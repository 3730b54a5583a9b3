/**
 * The ledger of a host, put together: which one it is, the chain on its disk, and the wallet of its account, which is opened
 * and linked while the host runs.
 */
import { join } from 'node:path'
import type { Env } from './core/env.ts'
import { ChoraleError, errorMessage } from './core/errors.ts'
import type { Blocks } from './dht/blocks.ts'
import type { Overlay } from './dht/overlay.ts'
import { nodeFs } from './dht/store/disk/fs.ts'
import type { Records } from './dht/store/records.ts'
import { guarded, makeDirectory } from './home-files.ts'
import { chainFile } from './ledger-audit.ts'
import { chooseGenesis } from './ledger-genesis.ts'
import { paymentJournal } from './ledger-journal.ts'
import { openWallet } from './ledger-wallet.ts'
import type { Jobs } from './mapreduce/types.ts'
import { openChainDb } from './market/ledger/chain-db.ts'
import { Directory } from './market/ledger/directory.ts'
import { verifyEd25519 } from './market/ledger/ed25519.ts'
import { genesisFetcher } from './market/ledger/fetch-genesis.ts'
import type { Genesis } from './market/ledger/genesis.ts'
import { type KeyPair, type PublicKey, rememberingVerify } from './market/ledger/keys.ts'
import type { FetchGenesis, Ledger } from './market/ledger/ledger.ts'
import { createLedger, type LedgerCounter } from './market/ledger/service.ts'
import type { Amount } from './market/ledger/state/amount.ts'
import { Wallet } from './market/ledger/wallet.ts'
import { Payments } from './market/payments.ts'
import type { Contact } from './net/contact.ts'
import { type HostKey, peerOfPublicKey, publicKeyOfHost, signerOf } from './net/host-key.ts'
import type { NetworkSettings } from './net/network-id.ts'
import type { Transport } from './net/transport.ts'

/** Good signatures that are remembered. */
const REMEMBERED = 65_536
/** Those who start with this host may not have the ledger's beginning yet. */
const GENESIS_PATIENCE_MS = 20_000
/** Who has it already only makes sure that the members have the same: time for three tries at a member that is busy. */
const KNOWN_GENESIS_PATIENCE_MS = 6_000
const GENESIS_RETRY_MS = 250

export interface HostLedger {
  readonly ledger: Ledger
  readonly wallet: Pick<Wallet, 'account' | 'host' | 'send' | 'stand' | 'stepDown' | 'volunteer'>
  /** For the jobs that were submitted here. */
  readonly payments: Pick<Payments, 'of'>
}

export interface OpenLedger extends HostLedger {
  /** Where a host is that the chain names. Never rejects; undefined: nobody tells. */
  find(host: PublicKey): Promise<Contact | undefined>
  /** It is not there any more, or cannot be reached. */
  lost(place: Contact, code: 'gone' | 'unreachable'): void
  /** From now on others find this host, whether it is a banker or not. */
  publish(): void
  readonly wallet: Wallet
  /** Of the account. */
  readonly keys: KeyPair
  readonly payments: Payments
  counters(): Readonly<Record<LedgerCounter, number>>
  stop(): Promise<void>
}

export interface LedgerHostOptions {
  readonly env: Env
  readonly home: string
  readonly key: HostKey
  readonly transport: Transport
  /** Joined. */
  readonly overlay: Pick<Overlay, 'self' | 'neighbours'>
  readonly records: Pick<Records, 'publish' | 'resolve'>
  /** Where snapshots of the ledger are kept. */
  readonly blocks: Pick<Blocks, 'put' | 'get' | 'extend'>
  readonly network: NetworkSettings
  /** What `pinnedGenesis` said. */
  readonly pinned: Genesis | undefined
  /** Nobody was there to join. */
  readonly first: boolean
  /** Whom to ask besides the neighbours. */
  readonly members: readonly Contact[]
  readonly jobs: Pick<Jobs, 'watch'>
  /** Millicredits for a task. */
  readonly taskPrice: Amount
}

/** Starts it. Rejects with `config` (another ledger), `unreachable` (nobody tells the genesis), `auth` (wallet) or `io`. */
export async function openLedger(options: LedgerHostOptions, signal: AbortSignal | undefined): Promise<OpenLedger> {
  const { env, home, transport, overlay, records, blocks } = options
  const { keys } = openWallet(home)
  const host: KeyPair = { publicKey: publicKeyOfHost(options.key), sign: signerOf(options.key) }
  const genesis = await genesisFor(options, { host, keys }, signal)
  guarded(home, () => makeDirectory(join(home, 'ledger')))
  const store = openChainDb(chainFile(home))
  const directory = new Directory({ env, overlay, records, placement: transport.placement })
  const verify = rememberingVerify(verifyEd25519, REMEMBERED)
  const votes = { fs: nodeFs, dir: join(home, 'ledger', 'votes') }
  const service = createLedger({ env, transport, directory, genesis, host, verify, store, blocks, ...votes })
  const wallet = new Wallet({ env, ledger: service.ledger, keys, host })
  const { ledger } = service
  const paying = {
    jobs: options.jobs,
    price: options.taskPrice,
    peerOf: peerOfPublicKey,
    journal: paymentJournal(home),
  }
  const payments = new Payments({ env, ledger, wallet, ...paying })
  service.start()
  const leaving = new AbortController()
  const settled = wallet.settleIn(leaving)
  payments.start()
  return {
    ledger,
    wallet,
    keys,
    payments,
    find: (other) => directory.find(other),
    lost: (place, code) => directory.failed(place, code),
    publish: () => directory.publish(),
    counters: () => service.counters(),
    async stop() {
      leaving.abort(new ChoraleError('aborted', 'the host leaves'))
      await Promise.all([settled, payments.stop()])
      await service.stop()
      directory.stop()
      store.close()
    },
  }
}

async function genesisFor(
  { env, home, transport, overlay, network, pinned, first, members }: LedgerHostOptions,
  { host, keys }: { readonly host: KeyPair; readonly keys: KeyPair },
  signal: AbortSignal | undefined,
): Promise<Genesis> {
  const ask = genesisFetcher(transport, () => [...overlay.neighbours(), ...members])
  using deadline = env.clock.deadline(GENESIS_PATIENCE_MS, signal)
  const untilMs = env.clock.now() + (pinned ? KNOWN_GENESIS_PATIENCE_MS : GENESIS_PATIENCE_MS)
  const fetch: FetchGenesis = async (call) => {
    for (;;) {
      try {
        return await ask(call)
      } catch (error) {
        signal?.throwIfAborted()
        if (call.signal.aborted || env.clock.now() > untilMs) {
          env.log.info('the genesis of the ledger was not to be had', { reason: errorMessage(error) })
          throw error
        }
      }
      await env.clock.sleep(GENESIS_RETRY_MS, call).catch(() => {})
    }
  }
  const self = { host: host.publicKey, account: keys.publicKey }
  const choice = { home, pinned, network, first, fetch, self, nowMs: Math.floor(env.clock.now()) }
  return await chooseGenesis(choice, deadline)
}
