/**
 * Decides which pages may open a WebSocket. Browsers send cookies with a handshake from any page and name the page's origin in the
 * Origin header (RFC 6455 §10.2); a client that sends no such header is not a browser.
 */
import { show } from '../base/check.ts'
import { atOnce } from '../base/guard.ts'

/** `'report'`: all, and foreign origins are logged; `'same-origin'`: the server's own host; a list; a function; false: all. */
export type AllowedOrigins<Request> = 'report' | 'same-origin' | readonly string[] | ((origin: string, request: Request) => boolean) | false

/** Maximum number of foreign origins that are logged. */
const MAX_LOGGED = 100

/** Number of characters of an origin that are compared. */
const MAX_LENGTH = 256

/** Returns whether a page of `origin` may open a socket at `host`, a name with its port if there is one. */
export function isAllowed<Request> (allowed: AllowedOrigins<Request>, origin: string | undefined, host: string, request: Request): boolean {
  if (allowed === false || origin === undefined) return true
  if (typeof allowed === 'function') return atOnce('allowedOrigins()', allowed(origin, request)) === true
  if (Array.isArray(allowed)) return allowed.includes(origin.toLowerCase())
  return isSameHost(origin, host)
}

/** Compares hosts, not schemes: behind a proxy that terminates TLS, the server does not know its own scheme. */
function isSameHost (origin: string, host: string): boolean {
  // Fast path: the origin as browsers write it.
  if (origin.endsWith(host) && (origin.length === host.length + 7 ? origin.startsWith('http://') : origin.length === host.length + 8 && origin.startsWith('https://'))) return true
  const scheme = /^(https?|wss?):\/\//i.exec(origin)?.[0]
  // Sandboxed pages and files send `null`.
  if (scheme === undefined) return false
  return withoutDefaultPort(origin.slice(scheme.length)) === withoutDefaultPort(host)
}

function withoutDefaultPort (host: string): string {
  return host.toLowerCase().replace(/:(80|443)$/, '')
}

/** Parts of an entry of a list: scheme, host with port, and a rest that must be empty. */
const PARTS = /^([a-z][a-z0-9+.-]*:\/\/)?([^/?#\s]*)(.*)$/is

/** Returns an entry of a list as browsers write it: in lower case, without a default port, in Punycode (RFC 6454 §6.1). */
export function canonicalOrigin (entry: string): string {
  const { origin } = URL.canParse(entry) ? new URL(entry) : { origin: 'null' }
  // URL has no origin for the schemes of apps and extensions, such as `chrome-extension://…`.
  return origin === 'null' ? entry.toLowerCase() : origin
}

/** Returns what is wrong with the entries of a list of origins and what to write instead; an empty string if nothing is. */
export function mistakesIn (entries: readonly unknown[]): string {
  return entries.map((entry, index) => {
    const mistake = mistakeIn(entry)
    return mistake === '' ? '' : `entry ${index} ${show(entry)}: ${mistake}`
  }).filter((mistake) => mistake !== '').join('; ')
}

/** Returns what was given instead of a list, and what to write instead. */
export function mistakeInPlaceOfAList (given: unknown): string {
  if (given === true || given === '*') return `${show(given)}: to allow every page, use false`
  return typeof given === 'string' && /[.:]/.test(given) ? `${show(given)}: put it into a list, [${show(given)}]` : show(given)
}

function mistakeIn (entry: unknown): string {
  if (typeof entry !== 'string') return 'not a string (for patterns use a function)'
  if (entry.toLowerCase() === 'null') return ''
  if (entry === 'same-origin' || entry === 'report') return 'not an origin (to allow others as well, use a function)'
  if (entry.includes('*')) return 'wildcards are not supported (use a function)'
  const [, scheme, host = '', rest] = PARTS.exec(entry)!
  if (scheme === undefined) return `the scheme is missing, as in ${show(`https://${host}`)}`
  if (rest === '/') return `remove the trailing slash: ${show(scheme + host)}`
  if (rest !== '') return `remove what follows the host: ${show(scheme + host)}`
  // Other schemes need no host, and their hosts have no known syntax.
  return /^https?:/i.test(scheme) && (!URL.canParse(entry) || host.includes('@')) ? 'not a host and port' : ''
}

/** Foreign origins that were logged, so that each is logged once; bounded, because clients choose them. */
export class ForeignOrigins {
  readonly #logged = new Set<string>()

  /** Returns true if an origin is to be logged, the first time. */
  isNew (origin: string): boolean {
    const start = origin.slice(0, MAX_LENGTH)
    if (this.#logged.has(start) || this.#logged.size >= MAX_LOGGED) return false
    this.#logged.add(start)
    return true
  }
}
