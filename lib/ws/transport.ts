/**
 * How the rooms reach a ws socket: the commands and the numbers of `Transport`.
 */
import { Socket } from 'node:net'
import type { WebSocket } from 'ws'
import type { Transport } from '../connection/transport.ts'
import { messageFrame } from './frames.ts'
import { writeMessage, writePing } from './writes.ts'
import { givenListener } from './event-listeners.ts'
import { bytesInSender, closeFrameReceived, closeFrameSent, holdsInput, isMidMessage, pongsWait, rawSocketOf } from './internals.ts'
import { guardFields } from './replaced-methods.ts'
import { kPause, kResume } from './tracked-socket.ts'
import type { TrackedSocket } from './tracked-socket.ts'

/** What Node keeps to itself of a raw socket. */
type RawSocket = Socket & { _writableState: { writing: boolean, writelen: number }, _handle?: { bytesWritten?: number, writeQueueSize?: number } | null }

const insideOf = (socket: WebSocket): RawSocket => rawSocketOf(socket) as RawSocket

/** How the rooms reach a ws socket. */
export const wsTransport: Transport = {
  close: (socket, code, reason) => {
    guardFields(socket)
    socket.close(code, reason)
  },
  terminate: (socket) => {
    guardFields(socket)
    socket.terminate()
    // ws does nothing once it is CLOSED or broken; the raw socket may still be there.
    rawSocketOf(socket).destroy()
  },
  pause: (socket) => { (socket as TrackedSocket)[kPause]() },
  resume: (socket) => { (socket as TrackedSocket)[kResume]() },
  closeFrameLeft: (socket) => closeFrameSent(socket) || wsTransport.pendingBytes(socket) === 0,
  closedCleanly: (socket) => closeFrameSent(socket) && closeFrameReceived(socket),
  pendingBytes: (socket) => {
    const raw = insideOf(socket)
    // As a rule; what libuv holds is dearer to ask for.
    if (raw.writableLength === 0) return bytesInSender(socket)
    const { writing, writelen } = raw._writableState
    // During a large write `writableLength` stands still and has all of it; what libuv still holds is what waits.
    return raw.writableLength - (writing ? writelen : 0) + (raw._handle?.writeQueueSize ?? 0) + bytesInSender(socket)
  },
  bytesReceived: (socket) => rawSocketOf(socket).bytesRead ?? 0,
  bytesSent: (socket) => rawSocketOf(socket).bytesWritten ?? 0,
  frame: messageFrame,
  write: writeMessage,
  isMidMessage,
  ping: writePing,
  bytesTaken: (socket) => {
    const { _handle: handle } = insideOf(socket)
    return (handle?.bytesWritten ?? 0) - (handle?.writeQueueSize ?? 0)
  },
  onDrained: (socket, callback) => {
    const raw = rawSocketOf(socket)
    // As many may wait as like: that is no leak. 0 is without limit.
    const allow = (more: number) => { if (raw.getMaxListeners() > 0) raw.setMaxListeners(raw.getMaxListeners() + more) }
    allow(1)
    raw.once('drain', callback)
    return () => {
      raw.removeListener('drain', callback)
      allow(-1)
    }
  },
  holdsInput,
  messageListeners: (socket) => socket.listeners('message').map(givenListener),
  pongsWait,
  isPaused: (socket) => rawSocketOf(socket).isPaused(),
  keepAlive: (socket, delay) => { rawSocketOf(socket).setKeepAlive(true, delay) },
  hasHandle: (socket) => rawSocketOf(socket) instanceof Socket
}
