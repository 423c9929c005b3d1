/**
 * Types of the client: the class that is made, and the class that it is put over.
 *
 * They name no type of lib.dom and none of @types/node: a project has one of them, and need not have the other.
 */

/** What the class needs of a WebSocket of the class that it is put over: of a browser's, of Node's, of `ws`'s. */
export interface BaseSocket {
  /** 0 to 3, as in the standard. */
  readonly readyState: number
  /** Bytes that wait to be sent. */
  readonly bufferedAmount: number
  /** The subprotocol that the server has chosen. */
  readonly protocol: string
  /** The extensions in use. */
  readonly extensions: string
  /** How binary messages are delivered. */
  binaryType: string
  /** The handler of 'open'. */
  onopen: any
  /** The handler of 'message'. */
  onmessage: any
  /** The handler of 'error'. */
  onerror: any
  /** The handler of 'close'. */
  onclose: any
  /** Sends a message. */
  send (data: any): void
  /** Closes the connection. */
  close (code?: number, reason?: string): void
}

/** A class with the standard interface of WebSocket. */
export type BaseClass = new (url: string, protocols?: any, ...rest: any[]) => BaseSocket

/** A WebSocket, for code that runs without a type for it: the standard interface. */
export interface StandardSocket extends BaseSocket {
  /** The address of the connection. */
  readonly url: string
  /** 0: the connection is not open yet. */
  readonly CONNECTING: 0
  /** 1: messages can be sent. */
  readonly OPEN: 1
  /** 2: the connection is being closed. */
  readonly CLOSING: 2
  /** 3: the connection has ended. */
  readonly CLOSED: 3
  /** Adds a listener, a function or an object with `handleEvent`. */
  addEventListener (type: string, listener: any, options?: any): void
  /** Removes a listener. */
  removeEventListener (type: string, listener: any, options?: any): void
  /** Calls the listeners of an event. */
  dispatchEvent (event: any): boolean
}

/** The class that is used where none is given: the global WebSocket. */
export type GlobalClass = typeof globalThis extends {
  /** A browser's or that of Node.js, where the project has a type for it. */
  WebSocket: infer Class extends BaseClass
} ? Class : new (url: string, protocols?: any) => StandardSocket

/** An address of a WebSocket, also as a URL object. */
export type Address = string | {
  /** The whole address. */
  readonly href: string
}

/** A value, or a function that is asked for it before each attempt to connect. */
export type Asked<T> = T | (() => T | Promise<T>)

/** The class that `lifecycle()` returns: WebSocket's standard interface, with the types of the class that it is put over. */
export interface LifecycleClass<Socket> {
  /**
   * Opens a connection. `url` and `protocols` may be functions, asked before each attempt; what follows is passed on as it is.
   * Throws a SyntaxError (DOMException) if the address or the subprotocols are not valid.
   */
  new (url: Asked<Address>, protocols?: Asked<string | string[] | undefined>, ...rest: any[]): Socket
  /** The prototype of its sockets. */
  readonly prototype: Socket
  /** 0: the connection is not open yet. */
  readonly CONNECTING: 0
  /** 1: messages can be sent. */
  readonly OPEN: 1
  /** 2: the connection is being closed. */
  readonly CLOSING: 2
  /** 3: the connection has ended. */
  readonly CLOSED: 3
}

/** The standard interface, as the class below types it where it does. */
export type StandardPart<Class extends BaseClass> =
  Pick<InstanceType<Class>, Extract<keyof InstanceType<Class>, keyof StandardSocket>> & Omit<StandardSocket, keyof InstanceType<Class>>
