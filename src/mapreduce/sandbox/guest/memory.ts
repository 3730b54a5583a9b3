/**
 * An allocation that failed is no result (SANDBOX: Results), also when the job's code catches the error: how much there is
 * depends on when garbage was collected. So what allocates buffers is wrapped, and notes it.
 */

const TYPED = [
  ...['Int8Array', 'Uint8Array', 'Uint8ClampedArray', 'Int16Array', 'Uint16Array', 'Int32Array', 'Uint32Array'],
  ...['Float16Array', 'Float32Array', 'Float64Array', 'BigInt64Array', 'BigUint64Array'],
]
/** Those that make a buffer without a constructor that a program could see. */
const BUFFER_METHODS = ['resize', 'transfer', 'transferToFixedLength']
const TYPED_METHODS = ['toReversed', 'toSorted', 'with']

type Global = { [name: string]: NewableFunction & { prototype: { [name: string]: unknown } } }

/** Before the realm is hardened. What it gives says whether an allocation has failed since. */
export function watchMemory(): () => boolean {
  const { construct, apply } = Reflect
  const realm = globalThis as unknown as Global
  let failed = false
  const noting = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      if (error instanceof RangeError && error.message === 'Array buffer allocation failed') failed = true
      throw error
    }
  }
  for (const name of ['ArrayBuffer', ...TYPED]) {
    const own = realm[name]
    if (!own) continue
    const wrapped: typeof own = new Proxy(own, {
      construct: (target, args, newTarget): object =>
        noting(() => construct(target, args, newTarget === wrapped ? target : newTarget) as object),
    })
    own.prototype.constructor = wrapped
    realm[name] = wrapped
  }
  const wrapMethods = (prototype: { [name: string]: unknown }, names: readonly string[]) => {
    for (const name of names) {
      const method = prototype[name] as (...args: unknown[]) => unknown
      if (!method) continue
      const wrapped = { [name]: (self: unknown, args: unknown[]) => noting(() => apply(method, self, args)) }[name]!
      prototype[name] = function (this: unknown, ...args: unknown[]) {
        return wrapped(this, args)
      }
    }
  }
  wrapMethods(realm.ArrayBuffer!.prototype, BUFFER_METHODS)
  wrapMethods(Object.getPrototypeOf(realm.Uint8Array!.prototype) as { [name: string]: unknown }, TYPED_METHODS)
  return () => failed
}
