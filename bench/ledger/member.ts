/**
 * One member of `bench/ledger.ts`, in a process of its own: a host of a ring on loopback with a seat, and its clients. It is told
 * what to do over the channel of its parent, and ends with it.
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '../../src/core/env.ts'
import { keyFromBytes } from '../../src/core/ids.ts'
import { systemEnv } from '../../src/core/system.ts'
import { ChordHost } from '../../src/dht/chord/host.ts'
import { nodeFs } from '../../src/dht/store/disk/fs.ts'
import { publicKeyOf, Records } from '../../src/dht/store/records.ts'
import { createRegisters } from '../../src/dht/store/registers.ts'
import { openChainDb } from '../../src/market/ledger/chain-db.ts'
import { Directory } from '../../src/market/ledger/directory.ts'
import { ed25519KeyPair, verifyEd25519 } from '../../src/market/ledger/ed25519.ts'
import { decodeGenesis } from '../../src/market/ledger/genesis.ts'
import { type KeyPair, rememberingVerify } from '../../src/market/ledger/keys.ts'
import type { Ledger } from '../../src/market/ledger/ledger.ts'
import { createLedger } from '../../src/market/ledger/service.ts'
import { amount } from '../../src/market/ledger/state/amount.ts'
import { type Action, escrowId, signOperation } from '../../src/market/ledger/state/operation.ts'
import { generateHostKey, signerOf, verifySignature } from '../../src/net/host-key.ts'
import { createLibp2pTransport } from '../../src/net/libp2p.ts'
import { networkId } from '../../src/net/network-id.ts'

export type ToMember =
  | { readonly type: 'start'; readonly genesis: string; readonly bootstrap: string | undefined }
  | { readonly type: 'pay'; readonly ms: number }
export type FromMember =
  | { readonly type: 'here'; readonly host: string; readonly place: string }
  | { readonly type: 'joined' }
  | { readonly type: 'ready' }
  | { readonly type: 'measured'; readonly times: readonly number[]; readonly blocks: number; readonly cpuMs: number }

const SETTINGS = { successors: 4, replicas: 4 }
const REMEMBERED = 65_536
const [home, clientCount] = process.argv.slice(2) as [string, string]
const tell = (message: FromMember) => process.send?.(message)
process.on('disconnect', () => process.exit(0))

const env = systemEnv(silentLogger)
const key = await generateHostKey()
const host: KeyPair = { publicKey: keyFromBytes(publicKeyOf(key.peer)), sign: signerOf(key) }
const network = networkId({ name: 'bench', placement: 'ip-port', ...SETTINGS })
const listen = { ip: '127.0.0.1', port: 0 }
const transport = await createLibp2pTransport({ env, key, listen, network, incarnation: 1 })
tell({ type: 'here', host: host.publicKey, place: `127.0.0.1:${transport.listen.port}` })

const { genesis, bootstrap } = await heard('start')
const seeds = bootstrap === undefined ? [] : [await transport.resolve(bootstrap)]
await transport.confirmAddress(seeds)
const overlay = new ChordHost({ env, transport, settings: SETTINGS })
const registers = createRegisters({ env, transport, overlay })
const signer = { peer: key.peer, sign: host.sign, verify: verifySignature }
const records = new Records({ env, registers, signer, network })
mkdirSync(home)
const service = createLedger({
  env,
  transport,
  directory: new Directory({ env, overlay, records, placement: transport.placement }),
  genesis: decodeGenesis(Buffer.from(genesis, 'base64')),
  host,
  verify: rememberingVerify(verifyEd25519, REMEMBERED),
  store: openChainDb(join(home, 'chain.db')),
  fs: nodeFs,
  dir: join(home, 'votes'),
})
registers.start()
await overlay.join(seeds)
service.start()
tell({ type: 'joined' })

/** An account with credits that it may send, and the one that gave them to it. */
class Client {
  readonly #ledger: Ledger
  readonly #payer = ed25519KeyPair(env.random.bytes(32))
  readonly #payee = ed25519KeyPair(env.random.bytes(32))
  #nonce = 1

  constructor(ledger: Ledger) {
    this.#ledger = ledger
  }

  async earn(): Promise<void> {
    const [payer, payee] = [this.#payer, this.#payee]
    await this.#submit(payer, 0, { kind: 'open' })
    await this.#submit(payee, 0, { kind: 'open' })
    const escrow = escrowId({ network: this.#ledger.network, account: payer.publicKey, nonce: 1 })
    const wage = amount(50_000n)
    const deadlineMs = Date.now() + 3_600_000
    const payees = [payee.publicKey]
    await this.#submit(payer, 1, { kind: 'open-escrow', payees, arbiter: null, amount: wage, deadlineMs })
    await this.#submit(payer, 2, { kind: 'fund', escrow, amount: wage })
    await this.#submit(payer, 3, { kind: 'release', escrow, step: 0, to: payee.publicKey, amount: wage })
  }

  async pay(): Promise<void> {
    await this.#submit(this.#payee, this.#nonce++, { kind: 'transfer', to: this.#payer.publicKey, amount: amount(1n) })
  }

  async #submit(pair: KeyPair, nonce: number, action: Action): Promise<void> {
    const operation = signOperation({ network: this.#ledger.network, account: pair.publicKey, nonce, action }, [pair])
    using deadline = env.clock.deadline(60_000)
    const { result } = await this.#ledger.submit(operation, { signal: deadline.signal })
    if (result !== 'applied') throw new Error(`a ${action.kind} came to nothing: ${result}`)
  }
}

const { ledger } = service
const clients = Array.from({ length: Number(clientCount) }, () => new Client(ledger))
await Promise.all(clients.map((client) => client.earn()))
tell({ type: 'ready' })

const { ms } = await heard('pay')
// The first fifth warms up.
await payFor(ms / 5)
const before = { cpu: process.cpuUsage(), height: ledger.status().height }
const times = await payFor(ms)
const { user, system } = process.cpuUsage(before.cpu)
const blocks = ledger.status().height - before.height
tell({ type: 'measured', times, blocks, cpuMs: (user + system) / 1000 })

async function payFor(forMs: number): Promise<number[]> {
  const endMs = performance.now() + forMs
  const took: number[] = []
  const work = async (client: Client) => {
    while (performance.now() < endMs) {
      const startMs = performance.now()
      await client.pay()
      took.push(performance.now() - startMs)
    }
  }
  await Promise.all(clients.map(work))
  return took
}

function heard<T extends ToMember['type']>(type: T): Promise<ToMember & { type: T }> {
  return new Promise((resolve) => {
    const onMessage = (message: ToMember) => {
      if (message.type !== type) return
      process.off('message', onMessage)
      resolve(message as ToMember & { type: T })
    }
    process.on('message', onMessage)
  })
}
