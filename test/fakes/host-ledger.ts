/** A host's ledger with real keys: it is the one banker, and its wallet is the one that the test gives. */
import { silentLogger } from '../../src/core/env.ts'
import { systemEnv } from '../../src/core/system.ts'
import { ed25519KeyPair, verifyEd25519 } from '../../src/market/ledger/ed25519.ts'
import { PRIVATE_LEDGER } from '../../src/market/ledger/genesis.ts'
import type { KeyPair } from '../../src/market/ledger/keys.ts'
import { Wallet } from '../../src/market/ledger/wallet.ts'
import type { Payment } from '../../src/market/payments.ts'
import { SoleLedger } from './ledger.ts'

/** A key pair that is the same in every run. */
export const keysOf = (number: number): KeyPair => ed25519KeyPair(new Uint8Array(32).fill(number))

export class FakeBooks {
  readonly host = keysOf(1)
  readonly ledger: SoleLedger
  wallet: Wallet
  readonly payments = { of: (job: string) => this.paid.find((payment) => payment.job === job) }
  readonly paid: Payment[] = []

  constructor(keys: KeyPair = keysOf(2)) {
    const genesis = {
      v: 1 as const,
      settings: { name: 'private', placement: 'ip-port' as const, replicas: 4, successors: 4, ...PRIVATE_LEDGER },
      createdAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
      bankers: [{ host: this.host.publicKey, account: keys.publicKey }],
    }
    this.ledger = new SoleLedger(genesis, this.host, verifyEd25519)
    this.wallet = this.walletOf(keys)
  }

  walletOf(keys: KeyPair, host = this.host): Wallet {
    return new Wallet({ env: systemEnv(silentLogger), ledger: this.ledger, keys, host })
  }
}
