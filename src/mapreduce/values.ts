/**
 * What a job's functions may give: what JSON can hold, and bytes. Encoded as dag-cbor; what does not fit is told with its
 * place in the value.
 */
import { encode } from '../core/cbor.ts'

/** Throws an error that says which part of the value cannot be kept, and why. */
export function encodeValue(value: unknown): Uint8Array {
  try {
    return encode(canonical(value))
  } catch (error) {
    const found = misfit(value, '', new Set())
    if (found === undefined) throw error
    throw new TypeError(found, { cause: error })
  }
}

/** The bits of a NaN differ between machines: those of these arrays are made one. Other bytes are the job's own business. */
function canonical(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Float64Array) return withOneNaN(value, 8, [0, 0, 0, 0, 0, 0, 0xf8, 0x7f])
  if (value instanceof Float32Array) return withOneNaN(value, 4, [0, 0, 0xc0, 0x7f])
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value
  const isList = Array.isArray(value)
  let copy: { [name: string]: unknown } | undefined
  for (const name of Object.keys(value)) {
    const inner = (value as { [name: string]: unknown })[name]
    const made = canonical(inner)
    if (made === inner) continue
    copy ??= (isList ? [...value] : { ...value }) as { [name: string]: unknown }
    copy[name] = made
  }
  return copy ?? value
}

function withOneNaN(numbers: Float64Array | Float32Array, size: number, bits: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength).slice()
  for (let i = 0; i < numbers.length; i++) if (Number.isNaN(numbers[i])) bytes.set(bits, i * size)
  return bytes
}

const RULE = 'a result is what JSON can hold, and Uint8Array'

/** What about it cannot be kept; undefined: nothing that is known here. */
function misfit(value: unknown, place: string, above: Set<object>): string | undefined {
  const at = place === '' ? 'it gave ' : `it gave, at ${place}, `
  if (typeof value === 'number' && !Number.isFinite(value)) return `${at}${value}: no result holds NaN or Infinity`
  if (value === undefined) return `${at}undefined: ${RULE}`
  if (typeof value === 'function' || typeof value === 'symbol') return `${at}a ${typeof value}: ${RULE}`
  if (typeof value === 'bigint') return `${at}a bigint of more than 64 bits: ${RULE}`
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return undefined
  if (above.has(value)) return `${at}an object that holds itself: ${RULE}`
  if (value instanceof Promise) return `${at}a promise: the functions of a job must not be async`
  if (value instanceof Set || value instanceof Map) return `${at}a ${value instanceof Set ? 'Set' : 'Map'}: ${RULE}`
  above.add(value)
  for (const name of Object.keys(value)) {
    const inner = (value as { [name: string]: unknown })[name]
    const found = misfit(inner, Array.isArray(value) ? `${place}[${name}]` : `${place}.${name}`, above)
    if (found !== undefined) return found
  }
  above.delete(value)
  return undefined
}
