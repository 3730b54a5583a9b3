/**
 * The committee of `bench/ledger-kill.ts`: real nodes (`chorale up`) with homes that outlive their processes. Each is tied to
 * this process, so none is left when it dies. Started again, a node is given no address: it has to find the others by its home.
 */
import { closeSync, mkdirSync, mkdtempSync, openSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connectHost, type RemoteHost } from '../../src/api/client.ts'
import type { LedgerBody } from '../../src/api/ledger-views.ts'
import { type NodeProcess, spawnNode } from '../../src/cli/spawn.ts'
import { tell } from '../../src/cli/tie.ts'
import { removeHome } from '../../src/home.ts'
import { peerIn } from '../../src/host-identity.ts'
import { createNetwork } from '../../src/ledger-network.ts'
import { backupWallet, openWallet, restoreWallet } from '../../src/ledger-wallet.ts'
import { addressOf } from '../../src/market/ledger/address.ts'
import type { KeyPair } from '../../src/market/ledger/keys.ts'

export const OVERLAY = { network: 'ledger-kill', space: 'ring', successors: 4, replicas: 3 }
/** Every new account has so much, so that nobody runs out of it. */
const GRANT = 10n ** 12n
const DAY_MS = 86_400_000
const POLL_MS = 25
/** For an answer from a node. */
const ANSWER_MS = 10_000
/** For anything that is waited for, on a machine that does much else. */
const PATIENCE_MS = 180_000

export interface Node {
  readonly index: number
  readonly home: string
  process?: NodeProcess
  host?: RemoteHost
  address?: string
}

export class Members implements AsyncDisposable {
  readonly root = mkdtempSync(join(tmpdir(), 'chorale-ledger-kill-'))
  readonly nodes: readonly Node[]
  readonly genesis = join(this.root, 'genesis')
  readonly #signal: AbortSignal
  /** Of the account that owns all of the nodes, so that its user may pay through any of them. */
  readonly wallet: KeyPair

  constructor(count: number, signal: AbortSignal) {
    this.#signal = signal
    this.nodes = Array.from({ length: count }, (_, index) => ({ index, home: join(this.root, `node${index + 1}`) }))
    this.wallet = openWallet(this.nodes[0]!.home).keys
  }

  /** Those that run and have answered. */
  get up(): Array<Node & { host: RemoteHost }> {
    return this.nodes.filter((node): node is Node & { host: RemoteHost } => node.host !== undefined)
  }

  /** Makes the network, of which all nodes are bankers from the beginning, and starts it. */
  async found(): Promise<void> {
    const nowMs = Date.now()
    const backup = join(this.root, 'wallet')
    backupWallet(this.nodes[0]!.home, backup)
    const bankers: string[] = []
    for (const { home } of this.nodes) {
      restoreWallet(home, backup, { replace: false })
      bankers.push(`${await peerIn(home, nowMs)}=${addressOf(this.wallet.publicKey)}`)
    }
    const amounts = { bond: 10_000n, grant: GRANT, mintCap: undefined }
    const settings = { epochMs: DAY_MS, committeeCap: 31, unbondingMs: DAY_MS, ...amounts }
    const home = this.nodes[0]!.home
    writeFileSync(this.genesis, (await createNetwork({ home, overlay: OVERLAY, settings, bankers, nowMs })).bytes)
    const [first, ...others] = this.nodes
    await this.start([first!])
    await this.start(others, [first!.address!])
  }

  /** Resolves when all of them are ready. Without addresses they know those of last time. */
  async start(nodes: readonly Node[], bootstrap: readonly string[] = []): Promise<void> {
    await Promise.all(nodes.map((node) => this.#start(node, bootstrap)))
  }

  async #start(node: Node, bootstrap: readonly string[]): Promise<void> {
    this.#signal.throwIfAborted()
    mkdirSync(node.home, { recursive: true, mode: 0o700 })
    const log = openSync(join(this.root, `node${node.index + 1}.log`), 'a', 0o600)
    const usual = ['--listen', '127.0.0.1:0', '--genesis', this.genesis, '--lend', '0', '-v']
    const args = ['--home', node.home, '--tied', this.root, ...usual]
    const started = spawnNode(args, { log, stdin: 'pipe', cache: join(this.root, 'cache') })
    closeSync(log)
    node.process = started
    tell(started.child.stdin, { bootstrap })
    let ready: Awaited<NodeProcess['ready']> | undefined
    let failure: Error | undefined
    started.ready.then(
      (value) => {
        ready = value
      },
      (error) => {
        failure = error as Error
      },
    )
    await this.until(`node ${node.index + 1} is ready`, () => {
      if (failure) throw failure
      return ready !== undefined
    })
    node.address = ready!.address!
    node.host = connectHost(ready!.socket)
    void started.ended.then(() => {
      if (node.process === started) delete node.host
    })
  }

  /** SIGKILL, to all of them before the first has ended. */
  async kill(nodes: readonly Node[]): Promise<void> {
    for (const node of nodes) {
      delete node.host
      node.process?.child.kill('SIGKILL')
    }
    await Promise.all(nodes.map((node) => node.process?.ended))
  }

  /** Resolves with the height, when all nodes have come as far as the highest of them, and say that all is well. `idle`: and that nothing waits. */
  async caughtUp({ idle = false } = {}): Promise<number> {
    let height = 0
    await this.until('all members have caught up', async () => {
      const all = await this.statuses()
      height = Math.max(height, ...all.map((one) => one.height))
      return (
        all.length === this.nodes.length &&
        all.every((one) => one.height >= height && one.halted === null && !(idle && one.pending > 0))
      )
    })
    return height
  }

  /** Of those that answer. */
  async statuses(): Promise<LedgerBody[]> {
    const asked = this.up.map(({ host }) => host.ledger.status(this.#call()).catch(() => []))
    return (await Promise.all(asked)).flat()
  }

  /** Looks again until it is true. Rejects when that takes too long, or the bench is stopped. */
  async until(what: string, check: () => boolean | Promise<boolean>): Promise<void> {
    const giveUpAtMs = performance.now() + PATIENCE_MS
    while (!(await check())) {
      this.#signal.throwIfAborted()
      if (performance.now() > giveUpAtMs) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}`)
      await sleep(POLL_MS, undefined, { signal: this.#signal })
    }
  }

  #call() {
    return { signal: AbortSignal.any([this.#signal, AbortSignal.timeout(ANSWER_MS)]) }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill(this.nodes)
    for (const { home } of this.nodes) removeHome(home) // and its socket, if that is elsewhere
    removeHome(this.root)
  }
}
