/** All VHash nodes of one host. */
import type { Env } from '../core/env.ts'
import { SlotsHost } from '../dht/slots.ts'
import type { Transport } from '../net/transport.ts'
import { DEFAULT_VHASH, type VHashSettings } from './member.ts'
import { Gossip, Leave, Lookup, Ping } from './messages.ts'
import { VHashNode } from './node.ts'
import { nearer } from './route.ts'
import type { NamedSpace } from './spaces.ts'

export interface VHashHostOptions {
  readonly env: Env
  readonly transport: Transport
  /** Overlay nodes on this host; 0 for a leaf. Default 1. */
  readonly slots?: number | undefined
  readonly settings: Pick<VHashSettings, 'space'> & Partial<VHashSettings>
}

export class VHashHost extends SlotsHost<VHashNode> {
  /** As `torus2`. */
  readonly space: string
  readonly named: NamedSpace

  constructor({ env, transport, slots = 1, settings }: VHashHostOptions) {
    const all = { ...DEFAULT_VHASH, ...settings }
    const { space } = all.space
    super({
      env,
      transport,
      slots,
      name: 'vhash',
      lookupKind: Lookup,
      node: (nodeEnv, self, vicinity) => new VHashNode(nodeEnv, transport, self, vicinity, all),
      isCloser: (a, b, key) => nearer(space, space.pointOf(key), b.member.place, a.member.place),
    })
    this.space = all.space.name
    this.named = all.space
    transport.handle(Gossip, (message, to) => this.at(to).onGossip(message, to.from))
    transport.handle(Ping, (_message, to) => this.at(to).onPing(to.from))
    transport.handle(Leave, (message, to) => this.at(to).onLeave(message, to.from))
    transport.handle(Lookup, (message, to) => this.at(to).onLookup(message))
  }
}
