/**
 * Kinds of messages: a name and two schemas. In memory a message holds `Contact` objects; on the wire a contact is the
 * tuple [peer, ip, port, slot, incarnation] without its id, which the receiver derives. The conversions are compiled
 * from the schemas, once per kind.
 */
import { type Static, type TSchema, Type } from 'typebox'
import { decode, encode } from '../core/cbor.ts'
import { type Checker, checker } from '../core/codec.ts'
import { ChoraleError } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import { MAX_WIRE_CONTACTS } from '../core/limits.ts'
import { CappedMap } from './capped-map.ts'
import { type Contact, contactAt } from './contact.ts'
import { isCanonicalIp } from './ip.ts'
import { MAX_SLOTS, type Placement } from './placement.ts'

export interface MessageKind<Q extends TSchema = TSchema, R extends TSchema = TSchema> {
  readonly name: string
  readonly request: Q
  readonly reply: R
  /** Carries a block, and so goes on the bulk lane. */
  readonly bulk: boolean
}

export function defineMessage<Q extends TSchema, R extends TSchema>(
  name: string,
  schemas: { request: Q; reply: R },
  { bulk = false }: { bulk?: boolean } = {},
): MessageKind<Q, R> {
  return Object.freeze({ name, ...schemas, bulk })
}

export type RequestOf<K> = K extends MessageKind<infer Q, TSchema> ? Static<Q> : never
export type ReplyOf<K> = K extends MessageKind<TSchema, infer R> ? Static<R> : never

/** The schema of a contact on the wire; typed as what it is in memory. */
export const ContactSchema = Type.Unsafe<Contact>(
  Type.Tuple(
    [
      Type.String({ minLength: 1, maxLength: 128 }),
      Type.String({ minLength: 2, maxLength: 45 }),
      Type.Integer({ minimum: 1, maximum: 65_535 }),
      Type.Integer({ minimum: 0, maximum: MAX_SLOTS - 1 }),
      Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }),
    ],
    { 'x-chorale': 'contact' },
  ),
)

/** 64 hex digits. */
export const KeySchema = Type.Unsafe<Key>(Type.String({ pattern: '^[0-9a-f]{64}$' }))

/** Strict object: unknown fields are refused. */
export function record<P extends Record<string, TSchema>>(properties: P) {
  return Type.Object(properties, { additionalProperties: false })
}

export function BytesSchema(maxLength: number) {
  return Type.Refine(
    Type.Unsafe<Uint8Array>(Type.Unknown()),
    (value) => value instanceof Uint8Array && value.length <= maxLength,
  )
}

/** The two forms of one schema's values. */
export interface Wire<T> {
  /** From memory; throws `internal` when our own message does not fit its schema. */
  toWire(message: T): unknown
  /** From the network, whose placement says what the ids of contacts are; throws `bad-message`. */
  fromWire(value: unknown, placement: Placement): T
}

export interface KindWire<K extends MessageKind = MessageKind> {
  readonly request: Wire<RequestOf<K>>
  readonly reply: Wire<ReplyOf<K>>
}

const wires = new WeakMap<MessageKind, KindWire>()

/** Conversions of a kind, compiled at the first use, so that whoever passes messages as objects pays nothing. */
export function wireOf<K extends MessageKind>(kind: K): KindWire<K> {
  let wire = wires.get(kind)
  if (!wire) {
    wire = { request: compileWire(`${kind.name} request`, kind.request), reply: compileWire(kind.name, kind.reply) }
    wires.set(kind, wire)
  }
  return wire as KindWire<K>
}

export function encodeRequest<K extends MessageKind>(kind: K, message: RequestOf<K>): Uint8Array {
  return encode(wireOf(kind).request.toWire(message))
}

/** Throws `bad-message`. */
export function decodeRequest<K extends MessageKind>(
  kind: K,
  bytes: Uint8Array,
  placement: Placement = 'ip-port',
): RequestOf<K> {
  return wireOf(kind).request.fromWire(decode(bytes), placement)
}

export function encodeReply<K extends MessageKind>(kind: K, message: ReplyOf<K>): Uint8Array {
  return encode(wireOf(kind).reply.toWire(message))
}

/** Throws `bad-message`. */
export function decodeReply<K extends MessageKind>(
  kind: K,
  bytes: Uint8Array,
  placement: Placement = 'ip-port',
): ReplyOf<K> {
  return wireOf(kind).reply.fromWire(decode(bytes), placement)
}

function compileWire(name: string, schema: TSchema): Wire<never> {
  const convert = conversionOf(schema)
  let compiled: Checker<unknown> | undefined
  const parse = (value: unknown): unknown => (compiled ??= checker(schema)).parse(value)
  return {
    toWire(message) {
      const value = convert ? convert.toWire(message) : message
      try {
        return parse(value)
      } catch (cause) {
        throw new ChoraleError('internal', `a ${name} of ours does not fit its schema: ${(cause as Error).message}`, {
          cause,
        })
      }
    },
    fromWire(value, placement) {
      const checked = parse(value)
      return (convert ? convert.fromWire(checked, placement) : checked) as never
    },
  }
}

/** Of values whose shape is known to be right. Absent where a schema holds no contact: both forms are the same then. */
interface Conversion {
  toWire(value: unknown): unknown
  fromWire(value: unknown, placement: Placement): unknown
}

type Node = Readonly<Record<string, unknown>>

function conversionOf(schema: TSchema): Conversion | undefined {
  const node = schema as Node
  if (node['x-chorale'] === 'contact') return contactConversion
  if (Array.isArray(node.anyOf)) return unionConversion(node.anyOf as TSchema[])
  if (node.type === 'array') {
    if (Array.isArray(node.items)) {
      return partsConversion((node.items as TSchema[]).map((item, index) => [index, item]))
    }
    const item = conversionOf(node.items as TSchema)
    if (!item) return undefined
    return {
      toWire: (value) => (value as unknown[]).map(item.toWire),
      fromWire: (value, placement) => (value as unknown[]).map((each) => item.fromWire(each, placement)),
    }
  }
  if (node.type === 'object' && node.properties) {
    return partsConversion(Object.entries(node.properties as Record<string, TSchema>))
  }
  return undefined
}

/** Objects and tuples: copies the value, and converts the parts that hold contacts. */
function partsConversion(parts: ReadonlyArray<readonly [string | number, TSchema]>): Conversion | undefined {
  const converted = parts.flatMap(([name, schema]) => {
    const conversion = conversionOf(schema)
    return conversion ? [{ name, conversion }] : []
  })
  if (converted.length === 0) return undefined
  const apply = (value: unknown, convert: (conversion: Conversion, part: unknown) => unknown) => {
    const copy = (Array.isArray(value) ? value.slice() : { ...(value as object) }) as Record<string | number, unknown>
    for (const { name, conversion } of converted) {
      if (copy[name] !== undefined) copy[name] = convert(conversion, copy[name])
    }
    return copy
  }
  return {
    toWire: (value) => apply(value, (conversion, part) => conversion.toWire(part)),
    fromWire: (value, placement) => apply(value, (conversion, part) => conversion.fromWire(part, placement)),
  }
}

/** The first member that fits decides, in either form. */
function unionConversion(members: readonly TSchema[]): Conversion | undefined {
  const branches = members.map((schema) => ({ schema, conversion: conversionOf(schema) }))
  if (branches.every(({ conversion }) => !conversion)) return undefined
  const compiled = branches.map(({ schema, conversion }) => ({
    conversion,
    onWire: checker(schema),
    inMemory: checker(memoryForm(schema)),
  }))
  return {
    toWire(value) {
      const branch = compiled.find(({ inMemory }) => inMemory.check(value))
      return branch?.conversion ? branch.conversion.toWire(value) : value
    },
    fromWire(value, placement) {
      const branch = compiled.find(({ onWire }) => onWire.check(value))
      return branch?.conversion ? branch.conversion.fromWire(value, placement) : value
    },
  }
}

/** The same schema with contacts as the objects that they are in memory. */
function memoryForm(schema: TSchema): TSchema {
  const node = schema as Node
  if (node['x-chorale'] === 'contact') return ContactInMemory
  const mapped: Record<string, unknown> = { ...node }
  if (Array.isArray(node.anyOf)) mapped.anyOf = (node.anyOf as TSchema[]).map(memoryForm)
  if (Array.isArray(node.items)) mapped.items = (node.items as TSchema[]).map(memoryForm)
  else if (node.items) mapped.items = memoryForm(node.items as TSchema)
  if (node.properties) {
    const entries = Object.entries(node.properties as Record<string, TSchema>)
    mapped.properties = Object.fromEntries(entries.map(([name, property]) => [name, memoryForm(property)]))
  }
  return mapped as TSchema
}

const ContactInMemory = Type.Object({ peer: Type.String(), ip: Type.String(), id: Type.String() })

type ContactTuple = [peer: string, ip: string, port: number, slot: number, incarnation: number]

const contactConversion: Conversion = {
  toWire(value) {
    const { peer, ip, port, slot, incarnation } = value as Contact
    return [peer, ip, port, slot, incarnation]
  },
  fromWire: (value, placement) => contactFromWire(value as ContactTuple, placement),
}

/** Contacts that came lately, so that hashing for their ids is rare. A function of its argument, so sharing it is safe. */
const contacts = new CappedMap<string, Contact>(MAX_WIRE_CONTACTS)

function contactFromWire([peer, ip, port, slot, incarnation]: ContactTuple, placement: Placement): Contact {
  const name = `${port} ${slot} ${incarnation} ${ip} ${placement} ${peer}`
  const known = contacts.get(name)
  if (known) return known
  if (!isCanonicalIp(ip)) throw new ChoraleError('bad-message', `not an IP address in canonical form: ${ip}`)
  const contact = Object.freeze(contactAt({ peer, ip, port, incarnation }, slot, placement))
  contacts.set(name, contact)
  return contact
}
