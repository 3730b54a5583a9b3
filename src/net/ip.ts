/**
 * IP addresses as text: what is a valid one, and which class it belongs to. A ring mixes no classes (DESIGN 4): a
 * loopback address means another machine to everybody who hears of it, and a private one does so outside its network.
 */
import { isIP, SocketAddress } from 'node:net'

export type IpClass = 'loopback' | 'private' | 'public'

/** IPv4 dotted, or IPv6 as RFC 5952 writes it, without zone; IPv4 in IPv6 clothes is refused: one host, one address. */
export function isCanonicalIp(ip: string): boolean {
  const version = isIP(ip)
  if (version === 4) return true
  if (version !== 6 || ip.includes('%') || ip.startsWith('::ffff:')) return false
  return new SocketAddress({ address: ip, family: 'ipv6' }).address === ip
}

/** Canonical text of an IP as a socket reports it: IPv4 in IPv6 clothes is undressed, a zone cut off. */
export function canonicalIp(ip: string): string | undefined {
  const plain = ip.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '')
  const version = isIP(plain)
  if (version === 0) return undefined
  return version === 4 ? plain : new SocketAddress({ address: plain, family: 'ipv6' }).address
}

/** Listening there means every interface; nobody can be reached there. */
export function isWildcardIp(ip: string): boolean {
  return ip === '0.0.0.0' || ip === '::'
}

/** RFC 1918, RFC 6598 (carriers), RFC 3927 and RFC 4291 link-local, RFC 4193 count as private. */
export function ipClass(ip: string): IpClass {
  if (ip.includes(':')) {
    if (ip === '::1') return 'loopback'
    return /^(f[cd]|fe[89ab])/.test(ip) ? 'private' : 'public'
  }
  const [a = 0, b = 0] = ip.split('.', 2).map(Number)
  if (a === 127) return 'loopback'
  const isPrivate =
    a === 10 ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    (a === 169 && b === 254) ||
    (a === 100 && b >= 64 && b < 128)
  return isPrivate ? 'private' : 'public'
}

/** The block that one customer of a provider is likely to hold: /24 of IPv4, /64 of IPv6. Rate limits count by it. */
export function ipPrefix(ip: string): string {
  if (!ip.includes(':')) return ip.slice(0, ip.lastIndexOf('.'))
  const [head = '', tail] = ip.split('::', 2)
  const groups = head === '' ? [] : head.split(':')
  const zeros = tail === undefined ? 0 : 8 - groups.length - (tail === '' ? 0 : tail.split(':').length)
  return [...groups, ...Array<string>(Math.max(zeros, 0)).fill('0'), ...(tail ? tail.split(':') : [])]
    .slice(0, 4)
    .join(':')
}
