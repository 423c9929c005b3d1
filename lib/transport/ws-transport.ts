/**
 * How core/ reaches a ws socket: the commands and the numbers of `Transport`.
 */
import { Socket } from 'node:net'
import type { Transport } from '../core/socket.ts'
import { isMidMessage, messageFrame, writeMessage, writePing } from './frames.ts'
import { kPause, kResume, rawSocketOf } from './ws-socket.ts'
import type { TrackedSocket } from './ws-socket.ts'

/** How core/ reaches a ws socket. */
export const wsTransport: Transport = {
  close: (socket, code, reason) => { socket.close(code, reason) },
  terminate: (socket) => {
    socket.terminate()
    // ws does nothing once it is CLOSED or broken; the raw socket may still be there.
    rawSocketOf(socket).destroy()
  },
  pause: (socket) => { (socket as TrackedSocket)[kPause]() },
  resume: (socket) => { (socket as TrackedSocket)[kResume]() },
  closeFrameLeft: (socket) => (socket as TrackedSocket)._closeFrameSent || wsTransport.pendingBytes(socket) === 0,
  closedCleanly: (socket) => (socket as TrackedSocket)._closeFrameSent && (socket as TrackedSocket)._closeFrameReceived,
  pendingBytes: (socket) => {
    const { _socket: raw, _sender: sender } = socket as TrackedSocket
    // As a rule; what libuv holds is dearer to ask for.
    if (raw.writableLength === 0) return sender._bufferedBytes ?? 0
    const { writing, writelen } = raw._writableState
    // During a large write `writableLength` stands still and has all of it; what libuv still holds is what waits.
    return raw.writableLength - (writing ? writelen : 0) + (raw._handle?.writeQueueSize ?? 0) + (sender._bufferedBytes ?? 0)
  },
  bytesReceived: (socket) => rawSocketOf(socket).bytesRead ?? 0,
  bytesSent: (socket) => rawSocketOf(socket).bytesWritten ?? 0,
  frame: messageFrame,
  write: writeMessage,
  isMidMessage,
  ping: writePing,
  bytesTaken: (socket) => {
    const handle = (socket as TrackedSocket)._socket._handle
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
  isPaused: (socket) => rawSocketOf(socket).isPaused(),
  keepAlive: (socket, delay) => { rawSocketOf(socket).setKeepAlive(true, delay) },
  hasHandle: (socket) => rawSocketOf(socket) instanceof Socket
}
