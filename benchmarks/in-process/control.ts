/**
 * Calls of the in-process program. Types only. In pairs @fastify/websocket comes first.
 */
import type { Pair } from './pairs.ts'

export interface InProcessControl {
  /** Nanoseconds per message that is delivered to one listener, or that the listener sends back. */
  messages (listener: 'sync' | 'async' | 'echo'): Promise<Pair>
  /** Microseconds per handshake. */
  handshakes (): Promise<Pair>
  /** Microseconds of this plugin's heartbeat per connection and beat, while all peers are active. */
  activeBeats (): Promise<number>
}
