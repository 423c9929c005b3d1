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
import type { LifecycleClientOptions } from './options.ts'
import type { BaseClass, BaseSocket, GlobalClass, LifecycleClass, StandardPart } from './socket.ts'
import { addAttributes, checkClose, closeEventClass, fail, readAddress, readProtocols } from './standard.ts'

const [CONNECTING, OPEN, CLOSING, CLOSED] = [0, 1, 2, 3]
const OFFER = 'lifecycle.v1'
/** How long the messages of the next connection wait for the end of the current one, milliseconds. Work there may take much longer. */
const HOLD = 1_000

/** Longest time that a timer can wait, milliseconds. */
const MAX_TIMER = 2 ** 31 - 1

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
    /** Keys of messages, and when they were delivered; in that order. */
    readonly #keys = new Map<unknown, number>()
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
      if (type === 'blob' || type === 'arraybuffer') this.#binaryType = type
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
          const asked = await this.#ask()
          if (this.#state !== CONNECTING) return
          const state = this.#goTo(asked.url)
          this.#failures = state.failures
          const delay = state.notBefore - performance.now()
          if (delay <= 0) return await this.#open(this.#newLink(asked, state.id), state, state.id)
          if (state.final) {
            this.#state = CLOSING
            // A task of its own: an application that makes a new socket at once must not stop all else.
            await this.#wait(0)
            return this.#finish({ closed: state.final, failure: new Error(`no attempts wanted after ${state.final.code}`) })
          }
          const { notBefore } = state
          await this.#wait(delay, state.namedUntil < notBefore)
          // Another socket may have got a later moment, or a final code.
          if (state.notBefore === notBefore) state.notBefore = state.namedUntil
        }
      } catch (failure) {
        // So here, where no network and no delay lie between two attempts.
        if (!this.#address) await this.#wait(0)
        this.#finish({ closed: LOST, failure: failure as Failure ?? {} })
      }
    }

    async #open (link: Link, state: AddressState, offered?: string) {
      await link.opened
      if (this.#state !== CONNECTING) return
      this.#link = link
      this.#state = OPEN
      // Another socket may have got an id since.
      if (state.id === offered) delete state.id
      void this.#wait(timeout).then(() => { state.failures = this.#failures = 0 })
      this.#dispatch(new Event('open'))
      link.release()
    }

    /** Asks for address and subprotocols: a token in them may be a new one each time. */
    async #ask () {
      const [url, protocols] = await Promise.all(this.#asked.map((value) => typeof value === 'function' ? this.#inTime(value()) : value))
      return { url: readAddress(url), protocols: readProtocols(protocols) }
    }

    /** The socket has this address from now on. */
    #goTo (url: URL) {
      this.#url = url
      return (this.#address = addressState(url.origin + url.pathname))
    }

    #newLink ({ url, protocols }: { url: URL, protocols: string[] }, id?: string) {
      if (this.#state > OPEN) throw new Error('closed')
      const key = crypto.getRandomValues(new Uint32Array(4)).join('-')
      const offers = move ? [OFFER, ...id ? [`${OFFER}.${id}`] : [], `${OFFER}.key.${key}`] : []
      const socket: BaseSocket = new Base(url.href, [...protocols, ...offers], ...this.#rest)
      // The application may set its own while messages are held back.
      socket.binaryType = 'arraybuffer'
      this.#sockets.add(socket)
      const link: Link = new Link(socket, key, (data) => { this.#deliver(data) }, (frame) => this.#takeControlFrame(link, frame))
      void link.ended.then((end) => {
        // The server has confirmed that it has all that was sent there. Any other end may have lost something: the application is told.
        if (link.successor && (end.closed.reason === 'moved' || this.#state > OPEN)) link.successor.release()
        else if (link.successor || link === this.#link) {
          // What it has received is delivered before its end.
          if (link === this.#link) link.release()
          this.#finish(end)
        }
        this.#sockets.delete(socket)
      })
      return link
    }

    #deliver (data: unknown) {
      if (this.#state !== OPEN) return
      if (Object(data) === data && this.#binaryType === 'blob') data = new Blob([data as ArrayBuffer])
      try {
        if (this.#isRepeated(dedupe?.(data))) return
        prepare?.received?.(data, this)
      } catch (error) {
        // It is reported, and ends nothing: this message, those after it and the close still come.
        void Promise.reject(error)
      }
      this.#dispatch(new MessageEvent('message', { data, origin: this.#url!.origin }))
    }

    #isRepeated (key: unknown) {
      if (key === undefined) return false
      const keys = this.#keys
      const now = performance.now()
      for (const [old, at] of keys) {
        // During a move none is forgotten: the same message may be held back for long.
        if (this.#sockets.size > 1 || now - at <= dedupeWindow) break
        keys.delete(old)
      }
      return keys.has(key) || !keys.set(key, now)
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
          const asked = await this.#ask()
          next = this.#newLink(asked, old.id)
          await this.#inTime(next.opened)
          if (next.socket.protocol !== old.socket.protocol) throw new Error('another subprotocol')
          const ready = await this.#inTime(Promise.race([
            prepare?.({ send: (data) => { next!.socket.send(data) }, message: (matches = () => true) => next!.take(matches) }, this),
            next.ended.then(() => { throw new Error() })
          ]))
          if (this.#state + old.socket.readyState + next.socket.readyState > 3 * OPEN) throw new Error('too late')
          if (typeof ready === 'function') ready()
          old.socket.send(`${CONTROL}{"type":"moved"}`)
          next.keep()
          old.successor = this.#link = next
          this.#goTo(asked.url)
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
        if (this.#state === CLOSED) return
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
