/** What VHash nodes say to each other. */
import { Type } from 'typebox'
import { MAX_SHORT_PEERS } from '../core/limits.ts'
import { At, Contacts, lookupMessage, pingMessage } from '../dht/messages.ts'
import { ContactSchema, defineMessage, record } from '../net/message.ts'

const ShortPeers = Type.Array(ContactSchema, { maxItems: MAX_SHORT_PEERS })

const View = record({
  /** Those that the sender keeps as neighbours. */
  short: ShortPeers,
  /** A few of the others that it knows, for those whose neighbourhood is not settled. */
  long: Contacts,
  at: At,
})

/** Neighbours tell each other their neighbours; who asks to join does the same. The answer is the view as it was before. */
export const Gossip = defineMessage('vhash.gossip', { request: View, reply: View })

export const Ping = pingMessage('vhash')

/** The sender leaves; its neighbours become each other's. */
export const Leave = defineMessage('vhash.leave', { request: record({ short: ShortPeers }), reply: record({}) })

export const Lookup = lookupMessage('vhash')
