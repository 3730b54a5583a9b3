/** The report on Sybils of a running host: its overlay, its ledger and what it pins, as `market/sybil-survey.ts` asks for them. */
import type { Env } from './core/env.ts'
import type { Key } from './core/ids.ts'
import { keyOfCid, parseCid } from './dht/cid.ts'
import type { OpenLedger } from './ledger-host.ts'
import type { PublicKey } from './market/ledger/keys.ts'
import { type SybilReport, sybilReport } from './market/sybil-report.ts'
import { survey } from './market/sybil-survey.ts'
import type { Contact } from './net/contact.ts'
import type { NetworkSettings } from './net/network-id.ts'
import { countedMembers, type OverlayHost, shareTo, surroundings } from './overlay-host.ts'

export interface SybilAnalysis {
  /** Asks around, for some seconds at most on a network that answers. */
  report(options?: { readonly signal?: AbortSignal | undefined }): Promise<SybilReport>
}

export interface SybilParts {
  readonly env: Env
  readonly overlay: OverlayHost
  readonly settings: NetworkSettings
  /** Copies of a block. */
  readonly copies: number
  readonly books: Pick<OpenLedger, 'find' | 'ledger' | 'wallet'>
  /** CIDs of what this host keeps alive. */
  readonly pinned: () => readonly string[]
}

export function sybilAnalysis({ env, overlay, settings, copies, books, pinned }: SybilParts): SybilAnalysis {
  const { placement, replicas } = settings
  const { ledger, wallet } = books
  const ports = {
    env: { ...env, random: env.random.fork('sybil'), log: env.log.child('sybil') },
    overlay,
    placement,
    copies,
    replicas,
    seatCap: ledger.genesis.settings.committeeCap,
    counted: () => countedMembers(overlay),
    near: () =>
      surroundings(overlay).map(({ slot, side, members, share }) => ({
        name: `${side} this node${slot === 0 ? '' : `, slot ${slot}`}`,
        members,
        sample: { members: members.length, share },
      })),
    shareTo: (key: Key, contact: Contact) => shareTo(overlay, key, contact),
    committee: () => ledger.status().committee,
    host: wallet.host,
    find: async (host: PublicKey) => (host === wallet.host ? overlay.self : await books.find(host)),
    keys: () => pinned().map((cid) => ({ name: `pin ${cid.slice(0, 12)}`, key: keyOfCid(parseCid(cid)) })),
  }
  return { report: async (options = {}) => sybilReport(await survey(ports, options)) }
}
