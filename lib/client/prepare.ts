/**
 * `fastify-websocket-lifecycle/client/prepare`: ready-made values for the option `prepare`. Apart from the class, which most
 * applications load without them.
 */
import type { NextConnection, Prepare } from './options.ts'

/** Which messages are sent again, and what answers them. */
export interface HelloOptions {
  /**
   * Returns a key for messages that the server needs again, such as a login: of those with the same key the last one is sent.
   * By default the first message of the connection is.
   */
  hello? (data: any): unknown
  /** Returns true for the message with which the server says that it is ready. It is waited for, and not delivered again. */
  answer? (data: any): boolean
}

/** Prepares the next connection by sending again what the application has begun with: for protocols without subscriptions. */
export function helloAgain (options: HelloOptions = {}): Prepare {
  const sent = new WeakMap<object, Map<unknown, unknown>>()
  const sentOn = (current: object) => sent.get(current) ?? sent.set(current, new Map()).get(current)!
  const isFirst = (current: object) => sentOn(current).size === 0 ? 'first' : undefined

  return Object.assign(async (next: NextConnection, current: object) => {
    const again = new Map(sentOn(current))
    for (const data of again.values()) next.send(data)
    if (again.size > 0 && options.answer !== undefined) await next.message(options.answer)
    return () => { for (const [key, data] of sentOn(current)) if (again.get(key) !== data) next.send(data) }
  }, {
    sent (data: unknown, current: object) {
      const key = options.hello === undefined ? isFirst(current) : options.hello(data)
      if (key !== undefined) sentOn(current).set(key, data)
    }
  })
}

/** What differs from the usual. */
export interface GraphqlOptions {
  /** Returns the payload of `connection_init` for the next connection, for example with a new token. By default it is sent as before. */
  connectionParams? (): unknown
  /** Returns true for operations that are to run on the next connection, too. By default those whose document has the keyword. */
  isSubscription? (payload: any): boolean
}

/** The socket of the application. */
interface Sender { send (data: string): void }

interface Message { type: string, id: string, payload?: { query?: string, operationName?: string } }

/** What is known of one socket's protocol. */
interface Session {
  /** Its `connection_init`, once that was sent. */
  init?: string
  /** Messages that began its running subscriptions, by id. */
  running: Map<string, string>
  /** Those that run on the next connection. */
  again: Map<string, string>
  moved: boolean
}

/**
 * Prepares the next connection for graphql-transport-ws, the protocol of graphql-ws: `connection_init`, and running subscriptions
 * again, which then end on the current one. Queries and mutations are not repeated: their results come on the connection on which
 * they began.
 */
export function graphqlTransportWs ({ connectionParams, isSubscription = hasSubscription }: GraphqlOptions = {}): Prepare {
  const sessions = new WeakMap<object, Session>()
  const sessionOf = (current: object) => sessions.get(current) ??
    sessions.set(current, { running: new Map(), again: new Map(), moved: false }).get(current)!

  return Object.assign(async (next: NextConnection, current: Sender) => {
    const session = sessionOf(current)
    session.moved = false
    // What the application sends first would come a second time.
    if (session.init === undefined) throw new Error('the application has not begun')
    next.send(connectionParams === undefined ? session.init : JSON.stringify({ type: 'connection_init', payload: await connectionParams() }))
    await next.message((data) => read(data)?.type === 'connection_ack')
    session.again = new Map(session.running)
    for (const text of session.again.values()) next.send(text)
    // A server reads in order: after the pong it has these subscriptions, and the events of the other connection may end.
    next.send('{"type":"ping"}')
    await next.message((data) => read(data)?.type === 'pong')
    return () => {
      const { running, again } = session
      // The server would wait for what goes on there. It is ended behind the back of `sent`: the application has not ended it.
      session.running = new Map()
      for (const id of again.keys()) {
        if (running.has(id)) current.send(complete(id))
        else next.send(complete(id))
      }
      for (const [id, text] of running) if (!again.has(id)) next.send(text)
      session.running = running
      session.moved = true
    }
  }, {
    sent (data: unknown, current: object) {
      const message = read(data)
      const { running } = sessionOf(current)
      if (message?.type === 'connection_init') sessionOf(current).init = data as string
      else if (message?.type === 'subscribe' && isSubscription(message.payload ?? {})) running.set(message.id, data as string)
      else if (message?.type === 'complete') running.delete(message.id)
    },
    received (data: unknown, current: Sender) {
      // Results may be large; the end of an operation is not.
      if (typeof data !== 'string' || !/"type"\s*:\s*"(?:complete|error)"/.test(data)) return
      const message = read(data)
      const session = sessionOf(current)
      if (message?.type === 'next' || !session.running.delete(message?.id ?? '')) return
      // Ended on the connection that goes, it still runs on the next.
      if (session.moved && session.again.delete(message!.id)) current.send(complete(message!.id))
    }
  })
}

function complete (id: string): string {
  return JSON.stringify({ id, type: 'complete' })
}

function read (data: unknown): Message | undefined {
  try {
    return JSON.parse(data as string) as Message
  } catch {
    return undefined
  }
}

/** Whether the operation of a request is a subscription, judged by what stands outside of all braces, strings and comments. */
function hasSubscription ({ query = '', operationName }: { query?: string, operationName?: string | null }): boolean {
  let outside = query.replaceAll(/"""(?:\\"""|[^])*?"""|"(?:\\.|[^"\\\n])*"|#.*/g, ' ')
  for (let before = ''; before !== outside;) {
    before = outside
    outside = outside.replaceAll(/\{[^{}]*\}|\([^()]*\)/g, ' ; ')
  }
  return [...outside.matchAll(/(?:^|;)[\s,;]*subscription\b\s*(\w*)/g)].some(([, name]) => !operationName || name === operationName)
}
