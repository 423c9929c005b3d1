/**
 * Finds dead peers, and never kills a healthy one.
 *
 * Each connection is looked at twice an interval. Whoever was heard of since is well; a silent one is pinged, and one
 * that stays silent for `maxMissed` intervals after the ping has left our queue is destroyed: `interval × (maxMissed + 1)`
 * of running time at most after it died. Looks are counted, never milliseconds: each comes after what had arrived was
 * read, so the event loop may stand still for as long as it likes. A look costs one property where the peer was heard
 * of. Connections are spread over half an interval in a sweep.
 */
import { afterInput } from '../base/clock.ts'
import type { Clock } from '../base/clock.ts'
import { TICK } from '../base/deadlines.ts'
import type { Enforcement } from '../track/enforcement.ts'
import { isClosing } from '../connection/connection.ts'
import type { ManagedConnection } from '../connection/managed-connection.ts'
import { Sweep } from '../base/sweep.ts'
import type { SweepVisitor } from '../base/sweep.ts'
import type { Transport } from '../connection/transport.ts'
import type { HeartbeatSettings } from '../connection/settings.ts'
import { NEW, NOT_COUNTED } from '../connection/liveness.ts'
import type { Probe } from '../connection/liveness.ts'

/** Looks at each connection in an interval. */
const LOOKS = 2

/** Shortest interval: a tick for each look. */
export const LEAST_INTERVAL = LOOKS * TICK

/** What a heartbeat leans on. */
export interface HeartbeatHost {
  readonly clock: Clock
  readonly enforcement: Enforcement
  readonly transport: Transport
}

/** All heartbeats of a tracker: routes may have their own. */
export class Heartbeats {
  readonly #host: HeartbeatHost
  readonly #all = new Map<HeartbeatSettings, Heartbeat>()

  constructor (host: HeartbeatHost) {
    this.#host = host
  }

  /** Connections that are watched. */
  get size (): number { return [...this.#all.values()].reduce((sum, { size }) => sum + size, 0) }

  opened (connection: ManagedConnection): void {
    const { heartbeat } = connection.settings
    // A stream without a kernel socket answers no ping and cannot die unnoticed.
    if (heartbeat === false || !this.#host.transport.hasHandle(connection.socket)) return
    let beat = this.#all.get(heartbeat)
    if (beat === undefined) this.#all.set(heartbeat, beat = new Heartbeat(this.#host, heartbeat))
    beat.add(connection)
  }

  closing (connection: ManagedConnection): void {
    const { heartbeat } = connection.settings
    if (heartbeat !== false) this.#all.get(heartbeat)?.remove(connection)
  }
}

/** The heartbeat of everyone under the same settings. */
class Heartbeat implements SweepVisitor<ManagedConnection> {
  readonly #host: HeartbeatHost
  readonly #interval: number
  /** Looks at a silent peer after which it is dead. */
  readonly #limit: number
  readonly #sweep: Sweep<ManagedConnection>
  #suspects: ManagedConnection[] = []
  /** Grows when the machine has slept: what was asked before may be lost. */
  #era = 0
  #lastBeat = 0
  #lastWall = 0

  constructor (host: HeartbeatHost, { interval, maxMissed }: HeartbeatSettings) {
    this.#host = host
    this.#interval = interval
    this.#limit = LOOKS * maxMissed
    this.#sweep = new Sweep(host.clock, interval / LOOKS, this)
  }

  get size (): number { return this.#sweep.size }

  add (connection: ManagedConnection): void {
    if (this.#sweep.size === 0) this.#mark()
    this.#sweep.add(connection)
  }

  remove (connection: ManagedConnection): void { this.#sweep.remove(connection) }

  #mark (): void {
    this.#lastBeat = this.#host.clock.now()
    this.#lastWall = this.#host.clock.wallNow()
  }

  beat (): void {
    // The monotonic clock stands still while a machine sleeps, the wall clock does not.
    const gap = Math.max(this.#host.clock.now() - this.#lastBeat, this.#host.clock.wallNow() - this.#lastWall)
    if (gap > this.#interval) this.#era++
    this.#mark()
  }

  finished (): void {
    if (this.#suspects.length === 0) return
    const suspects = this.#suspects
    this.#suspects = []
    afterInput(this.#host.clock, () => { this.#judge(suspects) })
  }

  visit (connection: ManagedConnection): boolean {
    const { socket } = connection
    if (connection.heard) {
      // Here and not in the handshake: it costs four system calls, and has time.
      if (connection.bytesSeen === NEW) this.#host.transport.keepAlive(socket, this.#interval)
      connection.heard = false
      connection.bytesSeen = NOT_COUNTED
      connection.probe = null
      return false
    }
    const { transport } = this.#host
    const { bytesSeen: bytes, probe } = connection
    // A part of a message, too, is a sign of life.
    connection.bytesSeen = transport.bytesReceived(socket)
    if (bytes !== NOT_COUNTED && bytes !== connection.bytesSeen) {
      connection.probe = null
    } else if (transport.isPaused(socket)) {
      // Its pong could not be seen. A ping, once an interval, lets the kernel tell that the peer is gone.
      if (probe === null && transport.pendingBytes(socket) === 0) this.#ping(connection)
      else connection.probe = null
    } else if (probe === null || probe.era !== this.#era) {
      this.#ping(connection)
    } else {
      this.#age(connection, probe)
    }
    return true
  }

  #ping (connection: ManagedConnection): void {
    const { clock, transport } = this.#host
    const probe: Probe = { age: 0, left: false, leftAt: clock.now(), taken: 0, alone: connection.probe === null, era: this.#era }
    connection.probe = probe
    transport.ping(connection.socket, () => {
      const now = clock.now()
      // One that had to wait leaves between two looks: the next comes too soon to count.
      probe.age = now - probe.leftAt < TICK ? 0 : -1
      probe.left = true
      probe.leftAt = now
    })
    if (!probe.left) probe.taken = transport.bytesTaken(connection.socket)
  }

  #age (connection: ManagedConnection, probe: Probe): void {
    if (!probe.left) {
      const taken = this.#host.transport.bytesTaken(connection.socket)
      // It reads what was before the ping.
      if (taken !== probe.taken) probe.age = -1
      probe.taken = taken
    }
    if (++probe.age >= this.#limit) this.#suspects.push(connection)
  }

  /** Once more, after everything that has arrived was read. */
  #judge (suspects: ManagedConnection[]): void {
    const { transport, enforcement } = this.#host
    for (const connection of suspects) {
      const { heard, probe, bytesSeen: bytes, socket, state } = connection
      // One that has begun to close has its time for that.
      if (isClosing(state)) continue
      if (heard || probe === null || probe.age < this.#limit || transport.bytesReceived(socket) !== bytes || transport.isPaused(socket)) continue
      if (enforcement.allows('heartbeat', 'terminate', connection)) connection.kill('heartbeat')
      else connection.probe = null
    }
  }
}
