/** The end of the network that the ledger of a liar has: it changes what goes out, and answers as it likes (`conspiracy.ts`). */
import type { Static, TSchema } from 'typebox'
import type { Message } from '../../src/market/ledger/consensus/messages.ts'
import {
  Ask,
  type Asked,
  decodeSaid,
  Follow,
  Hand,
  Runs,
  type Said,
  Say,
  SayBulk,
} from '../../src/market/ledger/messages.ts'
import type { Address, Contact } from '../../src/net/contact.ts'
import type { MessageKind } from '../../src/net/message.ts'
import type { Handler, RequestOptions, Transport } from '../../src/net/transport.ts'
import type { SimHost } from '../network.ts'
import type { Conspiracy, Liar } from './conspiracy.ts'

const MAX_DELAY_MS = 1500

export interface LyingPorts {
  readonly real: SimHost
  readonly liar: Liar
  readonly conspiracy: Conspiracy
  /** Where the bankers are now, by their index; undefined: down. */
  contacts(): readonly (Contact | undefined)[]
}

export class LyingTransport implements Transport {
  readonly #ports: LyingPorts

  constructor(ports: LyingPorts) {
    this.#ports = ports
  }

  get self(): Address {
    return this.#ports.real.self
  }

  get peer(): string {
    return this.#ports.real.peer
  }

  get placement() {
    return this.#ports.real.placement
  }

  rtt(peer: string): number | undefined {
    return this.#ports.real.rtt(peer)
  }

  connected(peer: string): boolean {
    return this.#ports.real.connected(peer)
  }

  onPeerDown(handler: (peer: string) => void): () => void {
    return this.#ports.real.onPeerDown(handler)
  }

  async request<Q extends TSchema, R extends TSchema>(
    to: Contact,
    kind: MessageKind<Q, R>,
    message: Static<Q>,
    options?: RequestOptions,
  ): Promise<Static<R>> {
    const { real, conspiracy } = this.#ports
    if (!isSay(kind)) return real.request(to, kind, message, options)
    const said = message as Said
    const member = this.#memberAt(to.peer)
    const messages = member < 0 ? said.messages : said.messages.flatMap((bytes) => this.#twisted(bytes, member))
    const { random, zeal } = conspiracy
    if (messages.length === 0) return {} as Static<R>
    if (random.next() < 0.1 * zeal) await real.env.clock.sleep(random.int(MAX_DELAY_MS))
    return real.request(to, kind, { ...said, messages } as Static<Q>, options)
  }

  #memberAt(peer: string): number {
    return this.#ports.contacts().findIndex((contact) => contact?.peer === peer)
  }

  /** What a member gets of a message that goes to it. */
  #twisted(bytes: Uint8Array, member: number): Uint8Array[] {
    const { conspiracy, liar } = this.#ports
    const { random, zeal } = conspiracy
    const message = decodeSaid(bytes)
    if (message === undefined) return []
    if (message.type === 'proposal') {
      const shown = conspiracy.shown(liar, message, member)
      const proposal = decodeSaid(shown)
      if (proposal?.type !== 'proposal') return []
      const { view } = proposal.block
      const digest = conspiracy.twinFor(proposal.block, member)
      return digest === undefined ? [shown] : [shown, ...conspiracy.votes(['notarize', 'finalize'], view, digest)]
    }
    if (message.type === 'vote' && message.digest !== null && conspiracy.hasTwin(message.digest)) {
      const { kind, view, digest } = message
      return [conspiracy.vote(liar, kind, view, conspiracy.votedFor(digest, view, member))]
    }
    if (random.next() < 0.2 * (1 - zeal)) return [] // withheld
    const again = random.next() < 0.05 ? conspiracy.memory() : undefined
    return again === undefined ? [bytes] : [bytes, again]
  }

  handle<Q extends TSchema, R extends TSchema>(kind: MessageKind<Q, R>, handler: Handler<Q, R>): void {
    const { real, conspiracy } = this.#ports
    const { random, zeal } = conspiracy
    real.handle(kind, async (message, delivery) => {
      if (isSay(kind)) {
        for (const bytes of (message as Said).messages) this.#react(conspiracy.hear(bytes))
        return handler(message, delivery)
      }
      if (random.next() >= 0.3 * zeal) return handler(message, delivery)
      if (kind.name === Hand.name) {
        const { operations } = message as { operations: readonly Uint8Array[] }
        return { answers: operations.map(() => 'waits') } as Static<R>
      }
      if (kind.name === Follow.name) return { height: conspiracy.height + random.int(5), runs: [] } as Static<R>
      if (kind.name === Runs.name) return { runs: [] } as Static<R>
      if (kind.name !== Ask.name) return handler(message, delivery)
      const asked: Asked = { epoch: conspiracy.epoch, height: random.int(conspiracy.height + 5), atWork: true }
      return asked as Static<R>
    })
  }

  /** To what an honest one proposes, or votes for. */
  #react(message: Message | undefined): void {
    const { conspiracy, real } = this.#ports
    const { random, zeal } = conspiracy
    if (message === undefined || random.next() >= zeal) return
    const view = message.type === 'proposal' ? message.block.view : message.type === 'vote' ? message.view : undefined
    const digest =
      message.type === 'proposal' ? conspiracy.digestOf(message.block) : message.type === 'vote' ? message.digest : null
    if (view === undefined || digest === null || random.next() >= (message.type === 'proposal' ? 1 : 0.05)) return
    for (const contact of this.#ports.contacts()) {
      if (contact === undefined || contact.peer === real.peer || random.next() < 0.4) continue
      const kinds = (['notarize', 'nullify', 'finalize'] as const).filter(() => random.next() < 0.7)
      const messages = conspiracy.votes(kinds, view, digest)
      if (random.next() < 0.3) messages.push(conspiracy.forgery(view, digest))
      const said = { network: conspiracy.network, epoch: conspiracy.epoch, messages }
      if (messages.length > 0) real.request(contact, Say, said).catch(() => {})
    }
  }
}

function isSay(kind: MessageKind): boolean {
  return kind.name === Say.name || kind.name === SayBulk.name
}
