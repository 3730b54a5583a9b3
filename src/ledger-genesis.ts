/**
 * Which genesis a host has (DESIGN 4, 9): that of a file that it is given, that of its home, that of the members which it
 * joins, or, as the first of its network, a new one in which it is the only banker.
 *
 * A joiner takes the first member's word and keeps it: trust on first use. Who wants more is given a file (`up --genesis`).
 * From then on another genesis is refused: when all members tell another, the host does not start. Nobody can be led to take one ledger for another later: its id is in every
 * signature.
 */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { ChoraleError, errorCode, errorMessage } from './core/errors.ts'
import { guarded, writeAtomically } from './home-files.ts'
import {
  decodeGenesis,
  encodeGenesis,
  type Genesis,
  networkOf,
  PRIVATE_LEDGER,
  type Settings,
} from './market/ledger/genesis.ts'
import type { FetchGenesis } from './market/ledger/ledger.ts'
import type { NetworkSettings } from './net/network-id.ts'

export const MAX_GENESIS_BYTES = 64 * 1024

export type Banker = Genesis['bankers'][number]
/** What a network may choose of its ledger. */
export type LedgerSettings = Pick<Settings, keyof typeof PRIVATE_LEDGER>

/** Throws `bad-message` with what is wrong with the settings or the bankers. */
export function newGenesis(
  network: NetworkSettings,
  bankers: readonly Banker[],
  createdAtMs: number,
  ledger: LedgerSettings = PRIVATE_LEDGER,
): Genesis {
  const settings = { ...network, ...ledger } as Settings
  const ordered = [...bankers].sort((a, b) => (a.host < b.host ? -1 : 1))
  return decodeGenesis(encodeGenesis({ v: 1, settings, createdAtMs, bankers: ordered }))
}

/** Throws `usage` when it cannot be read or is none. */
export function readGenesis(file: string): Genesis {
  try {
    if (statSync(file).size > MAX_GENESIS_BYTES) throw new ChoraleError('limit', 'it is too long')
    return decodeGenesis(readFileSync(file))
  } catch (error) {
    throw new ChoraleError('usage', `${file} is no genesis: ${errorMessage(error)}`, { cause: error })
  }
}

export function genesisFile(home: string): string {
  return join(home, 'genesis')
}

/** Undefined: the host of this home is in no ledger yet. Throws `config` when it is damaged. */
export function keptGenesis(home: string): Genesis | undefined {
  const file = genesisFile(home)
  if (!statSync(file, { throwIfNoEntry: false })) return undefined
  try {
    return decodeGenesis(readFileSync(file))
  } catch (error) {
    const remedy = 'restore it from a copy, or choose another home with --home DIR'
    throw new ChoraleError('config', `${file} is damaged: ${remedy}`, { cause: error })
  }
}

export function keepGenesis(home: string, genesis: Genesis): void {
  guarded(home, () => writeAtomically(genesisFile(home), encodeGenesis(genesis)))
}

/** What is known before anybody is asked. `given`: a file. Throws `config` when home, file and settings do not fit. */
export function pinnedGenesis(home: string, given: string | undefined, network: NetworkSettings): Genesis | undefined {
  const kept = keptGenesis(home)
  const wanted = given === undefined ? undefined : readGenesis(given)
  if (kept && wanted && networkOf(kept) !== networkOf(wanted)) {
    throw otherLedger(home, kept, `${given} is of ${shown(wanted)}`)
  }
  const pinned = wanted ?? kept
  const fault = pinned && settingsFault(pinned, network)
  if (!fault) return pinned
  const what = wanted ? given : `the ledger of home ${home}`
  throw new ChoraleError('config', `${what} is of another network: ${fault}`)
}

export interface Choice {
  readonly home: string
  /** What `pinnedGenesis` said. */
  readonly pinned: Genesis | undefined
  readonly network: NetworkSettings
  /** Nobody was there to join. */
  readonly first: boolean
  readonly fetch: FetchGenesis
  /** This host and its account. */
  readonly self: Banker
  readonly nowMs: number
}

/**
 * The genesis for a host that has its place in the overlay; keeps it in the home. Throws `config` when all members have
 * another than is pinned or than fits the network, and `unreachable` when there is none to be had.
 */
export async function chooseGenesis(choice: Choice, options: { readonly signal: AbortSignal }): Promise<Genesis> {
  const { home, pinned, network, first } = choice
  const theirs = first ? undefined : await fetched(choice, options)
  if (theirs && pinned && networkOf(theirs) !== networkOf(pinned)) {
    throw otherLedger(home, pinned, `the members of this network keep ${shown(theirs)}`)
  }
  const fault = theirs && settingsFault(theirs, network)
  if (fault) throw new ChoraleError('config', `the members keep the ledger of another network: ${fault}`)
  const genesis = theirs ?? pinned ?? newGenesis(network, [choice.self], choice.nowMs)
  if (!keptGenesis(home)) keepGenesis(home, genesis)
  return genesis
}

/** Undefined when there is one already, and no member has said anything: all may be starting. */
async function fetched({ pinned, network, fetch }: Choice, { signal }: { readonly signal: AbortSignal }) {
  const fits = (genesis: Genesis) =>
    pinned ? networkOf(genesis) === networkOf(pinned) : settingsFault(genesis, network) === undefined
  try {
    return await fetch({ signal, fits })
  } catch (error) {
    if (!pinned || signal.aborted || !['unreachable', 'timeout'].includes(errorCode(error))) throw error
    return undefined
  }
}

const SETTINGS = [
  ['name', '--network'],
  ['space', '--space'],
  ['placement', '--placement'],
  ['successors', '--successors'],
  ['replicas', '--replicas'],
  ['copies', '--replicas'],
] as const satisfies ReadonlyArray<readonly [keyof NetworkSettings, string]>

/** The first setting of the overlay in which they differ, as a sentence with a remedy. */
export function settingsFault(genesis: Genesis, network: NetworkSettings): string | undefined {
  for (const [name, flag] of SETTINGS) {
    const [there, here] = [genesis.settings[name], network[name]]
    if (there !== here) return `${name} is ${there ?? 'as usual'} there and ${here ?? 'as usual'} here: see ${flag}`
  }
  return undefined
}

function otherLedger(home: string, kept: Genesis, other: string): ChoraleError {
  return new ChoraleError(
    'config',
    `home ${home} keeps ${shown(kept)}, but ${other}: choose another home with --home DIR`,
  )
}

/** Enough of its id to tell it from others. */
function shown(genesis: Genesis): string {
  return `ledger ${networkOf(genesis).slice(0, 16)} of network ${genesis.settings.name}`
}
