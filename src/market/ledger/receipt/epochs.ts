/**
 * The chain of epochs: the last header of each epoch, signed by a quorum of its committee, names the next committee. From
 * the bankers of the genesis on, it tells who could sign in any epoch, without the blocks between.
 */
import { type Static, Type } from 'typebox'
import { checker } from '../../../core/codec.ts'
import type { Key } from '../../../core/ids.ts'
import { MAX_COMMITTEE } from '../../../core/limits.ts'
import { KeySchema, record } from '../../../net/message.ts'
import { decodeCanonical } from '../canonical.ts'
import { committeeDigest, STEP } from '../committee.ts'
import { type Genesis, networkOf } from '../genesis.ts'
import type { PublicKey, Verify } from '../keys.ts'
import { type Fault, faulty } from './fault.ts'
import { SEALED, sealFault } from './header.ts'

export const EpochHeaderSchema = record({
  /** Of the last block of its epoch; above it there are fillers, at most. */
  ...SEALED,
  /** Hosts of the committee that it names as next, in the order of their keys. */
  next: Type.Array(KeySchema, { minItems: 1, maxItems: MAX_COMMITTEE }),
})
export type EpochHeader = Static<typeof EpochHeaderSchema>
const headerChecker = checker(EpochHeaderSchema)

/** Undefined: these bytes are none. Never throws. */
export function decodeEpochHeader(bytes: Uint8Array): EpochHeader | undefined {
  const value = decodeCanonical(bytes)
  return headerChecker.check(value) ? value : undefined
}

/** What is known of an epoch when it begins. */
export interface Epoch {
  readonly committee: readonly PublicKey[]
  /** Height and time of the block before its first. */
  readonly afterHeight: number
  readonly sinceMs: number
}

/** What an epoch is that begins with the genesis. */
export function firstEpoch({ bankers, createdAtMs }: Genesis): Epoch {
  return { committee: bankers.map(({ host }) => host), afterHeight: 0, sinceMs: createdAtMs }
}

/**
 * Epochs 0 to n, from the last headers of epochs 0 to n-1; or what is wrong with these. `known`: what a call for the first of
 * the headers has found; then `headers` are the others.
 */
export function followEpochs(
  genesis: Genesis,
  headers: readonly EpochHeader[],
  verify: Verify,
  known: readonly Epoch[] = [firstEpoch(genesis)],
): { readonly epochs: readonly Epoch[] } | Fault {
  const network = networkOf(genesis)
  const epochs = [...known]
  for (const link of headers) {
    const number = epochs.length - 1
    const fault = linkFault(network, link, number, epochs[number]!, genesis.settings.committeeCap, verify)
    if (fault) return faulty('epoch-chain', `the last header of epoch ${number}: ${fault}`)
    const { height, blockTimeMs } = link.header
    epochs.push({ committee: link.next, afterHeight: height, sinceMs: blockTimeMs })
  }
  return { epochs }
}

function linkFault(
  network: Key,
  link: EpochHeader,
  number: number,
  epoch: Epoch,
  cap: number,
  verify: Verify,
): string | undefined {
  const { header, next } = link
  if (header.epoch !== number) return `it is of epoch ${header.epoch}`
  if (!header.last) return 'it is not the last of its epoch'
  if (header.height <= epoch.afterHeight) return `its height ${header.height} is not after ${epoch.afterHeight}`
  if (header.blockTimeMs < epoch.sinceMs) return 'its time is before that of the epoch before'
  const sealed = sealFault(network, link, epoch.committee, verify)
  if (sealed) return `${sealed.code}: ${sealed.message}`
  if (header.next !== committeeDigest(next)) return 'it does not name the next committee that is given with it'
  if (next.length < 1 || next.length > cap) return `the next committee has ${next.length} seats`
  if (Math.abs(next.length - epoch.committee.length) > STEP) return 'the next committee is more than one step away'
  const ordered = next.every((host, index) => index === 0 || next[index - 1]! < host)
  return ordered ? undefined : 'the next committee has a host twice or out of order'
}
