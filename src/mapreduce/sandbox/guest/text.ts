/** UTF-8 inside an isolate, which has none of its own. */

export class GuestTextEncoder {
  encode(text: string): Uint8Array {
    const bytes = new Uint8Array(text.length)
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 127) return latin1Bytes(unescape(encodeURIComponent(text.toWellFormed())))
      bytes[i] = code
    }
    return bytes
  }
}

function latin1Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i)
  return bytes
}

/** Characters at a time: as many arguments as a call may have. */
const STEP = 4096
/** More bytes than this are decoded by the runner: four times as fast, and worth the call. */
const LONG_BYTES = 64 * 1024

/** UTF-8 to text, outside of the isolate; a byte order mark is kept. */
export type DecodeOutside = (bytes: ArrayBufferLike) => string

let decodeOutside: DecodeOutside | undefined

export function useOutside(decode: DecodeOutside): void {
  decodeOutside = decode
}

export class GuestTextDecoder {
  /** What is no UTF-8 becomes U+FFFD. */
  decode(bytes: Uint8Array): string {
    if (decodeOutside && bytes.length > LONG_BYTES) {
      return decodeOutside(bytes.length === bytes.buffer.byteLength ? bytes.buffer : bytes.slice().buffer)
    }
    let text = ''
    for (let at = 0; at < bytes.length; at += STEP) {
      // Not `...`, which is seven times slower here.
      text += String.fromCharCode.apply(null, bytes.subarray(at, at + STEP) as unknown as number[])
    }
    if (isAscii(bytes)) return text
    try {
      return decodeURIComponent(escape(text))
    } catch {
      return decodeLossy(bytes)
    }
  }
}

function isAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return false
  return true
}

/** As the standard has it: one U+FFFD for each longest beginning of a character that goes no further. */
function decodeLossy(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++]!
    const more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : (first & 0xf0) === 0xe0 ? 2 : 3
    if (more === 3 && (first < 0xf0 || first > 0xf4)) {
      text += '\ufffd'
      continue
    }
    let code = more === 0 ? first : first & (0x3f >> more)
    let lower = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
    let upper = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
    let left = more
    for (; left > 0 && bytes[at]! >= lower && bytes[at]! <= upper; left--) {
      code = (code << 6) | (bytes[at++]! & 0x3f)
      lower = 0x80
      upper = 0xbf
    }
    text += left > 0 ? '\ufffd' : String.fromCodePoint(code)
  }
  return text
}
