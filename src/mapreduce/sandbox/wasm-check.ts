/**
 * What a module of WebAssembly must not have to be a job: imports but `env.abort`, memory that is shared or of 64 bits,
 * atomics, relaxed SIMD (which may differ between processors), and instructions that are newer than this file. The engine
 * checks everything else. (WebAssembly core specification 2.0, section 5: binary format.)
 */
import { ChoraleError } from '../../core/errors.ts'

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
const SECTION = { imports: 2, memories: 5, code: 10 } as const
const KIND = { function: 0, table: 1, memory: 2, global: 3 } as const

export function isWasm(bytes: Uint8Array): boolean {
  return MAGIC.slice(0, 4).every((byte, i) => bytes[i] === byte)
}

/** Throws `user-code` and what is wrong. */
export function checkWasm(bytes: Uint8Array): void {
  const reader = new Reader(bytes)
  if (!MAGIC.every((byte) => reader.byte() === byte)) throw bad('it is no module of version 1')
  while (!reader.atEnd) {
    const id = reader.byte()
    const section = reader.part(reader.unsigned())
    if (id === SECTION.imports) section.times(() => checkImport(section))
    else if (id === SECTION.memories) section.times(() => checkMemory(section))
    else if (id === SECTION.code) section.times(() => checkFunction(section.part(section.unsigned())))
  }
}

function checkImport(reader: Reader): void {
  const [module, name] = [reader.text(), reader.text()]
  const kind = reader.byte()
  if (kind === KIND.function && module === 'env' && name === 'abort') {
    reader.unsigned()
    return
  }
  const called = `${module}.${name}`.slice(0, 100)
  throw bad(`it imports ${called}; a job may import the function env.abort and nothing else`)
}

function checkMemory(reader: Reader): void {
  const flags = reader.byte()
  if ((flags & ~1) !== 0) throw bad('its memory is shared or of 64 bits')
  reader.unsigned()
  if (flags === 1) reader.unsigned()
}

function checkFunction(reader: Reader): void {
  reader.times(() => {
    reader.unsigned()
    reader.byte() // the type of these locals
  })
  while (!reader.atEnd) checkInstruction(reader)
}

function checkInstruction(reader: Reader): void {
  const code = reader.byte()
  if (code === 0xfc) checkPrefixed(reader)
  else if (code === 0xfd) checkVector(reader)
  else if (code >= 0x02 && code <= 0x04)
    reader.signed() // block, loop, if: a type
  else if (code === 0x0c || code === 0x0d || code === 0x10 || code === 0x12) reader.unsigned()
  else if (code === 0x0e) {
    reader.times(() => reader.unsigned()) // br_table
    reader.unsigned()
  } else if (code === 0x11 || code === 0x13)
    reader.unsigned(2) // call_indirect, return_call_indirect
  else if (code === 0x1c)
    reader.times(() => reader.byte()) // select, of a type
  else if (code >= 0x20 && code <= 0x26) reader.unsigned()
  else if (code >= 0x28 && code <= 0x3e) memoryArgument(reader)
  else if (code === 0x3f || code === 0x40) reader.byte()
  else if (code === 0x41 || code === 0x42 || code === 0xd0) reader.signed()
  else if (code === 0x43) reader.skip(4)
  else if (code === 0x44) reader.skip(8)
  else if (code === 0xd2) reader.unsigned()
  else if (!isPlain(code)) throw bad(`it has the instruction 0x${code.toString(16)}, which a job may not use`)
}

/** Instructions without anything behind them. */
function isPlain(code: number): boolean {
  return [0x00, 0x01, 0x05, 0x0b, 0x0f, 0x1a, 0x1b, 0xd1].includes(code) || (code >= 0x45 && code <= 0xc4)
}

/** Saturating conversions, and memory and tables in bulk. */
function checkPrefixed(reader: Reader): void {
  const code = reader.unsigned()
  if (code > 17) throw bad(`it has the instruction 0xfc ${code}, which a job may not use`)
  if (code === 8 || code === 10 || code === 12 || code === 14) reader.unsigned(2)
  else if (code > 7) reader.unsigned()
}

function checkVector(reader: Reader): void {
  const code = reader.unsigned()
  if (code >= 0x100) throw bad('it has relaxed SIMD, which differs between processors')
  if (code <= 11 || code === 92 || code === 93) memoryArgument(reader)
  else if (code === 12 || code === 13) reader.skip(16)
  else if (code >= 21 && code <= 34) reader.byte()
  else if (code >= 84 && code <= 91) {
    memoryArgument(reader)
    reader.byte()
  }
}

/** Alignment and offset. */
function memoryArgument(reader: Reader): void {
  if (reader.unsigned() >= 64) throw bad('it has several memories')
  reader.unsigned()
}

function bad(why: string): ChoraleError {
  return new ChoraleError('user-code', `this WebAssembly cannot be a job: ${why}`)
}

class Reader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw bad('it ends too early')
    return byte
  }

  skip(count: number): void {
    this.#at += count
    if (this.#at > this.#bytes.length) throw bad('it ends too early')
  }

  /** LEB128, of at most 64 bits; the last of `count`. As a number, which may lose low bits of what is never that large. */
  unsigned(count = 1): number {
    let value = 0
    for (let i = 0; i < count; i++) {
      value = 0
      for (let shift = 0; ; shift += 7) {
        const byte = this.byte()
        value += (byte & 0x7f) * 2 ** shift
        if (byte < 0x80) break
        if (shift >= 63) throw bad('it has a number that is too long')
      }
    }
    return value
  }

  /** LEB128 too; nobody needs the value. */
  signed(): void {
    this.unsigned()
  }

  text(): string {
    const length = this.unsigned()
    const from = this.#at
    this.skip(length)
    return Buffer.from(this.#bytes.subarray(from, from + length)).toString()
  }

  part(length: number): Reader {
    const from = this.#at
    this.skip(length)
    return new Reader(this.#bytes.subarray(from, from + length))
  }

  times(read: () => void): void {
    for (let left = this.unsigned(); left > 0; left--) read()
  }
}
