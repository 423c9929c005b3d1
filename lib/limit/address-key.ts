/**
 * The key under which the connections of one address are counted. Every spelling of an address has the same key: it has no port,
 * brackets or zone, IPv4 inside IPv6 is IPv4, and IPv6 is cut to /64, the smallest network that a customer gets (RFC 6177).
 */
import { isIPv4, isIPv6 } from 'node:net'

const MAPPED = '::ffff:'

/** An address in brackets, with or without a port; or an address without colons, with a port. */
const WRAPPED = /^(?:\[([^\]]*)\](?::\d+)?|([^:]*):\d+)$/

/** Returns the key of an address; a string that is not an address is its own key. */
export function addressKey (address: string): string {
  // Fast path: plain IPv4.
  if (!address.includes(':') && !address.startsWith('[')) return address
  // Fast path: IPv4 as a server that listens on `::` shows it.
  if (address.startsWith(MAPPED) && isIPv4(address.slice(MAPPED.length))) return address.slice(MAPPED.length)
  const [, bracketed, bare] = WRAPPED.exec(address) ?? []
  const host = (bracketed ?? bare ?? address).split('%', 1)[0]!
  if (isIPv4(host)) return host
  return isIPv6(host) ? networkOf(host) : address
}

function networkOf (address: string): string {
  const [a, b, c, d, e, f, high, low] = groupsOf(address)
  const isMapped = (a | b | c | d | e) === 0 && f === 0xffff
  // The prefix of NAT64 (RFC 6052 §2.1) has all of IPv4 in one /64.
  const isTranslated = a === 0x64 && b === 0xff9b && (c | d | e | f) === 0
  if (isMapped || isTranslated) return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
  return `${a.toString(16)}:${b.toString(16)}:${c.toString(16)}:${d.toString(16)}::/64`
}

type Groups = [number, number, number, number, number, number, number, number]

/** Parses a valid IPv6 address into its eight groups (RFC 4291 §2.2). */
function groupsOf (address: string): Groups {
  const groups: Groups = [0, 0, 0, 0, 0, 0, 0, 0]
  const gap = address.indexOf('::')
  fill(groups, 0, gap === -1 ? address : address.slice(0, gap))
  if (gap !== -1) {
    const tail = address.slice(gap + 2)
    fill(groups, 8 - lengthOf(tail), tail)
  }
  return groups
}

/** Number of groups in a part of an address. */
function lengthOf (part: string): number {
  return part === '' ? 0 : part.split(':').length + (part.includes('.') ? 1 : 0)
}

function fill (groups: number[], at: number, part: string): void {
  if (part === '') return
  for (const group of part.split(':')) {
    if (!group.includes('.')) {
      groups[at++] = parseInt(group, 16)
      continue
    }
    const [a, b, c, d] = group.split('.').map(Number) as [number, number, number, number]
    groups[at++] = a << 8 | b
    groups[at++] = c << 8 | d
  }
}
