/**
 * What the in-process program can be asked. Types only. In pairs @fastify/websocket comes first.
 */
import type { Pair } from './pairs.ts'

export interface InProcessControl {
  /** Nanoseconds a message that is delivered to one listener; or that one sends it back. */
  messages (listener: 'sync' | 'async' | 'echo'): Promise<Pair>
  /** Microseconds a handshake. */
  handshakes (): Promise<Pair>
  /** Microseconds per connection and beat that our heartbeat takes while all peers are active. */
  activeBeats (): Promise<number>
}
