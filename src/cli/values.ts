/**
 * What users type, as values. Each parser throws ChoraleError `usage` with one line that names the option, what is wrong
 * and what would be right.
 */
import { isIP } from 'node:net'
import { ChoraleError } from '../core/errors.ts'
import type { Key } from '../core/ids.ts'
import type { Json } from '../mapreduce/types.ts'

function usage(message: string): ChoraleError {
  return new ChoraleError('usage', message)
}

const DECIMAL = /^\+?(\d+(_\d+)*)(\.\d+)?(e\+?\d+)?$/i
/** Digits with optional `_`, point and exponent: 1000000, 1_000_000 and 1e6 are one number. */
export function integer(flag: string, range: { min: number; max: number; example: string }): (text: string) => number {
  return (text) => {
    const value = DECIMAL.test(text) ? Number(text.replaceAll('_', '')) : Number.NaN
    if (Number.isSafeInteger(value) && value >= range.min && value <= range.max) return value
    throw usage(
      `${flag} must be a whole number from ${plain(range.min)} to ${plain(range.max)}, not '${text}': try ${flag} ${range.example}`,
    )
  }
}

function plain(value: number): string {
  return value >= 1e6 && Math.log10(value) % 1 === 0 ? value.toExponential().replace('+', '') : String(value)
}

/** A share in [0, 1). */
export function share(flag: string, example: string): (text: string) => number {
  return (text) => {
    const value = /^\d*\.?\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= 0 && value < 1) return value
    throw usage(`${flag} must be a share from 0 to below 1, not '${text}': try ${flag} ${example}`)
  }
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `500ms`, `30s`, `5m`, `1h`, `2d`; a bare number is seconds. Result in ms. */
export function duration(flag: string, range: { minMs?: number; maxDays?: number; example?: string } = {}) {
  const { minMs = 1, maxDays = 7, example = '30s' } = range
  return (text: string): number => {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text)
    const value = match ? Number(match[1]) * UNIT_MS[match[2] ?? 's']! : Number.NaN
    if (value > 0 && value >= minMs && value <= maxDays * UNIT_MS.d!) return value
    const least = minMs > 1 ? `of ${minMs / 1000} s to` : 'of at most'
    throw usage(`${flag} must be a time ${least} ${maxDays} days, not '${text}': try ${flag} ${example}`)
  }
}

/** `2cpu` or `2`; 0 lends nothing. */
export function cores(flag: string, available: number): (text: string) => number {
  return (text) => {
    const match = /^(\d{1,4})(?:cpus?)?$/i.exec(text)
    const value = match ? Number(match[1]) : Number.NaN
    if (value <= available) return value
    if (value > available)
      throw usage(`${flag} ${text}: this machine has ${available} cores: try ${flag} ${available}cpu`)
    throw usage(`${flag} must be a number of cores, not '${text}': try ${flag} ${Math.min(2, available)}cpu`)
  }
}

export interface Lent {
  readonly cores: number
  readonly memoryBytes?: number
}

/** `2cpu`, `2`, or with memory `2cpu,4GiB`. */
export function lent(flag: string, available: number): (text: string) => Lent {
  const [coresOf, bytesOf] = [cores(flag, available), bytes(flag, { min: 0, example: '2cpu,4GiB' })]
  return (text) => {
    const [first = '', memory, ...more] = text.split(',')
    if (more.length > 0) throw usage(`${flag} must be cores, or cores and memory, not '${text}': try ${flag} 2cpu,4GiB`)
    return { cores: coresOf(first), ...(memory !== undefined && { memoryBytes: bytesOf(memory) }) }
  }
}

const UNIT_BYTES: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  ...Object.fromEntries(['k', 'm', 'g', 't'].map((unit, i) => [`${unit}b`, 1000 ** (i + 1)])),
  ...Object.fromEntries(['k', 'm', 'g', 't'].map((unit, i) => [`${unit}ib`, 1024 ** (i + 1)])),
}

/** `10GiB`, `500MB`, or a bare number of bytes. */
export function bytes(flag: string, range: { min: number; example: string }): (text: string) => number {
  return (text) => {
    const match = /^(\d+(?:\.\d+)?) ?([kmgt]?i?b)?$/i.exec(text)
    const value = match
      ? Math.floor(Number(match[1]) * (UNIT_BYTES[(match[2] ?? '').toLowerCase()] ?? Number.NaN))
      : Number.NaN
    if (Number.isSafeInteger(value) && (value >= range.min || value === 0)) return value
    const least = range.min > 0 ? ` of at least ${range.min / 1024 ** 2} MiB, or 0` : ''
    throw usage(`${flag} must be a number of bytes${least}, not '${text}': try ${flag} ${range.example}`)
  }
}

export interface Endpoint {
  readonly ip: string
  readonly port: number
}

/** `yes` or `no`, also as 1 and 0, for a setting that may come from a variable. */
export function yes(flag: string): (text: string) => boolean {
  return (text) => {
    if (/^(yes|true|1)$/i.test(text)) return true
    if (/^(no|false|0|)$/i.test(text)) return false
    throw usage(`${flag} must be yes or no, not '${text}': try ${flag}`)
  }
}

/** `ip:port`, `[ipv6]:port`, `/ip4/.../tcp/...`, or `localhost:port`. */
export function endpoint(flag: string, options: { anyPort: boolean }): (text: string) => Endpoint {
  return (text) => {
    const match =
      /^\/ip[46]\/(?<ip>[^/]+)\/tcp\/(?<port>\d{1,5})(\/p2p\/\w+)?$/.exec(text) ??
      /^\[(?<ip>[^\]]+)\]:(?<port>\d{1,5})$/.exec(text) ??
      /^(?<ip>[^:]+):(?<port>\d{1,5})$/.exec(text) ??
      (options.anyPort ? /^(?<ip>[^[\]]+)$/.exec(text) : null)
    const name = match?.groups?.ip ?? ''
    const ip = name === 'localhost' ? '127.0.0.1' : name
    const port = Number(match?.groups?.port ?? 0)
    if (isIP(ip) && port <= 65_535 && (port > 0 || options.anyPort)) return { ip, port }
    if (match && !isIP(ip))
      throw usage(`${flag} needs an IP address, not a name, in '${text}': try ${flag} 127.0.0.1:4001`)
    throw usage(`${flag} must be IP:PORT, not '${text}': try ${flag} 127.0.0.1:4001`)
  }
}

export function formatEndpoint({ ip, port }: Endpoint): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}

/** Where a running overlay may live; `vhash/spaces.ts` knows more, for studies. */
export const LIVE_SPACES: readonly string[] = [
  'ring',
  ...['torus', 'cube'].flatMap((family) => [2, 3, 4, 5].map((dimensions) => `${family}${dimensions}`)),
]

export function liveSpace(flag: string): (text: string) => string {
  return (text) => {
    if (LIVE_SPACES.includes(text)) return text
    throw usage(`${flag} must be one of ${LIVE_SPACES.join(', ')}, not '${text}': try ${flag} torus2`)
  }
}

/** How ids may follow from addresses; a test holds them against net/placement.ts, which is not loaded for that. */
export const PLACEMENTS = ['ip-port', 'ip-prefix'] as const
export type Placement = (typeof PLACEMENTS)[number]

/** A network's name is hashed into protocol names; people read it aloud. */
export function networkName(flag: string): (text: string) => string {
  return (text) => {
    if (/^[a-z0-9][a-z0-9._-]{0,62}$/i.test(text)) return text
    throw usage(`${flag} must be 1 to 63 letters, digits, '.', '_' or '-', not '${text}': try ${flag} lab`)
  }
}

/** `key=value`; a value that reads as a number or as JSON is one, anything else is text. */
export function parameter(text: string): [string, Json] {
  const at = text.indexOf('=')
  const name = text.slice(0, at)
  if (at < 1 || !/^[A-Za-z_][\w-]{0,127}$/.test(name)) {
    throw usage(`--param must be NAME=VALUE, not '${text}': try --param samples=1e9`)
  }
  const value = text.slice(at + 1)
  if (DECIMAL.test(value) || /^-\d/.test(value)) {
    const number = Number(value.replaceAll('_', ''))
    if (Number.isFinite(number)) return [name, number]
    throw usage(`--param ${name}: '${value}' is not a number that a computer can hold: try --param ${name}=1e9`)
  }
  try {
    return [name, JSON.parse(value) as Json]
  } catch {
    return [name, value]
  }
}

/** `12/0`: height and index of an operation in the ledger. */
export function place(flag: string): (text: string) => { readonly height: number; readonly index: number } {
  return (text) => {
    const match = /^(\d{1,15})\/(\d{1,4})$/.exec(text)
    if (match) return { height: Number(match[1]), index: Number(match[2]) }
    throw usage(`${flag} must be HEIGHT/INDEX, not '${text}': try ${flag} 12/0`)
  }
}

/** The id of a network's ledger: 64 hex digits. */
export function ledgerId(flag: string): (text: string) => Key {
  return (text) => {
    if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase() as Key
    throw usage(`${flag} must be 64 hex digits, as chorale network show prints them, not '${text}'`)
  }
}
