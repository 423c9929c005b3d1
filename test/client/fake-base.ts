/**
 * A WebSocket class without a network: a test opens its sockets, sends and closes in the place of the server.
 */
import type { TestContext } from 'node:test'
import { CONTROL } from '../../lib/client/link.ts'
import { FakeClock } from '../helpers/fake-clock.ts'

const KEY = 'lifecycle.v1.key.'

interface Ended { code: number, reason: string, wasClean: boolean }

/** One socket of a fake class. */
export class FakeSocket {
  readyState = 0
  bufferedAmount = 0
  protocol = ''
  extensions = ''
  binaryType = 'blob'
  onopen: unknown = null
  onmessage: unknown = null
  onerror: unknown = null
  onclose: unknown = null
  /** What the client has sent. */
  readonly sent: unknown[] = []
  /** What the client has closed with. */
  closedWith: [code?: number, reason?: string] | undefined
  readonly url: string
  readonly protocols: string[]
  readonly rest: unknown[]

  constructor (url: string, protocols: string[], ...rest: unknown[]) {
    this.url = url
    this.protocols = protocols
    this.rest = rest
  }

  send (data: unknown) { this.sent.push(data) }

  /** The server answers at once, as a close frame is answered. */
  close (code?: number, reason?: string) {
    if (this.readyState > 1) return
    const opened = this.readyState === 1
    this.readyState = 2
    this.closedWith = code === undefined ? [] : reason === undefined ? [code] : [code, reason]
    queueMicrotask(() => {
      if (opened) this.end(code ?? 1005, reason)
      else this.fail()
    })
  }

  open (protocol = '') {
    this.protocol = protocol
    this.readyState = 1
    this.#call('open', {})
  }

  receive (data: unknown) { this.#call('message', { data }) }

  /** The handshake has failed, or the connection is cut after an error. */
  fail (message = 'failed') {
    this.readyState = 3
    this.#call('error', { message })
    this.#call('close', { code: 1006, reason: '', wasClean: false })
  }

  end (code: number, reason = '') {
    if (this.readyState === 3) return
    this.readyState = 3
    this.#call('close', { code, reason, wasClean: code !== 1006 } satisfies Ended)
  }

  #call (type: 'open' | 'message' | 'error' | 'close', event: object) {
    const handler = this[`on${type}`]
    if (typeof handler === 'function') handler.call(this, event)
  }
}

/** Makes a fake class; its sockets are in `made`, the newest last. */
export function fakeBase () {
  const made: FakeSocket[] = []
  class Base extends FakeSocket {
    constructor (url: string, protocols: string[], ...rest: unknown[]) {
      super(url, protocols, ...rest)
      made.push(this)
    }
  }
  return { Base, made }
}

/** A control frame with the key of a socket. */
export function frameFor (socket: FakeSocket, frame: object): string {
  const key = socket.protocols.find((protocol) => protocol.startsWith(KEY))?.slice(KEY.length)
  return `${CONTROL}${JSON.stringify({ ...frame, key })}`
}

/** What a socket has offered, without its key. */
export function offersOf (socket: FakeSocket): string[] {
  return socket.protocols.filter((protocol) => !protocol.startsWith(KEY))
}

/** Lets time pass only when a test says so, for all that uses timers and `performance.now()`. */
export function fakeTime (t: TestContext): FakeClock {
  const clock = new FakeClock()
  // As timers are in browsers and in Node.js: a delay that does not fit into 31 bits is none.
  t.mock.method(globalThis, 'setTimeout', ((run: () => void, delay: number) => clock.setTimeout(run, delay < 2 ** 31 ? delay : 1)) as unknown as typeof setTimeout)
  t.mock.method(globalThis, 'clearTimeout', ((timer: never) => { clock.clearTimeout(timer) }) as unknown as typeof clearTimeout)
  t.mock.method(performance, 'now', () => clock.now())
  return clock
}

let number = 0

/** An address of which nothing is known yet. */
export function newAddress (): string {
  return `ws://server.example/${++number}`
}

/** What a socket of the class tells, in the order in which it does. */
export function record (socket: { addEventListener: (...args: any[]) => void }): string[] {
  const events: string[] = []
  socket.addEventListener('open', () => { events.push('open') })
  socket.addEventListener('message', ({ data }: { data: unknown }) => { events.push(`message ${String(data)}`) })
  socket.addEventListener('error', ({ message }: { message?: string }) => { events.push(`error ${message ?? ''}`) })
  socket.addEventListener('close', ({ code, reason, wasClean }: Ended) => { events.push(`close ${code} ${reason}${wasClean ? '' : ' unclean'}`) })
  return events
}
