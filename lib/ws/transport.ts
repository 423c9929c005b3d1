/**
 * Commands to a ws socket, and its counters: the `Transport` of production.
 */
import { Socket } from 'node:net'
import type { Transport } from '../connection/transport.ts'
import { messageFrame } from './frames.ts'
import { writeMessage, writePing, writeText } from './writes.ts'
import { unwrapListener } from './event-listeners.ts'
import { bytesInSender, bytesPending, bytesTakenFrom, closeFrameReceived, closeFrameSent, givenListener, isMidMessage, pongsWait, rawSocketOf, receiverOf } from '../base/internals.ts'
import { guardFields } from './replaced-methods.ts'
import { takeText } from './taken-text.ts'
import { kPause, kResume } from './tracked-socket.ts'
import type { TrackedSocket } from './tracked-socket.ts'

/** The transport of all connections. */
export const wsTransport: Transport = {
  close: (socket, code, reason) => {
    guardFields(socket)
    socket.close(code, reason)
  },
  terminate: (socket) => {
    guardFields(socket)
    socket.terminate()
    // `terminate` of ws does nothing if the socket is CLOSED or its receiver broken. The raw socket may still be open.
    rawSocketOf(socket).destroy()
  },
  pause: (socket) => { (socket as TrackedSocket)[kPause]() },
  resume: (socket) => { (socket as TrackedSocket)[kResume]() },
  closeFrameLeft: (socket) => closeFrameSent(socket) || wsTransport.pendingBytes(socket) === 0,
  closedCleanly: (socket) => closeFrameSent(socket) && closeFrameReceived(socket),
  pendingBytes: (socket) => bytesPending(rawSocketOf(socket)) + bytesInSender(socket),
  bytesReceived: (socket) => rawSocketOf(socket).bytesRead ?? 0,
  bytesSent: (socket) => rawSocketOf(socket).bytesWritten ?? 0,
  frame: messageFrame,
  write: writeMessage,
  writeText,
  takeText,
  isMidMessage,
  ping: writePing,
  bytesTaken: (socket) => bytesTakenFrom(rawSocketOf(socket)),
  onDrained: (socket, callback) => {
    const raw = rawSocketOf(socket)
    // Any number of callbacks may wait without being a leak. A limit of 0 is none.
    const allow = (more: number) => { if (raw.getMaxListeners() > 0) raw.setMaxListeners(raw.getMaxListeners() + more) }
    allow(1)
    raw.once('drain', callback)
    return () => {
      raw.removeListener('drain', callback)
      allow(-1)
    }
  },
  holdsInput: (socket) => (receiverOf(socket)?.writableLength ?? 0) > 0,
  messageListeners: (socket) => socket.listeners('message').map((listener) => unwrapListener(givenListener(listener)) as Function),
  pongsWait,
  isPaused: (socket) => rawSocketOf(socket).isPaused(),
  keepAlive: (socket, delay) => { rawSocketOf(socket).setKeepAlive(true, delay) },
  hasHandle: (socket) => rawSocketOf(socket) instanceof Socket
}
