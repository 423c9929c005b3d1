/**
 * The class: WebSocket's standard interface over another class, its Base.
 *
 * What the application sees of it goes from CONNECTING to OPEN, CLOSING and CLOSED, as for any WebSocket. The wait for the moment at
 * which the server wants it back is a part of CONNECTING. After 'close' no timer and no listener of a socket is left.
 */
import { addressState, noteClose } from './backoff.ts'
import type { AddressState } from './backoff.ts'
import { CONTROL, Link, LOST } from './link.ts'
import type { End, Failure } from './link.ts'
import type { BaseClass, BaseSocket, GlobalClass, LifecycleClass, StandardPart } from './socket.ts'
import { addAttributes, checkClose, closeEventClass, fail, readAddress, readProtocols } from './standard.ts'

const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3]
const OFFER = 'lifecycle.v1'
/** How long the messages of the next connection wait for the end of the current one, milliseconds. Work there may take much longer. */
const HOLD = 1_000

/** Longest time that a timer can wait, milliseconds. */
const MAX_TIMER = 2 ** 31 - 1

/** How the class behaves. */
export interface LifecycleClientOptions {
  /** Close codes after which the server wants no further attempts. @default [1008, 3003, 4001] */
  finalCodes?: readonly number[]
  /** How long attempts end at once after a final code, milliseconds. @default 60000 */
  finalFor?: number
  /**
   * How long `url` and `protocols` may take when they are functions, and how long the next connection of a move may take to open and
   * to be prepared, milliseconds. A connection that ends sooner counts as a failed attempt.
   * @default 10000
   */
  timeout?: number
  /** Offers the server to move connections before it goes (subprotocol `lifecycle.v1`). @default true */
  move?: boolean
  /** Makes the next connection of a move ready, for example by logging in; `fastify-websocket-lifecycle/client/prepare` has ready-made ones. */
  prepare?: Prepare
  /** Returns the key of a message: a message with a key that was delivered within `dedupeWindow` is not delivered again. */
  dedupe?: (data: any) => unknown
  /** Milliseconds. @default 10000 */
  dedupeWindow?: number
}

/** The next connection of a move, while it is prepared. */
export interface NextConnection {
  /** Sends a message on it. */
  send (data: any): void
  /** Resolves with the next message on it, or the next that matches. The application does not get that one, and gets all others. */
  message (matches?: (data: any) => boolean): Promise<any>
}

/** Prepares the next connection of a move. */
export interface Prepare {
  /**
   * Called when the next connection is open; the application still uses the current one. A function that it returns is called in the
   * moment of the move: what the application has sent until then went to the current connection, what follows goes to the next.
   */
  (next: NextConnection, current: any): void | (() => void) | Promise<void | (() => void)>
  /** Called with what the application sends. */
  sent? (data: any, current: any): void
  /** Called with what the application gets. */
  received? (data: any, current: any): void
}

/**
 * Makes a WebSocket class over `Base`, the global WebSocket by default. Its sockets wait until the server wants them back. Give it to
 * any client library that takes a class.
 */
export function lifecycle<Class extends BaseClass = GlobalClass> (
  Base: Class = (globalThis as { WebSocket?: unknown }).WebSocket as Class,
  options: LifecycleClientOptions = {}
): LifecycleClass<StandardPart<Class>> {
  const { finalCodes = [1008, 3003, 4001], finalFor = 60_000, timeout = 10_000, move = true, prepare, dedupe, dedupeWindow = 10_000 } = options
  const CloseEvent = closeEventClass()

  class LifecycleSocket extends EventTarget {
    readonly #asked: readonly unknown[]
    readonly #rest: unknown[]
    readonly #sockets = new Set<BaseSocket>()
    readonly #timers = new Set<NodeJS.Timeout>()
    readonly #end = new AbortController()
    #state = CONNECTING
    #url?: URL
    #address?: AddressState
    /** Failures in a row before this attempt. */
    #failures = 0
    #link?: Link
    /** The last request to move. */
    #requested?: object
    #moving = false
    /** Keys of messages: the newer were delivered within the window, the older within two. */
    #keys = { older: new Set<unknown>(), newer: new Set<unknown>(), since: 0 }
    #binaryType = 'blob'

    constructor (url: unknown, protocols: unknown = [], ...rest: unknown[]) {
      super()
      if (typeof url !== 'function') this.#url = readAddress(url)
      if (typeof protocols !== 'function') readProtocols(protocols)
      this.#asked = [url, protocols]
      this.#rest = rest
      void this.#connect()
    }

    get url () { return this.#url?.href ?? '' }
    get readyState () { return this.#state }
    get protocol () { return this.#link?.socket.protocol.replace(/^lifecycle\.v1$/, '') ?? '' }
    get extensions () { return this.#link?.socket.extensions ?? '' }
    get bufferedAmount () { return this.#link?.socket.bufferedAmount ?? 0 }
    get binaryType () { return this.#binaryType }
    set binaryType (type) {
      if (type !== 'blob' && type !== 'arraybuffer') return
      this.#binaryType = type
      for (const socket of this.#sockets) socket.binaryType = type
    }

    send (data: unknown) {
      if (this.#state === CONNECTING) fail('InvalidStateError', 'not open yet')
      prepare?.sent?.(data, this)
      this.#link?.socket.send(Object(data) === data ? data : String(data))
    }

    close (code?: number, reason?: string) {
      if (code !== undefined) code = Number(code)
      if (reason !== undefined) reason = String(reason)
      checkClose(code, reason)
      if (this.#state > OPEN) return
      // Not all classes tell of a close before the connection is open, and there may be none yet.
      if (this.#state === CONNECTING) void this.#wait(0).then(() => { this.#finish({ closed: LOST, failure: {} }) })
      this.#state = CLOSING
      for (const socket of this.#sockets) socket.close(code, reason)
    }

    /** Waits for the moment of this address, and opens the connection. */
    async #connect () {
      try {
        for (;;) {
          const protocols = await this.#ask()
          const state = this.#address = addressState(this.#url!.origin + this.#url!.pathname)
          this.#failures = state.failures
          const delay = state.notBefore - performance.now()
          if (delay <= 0) return await this.#open(this.#newLink(protocols, state.id), state)
          if (state.final) {
            this.#state = CLOSING
            return this.#finish({ closed: state.final, failure: new Error(`no attempts wanted after ${state.final.code}`) })
          }
          const { notBefore } = state
          await this.#wait(delay, state.namedUntil < notBefore)
          // Another socket may have got a later moment, or a final code.
          if (state.notBefore === notBefore) state.notBefore = state.namedUntil
        }
      } catch (failure) {
        this.#finish({ closed: LOST, failure: failure as Failure ?? {} })
      }
    }

    async #open (link: Link, state: AddressState) {
      await link.opened
      if (this.#state !== CONNECTING) return
      this.#link = link
      this.#state = OPEN
      delete state.id
      void this.#wait(timeout).then(() => { state.failures = this.#failures = 0 })
      this.#dispatch(new Event('open'))
      link.release()
    }

    /** Asks for address and subprotocols: a token in them may be a new one each time. */
    async #ask () {
      const [url, protocols] = await Promise.all(this.#asked.map((value) => typeof value === 'function' ? this.#inTime(value()) : value))
      this.#url = readAddress(url)
      return readProtocols(protocols)
    }

    #newLink (protocols: string[], id?: string) {
      if (this.#state > OPEN) throw new Error('closed')
      const key = crypto.getRandomValues(new Uint32Array(4)).join('-')
      const offers = move ? [OFFER, ...id ? [`${OFFER}.${id}`] : [], `${OFFER}.key.${key}`] : []
      const socket: BaseSocket = new Base(this.#url!.href, [...protocols, ...offers], ...this.#rest)
      socket.binaryType = this.#binaryType
      this.#sockets.add(socket)
      const link = new Link(socket, key, (data) => { this.#deliver(data) }, (link, frame) => this.#takeControlFrame(link, frame))
      void link.ended.then((end) => {
        this.#sockets.delete(socket)
        // The server has confirmed that it has all that was sent there. Any other end may have lost something: the application is told.
        if (link.successor && (end.closed.reason === 'moved' || this.#state > OPEN)) link.successor.release()
        else if (link.successor || link === this.#link) {
          // What it has received is delivered before its end.
          if (link === this.#link) link.release()
          this.#finish(end)
        }
      })
      return link
    }

    #deliver (data: unknown) {
      if (this.#state !== OPEN || this.#isRepeated(dedupe?.(data))) return
      prepare?.received?.(data, this)
      this.#dispatch(new MessageEvent('message', { data, origin: this.#url!.origin }))
    }

    #isRepeated (key: unknown) {
      if (key === undefined) return false
      const keys = this.#keys
      const now = performance.now()
      // During a move none is forgotten: the same message may be held back for long.
      if (this.#sockets.size < 2 && now - keys.since > dedupeWindow) this.#keys = { older: keys.newer, newer: new Set(), since: now }
      const repeated = this.#keys.older.has(key) || this.#keys.newer.has(key)
      this.#keys.newer.add(key)
      return repeated
    }

    /** Takes a control frame of the server. Returns false for what is none: it may be a message of another client. */
    #takeControlFrame (link: Link, text: string) {
      try {
        const frame = JSON.parse(text) as { type: string, in: number, id: string, key: string }
        if (frame.key !== link.key) return false
        if (/^[\w-]{22}$/.test(frame.id)) link.id = frame.id
        if (frame.type === 'move') {
          this.#requested = frame
          void this.#wait(Math.min(frame.in, MAX_TIMER)).then(() => { if (frame === this.#requested && link === this.#link && !this.#moving) void this.#move(link) })
        }
        return true
      } catch {
        return false
      }
    }

    /** Opens the next link, and sends on it from then on. Where that fails, all stays as it is. */
    async #move (old: Link) {
      this.#moving = true
      old.release()
      for (let attempt = 0; attempt < 4 && this.#state === OPEN; attempt++) {
        let next: Link | undefined
        try {
          if (attempt) await this.#wait(Math.random() * 100 * 2 ** attempt)
          next = this.#newLink(await this.#ask(), old.id)
          await this.#inTime(next.opened)
          const { socket } = next
          if (socket.protocol !== old.socket.protocol) throw new Error('another subprotocol')
          const ready = await this.#inTime(Promise.race([
            prepare?.({ send: (data) => { socket.send(data) }, message: (matches = () => true) => next!.take(matches) }, this),
            next.ended.then(() => { throw new Error('ended') })
          ]))
          if (this.#state + old.socket.readyState + socket.readyState > 3 * OPEN) throw new Error('too late')
          ready?.()
          old.socket.send(`${CONTROL}{"type":"moved"}`)
          next.keep()
          old.successor = this.#link = next
          void this.#wait(HOLD).then(() => { next!.release() })
          break
        } catch {
          next?.socket.close()
        }
      }
      this.#moving = false
    }

    #finish ({ closed, failure }: End) {
      if (this.#state === CLOSED) return
      // What the application itself has closed may come back at any time.
      if (this.#state < CLOSING && this.#address) {
        noteClose(this.#address, closed, this.#failures, finalCodes, finalFor)
        this.#address.id = this.#link?.id ?? this.#address.id
      }
      this.#state = CLOSED
      this.#end.abort()
      for (const timer of this.#timers) clearTimeout(timer)
      for (const socket of this.#sockets) socket.close()
      // Libraries copy `error` if there is such a member, and then need an Error.
      if (failure) this.#dispatch(Object.assign(new Event('error'), failure.message && { message: failure.message, error: failure.error ?? failure }))
      this.#dispatch(new CloseEvent('close', closed))
    }

    #dispatch (event: Event) { super.dispatchEvent(event) }

    /** Resolves after a time, never if the socket ends before. `online`: also when the network is back. */
    #wait (delay: number, online?: boolean) {
      return new Promise<unknown>((resolve) => {
        const timer = setTimeout(() => {
          this.#timers.delete(timer)
          resolve(undefined)
        }, delay)
        this.#timers.add(timer)
        if (online) (globalThis as Partial<EventTarget>).addEventListener?.('online', resolve, { once: true, signal: this.#end.signal })
      })
    }

    #inTime<T> (promise: T) {
      return Promise.race([promise, this.#wait(timeout).then(() => { throw new Error('timeout') })])
    }
  }

  addAttributes(LifecycleSocket)
  return LifecycleSocket as unknown as LifecycleClass<StandardPart<Class>>
}
