/** UTF-8 for the codec inside an isolate, which has none of its own. Imported first, for it reads these when it is loaded. */

class GuestTextEncoder {
  encode(text: string): Uint8Array {
    const escaped = unescape(encodeURIComponent(text))
    const bytes = new Uint8Array(escaped.length)
    for (let i = 0; i < escaped.length; i++) bytes[i] = escaped.charCodeAt(i)
    return bytes
  }
}

/** Characters at a time: as many arguments as a call may have. */
const STEP = 4096

class GuestTextDecoder {
  decode(bytes: Uint8Array): string {
    let escaped = ''
    for (let at = 0; at < bytes.length; at += STEP) {
      escaped += String.fromCharCode(...bytes.subarray(at, at + STEP))
    }
    return decodeURIComponent(escape(escaped))
  }
}

Object.assign(globalThis, { TextEncoder: GuestTextEncoder, TextDecoder: GuestTextDecoder })
