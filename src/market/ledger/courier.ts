/**
 * Requests to hosts that are named by their keys: finds them, sends, and remembers who was not where it should be. Messages
 * of consensus go out and are not waited for; what is lost is said again by the step.
 */
import type { Static, TSchema } from 'typebox'
import { encode } from '../../core/cbor.ts'
import type { Env } from '../../core/env.ts'
import { ChoraleError, errorCode } from '../../core/errors.ts'
import type { Key } from '../../core/ids.ts'
import type { Contact } from '../../net/contact.ts'
import type { MessageKind } from '../../net/message.ts'
import type { RequestOptions, Transport } from '../../net/transport.ts'
import type { Message } from './consensus/messages.ts'
import type { Directory } from './directory.ts'
import type { PublicKey } from './keys.ts'
import { MAX_BULK_BYTES, MAX_SAID, MAX_SMALL_BYTES, Say, SayBulk } from './messages.ts'

/** An answer to what is said tells nothing, so it may come late. */
const SAY_TIMEOUT_MS = 10_000
/** How long what nobody waits for, waits for company. */
const COMPANY_MS = 40

export class Courier {
  readonly #env: Env
  readonly #transport: Transport
  readonly directory: Directory
  readonly #network: Key
  #company: PromiseWithResolvers<void> | undefined
  #cancelCompany = () => {}

  constructor(env: Env, transport: Transport, directory: Directory, network: Key) {
    this.#env = env
    this.#transport = transport
    this.directory = directory
    this.#network = network
  }

  /**
   * Resolves when something is said to others, or soon. What is sent then, in that turn, leaves in the same packet: an answer
   * that tells nothing is worth no packet of its own.
   */
  company(): Promise<void> {
    if (!this.#company) {
      this.#company = Promise.withResolvers()
      this.#cancelCompany = this.#env.clock.timer(COMPANY_MS, () => this.#gather())
    }
    return this.#company.promise
  }

  #gather(): void {
    this.#cancelCompany()
    this.#company?.resolve()
    this.#company = undefined
  }

  /** To each of these hosts, in one message where it fits. */
  say(hosts: readonly PublicKey[], epoch: number, messages: readonly Message[]): void {
    for (const { kind, bytes } of parcels(messages.map(encode))) {
      const said = { network: this.#network, epoch, messages: bytes }
      for (const host of hosts) {
        this.ask(host, kind, said, { timeoutMs: SAY_TIMEOUT_MS }).catch((error) => {
          if (errorCode(error) === 'internal') this.#env.log.error('a message could not be sent', { kind: kind.name })
        })
      }
    }
    this.#gather()
  }

  /** Rejects as `Transport.request` does, and with `unreachable` when nobody knows where the host is. */
  async ask<Q extends TSchema, R extends TSchema>(
    host: PublicKey,
    kind: MessageKind<Q, R>,
    message: Static<Q>,
    options?: RequestOptions,
  ): Promise<Static<R>> {
    const contact = this.directory.known(host) ?? (await this.directory.find(host))
    if (!contact) throw new ChoraleError('unreachable', `nobody knows where banker ${host.slice(0, 8)} is`)
    try {
      return await this.#transport.request(contact, kind, message, options)
    } catch (error) {
      const code = errorCode(error)
      if (code === 'gone' || code === 'unreachable') this.directory.failed(contact, code)
      throw error
    }
  }

  /** A host by its contact. */
  request<Q extends TSchema, R extends TSchema>(
    to: Contact,
    kind: MessageKind<Q, R>,
    message: Static<Q>,
    options?: RequestOptions,
  ): Promise<Static<R>> {
    return this.#transport.request(to, kind, message, options)
  }
}

interface Parcel {
  readonly kind: typeof Say
  readonly bytes: Uint8Array[]
}

/** What fits together into one message on the small lane, in order; what is longer goes alone, on the bulk lane. */
function parcels(all: readonly Uint8Array[]): Parcel[] {
  const made: Parcel[] = []
  let room = 0
  for (const bytes of all) {
    if (bytes.length > MAX_BULK_BYTES) continue // no lane carries it
    if (bytes.length > MAX_SMALL_BYTES) {
      made.push({ kind: SayBulk, bytes: [bytes] })
      room = 0
      continue
    }
    const last = made.at(-1)
    if (last && bytes.length <= room && last.bytes.length < MAX_SAID) {
      last.bytes.push(bytes)
      room -= bytes.length
    } else {
      made.push({ kind: Say, bytes: [bytes] })
      room = MAX_SMALL_BYTES - bytes.length
    }
  }
  return made
}
