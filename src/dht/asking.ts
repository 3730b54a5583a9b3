/**
 * Questions to other members, asked with care: one message may get lost, and a live neighbour must not be taken for dead.
 * Common to all overlays.
 */
import type { Env } from '../core/env.ts'
import { ChoraleError, errorCode } from '../core/errors.ts'
import type { Contact } from '../net/contact.ts'
import type { Transport } from '../net/transport.ts'
import type { PingKind } from './messages.ts'
import type { Vicinity } from './vicinity.ts'

/** `out`: not yet asked to join, or it was given up. */
export type Phase = 'out' | 'joining' | 'member' | 'left'

/** One overlay node, as far as it asks others. */
export interface Asker {
  readonly env: Env
  readonly transport: Transport
  readonly self: Contact
  readonly pingKind: PingKind
  readonly vicinity: Vicinity
  /** A contact spoke, or answered. */
  heard(contact: Contact): void
  /** A contact did not answer, or is not what it was. */
  bury(contact: Contact): void
}

/**
 * Does this error of a request say that the node is not there, or no good? `busy` and `aborted` do not. Throws what is
 * no ChoraleError: our own bugs.
 */
export function meansDead(error: unknown): boolean {
  if (!(error instanceof ChoraleError)) throw error
  return error.code !== 'busy' && error.code !== 'aborted'
}

/** An answer is late after so many round-trip times. */
const LATE_RTTS = 2
const MIN_LATE_MS = 50
const UNKNOWN_LATE_MS = 300

/**
 * Sends `question`, and a ping beside it when the answer is late. Resolves with the answer; with `alive` when only the
 * ping was answered, or the contact has no time for us; with `dead`, after burying it.
 */
export function askTwice<T>(asker: Asker, contact: Contact, question: () => Promise<T>): Promise<T | 'alive' | 'dead'> {
  const { env, transport } = asker
  return new Promise((resolve, reject) => {
    let asked = 1
    const settle = (result: T | 'alive' | 'dead') => {
      cancelPing()
      if (result === 'dead' && asked > 0) asker.bury(contact)
      asked = 0
      resolve(result)
    }
    const answered = (result: T | 'alive') => {
      asker.heard(contact)
      settle(result)
    }
    const failed = (error: unknown) => {
      try {
        // `busy` may be our own limits speaking: no proof that the other lives, but none that it is dead.
        if (!meansDead(error)) settle('alive')
        else if (errorCode(error) !== 'timeout' || --asked === 0) {
          asked = Math.max(asked, 1)
          settle('dead')
        }
      } catch (bug) {
        cancelPing()
        reject(bug)
      }
    }
    const ping = () => {
      asked++
      sendPing(asker, contact).then(() => answered('alive'), failed)
    }
    const rtt = transport.rtt(contact.peer)
    const lateMs = rtt === undefined ? UNKNOWN_LATE_MS : Math.max(LATE_RTTS * rtt, MIN_LATE_MS)
    const cancelPing = env.clock.timer(lateMs, ping)
    question().then(answered, failed)
  })
}

/** Pings, twice if need be. Buries the contact when it does not answer. */
export async function isAlive(asker: Asker, contact: Contact): Promise<boolean> {
  return (await askTwice(asker, contact, () => sendPing(asker, contact))) !== 'dead'
}

/** Pings once, and buries nobody: for those who are not expected to answer. */
export async function answersPing(asker: Asker, contact: Contact): Promise<boolean> {
  try {
    await sendPing(asker, contact)
    return true
  } catch (error) {
    meansDead(error)
    return false
  }
}

export async function sendPing({ transport, self, pingKind, vicinity }: Asker, contact: Contact): Promise<void> {
  const { at } = await transport.request(contact, pingKind, {}, { slot: self.slot })
  vicinity.answered(contact.peer, at)
}

/** Guards handlers: whoever speaks for the overlay must have a confirmed address. */
export function confirmed(contact: Contact | undefined): Contact {
  if (contact === undefined) throw new ChoraleError('busy', 'your address is not confirmed yet: try again')
  return contact
}
