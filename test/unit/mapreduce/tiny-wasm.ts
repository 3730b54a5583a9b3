/** Small modules of WebAssembly that are jobs but for one thing, put together byte by byte. */

export interface TinyWasm {
  /** Instructions of `map`, without the end; it must leave an i64. */
  readonly map?: readonly number[]
  /** Flags, least and most pages. */
  readonly memory?: readonly number[]
  /** One import of a function without parameters. */
  readonly imports?: readonly [module: string, name: string]
  readonly exports?: readonly string[]
}

const I32 = 0x7f
const I64 = 0x7e
const vector = (items: readonly (readonly number[])[]) => [items.length, ...items.flat()]
const section = (id: number, content: readonly number[]) => [id, ...unsigned(content.length), ...content]
const text = (value: string) => [value.length, ...Buffer.from(value)]

function unsigned(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) | 128, ...unsigned(Math.floor(value / 128))]
}

/** `i64.const` of a number that is not negative. */
export function i64(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 64) {
    bytes.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  return [0x42, ...bytes, rest]
}

/** Its `split` says 16 tasks; its results are the four bytes at 0. */
export function tinyWasm({ map = i64(4 * 2 ** 32), memory = [0, 1], imports, exports }: TinyWasm = {}): Uint8Array {
  const first = imports ? 1 : 0
  const names = exports ?? ['alloc', 'split', 'map', 'reduce', 'finish']
  const bodies = [
    [0x41, 0x80, 0x08], // i32.const 1024
    [0x41, 0, 0x41, 16, 0x36, 2, 0, ...i64(4 * 2 ** 32)], // the number 16 at address 0
    map,
    i64(4 * 2 ** 32),
    i64(4 * 2 ** 32),
  ].map((body) => {
    const whole = [0, ...body, 0x0b]
    return [...unsigned(whole.length), ...whole]
  })
  const types = [
    [0x60, 1, I32, 1, I32],
    [0x60, 2, I32, I32, 1, I64],
    [0x60, 0, 0],
  ]
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(types)),
    ...(imports ? section(2, vector([[...text(imports[0]), ...text(imports[1]), 0, 2]])) : []),
    ...section(3, vector([[0], [1], [1], [1], [1]])),
    ...section(5, vector([memory])),
    ...section(7, vector([[...text('memory'), 2, 0], ...names.map((name, i) => [...text(name), 0, first + i])])),
    ...section(10, vector(bodies)),
  ])
}
