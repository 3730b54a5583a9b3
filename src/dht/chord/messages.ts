/** What Chord nodes say to each other. A reply without a view means `busy`: the node is in an operation of its own. */
import { type Static, Type } from 'typebox'
import { ContactSchema, defineMessage, record } from '../../net/message.ts'
import { At, Contacts, lookupMessage, pingMessage } from '../messages.ts'

const ViewSchema = record({
  mode: Type.Union([Type.Literal('young'), Type.Literal('ring')]),
  succ: Contacts,
  prdc: Type.Optional(ContactSchema),
})

export type View = Static<typeof ViewSchema>

/**
 * "You are my successor" (Zave's query and notify in one) or, when the asker has just learnt of the node, "you may be".
 * `preds`: the asker's predecessors, nearest first, so that the other knows the group that it holds replicas for.
 */
export const Stabilize = defineMessage('chord.stabilize', {
  request: record({ preds: Contacts, at: At }),
  reply: record({ view: Type.Optional(ViewSchema), at: At }),
})

/** Young members unite their views. */
export const Exchange = defineMessage('chord.exchange', {
  request: record({ succ: Contacts }),
  reply: record({ view: ViewSchema }),
})

/** A joiner asks the member before its place. `fingers` are for a start: they suit a neighbour nearly as well. */
export const Join = defineMessage('chord.join', {
  request: record({}),
  reply: record({ view: Type.Optional(ViewSchema), fingers: Type.Optional(Contacts) }),
})

export const Ping = pingMessage('chord')

/** The sender leaves. `succ` and `prdc` are what it knew. */
export const Leave = defineMessage('chord.leave', {
  request: record({ succ: Contacts, prdc: Type.Optional(ContactSchema) }),
  reply: record({}),
})

/**
 * "This node may be nearer to you than your successor": rings that were parted close up one by one. Or, `elsewhere`, "it
 * is of a ring that was parted from ours: look for your own place there".
 */
export const Hint = defineMessage('chord.hint', {
  request: record({ contact: ContactSchema, elsewhere: Type.Boolean() }),
  reply: record({}),
})

export const Lookup = lookupMessage('chord')
