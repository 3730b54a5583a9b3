/** The genesis of a network as people make it and see it. */
import { ChoraleError, errorMessage } from './core/errors.ts'
import { DEFAULT_BLOCK_REPLICAS } from './dht/store/blocks/service.ts'
import { guarded, writeAtomically } from './home-files.ts'
import { peerIn } from './host-identity.ts'
import { type Banker, keptGenesis, newGenesis, readGenesis } from './ledger-genesis.ts'
import { openWallet, type WalletFile } from './ledger-wallet.ts'
import { addressOf, parseAddress } from './market/ledger/address.ts'
import { encodeGenesis, type Genesis, networkOf, PRIVATE_LEDGER, type Settings } from './market/ledger/genesis.ts'
import { type Amount, MAX_AMOUNT } from './market/ledger/state/amount.ts'
import { peerOfPublicKey, publicKeyOfPeer } from './net/host-key.ts'
import { networkId } from './net/network-id.ts'
import { type NetworkOptions, networkSettings } from './network-settings.ts'

export { knownPeer } from './host-identity.ts'

/** Amounts are millicredits as decimal strings. */
export interface GenesisFacts {
  /** The ledger id: the hash of the genesis. */
  readonly network: string
  /** The overlay id (net/network-id.ts). */
  readonly overlay: string
  readonly createdAtMs: number
  readonly settings: Omit<Settings, 'bond' | 'grant' | 'mintCap'> & {
    readonly bond: string
    readonly grant: string
    /** Null: there is no limit. */
    readonly mintCap: string | null
  }
  readonly bankers: ReadonlyArray<{ readonly peer: string; readonly host: string; readonly address: string }>
}

export interface NewNetwork {
  readonly home: string
  readonly overlay: NetworkOptions
  readonly settings: {
    readonly epochMs: number
    readonly committeeCap: number
    readonly bond: bigint
    readonly unbondingMs: number
    readonly grant: bigint
    readonly mintCap: bigint | undefined
  }
  /** PEER=ADDRESS each; none: the host of the home alone, with the account of its wallet. */
  readonly bankers: readonly string[]
  readonly nowMs: number
}

/** Throws `usage` with what is wrong with the settings or the bankers. */
export async function createNetwork(wanted: NewNetwork): Promise<{ bytes: Uint8Array; facts: GenesisFacts }> {
  const { home, overlay, settings, bankers, nowMs } = wanted
  const { mintCap = MAX_AMOUNT, bond, grant, epochMs, ...rest } = settings
  const whole = { ...rest, epochMs: Math.ceil(epochMs), unbondingMs: Math.ceil(rest.unbondingMs) }
  const amounts = { bond: bond as Amount, grant: grant as Amount, mintCap: mintCap as Amount }
  const first = bankers.length > 0 ? bankers.map(parseBanker) : [(await ownBanker(home, nowMs)).banker]
  try {
    const genesis = newGenesis(networkSettings(overlay), first, nowMs, { ...PRIVATE_LEDGER, ...whole, ...amounts })
    return { bytes: encodeGenesis(genesis), facts: factsOf(genesis) }
  } catch (error) {
    throw new ChoraleError('usage', errorMessage(error), { cause: error })
  }
}

/** Writes a genesis whose bankers are the hosts of these homes: 1, 4, 7, ... of them. Makes the homes, their keys and wallets. */
export async function foundNetwork(
  file: string,
  homes: readonly string[],
  overlay: NetworkOptions,
  nowMs: number,
): Promise<void> {
  const bankers = await Promise.all(homes.map(async (home) => (await ownBanker(home, nowMs)).banker))
  guarded(file, () => writeAtomically(file, encodeGenesis(newGenesis(networkSettings(overlay), bankers, nowMs))))
}

/** Of a file, else of the ledger of the home; undefined: it is in none yet. */
export function networkFacts(home: string, file: string | undefined): GenesisFacts | undefined {
  const genesis = file === undefined ? keptGenesis(home) : readGenesis(file)
  return genesis && factsOf(genesis)
}

/** What a node must be started with: by this file, else by the ledger of the home; undefined: neither says. */
export function overlayOf(home: string, file: string | undefined): Required<NetworkOptions> | undefined {
  const genesis = file === undefined ? keptGenesis(home) : readGenesis(file)
  if (!genesis) return undefined
  const { name: network, placement, ...shape } = genesis.settings
  const { space = 'ring', successors = 4, copies = DEFAULT_BLOCK_REPLICAS } = shape
  return { network, space, placement, successors, replicas: copies }
}

/** A home as one of the first bankers of a new network. */
export interface BankerFacts {
  readonly peer: string
  readonly address: string
  /** PEER=ADDRESS, as `NewNetwork.bankers` has them. */
  readonly banker: string
  readonly wallet: WalletFile
}

/** Makes the home, its key and its wallet if need be. Throws `config` when the home is in a network already. */
export async function bankerFacts(home: string, nowMs: number): Promise<BankerFacts> {
  const { banker, wallet } = await ownBanker(home, nowMs)
  const [peer, address] = [peerOfPublicKey(banker.host), addressOf(banker.account)]
  return { peer, address, banker: `${peer}=${address}`, wallet }
}

async function ownBanker(home: string, nowMs: number): Promise<{ banker: Banker; wallet: WalletFile }> {
  const kept = keptGenesis(home)
  if (kept) {
    const already = `home ${home} is in network ${kept.settings.name} already, and stays with its ledger`
    throw new ChoraleError('config', `${already}: choose a new home for a banker of another, with --home DIR`)
  }
  const host = publicKeyOfPeer(await peerIn(home, nowMs))
  if (host === undefined) throw new ChoraleError('config', `the host key of ${home} is not an Ed25519 key`)
  const wallet = openWallet(home)
  return { banker: { host, account: wallet.keys.publicKey }, wallet }
}

function parseBanker(text: string): Banker {
  const at = text.indexOf('=')
  const host = publicKeyOfPeer(text.slice(0, at))
  if (at < 1 || host === undefined) {
    throw new ChoraleError('usage', `--banker must be PEER=ADDRESS, as chorale id --banker prints it, not '${text}'`)
  }
  return { host, account: parseAddress(text.slice(at + 1)) }
}

function factsOf(genesis: Genesis): GenesisFacts {
  const { settings, createdAtMs, bankers } = genesis
  const { bond, grant, mintCap } = settings
  const amounts = { bond: `${bond}`, grant: `${grant}`, mintCap: mintCap === MAX_AMOUNT ? null : `${mintCap}` }
  return {
    network: networkOf(genesis),
    overlay: networkId(settings),
    createdAtMs,
    settings: { ...settings, ...amounts },
    bankers: bankers.map(({ host, account }) => ({ peer: peerOfPublicKey(host), host, address: addressOf(account) })),
  }
}
