/** Hosts that keep a ledger on a real overlay, in the simulator: with disks that lose power, and keys without mathematics. */
import { ChoraleError } from '../../src/core/errors.ts'
import { keyFromBytes } from '../../src/core/ids.ts'
import { createBlocks } from '../../src/dht/store/blocks/service.ts'
import { MemoryBlocks } from '../../src/dht/store/memory-blocks.ts'
import { peerOf, publicKeyOf, Records } from '../../src/dht/store/records.ts'
import { createRegisters } from '../../src/dht/store/registers.ts'
import { Directory } from '../../src/market/ledger/directory.ts'
import { type Genesis, PRIVATE_LEDGER, type Settings } from '../../src/market/ledger/genesis.ts'
import type { KeyPair, PublicKey } from '../../src/market/ledger/keys.ts'
import type { AccountView, Ledger, Outcome } from '../../src/market/ledger/ledger.ts'
import { createLedger, type LedgerService } from '../../src/market/ledger/service.ts'
import { type Action, ownHostOf, signersOf, signOperation } from '../../src/market/ledger/state/operation.ts'
import { type AnyCluster, type AnyClusterOptions, type AnyNode, clusterIn } from '../any-cluster.ts'
import { CrashDisk } from '../crash-disk.ts'
import { fakeKeyPair, fakeVerify } from '../fake-keys.ts'
import { MemoryChain } from './memory-chain.ts'

export interface LedgerClusterOptions extends AnyClusterOptions {
  /** Hosts, all live and joined at the start. */
  readonly hosts: number
  /** Of these the first are the bankers of the genesis. */
  readonly bankers: number
  readonly settings?: Partial<Settings>
  readonly viewMs?: number
  /** How far the ledger's clock of a host is ahead of all others'. */
  readonly clockAheadMs?: (number: number) => number
  /** From how many blocks on the hosts put snapshots into stores that they have then. Default: they have no stores. */
  readonly shortChain?: number
}

interface Machine {
  readonly key: KeyPair
  disk: CrashDisk
  readonly held: MemoryBlocks
  chain: MemoryChain
  service: LedgerService
  node: AnyNode
}

export class LedgerCluster {
  readonly cluster: AnyCluster
  readonly genesis: Genesis
  /** By number; those that are down included. */
  readonly machines: Machine[] = []
  readonly #viewMs: number | undefined
  readonly #clockAheadMs: ((number: number) => number) | undefined
  readonly #shortChain: number | undefined
  readonly #keys = new Map<PublicKey, KeyPair>()
  readonly #byPeer = new Map<string, Machine>()

  constructor({ hosts, bankers, settings, viewMs, clockAheadMs, shortChain, ...options }: LedgerClusterOptions) {
    const keys = Array.from({ length: 1000 }, (_, number) => fakeKeyPair(`host ${number}`))
    this.#viewMs = viewMs
    this.#clockAheadMs = clockAheadMs
    this.#shortChain = shortChain
    const peerName = (number: number) => peerOf(Buffer.from(keys[number]!.publicKey, 'hex'))
    this.cluster = clusterIn({ unreachable: true, ...options, peerName })
    this.genesis = {
      v: 1,
      settings: { name: 'sim', placement: 'ip-port', replicas: 3, ...PRIVATE_LEDGER, ...settings },
      createdAtMs: 0,
      bankers: Array.from({ length: bankers }, (_, number) => ({
        host: keys[number]!.publicKey,
        account: this.key(`owner ${number}`).publicKey,
      })).sort((a, b) => (a.host < b.host ? -1 : 1)),
    }
    this.cluster.onSpawn((node) => {
      const { peer } = node.host
      const before = this.#byPeer.get(peer)
      if (before) {
        before.node = node
        before.service = this.#serve(before)
        return
      }
      const key = keys[node.host.number]!
      const held = new MemoryBlocks(Number.MAX_SAFE_INTEGER)
      const machine = { key, node, disk: new CrashDisk(), held, chain: new MemoryChain() } as Machine
      machine.service = this.#serve(machine)
      this.#byPeer.set(peer, machine)
      this.machines.push(machine)
    })
    this.cluster.start(hosts)
    for (const { service } of this.machines) service.start()
  }

  #serve({ key, node, disk, held, chain }: Machine): LedgerService {
    const { host, overlay } = node
    const { env } = host
    const registers = createRegisters({ env, transport: host, overlay })
    const signer = {
      peer: host.peer,
      sign: key.sign,
      verify: (peer: string, bytes: Uint8Array, signature: Uint8Array) =>
        fakeVerify(keyFromBytes(publicKeyOf(peer)), bytes, signature),
    }
    const records = new Records({ env, registers, signer, network: 'sim' })
    registers.start()
    const shortChain = this.#shortChain
    const blocks = shortChain === undefined ? undefined : createBlocks({ env, transport: host, overlay, store: held })
    blocks?.start()
    const directory = new Directory({ env, overlay, records, placement: 'ip-port' })
    const { clock } = env
    const aheadMs = this.#clockAheadMs
    const wrong = aheadMs && {
      now: () => clock.now() + aheadMs(host.number),
      timer: clock.timer.bind(clock),
      sleep: clock.sleep.bind(clock),
      deadline: clock.deadline.bind(clock),
    }
    return createLedger({
      env: { ...env, ...(wrong && { clock: wrong }) },
      transport: host,
      directory,
      genesis: this.genesis,
      host: key,
      verify: fakeVerify,
      store: chain,
      fs: disk,
      dir: 'votes',
      ...(this.#viewMs !== undefined && { viewMs: this.#viewMs }),
      ...(blocks && shortChain !== undefined && { blocks, shortChain }),
    })
  }

  get schedule() {
    return this.cluster.schedule
  }

  run(ms: number): Promise<void> {
    return this.schedule.run(this.schedule.nowMs + ms)
  }

  ledger(number: number): Ledger {
    return this.machines[number]!.service.ledger
  }

  /** The key of a name: its account's. */
  key(name: string): KeyPair {
    const pair = fakeKeyPair(name)
    this.#keys.set(pair.publicKey, pair)
    return pair
  }

  /** An operation of a name's account, or of a host. */
  operation(who: string, nonce: number, action: Action): Uint8Array {
    const account = this.key(who).publicKey
    const { network } = this.ledger(0)
    const unsigned = { network, account, nonce, action }
    for (const { key } of this.machines) this.#keys.set(key.publicKey, key)
    return signOperation(
      unsigned,
      signersOf(unsigned).map((id) => this.#keys.get(id)!),
    )
  }

  /** Submits at a host, and waits for what comes of it. */
  submit(number: number, operation: Uint8Array, ms = 60_000): Promise<Outcome> {
    return this.#within(number, ms, (signal) => this.ledger(number).submit(operation, { signal }))
  }

  account(number: number, name: string, ms = 30_000): Promise<AccountView | undefined> {
    return this.#within(number, ms, (signal) => this.ledger(number).account(this.key(name).publicKey, { signal }))
  }

  async #within<T>(number: number, ms: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    using deadline = this.machines[number]!.node.host.env.clock.deadline(ms)
    return await call(deadline.signal)
  }

  /** The next operation of an account by what a host knows, submitted there. */
  async act(number: number, who: string, action: Action, ms?: number): Promise<Outcome> {
    const nonce = ownHostOf(action) === undefined ? ((await this.account(number, who))?.nonce ?? 0) : 0
    return this.submit(number, this.operation(who, nonce, action), ms)
  }

  /** Power is cut: of what was not synced some is lost. */
  kill(number: number): void {
    const machine = this.machines[number]!
    if (!this.isUp(number)) return
    this.cluster.kill(machine.node)
    const { random } = machine.node.host.env
    machine.disk = machine.disk.reboot(random, 'some')
    machine.chain.crash(random)
  }

  /** One more host, with nothing; resolves with its number when it has its place in the overlay. */
  async join(): Promise<number> {
    const number = this.machines.length
    await this.cluster.join()
    this.machines[number]!.service.start()
    return number
  }

  isUp(number: number): boolean {
    return this.machines[number]!.node.host.alive
  }

  async restart(number: number): Promise<void> {
    const machine = this.machines[number]!
    if (this.isUp(number)) throw new ChoraleError('internal', `host ${number} is up`)
    const joined = this.cluster.join(machine.node)
    machine.service.start()
    await joined
  }
}
