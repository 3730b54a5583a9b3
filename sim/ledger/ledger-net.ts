/**
 * A committee of real ledgers (`createLedger`) in the simulator, some of them liars, with disks that are torn. There is no
 * overlay: all know where all are. So long runs are quick, and all that happens is the ledger's.
 */
import { peerOf } from '../../src/dht/store/records.ts'
import type { StoredRun } from '../../src/market/ledger/chain-store.ts'
import { Directory } from '../../src/market/ledger/directory.ts'
import { type Genesis, PRIVATE_LEDGER, type Settings } from '../../src/market/ledger/genesis.ts'
import type { KeyPair } from '../../src/market/ledger/keys.ts'
import { createLedger, type LedgerService } from '../../src/market/ledger/service.ts'
import type { Contact } from '../../src/net/contact.ts'
import type { Transport } from '../../src/net/transport.ts'
import { fakeKeyPair, fakeVerify } from '../fake-keys.ts'
import { type SimHost, SimNetwork } from '../network.ts'
import { LogDisk } from './log-disk.ts'
import { MemoryChain } from './memory-chain.ts'

export interface LedgerNetOptions {
  seed: number
  /** Bankers of the genesis. */
  members: number
  /** Hosts without a seat. */
  followers: number
  viewMs: number
  settings?: Partial<Settings>
}

export interface LedgerNetPorts {
  /** Sees every run that a host takes for final. */
  onRun(host: number, run: StoredRun): void
  /** The end of the network that the ledger of a host gets; liars have one that lies. */
  transport(host: number, real: SimHost): Transport
}

export class LedgerHost {
  readonly number: number
  readonly key: KeyPair
  readonly chain: MemoryChain
  host: SimHost
  disk: LogDisk
  service: LedgerService

  constructor(number: number, key: KeyPair, chain: MemoryChain, host: SimHost, disk: LogDisk, service: LedgerService) {
    this.number = number
    this.key = key
    this.chain = chain
    this.host = host
    this.disk = disk
    this.service = service
  }

  get isUp(): boolean {
    return this.host.alive
  }
}

/** Appends between two syncs: so much is lost at a crash, at most. */
const SYNC_EVERY = 10

/** Tells of every run that is appended. */
class WatchedChain extends MemoryChain {
  #unsynced = 0
  readonly #onRun: (run: StoredRun) => void

  constructor(onRun: (run: StoredRun) => void) {
    super()
    this.#onRun = onRun
  }

  override append(...[run, postings, epochHeader]: Parameters<MemoryChain['append']>): void {
    super.append(run, postings, epochHeader)
    this.#unsynced = (this.#unsynced + 1) % SYNC_EVERY
    if (this.#unsynced === 0) this.sync()
    this.#onRun(run)
  }
}

export class LedgerNet {
  readonly network: SimNetwork
  readonly genesis: Genesis
  /** In the order of their keys, so that the first are members by their index; then the followers. */
  readonly hosts: LedgerHost[] = []
  readonly #options: LedgerNetOptions
  readonly keys: readonly KeyPair[]
  #ports: LedgerNetPorts | undefined

  constructor(options: LedgerNetOptions) {
    const { seed, members, followers, settings } = options
    this.#options = options
    const named = Array.from({ length: members + followers }, (_, i) => fakeKeyPair(`host ${i}`))
    const bankers = named.slice(0, members).sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1))
    this.keys = [...bankers, ...named.slice(members)]
    const peerName = (number: number) =>
      number < named.length ? peerOf(Buffer.from(this.keys[number]!.publicKey, 'hex')) : `p${number}`
    this.network = new SimNetwork({ seed, peerName, unreachable: true })
    this.genesis = {
      v: 1,
      settings: { name: 'sim', placement: 'ip-port', replicas: 3, ...PRIVATE_LEDGER, ...settings },
      createdAtMs: 0,
      bankers: bankers.map(({ publicKey }, i) => ({ host: publicKey, account: fakeKeyPair(`owner ${i}`).publicKey })),
    }
  }

  begin(ports: LedgerNetPorts): void {
    this.#ports = ports
    for (const [number, key] of this.keys.entries()) {
      const host = this.network.host()
      const disk = new LogDisk(host.env)
      const chain = new WatchedChain((run) => ports.onRun(number, run))
      this.hosts.push(new LedgerHost(number, key, chain, host, disk, this.#serve(number, key, chain, host, disk)))
    }
    for (const { service } of this.hosts) service.start()
  }

  #serve(number: number, key: KeyPair, store: MemoryChain, host: SimHost, disk: LogDisk): LedgerService {
    const { env } = host
    const { viewMs } = this.#options
    const others = () =>
      this.hosts.flatMap((one): Contact[] => (one.isUp && one.host !== host ? [one.host.contact()] : []))
    const overlay = { self: host.contact(), neighbours: others }
    // Nobody has to be looked for.
    const records = { publish: () => new Promise<never>(() => {}), resolve: async () => undefined }
    return createLedger({
      env,
      transport: this.#ports!.transport(number, host),
      directory: new Directory({ env, overlay, records, placement: 'ip-port' }),
      genesis: this.genesis,
      host: key,
      verify: fakeVerify,
      store,
      fs: disk,
      dir: 'votes',
      viewMs,
    })
  }

  get nowMs(): number {
    return this.network.schedule.nowMs
  }

  run(ms: number): Promise<void> {
    return this.network.schedule.run(this.nowMs + ms)
  }

  /** The power of a host is cut: what was not synced is lost, or torn. */
  kill(number: number): void {
    const one = this.hosts[number]!
    if (one.isUp) one.host.kill()
  }

  restart(number: number): void {
    const one = this.hosts[number]!
    if (one.isUp) return
    const { random } = one.host.env
    const { self } = one.host
    one.chain.crash(random)
    one.host = this.network.host({ ...self, incarnation: self.incarnation + 1 })
    one.disk = new LogDisk(one.host.env, one.disk.left(random))
    one.service = this.#serve(number, one.key, one.chain, one.host, one.disk)
    one.service.start()
  }
}
