/**
 * What the plugin does with a WebSocket: an interface, so that tests run without ws and without a network.
 * One object serves all connections; nothing is allocated per socket.
 */
import type { Buffer } from 'node:buffer'
import type { WebSocket } from 'ws'

/** A message that is encoded once for many connections. */
export interface Frame {
  /** The whole frame, unmasked and not compressed (RFC 6455 §5.2). */
  readonly bytes: Uint8Array
  readonly payload: Uint8Array
  /** The message, if it is text. */
  readonly text: string | undefined
}

export interface Transport {
  /** Sends a close frame (RFC 6455 §5.5.1) after the queued data. */
  close (socket: WebSocket, code: number, reason: string): void
  /** Destroys the raw socket. */
  terminate (socket: WebSocket): void
  /** Stops reading from the raw socket. */
  pause (socket: WebSocket): void
  /** Reads from the raw socket again. */
  resume (socket: WebSocket): void
  /** Whether our close frame has been taken by the kernel. */
  closeFrameLeft (socket: WebSocket): boolean
  /** Whether both close frames were exchanged. */
  closedCleanly (socket: WebSocket): boolean
  /** Bytes queued in this process. */
  pendingBytes (socket: WebSocket): number
  /** Bytes received on the raw socket; 0 if a stream does not count them. */
  bytesReceived (socket: WebSocket): number
  /** Bytes written to the raw socket; 0 if a stream does not count them. */
  bytesSent (socket: WebSocket): number
  /** Encodes a message: text as text, bytes as binary (RFC 6455 §5.6). */
  frame (data: string | Uint8Array): Frame
  /** Sends a message. Returns true if no bytes are queued after it. */
  write (socket: WebSocket, frame: Frame): boolean
  /**
   * Sends a text message past a `send` that the application has replaced. Returns false if the socket is not open, or the
   * application is in the middle of a fragmented message.
   */
  writeText (socket: WebSocket, text: string): boolean
  /** Calls `take` with each text message that arrives, before all others; a message for which it returns true was taken. */
  takeText (socket: WebSocket, take: (message: Buffer) => boolean): void
  /** Whether the application is in the middle of a fragmented message. */
  isMidMessage (socket: WebSocket): boolean
  /** Sends our ping (RFC 6455 §5.5.2); calls `left` when the kernel has taken it. */
  ping (socket: WebSocket, left: () => void): void
  /** Bytes that the kernel has taken. */
  bytesTaken (socket: WebSocket): number
  /** Calls `callback` when the raw socket's queue is empty. Returns a function that stops that. */
  onDrained (socket: WebSocket, callback: () => void): () => void
  /** Whether ws holds input that it has not parsed: it inflates, or delivers one message a turn of the event loop. */
  holdsInput (socket: WebSocket): boolean
  /** Returns the application's listeners for messages. */
  messageListeners (socket: WebSocket): Function[]
  /** Whether the queued automatic pongs have reached `times` their limit. */
  pongsWait (socket: WebSocket, times: number): boolean
  /** Whether the socket is paused, by the application or by a full queue. */
  isPaused (socket: WebSocket): boolean
  /** Turns on TCP keep-alive after `delay` milliseconds of silence. */
  keepAlive (socket: WebSocket, delay: number): void
  /** Whether there is a kernel socket; streams of `injectWS` have none. */
  hasHandle (socket: WebSocket): boolean
}
