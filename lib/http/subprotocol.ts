/**
 * The subprotocol `lifecycle.v1` in an upgrade request (docs/reference/protocol.md).
 *
 * Its offer is taken out of the request before ws, Fastify and the application see it, and kept beside it: they see the request that
 * the client would send without it.
 */
import { Buffer } from 'node:buffer'
import type { IncomingMessage } from 'node:http'

/** Name of the subprotocol; followed by `.` and an id it is a token that is never selected. */
const SUBPROTOCOL = 'lifecycle.v1'

const WITH_ID = `${SUBPROTOCOL}.`
const WITH_KEY = `${SUBPROTOCOL}.key.`
/** 128 bits in base64url. */
const ID = /^[\w-]{22}$/
/** 128 bits of the client's, in any notation of these characters. */
const KEY = /^[\w-]{22,64}$/
const HEADER = 'sec-websocket-protocol'

/** The offer of a client. */
export interface Offer {
  /** The id that the client was given on an earlier connection. */
  readonly id: string | undefined
  /** By which the client knows the control frames of the server, whatever the application sends it. */
  readonly key: string | undefined
  /** Whether it offers no other subprotocol. */
  readonly alone: boolean
  /** What was handed over under the id, once it was taken. */
  record?: string | undefined
}

/** Not properties of the requests, which an application may print: ids are secrets. */
const offers = new WeakMap<IncomingMessage, Offer>()

/** Takes the offer out of an upgrade request. May be called again. */
export function takeOffer (request: IncomingMessage): void {
  const { headers, rawHeaders } = request
  const given: unknown = headers[HEADER]
  if (typeof given !== 'string' || !given.includes(SUBPROTOCOL)) return
  const offered = tokensOf(given)
  const others = offered.filter(isOther)
  if (others.length === offered.length) return
  if (others.length > 0) headers[HEADER] = others.join(', ')
  else Reflect.deleteProperty(headers, HEADER)
  // Requests of `injectWS` have none.
  if (rawHeaders !== undefined) takeFrom(rawHeaders)
  if (!offered.includes(SUBPROTOCOL)) return
  offers.set(request, { id: find(offered, WITH_ID, ID), key: find(offered, WITH_KEY, KEY), alone: others.length === 0 })
}

/** Returns the offer that was taken out of a request. */
export function offerOf (request: IncomingMessage): Offer | undefined { return offers.get(request) }

/** The headers of an answer, as ws emits them: selects the subprotocol if no other was offered, because Chromium fails a handshake otherwise. */
export function selectAlone (headers: string[], request: IncomingMessage): void {
  if (offerOf(request)?.alone === true) headers.push(`Sec-WebSocket-Protocol: ${SUBPROTOCOL}`)
}

function takeFrom (rawHeaders: string[]): void {
  for (let i = rawHeaders.length - 2; i >= 0; i -= 2) {
    if (rawHeaders[i]!.toLowerCase() !== HEADER) continue
    const others = tokensOf(rawHeaders[i + 1]!).filter(isOther)
    if (others.length > 0) rawHeaders[i + 1] = others.join(', ')
    else rawHeaders.splice(i, 2)
  }
}

/** Returns what follows the prefix in the first token where it is valid. A copy: a slice would keep the whole header in memory. */
function find (tokens: string[], prefix: string, valid: RegExp): string | undefined {
  const found = tokens.find((token) => token.startsWith(prefix) && valid.test(token.slice(prefix.length)))
  return found && Buffer.from(found.slice(prefix.length)).toString()
}

function tokensOf (value: string): string[] { return value.split(',').map((token) => token.trim()) }

function isOther (token: string): boolean { return token !== SUBPROTOCOL && !token.startsWith(WITH_ID) }
