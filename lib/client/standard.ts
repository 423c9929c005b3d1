/**
 * What the standard asks of a WebSocket class beside its connection: the checks of arguments, with the errors they throw, constants,
 * handlers, and events (https://websockets.spec.whatwg.org).
 *
 * Nothing is read at import time: globals may be added later, by a polyfill or a test.
 */

/** The close of a connection, as its event tells it. */
export interface Closed { code: number, reason: string, wasClean: boolean }

/** Throws as the standard does. */
export function fail (name: 'SyntaxError' | 'InvalidAccessError' | 'InvalidStateError', message: string): never {
  throw new DOMException(message, name)
}

/** Reads an address, relative to that of the page. Throws a SyntaxError if no WebSocket can be opened there. */
export function readAddress (address: unknown): URL {
  try {
    const url = new URL(address as string, (globalThis as { location?: { href: string } }).location?.href)
    // http: is ws:, https: is wss:.
    url.protocol = url.protocol.replace('http', 'ws')
    if (/^wss?:[^#]+$/.test(url.href)) return url
  } catch {}
  fail('SyntaxError', `not a WebSocket address: ${address as string}`)
}

/** Reads subprotocols, one or a list. Throws a SyntaxError for what is no token (RFC 9110 §5.6.2), and for repetitions. */
export function readProtocols (protocols: unknown): string[] {
  const list = ([] as string[]).concat(protocols as string[] ?? [])
  if (new Set(list).size < list.length || !list.every((protocol) => /^[!#-'*+.^`|~\w-]+$/.test(protocol))) fail('SyntaxError', `not subprotocols: ${list.join()}`)
  return list
}

/** Checks what is given to `close()`. */
export function checkClose (code?: number, reason?: string): void {
  if (code !== undefined && code !== 1000 && !(code >= 3000 && code < 5000)) fail('InvalidAccessError', `not a code for applications: ${code}`)
  if (new TextEncoder().encode(reason).length > 123) fail('SyntaxError', 'reason over 123 bytes')
}

/** Makes the class of close events: the runtime's own where it has one, for libraries copy events by their constructor. */
export function closeEventClass (): new (type: string, init: Closed) => Event {
  return (globalThis as { CloseEvent?: new (type: string, init: Closed) => Event }).CloseEvent ?? class extends Event {
    constructor (type: string, { code, reason, wasClean }: Closed) {
      super(type)
      Object.assign(this, { code, reason, wasClean })
    }
  }
}

/** Gives a class what its body cannot declare: constants, and the handlers `onopen` to `onclose`. */
export function addAttributes (target: { prototype: EventTarget }): void {
  const { prototype } = target
  const define = (holder: object, name: string, descriptor: PropertyDescriptor) => Object.defineProperty(holder, name, { enumerable: true, ...descriptor })
  for (const [value, name] of ['CONNECTING', 'OPEN', 'CLOSING', 'CLOSED'].entries()) {
    define(target, name, { value })
    define(prototype, name, { value })
  }
  for (const type of ['open', 'message', 'error', 'close']) {
    const handlers = new WeakMap<EventTarget, { handler: ((event: Event) => void) | null, handleEvent: (event: Event) => void }>()
    define(prototype, `on${type}`, {
      get () { return handlers.get(this as EventTarget)?.handler ?? null },
      // A handler is a listener. Its place among the others is that of the first assignment after null.
      set (handler) {
        const listener = handlers.get(this as EventTarget) ?? { handler, handleEvent: (event) => { listener.handler!.call(this, event) } }
        handlers.set(this as EventTarget, listener)
        listener.handler = typeof handler === 'function' ? handler : null
        ;(this as EventTarget)[listener.handler ? 'addEventListener' : 'removeEventListener'](type, listener)
      }
    })
  }
}
