/** All Chord nodes of one host. */
import type { Env } from '../../core/env.ts'
import { between } from '../../core/ids.ts'
import type { Transport } from '../../net/transport.ts'
import { SlotsHost } from '../slots.ts'
import type { ChordSettings } from './member.ts'
import { Exchange, Hint, Join, Leave, Lookup, Ping, Stabilize } from './messages.ts'
import { ChordNode } from './node.ts'

export interface ChordHostOptions {
  readonly env: Env
  readonly transport: Transport
  /** Overlay nodes on this host; 0 for a leaf. Default 1. */
  readonly slots?: number | undefined
  readonly settings?: Partial<ChordSettings> | undefined
}

export class ChordHost extends SlotsHost<ChordNode> {
  constructor({ env, transport, slots = 1, settings }: ChordHostOptions) {
    super({
      env,
      transport,
      slots,
      name: 'chord',
      lookupKind: Lookup,
      node: (nodeEnv, self, vicinity) => new ChordNode(nodeEnv, transport, self, vicinity, settings),
      isCloser: (a, b, key) => between(a.self.id, b.self.id, key),
    })
    transport.handle(Stabilize, (message, to) => this.at(to).onStabilize(message, to.from))
    transport.handle(Exchange, (message, to) => this.at(to).onExchange(message, to.from))
    transport.handle(Join, (_message, to) => this.at(to).onJoin(to.from))
    transport.handle(Ping, (_message, to) => this.at(to).onPing(to.from))
    transport.handle(Leave, (message, to) => this.at(to).onLeave(message, to.from))
    transport.handle(Hint, (message, to) => this.at(to).onHint(message, to.from))
    transport.handle(Lookup, (message, to) => this.at(to).onLookup(message, to.from))
  }
}
