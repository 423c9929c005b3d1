/**
 * What the rooms above it need of a WebSocket, so that they run without ws and without a network.
 * One shared object serves every connection: nothing is allocated per socket.
 */
import type { WebSocket } from 'ws'

/** A message that was encoded once, for many. */
export interface Frame {
  /** The whole frame, unmasked and not compressed (RFC 6455 §5.2). */
  readonly bytes: Uint8Array
  /** What it carries. */
  readonly payload: Uint8Array
  /** The message itself, where it is text. */
  readonly text: string | undefined
}

export interface Transport {
  /** Sends a close frame (RFC 6455 §5.5.1) after what is queued already. */
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
  /** Bytes that wait on our side for the peer to read. */
  pendingBytes (socket: WebSocket): number
  /** Bytes received on the raw socket; 0 where a stream cannot tell. */
  bytesReceived (socket: WebSocket): number
  /** Bytes handed to the raw socket; 0 where a stream cannot tell. */
  bytesSent (socket: WebSocket): number
  /** Encodes a message: text as text, bytes as binary (RFC 6455 §5.6). */
  frame (data: string | Uint8Array): Frame
  /** Sends a message; says whether nothing waits on our side after it. */
  write (socket: WebSocket, frame: Frame): boolean
  /** Whether the application is in the middle of a fragmented message. */
  isMidMessage (socket: WebSocket): boolean
  /** Sends our ping (RFC 6455 §5.5.2); `left` is called when the kernel has taken it. */
  ping (socket: WebSocket, left: () => void): void
  /** Bytes the kernel has taken. */
  bytesTaken (socket: WebSocket): number
  /** Calls back when nothing waits in the raw socket's queue any more; returns what stops that. */
  onDrained (socket: WebSocket, callback: () => void): () => void
  /** Whether ws holds input that it has not parsed yet: it inflates, or delivers one message a turn of the event loop. */
  holdsInput (socket: WebSocket): boolean
  /** Listeners for messages, as the application has given them. */
  messageListeners (socket: WebSocket): Function[]
  /** Whether `times` as many automatic pongs wait to be taken by the peer as may. */
  pongsWait (socket: WebSocket, times: number): boolean
  /** Whether nothing is read at present: the application, or a queue that is full, has asked for that. */
  isPaused (socket: WebSocket): boolean
  /** Has the kernel look for a peer that is silent for `delay` milliseconds. */
  keepAlive (socket: WebSocket, delay: number): void
  /** Whether a kernel socket is below; streams of `injectWS` have none. */
  hasHandle (socket: WebSocket): boolean
}
