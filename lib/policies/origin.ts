/**
 * Which pages may open a WebSocket. Browsers send cookies along with a handshake from any page and say in the Origin
 * header which it was (RFC 6455 §10.2); who sends none is no browser.
 */

import { atOnce } from '../core/guard.ts'

/** `'report'`: everyone, but a foreign origin is told; `'same-origin'`: the server's own host; a list; a function; false: everyone. */
export type AllowedOrigins<Request> = 'report' | 'same-origin' | readonly string[] | ((origin: string, request: Request) => boolean) | false

/** Whether a page of `origin` may open a socket at `host` (a name, with its port if there is one). */
export function isAllowed<Request> (allowed: AllowedOrigins<Request>, origin: string | undefined, host: string, request: Request): boolean {
  if (allowed === false || origin === undefined) return true
  if (typeof allowed === 'function') return atOnce('allowedOrigins()', allowed(origin, request)) === true
  if (Array.isArray(allowed)) return allowed.includes(origin.toLowerCase())
  return isSameHost(origin, host)
}

/** The scheme is not compared: behind a proxy that ends TLS the server does not know its own. */
function isSameHost (origin: string, host: string): boolean {
  // As browsers write it.
  if (origin.endsWith(host) && (origin.length === host.length + 7 ? origin.startsWith('http://') : origin.length === host.length + 8 && origin.startsWith('https://'))) return true
  const scheme = /^(https?|wss?):\/\//i.exec(origin)?.[0]
  // `null` is what sandboxed pages and files send.
  if (scheme === undefined) return false
  return withoutDefaultPort(origin.slice(scheme.length)) === withoutDefaultPort(host)
}

function withoutDefaultPort (host: string): string {
  return host.toLowerCase().replace(/:(80|443)$/, '')
}

/** Origins that were told, so that each is told once; bounded, for whoever connects chooses them. */
export class ForeignOrigins {
  readonly #told = new Set<string>()

  /** Says whether it is new and worth a line. */
  isNew (origin: string): boolean {
    const start = origin.slice(0, MAX_LENGTH)
    if (this.#told.has(start) || this.#told.size >= MAX_TOLD) return false
    this.#told.add(start)
    return true
  }
}

/** Origins told at most. */
const MAX_TOLD = 100

/** Characters of an origin that are looked at. */
const MAX_LENGTH = 256
