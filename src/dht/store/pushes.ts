/**
 * Copies on their way to replicas. While one is under way, all later updates of the same register share the next: a
 * register that changes often costs a replica one message per round trip.
 */
import type { Key } from '../../core/ids.ts'
import type { Contact } from '../../net/contact.ts'

interface Push {
  readonly current: Promise<boolean>
  next: Promise<boolean> | undefined
}

export class Pushes {
  /** By place and peer; gone as soon as nothing is under way. */
  readonly #under = new Map<string, Push>()
  readonly #put: (place: Key, peer: Contact) => Promise<boolean>

  /** `put` sends the latest value, resolves with whether the peer holds it, and never rejects. */
  constructor(put: (place: Key, peer: Contact) => Promise<boolean>) {
    this.#put = put
  }

  /** Resolves with true once the peer holds what the register was at the time of the call, or later. */
  push(place: Key, peer: Contact): Promise<boolean> {
    const name = `${place} ${peer.peer}`
    const under = this.#under.get(name)
    if (under) return (under.next ??= under.current.then(() => this.#start(name, place, peer)))
    return this.#start(name, place, peer)
  }

  #start(name: string, place: Key, peer: Contact): Promise<boolean> {
    const push: Push = { current: this.#put(place, peer), next: undefined }
    this.#under.set(name, push)
    void push.current.then(() => {
      if (!push.next) this.#under.delete(name)
    })
    return push.current
  }
}
