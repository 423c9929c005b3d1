/**
 * Finds dead peers, and terminates no healthy one.
 *
 * Each connection is checked twice an interval. A peer that has sent anything since the last check is alive. A silent peer is
 * pinged; if it stays silent for `maxMissed` intervals after the ping has left our queue, its raw socket is destroyed, at most
 * `interval × (maxMissed + 1)` of running time after it died. Checks are counted, not milliseconds, and each runs after input
 * that has arrived was read: a stall of the event loop makes no peer look dead. The check of a peer that has sent something
 * reads one property. A sweep spreads the connections over half an interval.
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
import { CHECKS, NEW, NOT_COUNTED } from '../connection/liveness.ts'
import type { Probe } from '../connection/liveness.ts'

/** Shortest interval, milliseconds: a tick for each check. */
export const LEAST_INTERVAL = CHECKS * TICK

/** What heartbeats need. */
export interface HeartbeatHost {
  readonly clock: Clock
  readonly enforcement: Enforcement
  readonly transport: Transport
}

/** The heartbeats of a tracker: one for each distinct setting, as routes may have their own. */
export class Heartbeats {
  readonly #host: HeartbeatHost
  readonly #all = new Map<HeartbeatSettings, Heartbeat>()

  constructor (host: HeartbeatHost) {
    this.#host = host
  }

  /** Number of connections with a heartbeat. */
  get size (): number { return [...this.#all.values()].reduce((sum, { size }) => sum + size, 0) }

  opened (connection: ManagedConnection): void {
    const { heartbeat } = connection.settings
    // A stream without a kernel socket, as of `injectWS`, answers no ping and cannot die unnoticed.
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

/** The heartbeat of all connections with the same settings. */
class Heartbeat implements SweepVisitor<ManagedConnection> {
  readonly #host: HeartbeatHost
  readonly #interval: number
  /** Checks without a sign of life after which a pinged peer is dead. */
  readonly #limit: number
  readonly #sweep: Sweep<ManagedConnection>
  #suspects: ManagedConnection[] = []
  /** Number of times that the machine has slept or the process stood still: pings from before may be lost. */
  #era = 0
  #lastBeat = 0
  #lastWall = 0

  constructor (host: HeartbeatHost, { interval, maxMissed }: HeartbeatSettings) {
    this.#host = host
    this.#interval = interval
    this.#limit = CHECKS * maxMissed
    this.#sweep = new Sweep(host.clock, interval / CHECKS, this)
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
    // A sign of life may have arrived that is not read yet.
    afterInput(this.#host.clock, () => { this.#terminateDead(suspects) })
  }

  visit (connection: ManagedConnection): boolean {
    const { socket } = connection
    if (connection.heard) {
      // Set here and not in the handshake: it costs four system calls and is not urgent.
      if (connection.bytesSeen === NEW) this.#host.transport.keepAlive(socket, this.#interval)
      connection.heard = false
      connection.bytesSeen = NOT_COUNTED
      connection.probe = null
      return false
    }
    const { transport } = this.#host
    const { bytesSeen: bytes, probe } = connection
    // A part of a message is a sign of life, too.
    connection.bytesSeen = transport.bytesReceived(socket)
    if (bytes !== NOT_COUNTED && bytes !== connection.bytesSeen) {
      connection.probe = null
    } else if (transport.isPaused(socket)) {
      // A pong would stay unread. A ping once an interval lets the kernel notice that the peer is gone.
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
      // A ping that had to wait leaves between two checks: the next check comes too soon to count.
      probe.age = now - probe.leftAt < TICK ? 0 : -1
      probe.left = true
      probe.leftAt = now
    })
    if (!probe.left) probe.taken = transport.bytesTaken(connection.socket)
  }

  #age (connection: ManagedConnection, probe: Probe): void {
    if (!probe.left) {
      const taken = this.#host.transport.bytesTaken(connection.socket)
      // The peer reads data that was sent before the ping.
      if (taken !== probe.taken) probe.age = -1
      probe.taken = taken
    }
    if (++probe.age >= this.#limit) this.#suspects.push(connection)
  }

  /** Checks suspects again and destroys the raw sockets of dead peers. */
  #terminateDead (suspects: ManagedConnection[]): void {
    const { transport, enforcement } = this.#host
    for (const connection of suspects) {
      const { heard, probe, bytesSeen: bytes, socket, state } = connection
      // The deadline of its closing handshake applies.
      if (isClosing(state)) continue
      if (heard || probe === null || probe.age < this.#limit || transport.bytesReceived(socket) !== bytes || transport.isPaused(socket)) continue
      if (enforcement.allows('heartbeat', 'terminate', connection)) connection.kill('heartbeat')
      else connection.probe = null
    }
  }
}
