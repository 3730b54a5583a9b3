/**
 * Where the hosts are that the chain names by their keys. A host's contact is known from whatever it says here, and, of
 * neighbours in the overlay, from that; of all others there is a signed record in the overlay (`dht/store/records.ts`), which
 * each banker writes and renews. So there is no other list of addresses to keep, it works on every overlay, and what is
 * wrong in a record is at worst a dead contact: whoever is reached must have the host's key.
 */
import { Type } from 'typebox'
import { decode, encode } from '../../core/cbor.ts'
import { checker } from '../../core/codec.ts'
import type { Env } from '../../core/env.ts'
import { errorMessage } from '../../core/errors.ts'
import { keyFromBytes } from '../../core/ids.ts'
import { MAX_KNOWN_PEERS } from '../../core/limits.ts'
import type { Overlay } from '../../dht/overlay.ts'
import { peerOf, publicKeyOf, type Records } from '../../dht/store/records.ts'
import { CappedMap } from '../../net/capped-map.ts'
import { type Contact, contactAt } from '../../net/contact.ts'
import { isCanonicalIp } from '../../net/ip.ts'
import type { Placement } from '../../net/placement.ts'
import type { PublicKey } from './keys.ts'

const NAME = 'ledger'
const LIFE_MS = 3 * 3_600_000
const RENEW_MS = 3_600_000
/** After it could not be written. */
const RETRY_MS = 5_000
/** Between two searches for one host; and so long a place where it could not be reached is passed over, for a newer one. */
const AGAIN_MS = 2_000

const PlaceSchema = Type.Tuple([
  Type.String({ minLength: 2, maxLength: 45 }),
  Type.Integer({ minimum: 1, maximum: 65_535 }),
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
])
const placeChecker = checker(PlaceSchema)

export interface DirectoryPorts {
  readonly env: Env
  readonly overlay: Pick<Overlay, 'self' | 'neighbours'>
  readonly records: Pick<Records, 'publish' | 'resolve'>
  readonly placement: Placement
}

export class Directory {
  readonly #ports: DirectoryPorts
  readonly #heard = new CappedMap<PublicKey, Contact>(MAX_KNOWN_PEERS)
  readonly #hosts = new CappedMap<string, PublicKey>(MAX_KNOWN_PEERS)
  readonly #searchedAtMs = new CappedMap<PublicKey, number>(MAX_KNOWN_PEERS)
  readonly #searching = new Map<PublicKey, Promise<Contact | undefined>>()
  /** Until when to pass over a place: for ever where another is now, of which neighbours and records may not know yet. */
  readonly #passedOverMs = new CappedMap<string, number>(MAX_KNOWN_PEERS)
  #publishes = false
  #cancelRenewal = () => {}
  #stopped = false

  constructor(ports: DirectoryPorts) {
    this.#ports = ports
  }

  stop(): void {
    this.#stopped = true
    this.#cancelRenewal()
  }

  /** A host has spoken, over a connection that shows who it is. */
  heard(peer: string, contact: Contact | undefined): PublicKey | undefined {
    const host = this.#hostOf(peer)
    if (host !== undefined && contact !== undefined) {
      this.#heard.set(host, contact)
      if (this.#passedOverMs.size > 0) this.#passedOverMs.delete(lifeOf(contact))
    }
    return host
  }

  /** Undefined: the peer's key is none of the ledger's kind. */
  #hostOf(peer: string): PublicKey | undefined {
    const known = this.#hosts.get(peer)
    if (known) return known
    try {
      const host = keyFromBytes(publicKeyOf(peer))
      this.#hosts.set(peer, host)
      return host
    } catch {
      return undefined
    }
  }

  /**
   * The host is gone from there for good, or could not be reached. That may be the network: after a partition nobody else
   * may know where it is, so its place is not forgotten, and is tried again soon.
   */
  failed(contact: Contact, code: 'gone' | 'unreachable'): void {
    const untilMs = code === 'gone' ? Number.POSITIVE_INFINITY : this.#ports.env.clock.now() + AGAIN_MS
    this.#passedOverMs.set(lifeOf(contact), untilMs)
  }

  #isPassedOver(contact: Contact): boolean {
    const untilMs = this.#passedOverMs.get(lifeOf(contact))
    return untilMs !== undefined && this.#ports.env.clock.now() < untilMs
  }

  /** As far as is known without asking anybody. */
  known(host: PublicKey): Contact | undefined {
    const heard = this.#heard.get(host)
    if (heard && !this.#isPassedOver(heard)) return heard
    const peer = peerOf(Buffer.from(host, 'hex'))
    return this.#ports.overlay.neighbours().find((one) => one.peer === peer && !this.#isPassedOver(one))
  }

  /** Looks for the host's record, if it is not known. Never rejects. */
  async find(host: PublicKey): Promise<Contact | undefined> {
    const known = this.known(host)
    if (known) return known
    const nowMs = this.#ports.env.clock.now()
    const running = this.#searching.get(host)
    if (running) return running
    if (nowMs - (this.#searchedAtMs.get(host) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return undefined
    this.#searchedAtMs.set(host, nowMs)
    const search = this.#search(host).finally(() => this.#searching.delete(host))
    this.#searching.set(host, search)
    return search
  }

  async #search(host: PublicKey): Promise<Contact | undefined> {
    const { records, placement } = this.#ports
    try {
      const found = await records.resolve(Buffer.from(host, 'hex'), NAME)
      const place = found && decode(found.value)
      if (!placeChecker.check(place)) return undefined
      const [ip, port, incarnation] = place
      if (!isCanonicalIp(ip)) return undefined
      const address = { peer: peerOf(Buffer.from(host, 'hex')), ip, port, incarnation }
      const contact = Object.freeze(contactAt(address, 0, placement))
      if (this.#isPassedOver(contact)) return undefined
      const heard = this.#heard.get(host)
      if (!heard || this.#isPassedOver(heard)) this.#heard.set(host, contact)
      return contact
    } catch {
      return undefined // another search may be luckier
    }
  }

  /** Neighbours in the overlay, in its order: they follow the chain, as all do. */
  neighbours(): readonly Contact[] {
    const { overlay } = this.#ports
    return overlay.neighbours().filter(({ peer }) => peer !== overlay.self?.peer)
  }

  /** From now on others find this host by its record. */
  publish(): void {
    if (this.#publishes) return
    this.#publishes = true
    void this.#renew()
  }

  async #renew(): Promise<void> {
    const { env, overlay, records } = this.#ports
    const { self } = overlay
    let nextMs = RETRY_MS
    try {
      if (self) {
        await records.publish(NAME, encode([self.ip, self.port, self.incarnation]), { expiresAfterMs: LIFE_MS })
        nextMs = RENEW_MS
      }
    } catch (error) {
      env.log.debug('the record of this banker could not be written', { reason: errorMessage(error) })
    }
    if (!this.#stopped) this.#cancelRenewal = env.clock.timer(nextMs, () => void this.#renew())
  }
}

function lifeOf({ peer, incarnation }: Contact): string {
  return `${peer} ${incarnation}`
}
