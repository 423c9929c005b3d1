/**
 * Which pages may open a WebSocket. Browsers send cookies along with a handshake from any page and say in the Origin
 * header which it was (RFC 6455 §10.2); who sends none is no browser.
 */
import { show } from '../base/check.ts'
import { atOnce } from '../base/guard.ts'

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

/** Parts of an entry of a list: scheme, host and port, and what must not be there. */
const PARTS = /^([a-z][a-z0-9+.-]*:\/\/)?([^/?#\s]*)(.*)$/is

/** An entry of a list as browsers write it: in lower case, without a default port, a name outside ASCII in Punycode (RFC 6454 §6.1). */
export function canonicalOrigin (entry: string): string {
  const { origin } = URL.canParse(entry) ? new URL(entry) : { origin: 'null' }
  // Schemes that pages of apps and extensions have (`file://`, `chrome-extension://…`) are opaque to URL.
  return origin === 'null' ? entry.toLowerCase() : origin
}

/** What is wrong with the entries of a list of origins, and what to write instead; empty where nothing is. */
export function mistakesIn (entries: readonly unknown[]): string {
  return entries.map((entry, index) => {
    const mistake = mistakeIn(entry)
    return mistake === '' ? '' : `entry ${index} ${show(entry)}: ${mistake}`
  }).filter((mistake) => mistake !== '').join('; ')
}

/** What was given where a list was probably meant, and what to write instead. */
export function mistakeInPlaceOfAList (given: unknown): string {
  if (given === true || given === '*') return `${show(given)}: false lets every page in`
  return typeof given === 'string' && /[.:]/.test(given) ? `${show(given)}: put it into a list, [${show(given)}]` : show(given)
}

function mistakeIn (entry: unknown): string {
  if (typeof entry !== 'string') return 'an origin is a string, for patterns use a function'
  if (entry.toLowerCase() === 'null') return ''
  if (entry === 'same-origin' || entry === 'report') return 'it stands alone, use a function to allow others beside it'
  if (entry.includes('*')) return 'no wildcards, use a function'
  const [, scheme, host = '', rest] = PARTS.exec(entry)!
  if (scheme === undefined) return `the scheme is missing, as in ${show(`https://${host}`)}`
  if (rest === '/') return `no trailing slash, write ${show(scheme + host)}`
  if (rest !== '') return `nothing may follow the host, write ${show(scheme + host)}`
  // Only for these is a host needed, and known to be one.
  return /^https?:/i.test(scheme) && (!URL.canParse(entry) || host.includes('@')) ? 'not a host and port' : ''
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
