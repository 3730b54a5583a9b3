/**
 * How a host with nothing joins a long chain: at the end of the last epoch, instead of the genesis.
 *
 *   1. the headers of all epochs, from whoever has them; each is checked with what the ones before it say
 *   2. the bankers that the last one names are asked which snapshot they have put into the store of blocks
 *   3. root and chunks, from whoever has them; they must be the state whose root a header holds
 *
 * Nobody is believed: what does not fit is passed over for the next offer. An old end of an epoch, though, is as good as a
 * new one to who knows no better: so several are asked for headers, and the highest that are good count. Whoever is led to an
 * old one has more blocks to follow, no more.
 */
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorMessage } from '../../core/errors.ts'
import { parseCid } from '../../dht/cid.ts'
import type { Contact } from '../../net/contact.ts'
import type { Chain } from './chain.ts'
import type { Courier } from './courier.ts'
import type { Genesis } from './genesis.ts'
import type { PublicKey, Verify } from './keys.ts'
import { AskSnapshot, Epochs } from './messages.ts'
import { decodeEpochHeader, type Epoch, type EpochHeader, firstEpoch, followEpochs } from './receipt/epochs.ts'
import { getSnapshot, type SnapshotBlocks } from './snapshot-blocks.ts'

/** Hosts that are asked for headers. */
const MAX_SOURCES = 8
/** Offers that are tried: of each, all chunks may have to come before it shows that it is bad. */
const MAX_OFFERS = 4
const ANSWER_MS = 3000

export interface BootstrapPorts {
  readonly env: Env
  /** At the genesis, or below all that others keep. */
  readonly chain: Chain
  readonly courier: Pick<Courier, 'ask' | 'request'>
  readonly blocks: SnapshotBlocks
  readonly verify: Verify
  /** A chain of fewer blocks is followed from the genesis on. */
  readonly shortChain: number
  /** Does somebody wait for an operation here? In what is passed over nobody would see what became of it. */
  isHurried(): boolean
  neighbours(): readonly Contact[]
  /** The chain is about to begin anew: nobody may vote on the old one any more. */
  leave(): Promise<void>
}

interface Offer {
  readonly epoch: number
  readonly root: string
  /** Bankers that make it. */
  readonly from: readonly PublicKey[]
}

/** Resolves when the chain has begun at a snapshot, or there is none to be had. Never rejects. `first`: to be asked first. */
export async function bootstrap(ports: BootstrapPorts, first: Contact, signal: AbortSignal): Promise<void> {
  const { env, chain, courier, verify, shortChain, neighbours } = ports
  const { network } = chain
  const road = new Road(chain.genesis, verify)
  const others = neighbours().filter(({ peer }) => peer !== first.peer)
  const told = (error: unknown) => {
    if (!signal.aborted) env.log.debug('no way to a snapshot of the ledger', { reason: errorMessage(error) })
  }
  for (const source of [first, ...others].slice(0, MAX_SOURCES)) {
    const ask = (from: number) => courier.request(source, Epochs, { network, from }, { signal })
    await road.extend(ask).catch(told)
  }
  if (road.height < shortChain) return
  for (const offer of await offersOf(ports, road.committee, signal)) {
    if (signal.aborted) return
    try {
      const ask = (from: number) => courier.ask(offer.from[0]!, Epochs, { network, from }, { signal })
      if (offer.epoch > road.headers.length) await road.extend(ask)
      if (await take(ports, road, offer, signal)) return
    } catch (error) {
      told(error)
    }
  }
}

/** False: it is of no use. */
async function take(ports: BootstrapPorts, road: Road, { epoch, root }: Offer, signal: AbortSignal): Promise<boolean> {
  const { env, chain, blocks, shortChain, isHurried, leave } = ports
  const headers = road.headers.slice(0, epoch)
  const { height } = headers.at(-1)?.header ?? {}
  if (height === undefined || headers.length < epoch || height < shortChain) return false
  if (height <= chain.tip.height) return false
  const chunks = await getSnapshot(blocks, parseCid(root), { signal })
  if (isHurried()) return true
  if (chain.tip.height > 0) await leave()
  if (!(await chain.begin(headers, chunks))) return true
  env.log.info('the ledger begins with a snapshot', { epoch, height, chunks: chunks.length })
  return true
}

/** Of the latest epoch first, and that of most bankers. */
async function offersOf(
  { chain, courier }: BootstrapPorts,
  committee: readonly PublicKey[],
  signal: AbortSignal,
): Promise<Offer[]> {
  const { network } = chain
  const offers = new Map<string, { epoch: number; root: string; from: PublicKey[] }>()
  const ask = async (banker: PublicKey) => {
    const { epoch, root } = await courier.ask(banker, AskSnapshot, { network }, { timeoutMs: ANSWER_MS, signal })
    const known = offers.get(`${epoch} ${root}`)
    if (known) known.from.push(banker)
    else offers.set(`${epoch} ${root}`, { epoch, root, from: [banker] })
  }
  await Promise.all(committee.map((banker) => ask(banker).catch(() => {}))) // others may have one
  return [...offers.values()].sort((a, b) => b.epoch - a.epoch || b.from.length - a.from.length).slice(0, MAX_OFFERS)
}

/** The good headers of epochs, from the genesis on. */
class Road {
  readonly headers: EpochHeader[] = []
  readonly #genesis: Genesis
  readonly #verify: Verify
  #epochs: readonly Epoch[]

  constructor(genesis: Genesis, verify: Verify) {
    this.#genesis = genesis
    this.#verify = verify
    this.#epochs = [firstEpoch(genesis)]
  }

  /** Of the last block that they lead to. */
  get height(): number {
    return this.#epochs.at(-1)!.afterHeight
  }

  /** Who decides after that. */
  get committee(): readonly PublicKey[] {
    return this.#epochs.at(-1)!.committee
  }

  /** Page by page, so that no lie is longer than one. Rejects `bad-message`, and as `ask` does. */
  async extend(ask: (from: number) => Promise<{ readonly headers: readonly Uint8Array[] }>): Promise<void> {
    for (;;) {
      const { headers } = await ask(this.headers.length)
      if (headers.length === 0) return
      const page = headers.map((bytes) => decodeEpochHeader(bytes) ?? refuse('is none'))
      const followed = followEpochs(this.#genesis, page, this.#verify, this.#epochs)
      if ('code' in followed) refuse(`is bad: ${followed.message}`)
      this.#epochs = followed.epochs
      this.headers.push(...page)
    }
  }
}

function refuse(what: string): never {
  throw new ChoraleError('bad-message', `a header of an epoch ${what}`)
}
