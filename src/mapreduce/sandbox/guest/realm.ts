/**
 * Makes a fresh JavaScript realm deterministic and unchangeable: what a job could tell hosts or moments apart by is
 * taken away, and the built-in objects are frozen, so that no code in it, the job's included, can change what other code
 * there relies on. Runs before the job's module is loaded. (After Hardened JavaScript, Agoric.)
 */

/** All others go: clocks, locales, shared memory, weak references, compilers, and whatever a later engine adds. */
const KEPT = new Set([
  ...['Object', 'Function', 'Array', 'String', 'Number', 'Boolean', 'Symbol', 'BigInt', 'Map', 'Set', 'WeakMap'],
  ...['WeakSet', 'Proxy', 'Reflect', 'Promise', 'JSON', 'Math', 'RegExp', 'ArrayBuffer', 'DataView', 'Iterator'],
  ...['Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array'],
  ...['Float16Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array'],
  ...['Error', 'AggregateError', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError'],
  ...['parseInt', 'parseFloat', 'isFinite', 'isNaN', 'NaN', 'Infinity', 'undefined', 'globalThis'],
  ...['encodeURI', 'encodeURIComponent', 'decodeURI', 'decodeURIComponent', 'escape', 'unescape'],
])
/** What depends on the machine's locale. */
const LOCALE = /locale|^normalize$/i

/** `stacks`: keep stack traces, which a job may then read. */
export function hardenRealm(stacks: boolean): void {
  const { ownKeys, deleteProperty } = Reflect
  const getPrototypeOf = (value: unknown) => Object.getPrototypeOf(value) as unknown
  for (const name of ownKeys(globalThis)) if (!KEPT.has(name as string)) deleteProperty(globalThis, name)
  ;(Error as { stackTraceLimit?: number }).stackTraceLimit = stacks ? 10 : 0
  // What the last match was, whoever made it.
  for (const name of ownKeys(RegExp)) if (/^(\$|input|last|left|right)/.test(String(name))) deleteProperty(RegExp, name)
  // What code can reach without a name.
  const found = new Set<object>()
  const roots: unknown[] = [
    globalThis,
    getPrototypeOf(function* () {}),
    getPrototypeOf(async () => {}),
    getPrototypeOf(async function* () {}),
    getPrototypeOf(getPrototypeOf([][Symbol.iterator]())),
    getPrototypeOf([].values().map(() => 0)),
    getPrototypeOf(Iterator.from({ next: () => ({ done: true, value: undefined }) })),
    ...[[][Symbol.iterator](), new Map().entries(), new Set().values(), ''[Symbol.iterator](), 'a'.matchAll(/a/g)].map(
      getPrototypeOf,
    ),
  ]
  const visit = (value: unknown) => {
    if ((typeof value !== 'object' && typeof value !== 'function') || value === null || found.has(value)) return
    found.add(value)
    visit(getPrototypeOf(value))
    for (const key of ownKeys(value)) {
      if (typeof key === 'string' && LOCALE.test(key)) {
        deleteProperty(value, key)
        continue
      }
      const property = Reflect.getOwnPropertyDescriptor(value, key)
      if (!property) continue
      visit(property.get)
      visit(property.set)
      if ('value' in property) visit(property.value)
    }
  }
  for (const root of roots) visit(root)
  allowOverrides(Object.prototype, ['constructor', 'toString', 'valueOf'])
  allowOverrides(Function.prototype, ['constructor', 'toString', 'name'])
  for (const error of [
    Error,
    AggregateError,
    EvalError,
    RangeError,
    ReferenceError,
    SyntaxError,
    TypeError,
    URIError,
  ]) {
    allowOverrides(error.prototype, ['constructor', 'toString', 'name', 'message'])
  }
  for (const object of found) Object.freeze(object)
}

/**
 * A frozen prototype forbids `object.toString = ...` on everything that inherits from it. Programs do that; so what they
 * assign becomes their object's own. For few names, because such a property is slow to read.
 */
function allowOverrides(prototype: object, names: readonly string[]): void {
  for (const name of names) {
    const property = Reflect.getOwnPropertyDescriptor(prototype, name)
    if (!property || !('value' in property)) continue
    const { value } = property
    const get = () => value
    const set = function (this: object, own: unknown) {
      if (this === prototype) throw new TypeError(`${name} of a built-in object cannot be changed`)
      Reflect.defineProperty(this, name, { value: own, writable: true, enumerable: true, configurable: true })
    }
    for (const accessor of [get, set]) Object.freeze(accessor)
    Reflect.defineProperty(prototype, name, { get, set, enumerable: false, configurable: false })
  }
}
