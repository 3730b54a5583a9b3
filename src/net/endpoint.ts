/** Places: an IP and a port, whoever is there, and how people write them. */
import { ChoraleError } from '../core/errors.ts'
import { canonicalIp } from './ip.ts'

export interface Endpoint {
  readonly ip: string
  readonly port: number
}

export function sameEndpoint(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  return a !== undefined && b !== undefined && a.port === b.port && a.ip === b.ip
}

export function formatEndpoint({ ip, port }: Endpoint): string {
  return ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
}

/** `ip:port`, `[ipv6]:port`, `localhost:port` or `/ip4/.../tcp/...`. Throws `usage`. */
export function parsePlace(place: string): Endpoint {
  const match =
    /^\/ip[46]\/([^/]+)\/tcp\/(\d+)(?:\/.*)?$/.exec(place) ??
    /^\[([^\]]+)\]:(\d+)$/.exec(place) ??
    /^([^:]+):(\d+)$/.exec(place)
  const ip = match?.[1] === 'localhost' ? '127.0.0.1' : canonicalIp(match?.[1] ?? '')
  const port = Number(match?.[2])
  if (ip && port >= 1 && port <= 65_535) return { ip, port }
  throw new ChoraleError('usage', `not an address: ${place}; write ip:port, for example 192.168.1.5:4001`)
}
