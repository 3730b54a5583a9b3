/**
 * Small blocks for one peer travel together, by Nagle's rule (RFC 896): what fills a message leaves at once, and the rest
 * waits only while a message to that peer is under way. So a single block waits for nobody, and many at a time cost one
 * message per round trip. Where one fails, what waits fails with it: the peer may be the wrong one by now.
 */
import { ChoraleError } from '../../../core/errors.ts'
import { MAX_BLOCKS_PER_MESSAGE } from '../../../core/limits.ts'
import type { Contact } from '../../../net/contact.ts'

/** Bytes of blocks that fill a message. Beyond it a message's own cost is small beside that of its blocks. */
const FULL_BYTES = 64 * 1024

interface Sized {
  readonly bytes: Uint8Array
}

interface Waiting<Item, Result> {
  readonly item: Item
  resolve(result: Result): void
  reject(error: unknown): void
}

interface Peer<Item, Result> {
  contact: Contact
  waiting: Waiting<Item, Result>[]
  bytes: number
  underWay: number
  /** It leaves when this turn's callers have added theirs. */
  leaving: boolean
}

export class Gather<Item extends Sized, Result> {
  /** Only those for whom something waits or is under way. */
  readonly #peers = new Map<string, Peer<Item, Result>>()
  readonly #send: (to: Contact, items: Item[]) => Promise<readonly Result[]>

  /** `send`: one message, at most 256 blocks and 64 KiB or one block; resolves with one result per item, in order. */
  constructor(send: (to: Contact, items: Item[]) => Promise<readonly Result[]>) {
    this.#send = send
  }

  /** Resolves with the item's own result, or rejects as its message did, or the one that it waited for. */
  add(to: Contact, item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      let peer = this.#peers.get(to.peer)
      if (!peer) {
        peer = { contact: to, waiting: [], bytes: 0, underWay: 0, leaving: false }
        this.#peers.set(to.peer, peer)
      }
      peer.contact = to // it may have started anew
      if (peer.bytes + item.bytes.length > FULL_BYTES) this.#leave(peer)
      peer.waiting.push({ item, resolve, reject })
      peer.bytes += item.bytes.length
      if (peer.bytes >= FULL_BYTES || peer.waiting.length === MAX_BLOCKS_PER_MESSAGE) this.#leave(peer)
      else this.#leaveSoon(peer)
    })
  }

  #leaveSoon(peer: Peer<Item, Result>): void {
    if (peer.leaving || peer.underWay > 0) return
    peer.leaving = true
    queueMicrotask(() => {
      peer.leaving = false
      this.#leave(peer)
    })
  }

  #leave(peer: Peer<Item, Result>): void {
    const { waiting } = peer
    if (waiting.length === 0) return
    peer.waiting = []
    peer.bytes = 0
    peer.underWay++
    void this.#deliver(peer, waiting)
  }

  async #deliver(peer: Peer<Item, Result>, waiting: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const items = waiting.map(({ item }) => item)
      const results = await this.#send(peer.contact, items)
      if (results.length !== items.length) throw new ChoraleError('bad-message', 'one result for each block, please')
      for (const [index, { resolve }] of waiting.entries()) resolve(results[index] as Result)
    } catch (error) {
      for (const { reject } of [...waiting, ...peer.waiting.splice(0)]) reject(error)
      peer.bytes = 0
    }
    peer.underWay--
    if (peer.waiting.length > 0) this.#leaveSoon(peer)
    else if (peer.underWay === 0) this.#peers.delete(peer.contact.peer)
  }
}
