/** Imported first, for the codec reads these when it is loaded. */
import { GuestTextDecoder, GuestTextEncoder } from './text.ts'

Object.assign(globalThis, { TextEncoder: GuestTextEncoder, TextDecoder: GuestTextDecoder })
